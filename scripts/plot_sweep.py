"""Draw the bias of Langevin kernels against their step size."""

from scoredag import job
from scoredag.figures import chains, style
from scoredag.store import tables


def plot_sweep(sweep_path: str, theory_path: str, figure_path: str) -> None:
    """Draw it with the line that theory gives for small steps."""
    slope = tables.read(theory_path, tables.LANGEVIN_THEORY).set_index("quantity").loc["bias_slope"]
    table = tables.read(sweep_path, tables.SWEEP)
    style.save(chains.sweep(table, slope["value"], slope["std_error"]), figure_path)


if __name__ == "__main__":
    job.run(plot_sweep)
