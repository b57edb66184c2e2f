"""Draw the longest gaps of the series as they were filled."""

import numpy as np
import pandas as pd

from scoredag import job
from scoredag.figures import imputations, style
from scoredag.series import features, gaps
from scoredag.store import tables

N_GAPS = 6
AROUND = 12  # steps that are shown on either side, at least


def plot_gaps(imputed_path: str, windows_path: str, figure_path: str, settings: dict) -> None:
    """Draw the longest gap of each feature, the longest first, then the second longest, up to six.

    Of a long series no more is in memory than where it has gaps, and what is shown.
    """
    names, imputed, lengths = _gaps(imputed_path)
    spans = gaps.find(imputed, lengths)
    spans["length"] = spans["stop"] - spans["first"]
    spans["long"] = gaps.is_long(spans, tables.greatest(windows_path, "step") + 1)
    spans = spans.sort_values("length", ascending=False, kind="stable")
    spans["rank"] = spans.groupby("feature").cumcount()
    shown = spans.sort_values(["rank", "length"], ascending=[True, False], kind="stable").head(N_GAPS)
    edges = np.r_[0, np.cumsum(lengths)]
    parts = [_around(gap, edges) for gap in shown.itertuples()]
    panels = [
        _panel(gap, part.start, rows.iloc[gap.feature :: len(names)], names[gap.feature], settings["units"])
        for gap, part, rows in zip(shown.itertuples(), parts, _rows(imputed_path, parts, len(names)), strict=True)
    ]
    style.save(imputations.filled_gaps(panels, style.colour(settings["colour"]), settings["level"]), figure_path)


def _gaps(path):
    """Names of the features (K), what was imputed (T, K), and the lengths of the series."""
    imputed, sizes = [], {}
    for rows in tables.batches(path, tables.IMPUTED):
        if not imputed:
            names = rows["feature"].iloc[: len(rows["feature"].cat.categories)].astype("str").tolist()
        imputed.append(rows["imputed"].to_numpy())
        series = rows["series"].astype("str") if "series" in rows else pd.Series("", rows.index)
        for name, size in series.groupby(series, sort=False).size().items():
            sizes[name] = sizes.get(name, 0) + size
    return names, np.concatenate(imputed).reshape(-1, len(names)), np.array(list(sizes.values())) // len(names)


def _around(gap, edges):
    """The steps to show of a gap: it and what is around it in its series; series end at `edges`."""
    around = max(AROUND, gap.length)
    end = np.searchsorted(edges, gap.first, side="right")
    return slice(max(gap.first - around, edges[end - 1]), min(gap.stop + around, edges[end]))


def _rows(path, parts, n_features):
    """The rows of the table of each of `parts`, slices of its steps."""
    found, first = [[] for _ in parts], 0
    for rows in tables.batches(path, tables.IMPUTED):
        for kept, part in zip(found, parts, strict=True):
            begin, end = (n_features * step - first for step in (part.start, part.stop))
            kept.append(rows.iloc[max(begin, 0) : max(end, 0)])
        first += len(rows)
    return [pd.concat([rows for rows in kept if len(rows)]) for kept in found]


def _panel(gap, first, rows, name, units):
    """A gap, of which `rows` (from step `first`) show the feature, as `imputations.filled_gaps` wants it."""
    times = rows["time"].dt.tz_localize(None).to_numpy()
    value, lower, upper, imputed = (rows[key].to_numpy() for key in ("value", "lower", "upper", "imputed"))
    begin, end = times[gap.first - first], times[gap.stop - 1 - first]
    of = f"{rows['series'].iloc[0]}: " if "series" in rows else ""
    steps = "step" if gap.length == 1 else "steps"
    note = "\nlonger than a window: several fill it" if gap.long else ""
    return {
        "title": f"{of}{pd.Timestamp(begin):%Y-%m-%d %H:%M}, {gap.length:,} {steps}{note}",
        "label": features.label(name, units),
        "times": times,
        "ends": (begin, end),
        "observed": np.where(imputed, np.nan, value),
        "quantiles": np.where(imputed, [lower, value, upper], value),
    }


if __name__ == "__main__":
    job.run(plot_gaps)
