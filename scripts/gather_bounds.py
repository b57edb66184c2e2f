"""Put both sides of each statement on the likelihood side by side."""

import logging

import numpy as np
import pandas as pd

from scoredag import job
from scoredag.store import tables


def gather_bounds(
    likelihoods_paths: list[str],
    estimates_paths: list[str],
    solved_paths: list[str],
    estimated_paths: list[str],
    bounds_path: str,
    summary_path: str,
    settings: dict,
) -> None:
    """Write the points of all score models, and left and right side of the statements of docs/likelihood-bound.md.

    `settings["score_models"]` are the names of the score models that the lists of paths belong to. The standard error
    of a slack joins that of Monte Carlo with the error of the grid.
    """
    points, rows = [], []
    paths = zip(likelihoods_paths, estimates_paths, solved_paths, estimated_paths, strict=True)
    for name, (likelihoods_path, estimates_path, *quantities_paths) in zip(
        settings["score_models"], paths, strict=True
    ):
        truth = tables.read(likelihoods_path, tables.LIKELIHOODS)
        estimates = tables.read(estimates_path, tables.BOUND_ESTIMATES)
        exact, drawn = map(tables.read_quantities, quantities_paths)
        points.append(
            estimates[["point", "x", "y", "bound", "bound_std_error"]].assign(
                score_model=name, nll=truth["nll"], nll_error=truth["nll_error"]
            )
        )
        if not rows:
            rows.append(_entropy(exact, drawn))
        rows += _statements(name, exact, drawn, truth, estimates)
        below = (estimates["bound"] - truth["nll"]) / np.hypot(estimates["bound_std_error"], truth["nll_error"])
        logging.info("%s: the lowest bound of a point is %.2f times both errors above its nll", name, below.min())
    tables.write(pd.concat(points), bounds_path, tables.BOUNDS)
    tables.write_rows(rows, summary_path, tables.STATEMENTS)


def _entropy(exact, drawn):
    grown = drawn.loc["information"]
    right = exact["value"]["entropy_at_the_end"] - grown["value"]
    return _row("2", "none", exact["value"]["entropy"], right, grown["error"])


def _statements(name, exact, drawn, truth, estimates):
    """Rows of statements 1, 3 and 4, and of the gap that the score's distance from its own law explains."""
    matching = drawn.loc["score_matching"]
    average = drawn.loc["bound"]
    noise = estimates["bound_std_error"].mean()
    grid = truth["nll_error"].mean()
    explained = truth["nll"] + truth["gap"]
    return [
        _row(
            "1", name, exact["value"]["divergence"], matching["value"] + exact["value"]["prior_divergence"],
            matching["error"], exact["error"]["divergence"],
        ),
        _row(
            "3", name, exact["value"]["cross_entropy"], average["value"],
            average["error"], exact["error"]["cross_entropy"],
        ),
        _row("4", name, truth["nll"].mean(), estimates["bound"].mean(), noise, grid),
        _row("gap", name, explained.mean(), estimates["bound"].mean(), noise, grid),
    ]  # fmt: skip


def _row(statement, name, left, right, *errors):
    return statement, name, left, right, right - left, float(np.linalg.norm(errors))


if __name__ == "__main__":
    job.run(gather_bounds)
