"""Fill the series' own gaps with a trained CSDI, with intervals."""

import logging

import numpy as np

from scoredag import features, files, logs, metrics, streams, tables
from scoredag.csdi import checkpoint, imputation
from scoredag.errors import InputError
from scoredag.series import gaps, tidy

LEVEL = 0.9  # of the intervals: from the 5 % to the 95 % quantile
ROWS = 1 << 16  # steps that are written at once


def fill_gaps(model_path, series_path, statistics_path, imputed_path, csv_path, settings, run):
    """Write the whole series with its missing values imputed: tidy with intervals, and wide as CSV."""
    model = checkpoint.load(model_path)
    stats = tables.read(statistics_path, tables.STATISTICS)
    checkpoint.check_features(model_path, list(stats["feature"]))
    wide = tidy.from_tidy(tables.read(series_path, tables.SERIES))
    if tidy.series_of(wide)[0] is not None:
        raise InputError(
            f"csdi.runs.{run}.fill_gaps: the dataset holds several series; gaps of a single one can be filled"
        )
    missing = wide.isna().to_numpy()
    length = settings["dataset"]["length"]
    found = gaps.find(missing)
    windows = gaps.plan(found, len(wide), length)
    _report(wide, found, windows, length)
    lowest, highest = _bounds(wide.columns, **settings["dataset"])
    decimals = np.ceil(3 - np.log10(stats["std"])).astype(int).to_numpy()  # a thousandth of the deviation or finer

    filled, lower, upper = wide.to_numpy(copy=True), *np.full((2, *wide.shape), np.nan)
    drawn = _drawn(model, windows, wide, stats, settings, run)
    for steps, which, samples in gaps.merge(windows, drawn, length):
        samples = samples * stats["std"].to_numpy()[which] + stats["mean"].to_numpy()[which]
        samples = samples.clip(lowest[which], highest[which])
        ends = metrics.interval(samples, LEVEL)
        for column, values in zip((filled, lower, upper), (np.median(samples, axis=0), *ends), strict=True):
            column[steps, which] = _rounded(values, decimals[which]).clip(lowest[which], highest[which])
    _write(wide, filled, lower, upper, imputed_path)
    with files.replacing(csv_path) as partial:
        wide.iloc[:] = filled
        wide.to_csv(partial)


def _report(wide, found, windows, length):
    """Say in the log how much is missing, and what no window can see."""
    n_missing = int((found["stop"] - found["first"]).sum())
    logging.info(
        "%d of %d values are missing, in %d gaps; %d windows of %d steps fill them",
        n_missing, wide.size, len(found), len(windows), length,
    )  # fmt: skip
    for gap in found[gaps.is_long(found, length)].itertuples(index=False):
        logging.warning(
            "%s: the gap of %d steps from %s to %s is longer than fits into a window of %d steps (windows.length); "
            "several windows fill it, and its middle does not see its ends",
            wide.columns[gap.feature], gap.stop - gap.first, wide.index[gap.first], wide.index[gap.stop - 1], length,
        )  # fmt: skip
    known = wide.notna().to_numpy().any(axis=1)
    for start in windows:
        if not known[start : start + length].any():
            logging.warning(
                "nothing is observed from %s to %s: what is filled in there is any stretch of such a series, "
                "and its intervals are as wide",
                wide.index[start], wide.index[start + length - 1],
            )  # fmt: skip


def _bounds(names, *, plausible, group, **_):
    """Lowest and highest plausible value (K,) of each feature; infinite where there is no range."""
    columns = [features.column_of(name, plausible, group is not None) for name in names]
    ranges = [(-np.inf, np.inf) if column is None else plausible[column] for column in columns]
    return np.array(ranges, dtype=np.float64).T


def _drawn(model, windows, wide, stats, settings, run):
    """Samples (S, K, L), z-scores, of each window in turn, given all that is observed there."""
    starts = np.array(list(windows), dtype=np.int64)
    scores = ((wide.to_numpy() - stats["mean"].to_numpy()) / stats["std"].to_numpy()).astype(np.float32)
    values = scores[starts[:, None] + np.arange(settings["dataset"]["length"])].transpose(0, 2, 1)
    with logs.progress(f"filling {run}", len(starts), "window") as bar:
        for batch, samples in imputation.impute(
            model,
            starts,  # a window's stream is that of its first step
            np.nan_to_num(values),
            ~np.isnan(values),
            seed=streams.seed(settings["seed"], "gaps", run),
            device=settings["device"],
            progress=bar,
            **settings["sampling"],
        ):
            yield from samples.swapaxes(0, 1)
            logs.tenths(batch, len(starts), "windows")


def _rounded(values, decimals):
    return np.round(values * 10.0**decimals) / 10.0**decimals


def _write(wide, filled, lower, upper, path):
    """The tidy table, some steps at a time; an observed value has no interval."""
    with tables.writing(path, tables.IMPUTED) as write:
        for first in range(0, len(wide), ROWS):
            part = slice(first, first + ROWS)
            rows = tidy.to_tidy(wide.iloc[part])
            write(
                rows.assign(
                    value=filled[part].ravel(),
                    lower=lower[part].ravel(),
                    upper=upper[part].ravel(),
                    imputed=rows["value"].isna(),
                )
            )


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        fill_gaps(
            snakemake.input.model,
            snakemake.input.series,
            snakemake.input.statistics,
            snakemake.output.imputed,
            snakemake.output.csv,
            snakemake.params.settings,
            snakemake.wildcards.run,
        )
