"""Fill the gaps of a data frame: what a run of the workflow does without training, in one call.

    result = scoredag.impute(frame)

The scripts' own functions do it in turn, in a temporary folder, with the config's defaults. The same data, names and
seed give the same values as the run that a dataset has without one in the config.
"""

import contextlib
import functools
import inspect
import json
import logging
import os
import re
import runpy
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import threadpoolctl
import yaml

from scoredag.errors import InputError, UserFacingError
from scoredag.job import checks, logs
from scoredag.series import forecasts, gaps, grids, readers, tidy

HOME = Path(__file__).resolve().parents[2]  # the workflow's own folder
FRAME = "the frame"  # what messages call it
CHOSEN = ("n_samples", "start")  # by choose_start itself
START = pd.Timestamp("2000-01-01")  # time of the first row of a frame without times
DAY = pd.Timedelta("1D")
MOST_THREADS = 8  # as each has windows of its own in memory


@dataclass(frozen=True, eq=False, repr=False)
class Imputed:
    """A series of T steps and K features with its gaps filled.

    Attributes:
        filled: (T, K), the frame with the median where a value was missing. Times that were absent have rows, too.
        lower, upper: (T, K), ends of the central intervals; NaN where a value was observed.
        missing: (T, K), boolean: what was filled in.
        quality: (T, K), how each value came to be: see `series.gaps.quality`.
        samples: (S, n), joint draws of the n missing values, by step and then by feature.
        report: what was found and chosen, a line each.
    """

    filled: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame
    missing: pd.DataFrame
    quality: pd.DataFrame
    samples: np.ndarray
    report: tuple[str, ...]

    @property
    def draws(self) -> np.ndarray:
        """(S, T, K), float64: the series S times, its missing values drawn together, observed ones as they are."""
        series = np.repeat(_numbers(self.filled)[None], len(self.samples), axis=0)
        series[:, self.missing.to_numpy()] = self.samples
        return series

    def completed(self, draw: int) -> pd.DataFrame:
        """The frame with one of the draws, 0 .. S - 1, where values were missing."""
        missing = self.missing.to_numpy()
        values = np.empty(missing.shape)
        values[missing] = self.samples[draw]
        return _with(self.filled, values, missing)

    def __repr__(self) -> str:
        """What it holds, in a line."""
        n_steps, n_features = self.filled.shape
        size = f"{n_steps} steps x {n_features} features"
        return f"<Imputed: {self.samples.shape[1]} values of {size}, {len(self.samples)} draws>"


def impute(
    frame: pd.DataFrame,
    *,
    draws: int = 20,
    level: float = 0.9,
    method: str = "auto",
    seed: int = 1,
    interval: str | None = None,
    plausible: Mapping[str, Sequence[float]] | None = None,
    round: Mapping[str, float] | None = None,
    covariates: Sequence[str] = (),
    transform: Mapping[str, str] | None = None,
    windows: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    name: str = "mine",
) -> Imputed:
    """Fill the missing values of a series, with intervals and joint draws, by the weights that ship, without training.

    Args:
        frame: (T, K), numeric, a row a time of a regular grid, sorted. NaN is missing, and so is a time of the grid
            without a row.
        draws: S, joint draws of the missing values.
        level: of the central intervals, between 0 and 1.
        method: `auto`, the average of CSDI and simpler methods that validation windows choose; `CSDI`, its draws
            alone, corrected by these windows; `raw`, its draws as they are.
        seed: of all random streams.
        interval: of the grid, as pandas writes it (1h, 15min, 1D, MS); None takes the usual distance of times. Rows of
            a frame without times are this far apart.
        plausible: {column: (lowest, highest)} in its unit; values outside are taken as missing.
        round: {column: step}; what is filled in are multiples of it, as of 1 for counts.
        transform: {column: `log`, `log1p` or `logit`}, so that what is filled in is above 0, 0 or more, or inside the
            plausible range.
        covariates: columns that are known where others are missing; hour, weekday and month are those of the times.
        windows: the config's keys of a dataset's windows, as {"length": 36}.
        run: the config's other keys of a run, as {"training": {"n_steps": 1300}}, which does train.
        name: of dataset and run, which tells random streams apart.

    Raises:
        InputError: the frame, or an argument, is not as described; in one line. Nothing is left on disk.
    """
    times, spacing = _grid(frame, interval)
    own = {"level": level, "method": method, "sampling": {"n_samples": draws}}
    named = {"plausible": plausible, "round": round, "transform": transform, "windows": windows}
    dataset = {"interval": spacing, **{key: value or {} for key, value in named.items()}}
    dataset["covariates"] = list(covariates)
    report: list[str] = []
    with one_thread(), tempfile.TemporaryDirectory(prefix="scoredag-") as folder, _told(report):
        path = Path(folder, "frame.parquet")
        try:
            _table(frame, times).to_parquet(path)
            config = checked_config(name, seed, {"file": str(path), **dataset}, _merged(own, run or {}))
            filled = _Run(Path(folder), name, config).fill(path)
        except UserFacingError as error:
            raise InputError(_reworded(str(error), path, name)) from error
    return _result(frame, times, filled, tuple(_reworded(line, path, name) for line in report))


