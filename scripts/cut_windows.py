"""Cut a series into windows, split them by time and hold targets out."""

import logging

import pandas as pd

from scoredag import logs, streams, tables
from scoredag.errors import InputError
from scoredag.series import missingness, tidy, windows


def cut_windows(series_path, windows_path, starts_path, statistics_path, settings, dataset):
    """Write the windows, the time each begins at, and the statistics of the training split.

    `settings["held_out"]` lists pairs of a name and a pattern of missing entries.
    """
    wide = tidy.from_tidy(tables.read(series_path, tables.SERIES))
    length = settings["length"]
    splits = windows.assign_splits(len(wide), settings["block"], settings["shares"])
    first_steps, window_splits = windows.starts(splits, length, (settings["train_stride"], length, length))
    counts = {name: int((window_splits == code).sum()) for code, name in enumerate(windows.SPLITS)}
    if not all(counts.values()):
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InputError(
            f"datasets.{dataset}.windows: {len(wide)} steps in blocks of {settings['block']} give {shown} windows; "
            f"each split needs one: {_advice(len(wide), settings)}"
        )
    logging.info("%s: windows of %d steps: %s", dataset, length, counts)

    names, patterns = zip(*settings["held_out"], strict=True)
    which, codes = windows.assign_patterns(window_splits, len(patterns))
    first_steps, window_splits = first_steps[which], window_splits[which]

    def hold_out(window, observed):
        code = codes[window]
        rng = streams.generator(settings["seed"], "held out", dataset, names[code], first_steps[window])
        return missingness.hold_out(observed, rng, **patterns[code])

    table = windows.cut(wide, first_steps, window_splits, length, hold_out)
    starts = pd.DataFrame(
        {
            "window": range(len(first_steps)),
            "start": wide.index[first_steps],
            "held_out": pd.Categorical.from_codes(codes, names),
        }
    )
    tables.write(windows.statistics(wide, splits), statistics_path, tables.STATISTICS)
    tables.write(starts, starts_path, tables.WINDOW_STARTS)
    tables.write(table, windows_path, tables.WINDOWS)


def _advice(n_steps, settings):
    """The largest block with which every split gets a window."""
    length = settings["length"]
    for block in range(settings["block"], length - 1, -1):
        splits = windows.assign_splits(n_steps, block, settings["shares"])
        _, found = windows.starts(splits, length, (settings["train_stride"], length, length))
        if len(set(found.tolist())) == len(windows.SPLITS):
            return f"write block: {block}"
    return "the series is too short for this length; make length and block smaller"


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        cut_windows(
            snakemake.input.series,
            snakemake.output.windows,
            snakemake.output.starts,
            snakemake.output.statistics,
            snakemake.params.settings,
            snakemake.wildcards.dataset,
        )
