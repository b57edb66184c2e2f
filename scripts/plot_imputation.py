"""Draw test windows with their held-out entries imputed."""

import numpy as np

from scoredag import features, logs, metrics, tables
from scoredag.errors import InputError
from scoredag.figures import imputations, style


def plot_imputation(samples_path, windows_path, starts_path, figure_path, settings):
    """Draw some features (rows) of some test windows (columns) of one pattern, in physical units."""
    table = tables.read(windows_path, tables.WINDOWS, filters=[("split", "==", "test")])
    names = list(table["feature"].cat.categories)
    shown = settings["features"] or list(dict.fromkeys([names[0], names[(len(names) - 1) // 2], names[-1]]))
    for name in shown:
        if name not in names:
            raise InputError(f"csdi.runs.*.figure.features: '{name}' is unknown; known are {', '.join(names)}")
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")
    pattern = settings["held_out"] or starts["held_out"].dropna().iloc[0]
    of_pattern = starts.index[starts["held_out"] == pattern]
    windows = _spread(sorted(of_pattern.intersection(table["window"])), settings["n_windows"])
    targets, samples = tables.read_imputations(samples_path)
    targets = with_quantiles(targets, samples)
    titles = {window: when(starts.loc[window], starts["start"].nunique() > 1) for window in windows}
    spans = least_spans(table)
    panels = [
        [
            panel(table, targets, window, feature)
            | {
                "title": titles[window],
                "label": features.label(feature, settings["units"]),
                "least_span": spans[feature],
            }
            for window in windows
        ]
        for feature in shown
    ]
    style.save(imputations.imputation(panels, pattern, style.colour(settings["colour"])), figure_path)


def with_quantiles(targets, samples):
    """The targets with median and 90 % interval of their samples (S, M)."""
    lower, upper = metrics.interval(samples, 0.9)
    return targets.assign(lower=lower, median=np.median(samples, axis=0), upper=upper)


def least_spans(table):
    """How much of the vertical axis a panel of each feature shows at least, so that rounding errors do not fill it."""
    return table.groupby("feature", observed=True)["value"].std() / 2


def when(window, dated):
    """When a window starts, and of which series if there are several; a date that all share is left out."""
    names = [f"series {window['series']}"] if "series" in window else []
    return ", ".join(names + [f"{window['start']:%Y-%m-%d %H:%M} UTC"] * (dated or not names))


def panel(table, targets, window, feature):
    """One window of one feature, as the figures of `imputations` want it.

    Args:
        table: of the windows.
        targets: from `with_quantiles`.
    """
    rows, targets = (part[(part["window"] == window) & (part["feature"] == feature)] for part in (table, targets))
    values, role = rows["value"].to_numpy(), rows["role"].to_numpy()
    observed = np.where(role == "observed", values, np.nan)
    quantiles = np.tile(observed, (3, 1))
    quantiles[:, targets["step"]] = targets[["lower", "median", "upper"]].T
    return {
        "steps": rows["step"].to_numpy(),
        "observed": observed,
        "target": np.where(role == "target", values, np.nan),
        "quantiles": quantiles,
    }


def _spread(entries, n):
    """`n` of the entries, evenly spread, each in the middle of its share."""
    n = min(n, len(entries))
    return [entries[(2 * i + 1) * len(entries) // (2 * n)] for i in range(n)]


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        plot_imputation(
            snakemake.input.samples,
            snakemake.input.windows,
            snakemake.input.starts,
            snakemake.output.figure,
            snakemake.params.settings,
        )