class _Filled(NamedTuple):
    """The series (T, K) as read; filled; ends of intervals; codes of quality; draws (S, n) of what was filled in."""

    wide: pd.DataFrame
    filled: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    quality: np.ndarray
    samples: np.ndarray


class _Run:
    """A run of the workflow in a folder: its steps are the scripts' functions, with the settings that the rules say."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]):
        self.folder, self.name, self.seed = folder, name, {"seed": config["seed"]}
        self.dataset, self.run = config["datasets"][name], config["csdi"]["runs"][name]
        self.checkpoints = config["csdi"]["checkpoints"]
        self.init = self.checkpoints.get(self.run["init"], {"file": None, "sha256": None})
        self.is_raw, self.is_auto = self.run["method"] == "raw", self.run["sampling"]["start"] == "auto"
        no_calibration = ("baselines", "structural", "validation") if self.is_raw else ()
        self.absent = {"drawn", *no_calibration, *(() if self.is_auto else ("choice",))}

    def fill(self, path: Path) -> _Filled:
        """The series of the table at `path`, filled."""
        self._call("tidy_series", file_paths=[str(path)], settings=self.dataset | self.seed)
        wide = tidy.read(self.folder / "series")
        draws = [np.empty((self.run["sampling"]["n_samples"], 0))]
        if not wide.isna().to_numpy().any():
            logging.info("no value is missing; there is nothing to fill")
            lower, upper = np.full((2, *wide.shape), np.nan)
            return _Filled(wide, wide.to_numpy(), lower, upper, np.zeros(wide.shape, np.int8), *draws)
        self._learn(path)
        of_dataset = {key: self.dataset[key] for key in ("circular", "group", "plausible", "round")}
        of_dataset |= {"name": self.name}
        settings = self._settings("device", "level", "max_gap", "method") | {"dataset": of_dataset}
        filled = self._call("fill_gaps", "fill", settings=settings, keep=lambda *part: draws.append(part[-1]))
        return _Filled._make([*filled, np.concatenate(draws, axis=1)])

    def _learn(self, path):
        """Make what the gaps are filled with: windows, models, and validation windows that choose among them."""
        windows = self.dataset["windows"] | {"held_out": checks.patterns(self.dataset["windows"])}
        taken = ("circular", "covariates", "group", "plausible", "transform")
        of_dataset = {key: self.dataset[key] for key in taken} | {"file": str(path)}
        trained = self.checkpoints.get(windows["statistics"], {"file": None})["file"]
        self._call("cut_windows", settings=windows | of_dataset | self.seed, model_path=trained)
        self._call("fit_gaussian")
        if self.is_raw:
            self._learn_csdi(of_dataset)
            return
        averaged = {"methods": forecasts.AVERAGED, "written": ["valid"]}
        with self._beside(
            ("fit_structural", None, {"settings": windows}), ("impute_baselines", "write_forecasts", averaged)
        ):
            self._learn_csdi(of_dataset)
            samples = str(self.folder / "validation")
            self._call("impute_csdi", settings=self._settings("device"), split="valid", samples_path=samples)

    def _learn_csdi(self, of_dataset):
        """The network, and where its reverse process starts."""
        columns = {"columns": self.dataset["covariates"]}
        self._call(
            "train_csdi",
            init_path=self.init["file"],
            settings={key: self.run[key] for key in ("conditional", "dataset", "device", "init")}
            | {"init_sha256": self.init["sha256"], "training": _without(self.run["training"], "save_every")}
            | {"covariates": {key: of_dataset[key] for key in ("circular", "group")} | columns}
            | self.seed,
            save_every=self.run["training"]["save_every"],
            code="",
        )
        if self.is_auto:
            settings = self._settings("device")
            self._call("choose_start", settings=settings | {"sampling": _without(settings["sampling"], *CHOSEN)})

    @contextlib.contextmanager
    def _beside(self, *calls):
        """Make calls one after the other while the block runs, in another process if there is a core for it."""
        work = joblib.Parallel(min(2, joblib.cpu_count()), return_as="generator")([joblib.delayed(_made)(self, calls)])
        try:
            yield
        except BaseException:
            with warnings.catch_warnings(action="ignore"):  # that the calls are given up
                work.close()
            raise
        for line in next(work):
            logging.info("%s", line)

    def _settings(self, *names):
        """Those of a job that samples: of the run `names`, how it samples, and the seed."""
        named = {key: self.run[key] for key in names}
        return named | {"sampling": _without(self.run["sampling"], "threads")} | self.seed

    def _call(self, name, function=None, **given):
        """Call a function of a script. Its files lie in the folder, each by the name that its parameter has."""
        function = script(name)[function or name]
        known = {"dataset": self.name, "run": self.name, "threads": min(os.cpu_count() or 1, MOST_THREADS)} | given
        for parameter in inspect.signature(function).parameters:
            stem = parameter.removesuffix("_path")
            if stem != parameter and parameter not in known:
                known[parameter] = None if stem in self.absent else str(self.folder / stem)
        return function(**{name: known[name] for name in inspect.signature(function).parameters if name in known})


def _made(run, calls):
    """Make calls of a run; what they log."""
    lines: list[str] = []
    with one_thread(), _told(lines):
        for name, function, given in calls:
            run._call(name, function, **given)
    return lines


def one_thread() -> threadpoolctl.threadpool_limits:
    """A context in which NumPy's linear algebra has one thread, as in jobs: more change the last digits."""
    return threadpoolctl.threadpool_limits(1, user_api="blas")


