"""Write the page on which particles move live by the Langevin variants, and by three dynamics of diffusion models."""

import numpy as np

from scoredag import job
from scoredag.figures import langevin_page, style
from scoredag.gmm import mixture, views
from scoredag.likelihood import mixtures, sde
from scoredag.store import files, tables

N_TIMES, N_BETWEEN = 100, 10  # of the reverse SDE: intervals of time that are shown, and steps in each


def plot_langevin_page(parameters_path: str, exact_path: str, modes_path: str, page_path: str, settings: dict) -> None:
    """Write one HTML page of the mixture, exact samples, its modes, the variants and the forward SDE."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    html = langevin_page.page(
        gmm,
        tables.read(exact_path, tables.POINTS)[["x", "y"]].to_numpy(),
        tables.read(modes_path, tables.MODES)[["x", "y"]].to_numpy(),
        views.view_of(gmm, settings["half_width"]),
        _process(gmm, **settings["process"]),
        [langevin_page.Variant(title, variant) for title, variant in settings["variants"]],
        style.colour(settings["colour"]),
    )
    with files.replacing(page_path) as partial:
        partial.write_text(html, encoding="utf-8")


def _process(gmm, name, span, smallest_time):
    """The forward SDE in the unit of the mixture, at even times."""
    standardised = mixtures.standardise(gmm)
    times = np.linspace(smallest_time, sde.HORIZON, N_TIMES * N_BETWEEN + 1)
    clocks = np.asarray(sde.named(name, span).clock(times))
    return langevin_page.Process(standardised.centre, standardised.unit, clocks, N_BETWEEN, smallest_time)


if __name__ == "__main__":
    job.run(plot_langevin_page)
