"""Draw the missing values of a series from a trained CSDI, a shard of the windows with gaps."""

import numpy as np
import pandas as pd

from fill_gaps import draw, find, for_network
from scoredag import job
from scoredag.csdi import imputation
from scoredag.series import windows
from scoredag.store import tables


def draw_gaps(
    model_path: str,
    gaussian_path: str,
    choice_path: str | None,
    windows_path: str,
    series_path: str,
    profile_path: str,
    statistics_path: str,
    samples_path: str,
    settings: dict,
    run: str,
    threads: int,
) -> None:
    """Write the draws, z-scores, of each missing value of each window, which is named by its first step."""
    stats = tables.read(statistics_path, tables.STATISTICS)
    found = find(series_path, profile_path, windows_path, stats, settings["max_gap"], run)
    sampling = settings["sampling"]
    batch = imputation.windows_at_once(
        imputation.chunk_on(settings["device"], sampling["chunk"]), sampling["n_samples"]
    )
    which = windows.share(np.arange(len(found.firsts)), batch, *settings["shard"])
    firsts, (scores, known) = found.firsts[which], for_network(found.values[which])
    paths, done = (model_path, gaussian_path, choice_path), 0
    with tables.writing(samples_path, tables.imputations(sampling["n_samples"])) as write:
        for samples in draw(paths, stats, firsts, scores, known, settings, run, threads):
            here = slice(done, done + len(samples))
            done = here.stop
            unknown = ~known[here].swapaxes(1, 2)
            window, step, feature = np.nonzero(unknown)
            columns = {"window": firsts[here][window], "step": step, "truth": np.nan}
            columns["feature"] = pd.Categorical.from_codes(feature, stats["feature"])
            write(pd.DataFrame(columns).assign(samples=list(samples.transpose(0, 3, 2, 1)[unknown])))


if __name__ == "__main__":
    job.run(draw_gaps, cached=True)
