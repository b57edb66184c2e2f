"""Cut a series into windows, split them by time and hold targets out."""

import logging

import numpy as np
import pandas as pd

from scoredag import gaussian, job, slices, streams
from scoredag.errors import InputError
from scoredag.series import angles, missingness, profiles, seasons, tidy, transforms, window_lengths, windows
from scoredag.store import tables

ALIKE = 1.1  # ratio of periods up to which cycles of several features are told as one
MOST_ADVISED = 200  # steps of a window
DAY = pd.Timedelta("1D")
TOLD = 6  # features of such a cycle that the log names


def cut_windows(
    series_path: str,
    windows_path: str,
    starts_path: str,
    statistics_path: str,
    profile_path: str,
    settings: dict,
    dataset: str,
    model_path: str | None = None,
) -> None:
    """Write the windows, the time each begins at, and the statistics of the training split.

    `settings["held_out"]` lists pairs of a name and a pattern of missing entries; `settings["file"]`, or None, is what
    messages name. The sine and the cosine of an angle of `settings["circular"]` are hidden together, as gaps are.
    Windows hold values as they are; statistics and profile are of transformed ones. Where `model_path` are weights,
    statistics are those of their training.
    """
    key = f"datasets.{dataset}.windows"
    source = settings["file"] if isinstance(settings["file"], str) else f"datasets.{dataset}"
    wide = tidy.read(series_path)
    series, lengths = tidy.series_of(wide)
    transformed, transform = _transformed(wide, settings, source, dataset)
    chosen = window_lengths.choose(wide, lengths, *(settings[key] for key in ("length", "block", "shares", "held_out")))
    if settings["length"] == window_lengths.AUTO:
        logging.info("%s: windows of %d steps (%s), blocks of %d", dataset, chosen.length, chosen.why, chosen.block)
    if settings["shares"] == window_lengths.AUTO and chosen.shares != window_lengths.SHARES:
        shown = " : ".join(f"{share:g}" for share in chosen.shares)
        logging.info("%s: a short series: training, validation and test have shares %s", dataset, shown)
    settings = settings | {"length": chosen.length, "block": chosen.block, "shares": list(chosen.shares)}
    length = settings["length"]
    if series is None and len(wide) < length:
        fault = f"{len(wide)} steps are fewer than a window of {length} ({key}.length)"
        raise InputError(f"{source}: {fault}; write length and block so small that the series is six times as long")
    splits, first_steps, window_splits = _split(lengths, series is not None, settings["block"], settings)
    counts = {name: int((window_splits == code).sum()) for code, name in enumerate(windows.SPLITS)}
    if not all(counts.values()):
        shown = ", ".join(f"{count} {name}" for name, count in counts.items())
        steps = f"{len(wide)} steps" if series is None else f"{len(series)} series, {len(wide)} steps,"
        raise InputError(
            f"{source}: {steps} in blocks of {settings['block']} ({key}.block) give {shown} windows; "
            f"each split needs one: {_advice(lengths, series is not None, settings)}"
        )
    logging.info("%s: windows of %d steps: %s", dataset, length, counts)
    most_valid, enough = windows.most_valid(settings["max_validation_windows"], wide.shape[1])
    kept = windows.limited(window_splits, most_valid, settings["max_windows"])
    for split, name in (("valid", "max_validation_windows"), ("test", "max_windows")):
        of_split = kept[window_splits == windows.SPLITS.index(split)]
        if not of_split.all():
            logging.info("%s: of the %s windows only %d (%s)", dataset, split, of_split.sum(), name)
    first_steps, window_splits = first_steps[kept], window_splits[kept]

    is_missing = wide.isna().to_numpy()
    own = missingness.OwnGaps(is_missing, lengths, length, _steps_of_day(tidy.spacing(wide)))
    names, patterns = _patterns(settings["held_out"], own, is_missing, dataset)
    which, codes = windows.assign_patterns(window_splits, len(patterns))
    n_repeats = windows.repeats(window_splits, enough)
    if n_repeats > 1:
        logging.info("%s: each validation window is there %d times under each pattern", dataset, n_repeats)
    again, turns = windows.again(window_splits[which], n_repeats)
    which, codes = which[again], codes[again]
    first_steps, window_splits = first_steps[which], window_splits[which]

    takes_ranks = any(missingness.by_value(entry["pattern"]) for entry in patterns)
    ranks = _ranks(wide.to_numpy(), splits == windows.SPLITS.index("train")) if takes_ranks else None
    leading, places = angles.as_one(wide.columns, settings["circular"], settings["group"] is not None)
    ends = np.cumsum(lengths)
    whose = np.searchsorted(ends, first_steps, side="right")
    own_steps = first_steps - (ends - lengths)[whose]

    steps = windows.steps_of(first_steps, length, len(wide))
    seen = np.zeros(len(wide), bool)
    seen[steps[steps < ends[whose, None]]] = True  # a short series does not go on in the next
    if not seen.all():
        logging.info("%s: %d of %d steps lie in no window", dataset, (~seen).sum(), len(wide))

    hideable = ~wide.columns.isin(_covariates(wide, settings, dataset))

    def hold_out(window, observed):
        observed = observed & hideable
        code = codes[window]
        place = (own_steps[window],) if series is None else (series[whose[window]], own_steps[window])
        turn = (f"repeat {turns[window]}",) if turns[window] else ()
        rng = streams.generator(settings["seed"], "held out", dataset, names[code], *place, *turn)
        here = None if ranks is None else ranks[steps[window]][:, leading]
        gaps = (missing[:, leading] for missing in own.like(own_steps[window], rng))
        hidden = missingness.hold_out(observed[:, leading], rng, ranks=here, gaps=gaps, **patterns[code])
        return hidden[:, places] & observed

    def cut(which):
        return windows.cut(wide, first_steps, window_splits, length, hold_out, which)

    starts = pd.DataFrame(
        {
            "window": range(len(first_steps)),
            "start": wide.index.get_level_values(-1)[first_steps],
            "held_out": pd.Categorical.from_codes(codes, names),
        }
    )
    if series is not None:
        starts["series"] = pd.Categorical.from_codes(whose, series)
    try:
        statistics = _statistics(transformed, splits, settings["statistics"], model_path, transform)
        profile = _profile(transformed, cut, steps, window_splits, splits, settings) if series is None else None
        if profile is not None:
            statistics = _statistics(transformed - profile, splits, settings["statistics"], model_path, transform)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    if model_path:
        windows.tell_elsewhere(transformed if profile is None else transformed - profile, statistics, dataset)
    profiles.write(profile, profile_path)
    training = np.where((splits == windows.SPLITS.index("train"))[:, None], wide.to_numpy(), np.nan)
    _tell_cycles(wide, training, lengths, settings, key)
    if series is None:
        is_told = hideable & [not name for name in transforms.names(transform)]
        _tell_levels(wide.columns[is_told], training[:, is_told], settings["group"] is not None, dataset)
    tables.write(pd.concat([statistics, transform], axis=1), statistics_path, tables.STATISTICS)
    tables.write(starts, starts_path, tables.WINDOW_STARTS)
    tables.write_parts(_parts(cut, steps, profile, wide.shape[1]), windows_path, tables.WINDOWS)


