"""Draw the slack of each statement, and the likelihoods that they are about."""

from scoredag import job
from scoredag.figures import likelihoods, style
from scoredag.store import tables


def plot_statements(summary_path: str, likelihoods_paths: list[str], figure_path: str, settings: dict) -> None:
    """Draw slack and likelihoods; the flow's mean is that of the points, moved by how far the SDE's is off there."""
    summary = tables.read(summary_path, tables.STATEMENTS)
    whole = summary[summary["statement"] == "3"].set_index("score_model")["left"]
    flow, errors = {}, {}
    for name, path in zip(settings["score_models"], likelihoods_paths, strict=True):
        points = tables.read(path, tables.LIKELIHOODS)
        apart = points["flow_nll"] - points["nll"]
        flow[name] = whole[name] + apart.mean()
        errors[name] = apart.sem()
    style.save(likelihoods.statements(summary, flow, errors), figure_path)


if __name__ == "__main__":
    job.run(plot_statements)
