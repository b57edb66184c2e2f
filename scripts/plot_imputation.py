"""Draw test windows with their held-out entries imputed."""

from scoredag import job
from scoredag.errors import InputError
from scoredag.figures import imputations, panels, style
from scoredag.series import features
from scoredag.store import tables


def plot_imputation(samples_path: str, windows_path: str, starts_path: str, figure_path: str, settings: dict) -> None:
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
    targets = panels.with_quantiles(targets, samples, settings["level"])
    titles = {window: panels.when(starts.loc[window], starts["start"].nunique() > 1) for window in windows}
    spans = panels.least_spans(table)
    grid = [
        [
            panels.panel(table, targets, window, feature)
            | {
                "title": titles[window],
                "label": features.label(feature, settings["units"]),
                "least_span": spans[feature],
            }
            for window in windows
        ]
        for feature in shown
    ]
    style.save(imputations.imputation(grid, pattern, style.colour(settings["colour"]), settings["level"]), figure_path)


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
    job.run(plot_imputation)