def _parts(cut, steps, profile, n_features):
    """Yield the table of windows, of `steps` (N, L), some windows at a time, with what is subtracted, if anything."""
    n, length = steps.shape
    for part in slices.covering(n, max(1, windows.MOST_ROWS // (length * n_features))):
        table = cut(np.arange(n)[part])
        yield table if profile is None else table.assign(profile=profile.to_numpy()[steps[part]].ravel())


def _covariates(wide, settings, dataset):
    """The features that are never hidden."""
    try:
        found = angles.features_of(list(wide.columns), settings["covariates"], settings["circular"], settings["group"])
    except InputError as error:
        raise InputError(f"datasets.{dataset}.covariates: {error}") from error
    if len(found) == wide.shape[1]:
        raise InputError(f"datasets.{dataset}.covariates: every feature is one; leave out those that are to be filled")
    gaps = wide[found].isna().sum()
    for name, n_missing in gaps[gaps > 0].items():
        logging.warning(
            "%s: '%s' is a covariate, but %d of its %d values are missing; they are filled as those of others",
            dataset, name, n_missing, len(wide),
        )  # fmt: skip
    return found


def _statistics(wide, splits, of, model_path, transform):
    """Statistics of a split, or those that a model was trained with."""
    if model_path:
        return windows.statistics_of_training(wide, model_path, transform)
    return windows.statistics(wide, splits, of)


def _transformed(wide, settings, source, dataset):
    """The series with its features transformed, and which have which, as `transforms.choose` says it."""
    try:
        names, grouped = list(wide.columns), settings["group"] is not None
        chosen = transforms.choose(names, settings["transform"], settings["plausible"], grouped)
    except InputError as error:
        raise InputError(f"datasets.{dataset}.transform: {error}") from error
    if settings["transform"]:
        told = ", ".join(f"{name} of '{column}'" for column, name in settings["transform"].items())
        logging.info("%s: z-scores are those of the %s", dataset, told)
    try:
        return transforms.of_series(wide, chosen), chosen
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _patterns(held_out, own, is_missing, dataset):
    """Names and patterns of missing entries; without gaps `own` is none."""
    found = [(name, entry) for name, entry in held_out if len(own) or entry["pattern"] != missingness.OWN]
    if len(found) < len(held_out):
        why = "no stretch as long as a window has some gaps" if is_missing.any() else "no value is missing"
        logging.info("%s: %s: no windows with gaps like its own", dataset, why)
    return zip(*found, strict=True)


def _steps_of_day(spacing):
    """Steps from one time of day to the same, 1 where a step is a day or more or does not divide one."""
    return DAY // spacing if spacing is not None and spacing < DAY and not DAY % spacing else 1


def _split(lengths, several, block, settings):
    """Split of each step; first step and split of each window. Several series go whole, if none exceeds a block."""
    splits = windows.split(lengths, several, block, settings["shares"], settings["split_seed"])
    length = settings["length"]
    strides = (settings["train_stride"], length, length)
    return splits, *windows.starts(splits, length, strides, lengths if several else None)


def _profile(wide, cut, steps, window_splits, splits, settings):
    """What is subtracted from the series before it is cut, (T, K); None where nothing is, or that does not help.

    `cut` is a function of numbers of windows to their table.
    """
    shape = wide.shape[1], steps.shape[1]
    if settings["profile"] == "none" or (settings["profile"] == "auto" and np.prod(shape) > gaussian.DENSE.entries):
        return None
    training = splits == windows.SPLITS.index("train")
    profile = profiles.estimate(wide, training)
    if settings["profile"] == "auto":
        train, valid = (np.flatnonzero(window_splits == windows.SPLITS.index(name)) for name in ("train", "valid"))
        judged = np.sort(np.r_[train[gaussian.thinned((len(train), *shape))], valid])
        roles = cut(judged)["role"].cat.codes.to_numpy().reshape(len(judged), *shape[::-1]).transpose(0, 2, 1)
        is_valid = np.isin(judged, valid)
        if not profiles.helps(profile, wide, training, steps[judged], roles, is_valid):
            return None
    return pd.DataFrame(profile.values, wide.index, wide.columns)


def _ranks(values, is_training):
    """The share (n_steps, K) of the training split's values of a feature that lie below each."""
    columns = (np.sort(column[is_training & ~np.isnan(column)]) for column in values.T)
    return np.column_stack(
        [np.searchsorted(known, column) / max(len(known), 1) for known, column in zip(columns, values.T, strict=True)]
    )


def _tell_cycles(wide, training, lengths, settings, key):
    """Say in the log which cycles of the training split, the values (T, K), are longer than a window."""
    cycles = _alike(seasons.longer_than(settings["length"], training, lengths))
    if not cycles:
        return
    first = int(np.sum(lengths[: np.argmax(lengths)]))
    times = wide.index.get_level_values(-1)[first:]
    shown = [
        f"about {period} steps ({_spelt(times[period] - times[0])}) of {_listed(wide.columns[which])}"
        for period, which in cycles
    ]
    longest = cycles[-1][0]
    block = f" and windows.block: {longest} or more" if longest > settings["block"] else ""
    advice = (
        f"write {key}.length: {longest} or more{block}, as far as memory allows, or subtract the cycle from the file"
    )
    if longest > MOST_ADVISED:
        advice = "CSDI does better if it is subtracted from the file"
    logging.warning(
        "windows of %d steps see only a part of a cycle of %s; %s first",
        settings["length"], ", and of one of ".join(shown), advice,
    )  # fmt: skip


def _tell_levels(names, training, grouped, dataset):
    """Say in the log which features vary as their level does, by the training split, (T, K): a logarithm suits them."""
    found = names[[transforms.gain_of_log(values) > transforms.WORTH for values in training.T]]
    if len(found):
        logging.info(
            "%s: features that vary in proportion to their level: %s; a logarithm takes that out, and what is filled "
            "in stays above 0: write transform: {%s: log}",
            dataset, _listed(found), "its column" if grouped else found[0],
        )  # fmt: skip


def _alike(periods):
    """(period, numbers of the features) of each cycle, by period; 0 is none."""
    cycles = []
    for number in np.argsort(periods, kind="stable"):
        if cycles and periods[number] <= ALIKE * periods[cycles[-1][0]]:
            cycles[-1].append(number)
        elif periods[number]:
            cycles.append([number])
    return [(int(np.median(periods[which])), sorted(which)) for which in cycles]


def _listed(names):
    """Names in quotes, not too many of them."""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(f"'{name}'" for name in names[:TOLD]) + more


def _spelt(span):
    """A span of time in the largest unit of which it has two."""
    units = {"days": 86400, "hours": 3600, "minutes": 60}
    seconds = span.total_seconds()
    unit = next((name for name, size in units.items() if seconds >= 2 * size), "seconds")
    return f"{seconds / units.get(unit, 1):.4g} {unit}"


def _advice(lengths, several, settings):
    """What gives every split a window: the largest block, else other shares, else shorter windows."""
    n_steps, run = sum(lengths), max((pattern["length"] or 1 for _, pattern in settings["held_out"]), default=1)
    shorter = range(settings["length"] - 1, max(run, 2) - 1, -1)
    for length, shares in [
        (settings["length"], settings["shares"]),
        *((n, window_lengths.SHORT_SHARES) for n in (settings["length"], *shorter)),
    ]:
        for block in range(min(settings["block"], n_steps), length - 1, -1):
            *_, splits = _split(lengths, several, block, settings | {"length": length, "shares": shares})
            if len(set(splits.tolist())) == len(windows.SPLITS):
                changes = {"length": length, "block": block, "shares": list(shares)}
                told = (f"{key}: {value}" for key, value in changes.items() if value != settings[key])
                return f"write {', '.join(told)}"
    fits = " and a held_out whose runs fit" if run > 1 else ""
    return f"the series is too short; write length and block so small that the series is six times as long{fits}"


if __name__ == "__main__":
    job.run(cut_windows)
