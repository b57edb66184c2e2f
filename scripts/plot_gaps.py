"""Draw the longest gaps of the series as they were filled."""

import numpy as np
import pandas as pd

from scoredag import features, logs, tables
from scoredag.figures import imputations, style
from scoredag.series import gaps

N_GAPS = 6
AROUND = 12  # steps that are shown on either side, at least


def plot_gaps(imputed_path, figure_path, settings):
    """Draw the longest gap of each feature, the longest first, then the second longest, up to six."""
    table = tables.read(imputed_path, tables.IMPUTED)
    names = list(table["feature"].cat.categories)
    times = table["time"].to_numpy()[:: len(names)]
    cubes = {name: table[name].to_numpy().reshape(-1, len(names)) for name in ("value", "lower", "upper", "imputed")}
    found = gaps.find(cubes["imputed"])
    found["length"] = found["stop"] - found["first"]
    found = found.sort_values("length", ascending=False, kind="stable")
    found["rank"] = found.groupby("feature").cumcount()
    shown = found.sort_values(["rank", "length"], ascending=[True, False], kind="stable").head(N_GAPS)
    panels = [_panel(gap, times, cubes, names[gap.feature], settings["units"]) for gap in shown.itertuples()]
    style.save(imputations.gaps(panels, style.colour(settings["colour"])), figure_path)


def _panel(gap, times, cubes, name, units):
    """A gap and what is around it, as `imputations.gaps` wants it."""
    around = max(AROUND, gap.length)
    part = slice(max(gap.first - around, 0), gap.stop + around)
    value, lower, upper, imputed = (cubes[key][part, gap.feature] for key in ("value", "lower", "upper", "imputed"))
    steps = "step" if gap.length == 1 else "steps"
    return {
        "title": f"{pd.Timestamp(times[gap.first]):%Y-%m-%d %H:%M}, {gap.length:,} {steps}",
        "label": features.label(name, units),
        "times": times[part],
        "ends": (times[gap.first], times[gap.stop - 1]),
        "observed": np.where(imputed, np.nan, value),
        "quantiles": np.where(imputed, [lower, value, upper], value),
    }


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        plot_gaps(snakemake.input.imputed, snakemake.output.figure, snakemake.params.settings)
