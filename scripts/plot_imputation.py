"""Draw test windows with their held-out entries imputed."""

import pandas as pd

from scoredag import job
from scoredag.errors import InputError
from scoredag.figures import imputations, panels, style
from scoredag.series import features, tidy, windows
from scoredag.store import tables

MOST = 4  # columns


def plot_imputation(
    samples_path: str, windows_path: str, starts_path: str, series_path: str, figure_path: str, settings: dict
) -> None:
    """Draw some features (rows) of test windows (columns) in physical units: one under each pattern, or some of one."""
    test = windows.numbers(windows_path, "test")
    some = windows.some(windows_path, "test", test)
    names = list(some["feature"].cat.categories)
    shown = settings["features"] or list(dict.fromkeys([names[0], names[(len(names) - 1) // 2], names[-1]]))
    for name in shown:
        if name not in names:
            raise InputError(f"csdi.runs.*.figure.features: '{name}' is unknown; known are {', '.join(names)}")
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")
    chosen, titles, heading = _chosen(windows_path, test, starts, shown, settings["held_out"], settings["n_windows"])
    table = windows.table(windows_path, "test", chosen)
    targets, samples = tables.read_imputations(samples_path, chosen)
    targets = panels.with_quantiles(targets, samples, settings["level"])
    spans = panels.least_spans(some)
    step, unit = panels.unit_of(tidy.spacing(tidy.read(series_path)))

    def shown_as(window, feature):
        panel = panels.panel(table, targets, window, feature)
        label = features.label(feature, settings["units"])
        more = {"title": titles[window], "label": label, "least_span": spans[feature]}
        return panel | more | {"steps": panel["steps"] * step}

    grid = [[shown_as(window, feature) for window in chosen] for feature in shown]
    colour = style.colour(settings["colour"])
    style.save(imputations.imputation(grid, heading, unit, colour, settings["level"]), figure_path)


def _chosen(path, test, starts, shown, pattern, n_windows):
    """Numbers of windows, {number: title}, and a heading: windows of `pattern`, or one under each where it is None.

    Of many windows, some are looked at. `test` are the numbers of all test windows.
    """
    of_test = starts.loc[test]
    patterns = [name for name in starts["held_out"].cat.categories if (of_test["held_out"] == name).any()]
    of_first = test[(of_test["held_out"] == (pattern or patterns[0])).to_numpy()]
    rows = windows.some(path, "test", of_first)
    dated = starts["start"].nunique() > 1
    if pattern or len(patterns) < 2:
        chosen = _fullest(rows, shown, n_windows)
        titles = {window: panels.when(starts.loc[window], dated) for window in chosen}
        return chosen, titles, f"Test windows, held out: {pattern or patterns[0]}"
    place = [name for name in ("series", "start") if name in starts]
    (first,) = _fullest(rows, shown, 1, _hidden(path, of_test, rows["window"].unique(), shown, place))
    same = of_test[(of_test[place] == starts.loc[first, place]).all(axis=1)]
    titles = {window: name for name in patterns for window in same.index[same["held_out"] == name][:1]}
    titles = dict(list(titles.items())[:MOST])
    return list(titles), titles, f"Test window, {panels.when(starts.loc[first], True)}, held out in turn by:"


def _hidden(path, of_test, chosen, features, place):
    """How many times, over all patterns, a feature has held-out values where the window lies; of each in `chosen`."""
    places = pd.MultiIndex.from_frame(of_test[place])
    there = of_test[places.isin(places[of_test.index.isin(chosen)])]
    table = windows.table(path, "test", there.index.to_numpy())
    targets = table[(table["role"] == "target") & table["feature"].isin(features)]
    counts = targets.groupby("window", observed=True)["feature"].nunique().reindex(there.index, fill_value=0)
    return counts.groupby([there[name] for name in place], observed=True).transform("sum")


def _fullest(table, features, n, hidden=None):
    """`n` windows in which most features have values, then most are `hidden`; of those alike evenly spread ones."""
    rows = table[table["feature"].isin(features)]
    known = rows["value"].notna().groupby([rows["window"], rows["feature"]], observed=True).any()
    counts = known.groupby("window").sum()
    if hidden is not None:
        counts = counts + hidden.reindex(counts.index) / (hidden.max() + 1)
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
