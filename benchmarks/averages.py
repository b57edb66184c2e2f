"""Which methods the average `auto` is of, and how: variants scored on the choosing half of the zoo.

make zoo HALF=choosing TRAINED=zero-shot && .venv/bin/python benchmarks/averages.py

Weights are learnt on validation windows, scores are of test windows: the half is for choosing. A cell is a pattern of a
series with `metrics.FEW` targets or more; its ratio is the CRPS of the average over that of the best single method.
The first variant is the default, whose CRPS that of the others is relative to.
"""

from typing import NamedTuple

import numpy as np
import zoo
from scipy.stats import gmean

from scoredag import metrics
from scoredag.series import averaging, forecasts
from scoredag.store import tables

THREE = ("joint Gaussian", "structural")  # and CSDI
NEVER = 10**9


class Variant(NamedTuple):
    """What is averaged with CSDI, and the constants of `forecasts` and `averaging` by which weights are chosen.

    Of the places of validation windows each `every`-th counts.
    """

    averaged: tuple[str, ...] = forecasts.AVERAGED
    prior: int = forecasts.PRIOR
    prior_of_kind: int = forecasts.PRIOR_OF_KIND
    counted: int = forecasts.COUNTED
    prior_places: int = forecasts.PRIOR_PLACES
    small: float = averaging.SMALL
    prior_of_levels: int = averaging.PRIOR
    every: int = 1

    def set(self):
        """Put them in place."""
        forecasts.AVERAGED, forecasts.PRIOR, forecasts.PRIOR_PLACES = self.averaged, self.prior, self.prior_places
        forecasts.PRIOR_OF_KIND, forecasts.COUNTED = self.prior_of_kind, self.counted
        averaging.SMALL, averaging.PRIOR = self.small, self.prior_of_levels


VARIANTS = {
    "CSDI and all but nearest neighbours": Variant(),
    "CSDI and all nine methods": Variant(("nearest neighbours", *forecasts.AVERAGED)),
    "CSDI, both ridges, joint Gaussian, structural": Variant(("ridge", "masked ridge", *THREE)),
    "CSDI, linear, both ridges, joint Gaussian, structural": Variant(("linear", "ridge", "masked ridge", *THREE)),
    "CSDI, ridge, joint Gaussian, structural": Variant(("ridge", *THREE)),
    "CSDI, masked ridge, joint Gaussian, structural": Variant(("masked ridge", *THREE)),
    "CSDI, linear, joint Gaussian, structural": Variant(("linear", *THREE)),
    "CSDI, joint Gaussian, structural": Variant(THREE),
    "features weigh more (PRIOR 50)": Variant(prior=50),
    "features weigh less (PRIOR 300)": Variant(prior=300),
    "one weight for all features": Variant(prior=NEVER),
    "distances weigh more (PRIOR_OF_KIND 100)": Variant(prior_of_kind=100),
    "distances weigh less (PRIOR_OF_KIND 500)": Variant(prior_of_kind=500),
    "one weight for all distances": Variant(prior_of_kind=NEVER),
    "features and distances of fewer than 100 values do not count (COUNTED)": Variant(counted=100),
    "a pattern's own weights however few its places (PRIOR_PLACES 0)": Variant(prior_places=0),
    "patterns weigh less (PRIOR_PLACES 5)": Variant(prior_places=5),
    "weights below 0.03 are none (SMALL)": Variant(small=0.03),
    "weights below 0.1 are none": Variant(small=0.1),
    "weights below 0.2 are none": Variant(small=0.2),
    "half of the places of validation windows": Variant(every=2),
    "levels lean less on what is nominal (averaging.PRIOR 300)": Variant(prior_of_levels=300),
    "levels lean less on what is nominal (averaging.PRIOR 100)": Variant(prior_of_levels=100),
}


def read(results, name):
    """Forecasts of the validation and the test windows of a run, the number of patterns, and of features."""
    dataset, run = results / "datasets" / name, results / "csdi" / f"{name}-zero-shot"
    starts = tables.read(dataset / "window_starts.parquet", tables.WINDOW_STARTS)
    stats = tables.read(dataset / "statistics.parquet", tables.STATISTICS)
    paths = {"valid": run / "validation_samples.parquet", "test": run / "samples.parquet"}
    both = [
        forecasts.read(path, dataset / "baselines.parquet", dataset / "windows.parquet", starts, stats, split)
        for split, path in paths.items()
    ]
    return *both, len(starts["held_out"].cat.categories), len(stats)


def crps(quantiles, truth, which):
    """CRPS of some targets."""
    top, bottom = metrics.terms(quantiles[:, which], truth[which], are_quantiles=True)["crps"]
    return top.sum() / bottom.sum()


def cells(valid, test, n_patterns, n_features, every):
    """CRPS, ratio and what 90 % intervals hold in each cell, of the variant that is set."""
    places = np.unique(valid.targets.place)[::every]
    valid = valid.part(np.isin(valid.targets.place, places))
    calibration = forecasts.calibrate(valid, n_patterns, n_features)
    quantiles = {name: calibration.quantiles(name, test) for name in (*calibration.methods, metrics.AUTO)}
    for code in range(n_patterns):
        which = test.targets.pattern == code
        if which.sum() >= metrics.FEW:
            scores = {name: crps(of, test.targets.truth, which) for name, of in quantiles.items()}
            of_auto = metrics.terms(quantiles[metrics.AUTO][:, which], test.targets.truth[which], are_quantiles=True)
            average = scores.pop(metrics.AUTO)
            yield average, average / min(scores.values()), of_auto["coverage_90"][0].mean()


def main():
    """Print a row of docs/experiments.md for each variant."""
    series = zoo.read_series()
    runs = [read(zoo.ROOT / "results", name) for name in series.index[series["half"] == "choosing"]]
    columns = "what is averaged | CRPS | ratio | largest | above 1.02 | below 1 | 90 % hold 86 to 94 % | cells"
    print(f"| {columns} |\n|{'---|' * (columns.count('|') + 1)}")
    reference = None
    for label, variant in VARIANTS.items():
        variant.set()
        scores, found, held = np.array([cell for run in runs for cell in cells(*run, variant.every)]).T
        reference = scores if reference is None else reference
        means, n_held = (gmean(scores / reference), gmean(found)), ((held >= zoo.HELD[0]) & (held <= zoo.HELD[1])).sum()
        counts = (found > zoo.NEAR).sum(), (found < 1).sum(), n_held, len(found)
        print(
            f"| {label} | {means[0]:.3f} | {means[1]:.3f} | {found.max():.3f} | {' | '.join(map(str, counts))} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
