"""Draw the longest gaps of the series as they were filled."""

import numpy as np

from scoredag import job
from scoredag.figures import imputations, style
from scoredag.series import features, gaps, tidy
from scoredag.store import tables

N_GAPS = 6
AROUND = 12  # steps that are shown on either side, at least


def plot_gaps(imputed_path: str, windows_path: str, figure_path: str, settings: dict) -> None:
    """Draw the longest gap of each feature, the longest first, then the second longest, up to six.

    Of a long series no more is in memory than where it has gaps, and what is shown.
    """
    imputed = tidy.read(imputed_path, tables.IMPUTED, "imputed")
    _, lengths = tidy.series_of(imputed)
    spans = gaps.find(imputed.to_numpy(), lengths)
    spans["length"] = spans["stop"] - spans["first"]
    spans["long"] = gaps.is_long(spans, tables.greatest(windows_path, "step") + 1)
    spans = spans.sort_values("length", ascending=False, kind="stable")
    spans["rank"] = spans.groupby("feature").cumcount()
    shown = spans.sort_values(["rank", "length"], ascending=[True, False], kind="stable").head(N_GAPS)
    edges = np.r_[0, np.cumsum(lengths)]
    panels = [
        _panel(imputed_path, gap, edges, imputed.index, imputed.columns[gap.feature], settings["units"])
        for gap in shown.itertuples()
    ]
    style.save(imputations.filled_gaps(panels, style.colour(settings["colour"]), settings["level"]), figure_path)


def _panel(path, gap, edges, index, name, units):
    """A gap and what is around it in its series, as `imputations.filled_gaps` wants it; series end at `edges`."""
    around = max(AROUND, gap.length)
    end = np.searchsorted(edges, gap.first, side="right")
    of_rows = index.get_level_values(-1)
    times = of_rows.tz_localize(None)
    first, last = max(gap.first - around, edges[end - 1]), min(gap.stop + around, edges[end]) - 1
    series = {} if index.nlevels == 1 else {"series": index[gap.first][0]}
    (rows,) = tables.ranges(path, tables.IMPUTED, "time", [(of_rows[first], of_rows[last])], feature=name, **series)
    value, lower, upper, imputed = (rows[key].to_numpy() for key in ("value", "lower", "upper", "imputed"))
    of = "".join(f"{name}: " for name in series.values())
    steps = "step" if gap.length == 1 else "steps"
    note = "\nlonger than a window: several fill it" if gap.long else ""
    return {
        "title": f"{of}{times[gap.first]:%Y-%m-%d %H:%M}, {gap.length:,} {steps}{note}",
        "label": features.label(name, units),
        "times": times[first : last + 1],
        "ends": (times[gap.first], times[gap.stop - 1]),
        "observed": np.where(imputed, np.nan, value),
        "quantiles": np.where(imputed, [lower, value, upper], value),
    }


if __name__ == "__main__":
    job.run(plot_gaps)
