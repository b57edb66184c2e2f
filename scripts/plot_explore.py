"""Write the page to explore a series: its gaps as they were filled, and the worst test windows."""

import numpy as np
import pandas as pd

from scoredag import job, metrics
from scoredag.figures import explore, panels, style
from scoredag.series import features, gaps, tidy, transforms, windows
from scoredag.store import files, tables

N_GAPS, N_WINDOWS, N_SERIES = 20, 20, 40  # that the lists have, at most
N_FEATURES = 3  # of a gap that are named, and of a window that are shown


def plot_explore(
    imputed_path: str | None,
    series_path: str,
    samples_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    page_path: str,
    settings: dict,
    run: str,
) -> None:
    """Write one HTML page of the series, filled if `imputed_path` is given, in physical units.

    Test windows are ranked by the CRPS of CSDI's draws of z-scores. Of many series the page has those of its lists and
    the first of the others.
    """
    wide, cubes = _read(imputed_path, series_path)
    lengths = tidy.series_of(wide)[1]
    shown = {
        "gaps": _longest(wide, cubes, lengths),
        "windows": _worst(wide, lengths, samples_path, windows_path, starts_path, statistics_path, settings["level"]),
    }
    of_lists = [span.series for spans in shown.values() for span in spans]
    numbers = sorted(list(dict.fromkeys([*of_lists, *range(min(N_SERIES, len(lengths)))]))[:N_SERIES])
    html = explore.page(
        f"Run {run}, dataset {settings['dataset']}",
        _note(imputed_path is not None, len(numbers), len(lengths)),
        [features.label(name, settings["units"]) for name in wide],
        [_series(wide, cubes, lengths, number) for number in numbers],
        **{key: [span._replace(series=numbers.index(span.series)) for span in spans] for key, spans in shown.items()},
        colour=style.colour(settings["colour"]),
        level=settings["level"],
    )
    with files.replacing(page_path) as partial:
        partial.write_text(html, encoding="utf-8")


def _read(imputed_path, series_path):
    """The wide series, and arrays (T, K): value, lower, upper, and which are missing."""
    if imputed_path is None:
        wide = tidy.read(series_path)
        value, none = wide.to_numpy(), np.full(wide.shape, np.nan)
        return wide, {"value": value, "lower": none, "upper": none, "missing": np.isnan(value)}
    table = tables.read(imputed_path, tables.IMPUTED)
    wide = tidy.from_tidy(table)
    names = ("value", "lower", "upper", "imputed")
    value, lower, upper, imputed = (table[name].to_numpy().reshape(wide.shape) for name in names)
    return wide, {"value": value, "lower": lower, "upper": upper, "missing": imputed | np.isnan(value)}


def _series(wide, cubes, lengths, number):
    """A series by its number, as `explore.page` takes it."""
    stop = lengths[: number + 1].sum()
    part = slice(stop - lengths[number], stop)
    name = wide.index[part.start][0] if wide.index.nlevels > 1 else None
    return explore.Series(name, _times(wide)[part], *(cube[part] for cube in cubes.values()))


def _times(wide):
    return wide.index.get_level_values(-1).tz_localize(None).to_numpy()


def _span(lengths, first, stop, *others):
    """A span of steps of the stacked series as one of the series that it begins in."""
    ends = np.cumsum(lengths)
    number = int(np.searchsorted(ends, first, side="right"))
    begin = int(ends[number] - lengths[number])
    return explore.Span(number, int(first) - begin, int(min(stop, ends[number])) - begin, *others)


def _longest(wide, cubes, lengths):
    """The longest gaps, the longest first; those of several features at the same steps are one."""
    spans = gaps.find(cubes["missing"], lengths)
    spans = spans.assign(length=spans["stop"] - spans["first"]).sort_values("length", ascending=False, kind="stable")
    chosen = spans.drop_duplicates(["first", "stop"]).head(N_GAPS)
    times, is_filled = _times(wide), ~np.isnan(cubes["value"])
    return [
        _gap(wide, lengths, spans, times, gap.first, gap.stop, is_filled[gap.first, gap.feature])
        for gap in chosen.itertuples()
    ]


def _gap(wide, lengths, spans, times, first, stop, filled):
    own = spans.loc[(spans["first"] == first) & (spans["stop"] == stop), "feature"].tolist()
    of = "" if wide.index.nlevels == 1 else f"series {wide.index[first][0]}, "
    names = ", ".join(wide.columns[own[:N_FEATURES]]) + (f" and {len(own) - N_FEATURES} more" * (len(own) > N_FEATURES))
    text = f"{of}{pd.Timestamp(times[first]):%Y-%m-%d %H:%M}, {stop - first:,} step{'s' * (stop - first > 1)}: {names}"
    said = f"Gap: {text}; " + ("median and band as filled." if filled else "this run does not fill it.")
    return _span(lengths, first, stop, own, text, said)


def _worst(wide, lengths, samples_path, windows_path, starts_path, statistics_path, level):
    """The test windows with the highest mean CRPS in standard deviations of their features, the highest first."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    _, ends = windows.borders(windows_path, stats, windows.numbers(windows_path, "test"))
    scores = [
        _with_crps(*part, stats).groupby("window")["crps"].agg(["mean", "size"])
        for part in tables.imputation_ranges(samples_path, ends)
        if len(part[0])
    ]
    if not scores:
        return []
    scores = pd.concat(scores).sort_values("mean", ascending=False, kind="stable").head(N_WINDOWS)
    has_room = scores["size"].cumsum() <= explore.MOST_TARGETS
    scores = scores[has_room | (np.arange(len(scores)) == 0)]
    targets, samples = tables.read_imputations(samples_path, scores.index)
    targets = panels.with_quantiles(_with_crps(targets, samples, stats), samples, level)
    targets["feature"] = wide.columns.get_indexer(targets["feature"].astype(str))
    starts = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window").loc[scores.index]
    keys = [starts["start"]] if "series" not in starts else [starts["series"].astype(str), starts["start"]]
    firsts = wide.index.get_indexer(pd.Index(keys[0]) if len(keys) == 1 else pd.MultiIndex.from_arrays(keys))
    length = tables.greatest(windows_path, "step") + 1
    return [
        _window(lengths, first, length, starts.loc[window], score, targets[targets["window"] == window])
        for first, window, score in zip(firsts.tolist(), scores.index, scores["mean"], strict=True)
    ]


def _with_crps(targets, samples, stats):
    """Targets with the CRPS of their samples (S, n) in standard deviations of their features."""
    truth, drawn = metrics.z_scores(*transforms.forward_targets(targets, samples, stats), stats)
    return targets.assign(crps=metrics.terms(drawn, truth)["crps"][0])


def _window(lengths, first, length, start, score, targets):
    text = f"{panels.when(start, dated=True)}, {start['held_out']}: {score:.2f}"
    said = f"Test window: {text} standard deviations; median and band are those of CSDI's draws."
    by_feature = targets.groupby("feature")["crps"].sum().sort_values(ascending=False, kind="stable")
    span = _span(lengths, first, first + length, by_feature.index[:N_FEATURES].tolist(), text, said)
    return span._replace(targets=targets.assign(step=targets["step"] + span.first))


def _note(filled, n_shown, n_series):
    """The line below the heading: what the page shows."""
    kind = "as they were filled" if filled else "which this run does not fill"
    more = f" These are {n_shown} of {n_series:,} series." if n_shown < n_series else ""
    return (
        f"The series with its gaps, {kind}, and test windows with what was held out. Drag to move; hold Ctrl and turn "
        f"the wheel to zoom.{more}"
    )


if __name__ == "__main__":
    job.run(plot_explore)
