"""Fill the gaps of new data by a run of the workflow that has filled its own: no config, no Snakemake, no training.

    scoredag apply results/csdi/mine/model.safetensors new.csv --output filled

All that the run knows is taken as it is: model, methods that are averaged, validation windows that correct intervals,
statistics, profile, and how its file was read. `imputed.parquet` says what these were, and they have to be the same.
"""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from scoredag import imputing
from scoredag.errors import InputError
from scoredag.job import record, sources
from scoredag.series import grids, profiles, readers, tidy, transforms, windows
from scoredag.store import stamp, tables

RULE = "fill_gaps"  # whose files and settings are taken
OF_RUN = {"model": "model.safetensors", "choice": "start_choice.parquet", "validation": "validation_samples.parquet"}
OF_DATASET = {
    "baselines": "baselines.parquet",
    "gaussian": "gaussian.safetensors",
    "profile": "profile.parquet",
    "series": "series.parquet",
    "starts": "window_starts.parquet",
    "statistics": "statistics.parquet",
    "structural": "structural.parquet",
    "windows": "windows.parquet",
}
OWN = ("profile", "series")  # of the new data
IMPUTED, CSV = "imputed.parquet", "imputed.csv"
NOT_OF_A_FILE = {"sha256": None, "contents_sha256": None}
NOT_SET = {"seed", "simulation", *NOT_OF_A_FILE}  # keys that are no matter of how a file is written


def apply(
    model: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    keys: Mapping[str, Any] | None = None,
    level: float | None = None,
) -> None:
    """Write `imputed.parquet` and `imputed.csv` of new data into a folder, as the run did of its own.

    What the folder has of the same model and of a series with the same start is kept where nothing has changed since:
    of a series that grows only the windows that new rows touch are drawn.

    Args:
        model: results/csdi/RUN/model.safetensors, or its folder, where `imputed.parquet` lies, too.
        paths: files of the new data, as the run's dataset has one or several.
        folder: is made if it is not there.
        keys: of a dataset, as {"time": "when"}, where the new file differs from the run's.
        level: of the intervals; None takes the run's.

    Raises:
        InputError: no such run, or other files than it had; new data that cannot be read, have other features, or are
            shorter than a window. Nothing is written then.
    """
    if not Path(model).exists():
        raise InputError(f"{model}: no such file; name the model.safetensors of a run, or its folder")
    run = Path(model) if Path(model).is_dir() else Path(model).parent
    made, files = _run(run)
    settings = made["settings"] | ({} if level is None else {"level": level})
    wide = _read(files, paths, keys or {})
    _check(wide, files, paths)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: is no folder that can be written ({error.strerror}); name another") from error
    given = dict(files)
    with imputing.one_thread(), tempfile.TemporaryDirectory(prefix="scoredag-") as temporary:
        for name in OWN:
            given[name] = Path(temporary, OF_DATASET[name])
        tables.write(tidy.to_tidy(wide), given["series"], tables.SERIES)
        profiles.write(_profile(files, wide), given["profile"])
        _tell_elsewhere(wide, given, str(paths[0]))
        own = {name: str(given[name]) if name in given else [] for name in made["inputs"]}
        script = imputing.script(RULE)
        job = SimpleNamespace(wildcards=made["wildcards"], params={"settings": settings}, input=own)
        path = imputing.HOME / "scripts" / f"{RULE}.py"
        now = record.build(job, path, sources.digester()(path))
        filled = script["fill"](
            **{f"{name}_path": own.get(name) or None for name in OF_RUN | OF_DATASET},
            settings=settings,
            run=made["wildcards"]["run"],
            threads=min(os.cpu_count() or 1, imputing.MOST_THREADS),
            previous=_previous(Path(folder, IMPUTED), now, wide),
        )
        with stamp.job(record=now):
            script["write"](*filled, Path(folder, IMPUTED), Path(folder, CSV), settings["dataset"])


def _run(folder):
    """The record of what a run has filled, and the paths of its files, by the names of the rule's inputs."""
    path = folder / IMPUTED
    if not path.exists():
        raise InputError(
            f"{path}: is not there; apply takes a run that has filled its own gaps: snakemake --cores 8 {path}"
        )
    made = record.read(path)
    if made["rule"] != RULE:
        raise InputError(f"{path}: was made by {made['rule']}, not by a run of the workflow")
    of_dataset = folder.parent.parent / "datasets" / made["settings"]["dataset"]["name"]
    files = {name: folder / file for name, file in OF_RUN.items()}
    files |= {name: of_dataset / file for name, file in OF_DATASET.items()}
    files = {name: file for name, file in files.items() if made["inputs"].get(name)}
    for name, file in files.items():
        if record.digest(file) != made["inputs"][name]:
            raise InputError(f"{file}: is not what {path} was made with; make it anew: snakemake --cores 8 {path}")
    return made, files