@functools.cache
def script(name: str) -> dict[str, Any]:
    """What a script of the workflow defines; as no job, it runs nothing.

    Raises:
        InputError: the library is not in the workflow's folder.
    """
    path = HOME / "scripts" / f"{name}.py"
    if not path.exists():
        raise InputError(
            f"{path}: is not there; this takes the workflow's folder: install the project from it, editable"
        )
    return runpy.run_path(str(path), run_name=name)


def checked_config(name: str, seed: int, dataset: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the workflow with one dataset and one run about it, checked, its defaults filled in.

    Raises:
        InputError: a key or a value is none of the config's.
    """
    with open(HOME / "config" / "config.yaml", encoding="utf-8") as stream:
        shipped = yaml.safe_load(stream)
    checkpoints = shipped["csdi"]["checkpoints"]
    for entry in checkpoints.values():  # whatever lies in the working directory
        entry["file"] = str(HOME / entry["file"])
    config = {
        "seed": seed,
        "gmm": {"file": str(HOME / shipped["gmm"]["file"])},
        "datasets": {name: {"reader": "csv", **dataset}},
        "csdi": {"checkpoints": checkpoints, "runs": {name: _merged(checks.ZERO_SHOT, run)}},
    }
    config = json.loads(json.dumps(config, default=_plain))
    checks.check(config, HOME)
    return config


def _plain(value):
    """A mapping, a NumPy number or anything else as what the config has."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.item() if isinstance(value, np.generic) else str(value)


def _merged(first, second):
    """Two nested dicts in one, with the values of the second where both have some."""
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(first.get(key), Mapping)
        merged[key] = _merged(first[key], value) if both else value
    return merged


def _without(settings, *names):
    """A dict less some keys."""
    return {key: value for key, value in settings.items() if key not in names}


def _grid(frame, interval):
    """Times of the rows, in UTC, and the interval of their grid; of local days their dates count."""
    _check_values(frame)
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex):
        if interval is None:
            cure = (
                "set a DatetimeIndex, as by frame.set_index(pd.to_datetime(frame.pop('time'))), or pass interval='1h'"
            )
            raise InputError(
                f"{FRAME}: its index, {type(index).__name__}, has no times; {cure} for rows that far apart"
            )
        return pd.date_range(START, periods=len(frame), freq=grids.offset_of(FRAME, interval), tz="UTC"), interval
    if index.hasnans:
        raise InputError(f"{FRAME}: row {int(np.argmax(index.isna()))} has no time; leave it out")
    if not index.is_monotonic_increasing:
        row = int(np.argmax(np.diff(index.asi8) < 0)) + 1
        raise InputError(f"{FRAME}: row {row}, {index[row]}, is earlier than the one before; write frame.sort_index()")
    if index.has_duplicates:
        time = index[index.duplicated()][0]
        raise InputError(
            f"{FRAME}: the time {time} occurs twice; keep one row of it, or write frame.groupby(level=0).mean()"
        )
    if index.tz is not None and pd.Series(index).diff().median() > DAY / 2:
        index = index.tz_localize(None)
    return index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC"), interval or grids.AUTO


