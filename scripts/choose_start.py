"""Choose where the reverse process starts, by the CRPS of validation windows."""

import logging

import numpy as np

from scoredag import gaussian, job, metrics, streams
from scoredag.csdi import checkpoint, diffusion, imputation
from scoredag.series import windows
from scoredag.store import tables

STEPS = (10, 14, 18, 22, None)  # diffusion steps, and pure noise: by how little they take over from the Gaussian
USUAL = 18  # taken unless another is better by `GAIN`
GAIN = 0.01  # of the CRPS
HALF = 50  # targets of a pattern, with which it counts half as much as with very many
TINY = 1e-12
N_SAMPLES = 6
MORE_SAMPLES = 10  # of windows of at most `FEW_FEATURES`, which hold few values: six choose otherwise for some series
FEW_FEATURES = 4
N_WINDOWS = 32  # at most, spread evenly


def choose_start(
    model_path: str,
    gaussian_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    choice_path: str,
    settings: dict,
    run: str,
    threads: int,
) -> None:
    """Write the CRPS of the starts that are tried, by pattern, and which one is chosen; a null step is noise.

    Each validation window is imputed under one of the patterns, in turn. On either side of the usual start the next
    one is tried as long as the CRPS falls.
    """
    model, law = checkpoint.load(model_path), gaussian.load(gaussian_path)
    stats = tables.read(statistics_path, tables.STATISTICS)
    checkpoint.check_features(model_path, list(stats["feature"]))
    numbers, values, roles = windows.read(windows_path, stats, "valid")
    patterns = tables.read(starts_path, tables.WINDOW_STARTS).set_index("window")["held_out"].loc[numbers]
    turn = np.flatnonzero(_in_turn(patterns.cat.codes.to_numpy(), len(patterns.cat.categories)))
    turn = turn[:: -(-len(turn) // N_WINDOWS)]
    numbers, values, roles, patterns = numbers[turn], values[turn], roles[turn], patterns.to_numpy()[turn]
    n_steps = settings["sampling"]["n_steps"] or 1
    steps = [step for step in STEPS if step is None or (law is not None and step + 1 >= n_steps)]
    options = {"seed": streams.seed(settings["seed"], "start", run), "threads": threads, "device": settings["device"]}
    options |= settings["sampling"] | {"n_samples": MORE_SAMPLES if len(stats) <= FEW_FEATURES else N_SAMPLES}
    usual, scored, ratios = USUAL if USUAL in steps else None, {}, {}

    def score(step):
        start = None if step is None else diffusion.Start(step, law)
        drawn = imputation.impute(model, numbers, values, roles == windows.OBSERVED, start=start, **options)
        samples = np.concatenate([part for _, part in drawn], axis=1)
        scored[step] = list(_scores(samples, values, roles == windows.TARGET, patterns))
        ratios[step] = _ratio(scored[step], scored[usual])
        mean = float(np.mean([crps for _, crps, _ in scored[step]]))
        logging.info(
            "start at %s: CRPS %.4f, mean over patterns; %.3f times the usual start's, few values counting less",
            _spelt(step), mean, ratios[step],
        )  # fmt: skip
        return ratios[step]

    _descend(score, steps, usual)
    best = min(ratios, key=ratios.get)
    chosen = USUAL if ratios.get(USUAL, np.inf) <= (1 + GAIN) * ratios[best] else best
    logging.info("chosen: %s", _spelt(chosen))
    rows = [(step, *row, step == chosen) for step, scores in scored.items() for row in scores]
    tables.write_rows(rows, choice_path, tables.START_CHOICE)


def _in_turn(codes, n_patterns):
    """Which windows (N,) are taken, so that each stretch of the series is there under one pattern."""
    place = np.zeros(len(codes), np.int64)
    for code in range(n_patterns):
        place[codes == code] = np.arange((codes == code).sum())
    return place % n_patterns == codes


def _descend(score, steps, first):
    """Score `first`, and on either side of it among `steps` one after the other until one is not lower."""
    place, middle = steps.index(first), score(first)
    for side in (steps[place + 1 :], steps[:place][::-1]):
        lowest = middle
        for step in side:
            if (crps := score(step)) >= lowest:
                break
            lowest = crps


def _scores(samples, values, targets, patterns):
    """(pattern, CRPS, number of targets) of each pattern that has any."""
    for name in dict.fromkeys(patterns):
        mask = targets & (patterns == name)[:, None, None]
        if mask.any():
            yield name, metrics.crps(samples, values, mask), int(mask.sum())


def _ratio(scores, usual):
    """CRPS relative to `usual`, geometric mean over patterns: one of few targets counts less. 1 without targets."""
    if not scores:
        return 1.0
    (crps, n_targets), (of_usual, _) = (np.array([row[1:] for row in part]).T for part in (scores, usual))
    logarithms = np.log(np.maximum(crps, TINY) / np.maximum(of_usual, TINY))
    return float(np.exp(np.average(logarithms, weights=n_targets / (n_targets + HALF))))


def _spelt(step):
    return "noise" if step is None else f"diffusion step {step}"


if __name__ == "__main__":
    job.run(choose_start, cached=True)