def _read(files, paths, keys):
    """The new data as the run's were read, in the order of its features; where `keys` says nothing else."""
    made = record.read(files["series"])
    settings = made["settings"] | NOT_OF_A_FILE
    unknown = [key for key in keys if key not in settings or key in NOT_SET]
    if unknown:
        known = ", ".join(sorted(settings.keys() - NOT_SET))
        raise InputError(f"'{unknown[0]}' is not a key of a dataset's file; these are: {known}")
    if settings["reader"] == "simulated":
        raise InputError(f"{files['model']}: was trained on a simulated series, which no file is like")
    names, dataset = [str(path) for path in paths], made["wildcards"]["dataset"]
    given = {"reader": settings["reader"], "file": names, **keys}
    checked = imputing.checked_config(dataset, settings["seed"], given, {})["datasets"][dataset]
    of_run = tidy.read(files["series"])
    if settings["interval"] == grids.AUTO:
        settings = settings | {"interval": _interval(files["series"], of_run)}
    settings = settings | {key: checked[key] for key in keys}
    wide = readers.read(settings["reader"], names, settings, settings["seed"])
    features = list(of_run.columns)
    if sorted(wide.columns) != sorted(features):
        absent = [feature for feature in features if feature not in wide.columns]
        fault = f"has no feature '{absent[0]}'" if absent else "has features that the model does not know"
        raise InputError(
            f"{names[0]}: {fault}; it has {', '.join(wide.columns)}, and the model was trained on {', '.join(features)}"
        )
    return wide[features]


def _interval(path, wide):
    """The spacing of the series at `path` as pandas names it."""
    keys = pd.DataFrame({"time": wide.index.get_level_values(-1)})
    if wide.index.nlevels > 1:
        keys["series"] = wide.index.get_level_values(0)
    return grids.spacing(path, keys, grids.AUTO, None)


def _check(wide, files, paths):
    """Refuse a series that is shorter than a window."""
    length = tables.greatest(str(files["windows"]), "step") + 1
    several, _ = tidy.series_of(wide)
    if several is None and len(wide) < length:
        raise InputError(
            f"{paths[0]}: {len(wide)} steps are fewer than a window of the model, {length}; add the rows before them"
        )


def _profile(files, wide):
    """What is subtracted from the new series, on the grid of the run's; None where nothing is."""
    table = tables.read(files["profile"], tables.SERIES)
    if not len(table):
        return None
    profile = tidy.from_tidy(table)
    begin, offset = profile.index[0], grids.offset_of(files["profile"], _interval(files["profile"], profile))
    if isinstance(offset, pd.offsets.Tick):
        steps = ((wide.index - begin) / pd.Timedelta(offset.nanos)).to_numpy()
    else:
        first, last = min(begin, wide.index[0]), max(profile.index[-1], wide.index[-1])
        grid = pd.date_range(first, last, freq=offset)
        steps = (grid.searchsorted(wide.index) - grid.searchsorted(begin)).astype(float)
    return pd.DataFrame(profiles.extended(profile, steps), wide.index, wide.columns)


def _tell_elsewhere(wide, given, name):
    """Say which features are not as they were where the model was trained."""
    stats = tables.read(given["statistics"], tables.STATISTICS)
    rest = transforms.forward(wide.to_numpy(), stats) - np.broadcast_to(profiles.read(given["profile"]), wide.shape)
    windows.tell_elsewhere(pd.DataFrame(rest, wide.index, wide.columns), stats, name)


def _previous(path, now, wide):
    """What the same model and settings have written of a series with the same start; None for anything else."""
    if not path.exists():
        return None
    made = record.read(path)

    def fixed(entry):
        inputs = {name: digest for name, digest in entry["inputs"].items() if name not in OWN}
        return entry | {"inputs": inputs, "versions": None}

    if wide.index.nlevels > 1 or fixed(made) != fixed(now):
        logging.info("%s: is of another model, other settings or other code, and is written anew", path)
        return None
    previous = tables.read(path, tables.IMPUTED)
    if previous["time"].iloc[0] != wide.index[0] or len(previous) > wide.size:
        logging.info("%s: is of a series with another start, or of a longer one, and is written anew", path)
        return None
    return previous
