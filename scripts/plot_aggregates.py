"""Draw the means of a series by period, with intervals where values were missing."""

import numpy as np

from scoredag import job
from scoredag.figures import aggregates, style
from scoredag.series import features
from scoredag.store import tables

N_PANELS = 3


def plot_aggregates(aggregates_path: str, figure_path: str, settings: dict) -> None:
    """Draw those features, of several series each its own, of which most is missing, in the order of the table."""
    table = tables.read(aggregates_path, tables.AGGREGATES)
    table = table[table["statistic"] == "mean"]
    keys = [key for key in ("series", "feature") if key in table]
    groups = [rows for _, rows in table.groupby(keys, observed=True, sort=False)]
    most = sorted(range(len(groups)), key=lambda place: -_share(groups[place]))[:N_PANELS]
    panels = [_panel(groups[place], settings["units"]) for place in sorted(most)]
    colour = style.colour(settings["colour"])
    style.save(aggregates.means(panels, table["period"].iloc[0], colour, settings["level"]), figure_path)


def _share(rows):
    """The share of the feature that is missing."""
    return float(np.average(rows["missing"], weights=rows["n_steps"]))


def _panel(rows, units):
    """What `aggregates.means` takes of one feature."""
    feature = rows["feature"].iloc[0]
    of = f"{rows['series'].iloc[0]}: " if "series" in rows else ""
    columns = {column: rows[column].to_numpy() for column in ("estimate", "lower", "upper", "shifted", "missing")}
    return columns | {
        "title": f"{of}{feature}, {100 * _share(rows):.3g} % missing",
        "label": features.label(feature, units),
        "times": rows["start"].to_numpy(),
    }


if __name__ == "__main__":
    job.run(plot_aggregates)