def _check_values(frame):
    """Refuse what is no table of numbers; name the column and the row."""
    if not isinstance(frame, pd.DataFrame):
        cure = "; write series.to_frame()" if isinstance(frame, pd.Series) else ""
        raise InputError(f"impute takes a pandas DataFrame, not {type(frame).__name__}{cure}")
    if not frame.shape[1]:
        raise InputError(f"{FRAME}: has no columns; there is nothing to fill")
    if frame.shape[1] > readers.WARN_FEATURES:
        fault = f"{frame.shape[1]} columns; more than {readers.WARN_FEATURES} at once take hours"
        raise InputError(f"{FRAME}: {fault}; fill those together that tell of each other, as impute(frame[names])")
    names = frame.columns.map(str)
    if names.has_duplicates:
        raise InputError(f"{FRAME}: two columns are called '{names[names.duplicated()][0]}'; rename one")
    if "time" in names:
        raise InputError(
            f"{FRAME}: a column is called 'time'; make it the index, as by frame.set_index('time'), or rename it"
        )
    for place, name in enumerate(names):
        column = frame.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            cure = f"write frame['{name}'] = pd.to_numeric(frame['{name}'], errors='coerce'), or leave it out"
            raise InputError(f"{FRAME}: column '{name}' holds {column.dtype}, not numbers; {cure}")
        infinite = np.isinf(_numbers(frame.iloc[:, [place]])[:, 0])
        if infinite.any():
            row = frame.index[np.argmax(infinite)]
            raise InputError(f"{FRAME}: column '{name}', row {row}: is infinite; write NaN for what is missing")


def _table(frame, times):
    """The frame as the reader of tables takes it."""
    values = pd.DataFrame(_numbers(frame), columns=frame.columns.map(str))
    values.insert(0, "time", times)
    return values


def _result(frame, times, series, report):
    """The result in the frame's own times, names and types."""
    grid, own = series.wide.index, slice(frame.shape[1])  # the calendar's covariates come after
    whole = frame if len(grid) == len(frame) else frame.reindex(_own_times(grid, times, frame.index))
    missing = ~np.isin(series.quality[:, own], [gaps.OBSERVED, gaps.LEFT])
    framed = functools.partial(pd.DataFrame, index=whole.index, columns=whole.columns)
    filled = _with(whole, series.filled[:, own], missing)
    quality = framed(np.array(gaps.QUALITIES, object)[series.quality[:, own]])
    lower, upper = framed(series.lower[:, own]), framed(series.upper[:, own])
    return Imputed(filled, lower, upper, framed(missing), quality, series.samples, report)


def _own_times(grid, times, index):
    """Times of a grid in UTC as those of an index, which are `times` there."""
    own = grid.tz_localize(None)
    if index.tz is not None:
        local = {"ambiguous": np.ones(len(own), bool), "nonexistent": "shift_forward"}
        own = grid.tz_convert(index.tz) if (times == index).all() else own.tz_localize(index.tz, **local)
    return own.as_unit(index.unit).rename(index.name)


def _with(frame, values, where):
    """The frame with values (T, K) at some places; a column of whole numbers that gets some has float64."""
    result = frame.copy()
    for place in np.flatnonzero(where.any(axis=0)):
        column = result.iloc[:, place]
        numbers = column.to_numpy(np.float64, na_value=np.nan, copy=True)
        numbers[where[:, place]] = values[where[:, place], place]
        is_short = column.dtype.kind == "f" and isinstance(column.dtype, np.dtype)
        result.isetitem(place, numbers.astype(column.dtype) if is_short else numbers)
    return result


def _numbers(frame):
    """The values of a frame, (T, K) float64, NaN where missing."""
    return frame.to_numpy(np.float64, na_value=np.nan)


def _reworded(line, path, name):
    """A message of the workflow as one about the arguments of `impute`."""
    keys = {f"csdi.runs.{name}.": "", f"datasets.{name}.": "", "datasets.*.": "", "sampling.n_samples": "draws"}
    for old, new in {str(path): FRAME, "config: ": "", **keys}.items():
        line = line.replace(old, new)
    head, _, windows = line.partition(": write ")
    if not re.match("(length|block|shares): ", windows):
        return line
    entries = re.sub("([a-z]+):", r"'\1':", windows)
    return f"{head}: pass windows={{{entries}}}"


@contextlib.contextmanager
def _told(lines: list[str]) -> Iterator[None]:
    """Gather what this thread logs while the block runs, which then goes nowhere else."""
    root, thread, token = logging.getLogger(), threading.get_ident(), logs.quiet.set(True)
    others, level = list(root.handlers), root.level

    class Gathering(logging.Handler):
        def emit(self, record):
            if record.thread == thread and record.funcName != logs.tenths.__name__:
                lines.append(record.getMessage())

    def is_other(record):
        return record.thread != thread

    gathering = Gathering()
    for handler in others:
        handler.addFilter(is_other)
    root.addHandler(gathering)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        logs.quiet.reset(token)
        root.setLevel(level)
        root.removeHandler(gathering)
        for handler in others:
            handler.removeFilter(is_other)
