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
    windows = _fullest(table[table["window"].isin(of_pattern)], shown, settings["n_windows"])
    targets, samples = tables.read_imputations(samples_path)
    lower, upper = metrics.interval(samples, 0.9)
    targets = targets.assign(lower=lower, median=np.median(samples, axis=0), upper=upper)
    titles = {window: _title(starts.loc[window], starts["start"].nunique() > 1) for window in windows}
    spans = table.groupby("feature", observed=True)["value"].std().fillna(0) / 2  # of one value there is none
    panels = [
        [
            _panel(_of(table, window, feature), _of(targets, window, feature), titles[window], spans[feature])
            | {"label": features.label(feature, settings["units"])}
            for window in windows
        ]
        for feature in shown
    ]
    style.save(imputations.imputation(panels, pattern, style.colour(settings["colour"])), figure_path)


def _of(table, window, feature):
    return table[(table["window"] == window) & (table["feature"] == feature)]


def _title(window, dated):
    """When a window starts, and of which series if there are several; a date that all share is left out."""
    names = [f"series {window['series']}"] if "series" in window else []
    return ", ".join(names + [f"{window['start']:%Y-%m-%d %H:%M} UTC"] * (dated or not names))


def _panel(rows, targets, title, least_span):
    """One window of one feature, as `imputations.imputation` wants it."""
    values, role = rows["value"].to_numpy(), rows["role"].to_numpy()
    observed = np.where(role == "observed", values, np.nan)
    quantiles = np.tile(observed, (3, 1))
    quantiles[:, targets["step"]] = targets[["lower", "median", "upper"]].T
    return {
        "title": title,
        "steps": rows["step"].to_numpy(),
        "observed": observed,
        "target": np.where(role == "target", values, np.nan),
        "least_span": least_span,
        "quantiles": quantiles,
    }


def _fullest(table, features, n):
    """`n` windows in which most of the features have values; of windows that are alike, evenly spread ones."""
    rows = table[table["feature"].isin(features)]
    known = rows["value"].notna().groupby([rows["window"], rows["feature"]], observed=True).any()
    counts = known.groupby("window").sum()
    chosen = []
    for count in sorted(counts.unique(), reverse=True):
        chosen += _spread(counts.index[counts == count].tolist(), n - len(chosen))
    return sorted(chosen)


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
