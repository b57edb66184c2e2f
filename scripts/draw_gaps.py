"""Draw the missing values of a series from a trained CSDI, a shard of the windows with gaps."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag import job, streams
from scoredag.csdi import checkpoint, imputation
from scoredag.errors import InputError
from scoredag.job import logs
from scoredag.series import gaps, profiles, tidy
from scoredag.series.windows import share, values_at, z_scores
from scoredag.store import tables


class Found(NamedTuple):
    """The gaps of a series `wide` (T, K), of series of `lengths`.

    `spans` are the gaps, of which those of at most `most` steps are filled, by `windows`: {first step: parts of gaps}.
    `profile` (T, K) and `scores`, z-scores (T, K), are of the series, `firsts` (N,) and `values`, z-scores (N, L, K),
    of the windows.
    """

    wide: pd.DataFrame
    lengths: np.ndarray
    spans: pd.DataFrame
    most: float
    windows: dict[int, Any]
    profile: np.ndarray
    scores: np.ndarray
    firsts: np.ndarray
    values: np.ndarray


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
    batch = imputation.windows_at_once(settings["device"], sampling["chunk"], sampling["n_samples"])
    which = share(np.arange(len(found.firsts)), batch, *settings["shard"])
    firsts, (scores, known) = found.firsts[which], for_network(found.values[which])
    paths = (model_path, gaussian_path, choice_path)
    with tables.writing(samples_path, tables.imputations(sampling["n_samples"])) as write:
        for here, samples in draw(paths, stats, firsts, scores, known, settings, run, threads):
            unknown = ~known[here].swapaxes(1, 2)
            window, step, feature = np.nonzero(unknown)
            columns = {"window": firsts[here][window], "step": step, "truth": np.nan}
            columns["feature"] = pd.Categorical.from_codes(feature, stats["feature"])
            write(pd.DataFrame(columns).assign(samples=list(samples.transpose(1, 3, 2, 0)[unknown])))


def find(series_path: str, profile_path: str, windows_path: str, stats: pd.DataFrame, max_gap: Any, run: str) -> Found:
    """The gaps of a series, and the windows that fill those of at most `max_gap`.

    Args:
        series_path, profile_path, windows_path: of the tables.
        stats: of the features.
        max_gap: of the run.
        run: its name.
    """
    wide = tidy.read(series_path)
    several, lengths = tidy.series_of(wide)
    length = tables.greatest(windows_path, "step") + 1
    spans = gaps.find(wide.isna().to_numpy(), lengths)
    most = _most_steps(max_gap, tidy.spacing(wide), run)
    windows = plan(spans, most, len(wide) if several is None else lengths, length)
    profile = np.broadcast_to(profiles.read(profile_path), wide.shape)
    scores = z_scores(wide.to_numpy(), stats, profile)
    firsts = np.array(list(windows), dtype=np.int64)
    return Found(
        wide, lengths, spans, most, windows, profile, scores, firsts, values_at(scores, firsts, length, lengths)
    )


def for_network(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, L, K) with NaN as the network takes them, (N, K, L): values, 0 where not known, and what is known."""
    values = values.transpose(0, 2, 1)
    return np.nan_to_num(values.astype(np.float32)), ~np.isnan(values)


def plan(spans: pd.DataFrame, most: float, lengths: int | np.ndarray, length: int) -> dict[int, Any]:
    """The windows that fill gaps of up to `most` steps, as `gaps.plan` has them."""
    return gaps.plan(spans[spans["stop"] - spans["first"] <= most], lengths, length)


def draw(
    paths: Sequence[str | None],
    stats: pd.DataFrame,
    firsts: np.ndarray,
    scores: np.ndarray,
    known: np.ndarray,
    settings: dict,
    run: str,
    threads: int,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (slice, samples): which of the windows, and an array (S, B, K, L), z-scores.

    Args:
        paths: of the model, the joint Gaussian and the choice of the start.
        stats: of the features.
        firsts: (N,), the first steps of the windows.
        scores, known: (N, K, L), from `for_network`.
        settings, run, threads: of the job.
    """
    model_path, *of_start = paths
    model = checkpoint.load(model_path)
    checkpoint.check_features(model_path, list(stats["feature"]))
    with logs.progress(f"filling {run}", len(scores), "window") as bar:
        for batch, samples in imputation.impute(
            model,
            firsts,  # a window's stream is that of its first step
            scores,
            known,
            seed=streams.seed(settings["seed"], "gaps", run),
            threads=threads,
            device=settings["device"],
            progress=bar,
            **imputation.options(settings["sampling"], *of_start),
        ):
            yield batch, samples
            logs.tenths(batch, len(scores), "windows")


def _most_steps(max_gap, step, run):
    """Steps of a gap that is filled."""
    try:
        return gaps.most_steps(max_gap, step)
    except InputError as error:
        raise InputError(f"csdi.runs.{run}.max_gap: {error}") from error


if __name__ == "__main__":
    job.run(draw_gaps, cached=True)
