"""Write the page that answers the questions of the assignment by the numbers of the run."""

import os
from pathlib import Path

from scoredag import job
from scoredag.figures import report_page, report_parts
from scoredag.gmm import drift
from scoredag.store import files, tables

TITLE = "From scores to samples: the questions, and the answers of this run"
LEAD = [
    "The questions are those of the assignment behind this project, in its order. Sentences on green follow from the "
    "tables of this run each time the page is written: another config may say the opposite. A click on a figure opens "
    "its file.",
]


def write_report(
    figures_paths: list[str],
    pages_paths: list[str],
    texts_paths: list[str],
    summary_path: str | None,
    bounds_path: str | None,
    likelihoods_paths: list[str],
    score_errors_path: str | None,
    estimators_path: str | None,
    dynamics_path: str | None,
    components_path: str | None,
    langevin_path: str | None,
    laws_path: str | None,
    theory_path: str | None,
    sweep_path: str | None,
    convergence_path: str | None,
    modes_paths: list[str],
    histories_paths: list[str],
    scores_paths: list[str],
    missingness_paths: list[str],
    page_path: str,
    settings: dict,
) -> None:
    """Write one page of HTML; lists of paths are in the order of what `settings` names, `texts_paths` in one folder."""
    langevin = _read(langevin_path, tables.LANGEVIN_METRICS)
    variants, runs = dict(settings["variants"]), dict(settings["runs"])
    noiseless = [name for name, about in variants.items() if not about["has_noise"]]
    datasets = dict.fromkeys(about["dataset"] for about in runs.values())
    found = report_parts.Tables(
        summary=_read(summary_path, tables.STATEMENTS),
        bounds=_read(bounds_path, tables.BOUNDS),
        likelihoods=_each(dict(settings["score_models"]), likelihoods_paths, tables.LIKELIHOODS),
        score_errors=_read(score_errors_path, tables.SCORE_ERRORS),
        estimators=_read(estimators_path, tables.ESTIMATORS),
        dynamics=_read(dynamics_path, tables.DYNAMICS_DISTANCES),
        components=_read(components_path, tables.GMM),
        langevin=langevin,
        laws=_read(laws_path, tables.STATIONARY),
        theory=_read(theory_path, tables.LANGEVIN_THEORY),
        sweep=_read(sweep_path, tables.SWEEP),
        convergence=_read(convergence_path, tables.CONVERGENCE),
        modes=_each(noiseless, modes_paths, tables.MODE_SHARES),
        moving={name: drift.clearest(_metrics(langevin, name)) for name in variants},
        histories=_each(runs, histories_paths, tables.HISTORY),
        scores=_each(runs, scores_paths, tables.CSDI_METRICS),
        missingness=_each(datasets, missingness_paths, tables.MISSINGNESS),
    )
    folder = os.path.dirname(page_path)
    addresses = [os.path.relpath(path, folder) for path in (*figures_paths, *pages_paths)]
    shown = {
        (name, next(iter(labels.values()), "")): report_parts.Shown(address, Path(path).read_bytes(), caption, labels)
        for (name, labels, caption), path, address in zip(settings["figures"], figures_paths, addresses, strict=False)
    }
    pages = dict(zip(settings["pages"], addresses[len(figures_paths) :], strict=True))
    sheet = report_parts.Sheet(
        shown, pages, os.path.relpath(os.path.dirname(texts_paths[0]), os.path.dirname(page_path))
    )
    html = report_page.page(TITLE, LEAD, report_parts.parts(found, sheet, settings))
    with files.replacing(page_path) as partial:
        partial.write_text(html, encoding="utf-8")


def _read(path, schema):
    return tables.read(path, schema) if path else None


def _each(names, paths, schema):
    return {name: tables.read(path, schema) for name, path in zip(names, paths, strict=True)}


def _metrics(table, variant):
    return table[table["variant"] == variant].set_index("metric")["value"].to_dict()


if __name__ == "__main__":
    job.run(write_report)
