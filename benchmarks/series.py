"""Time and memory of a long series on its way to windows, each step in a process of its own.

python benchmarks/series.py [--hours 500000] [--features 10] [--format csv]

Seconds are those of the step without the imports, on the clock and of the processor (far apart on a busy machine);
GB (10^9 bytes) the peak of the whole process.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pandas as pd
import threadpoolctl
import yaml
from peaks import peak

import cut_windows
import fit_gaussian
import impute_baselines
import tidy_series
from scoredag.job import checks
from scoredag.series import components, tidy, window_lengths, windows

SCHEMA = Path(__file__).resolve().parents[1] / "config/schema.yaml"
N_TRAINING = 100  # steps


def write_table(path, n_times, n_features, interval="1h", seed=0):
    """A wide table of random walks, 5 % of its values missing."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n_times, n_features)).cumsum(axis=0).round(3)
    values[generator.random(values.shape) < 0.05] = np.nan
    names = [f"feature_{k}" for k in range(n_features)]
    times = pd.date_range("1960-01-01", periods=n_times, freq=interval, tz="UTC", name="time")
    table = pd.DataFrame(values, times, names)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path)


def defaults(node):
    """The default values below a node of the schema."""
    parts = node["properties"].items()
    return {
        key: defaults(part) if "properties" in part else part["default"]
        for key, part in parts
        if "properties" in part or "default" in part
    }


def held_out(node, chosen):
    """Pairs of a name and a pattern of missing entries, with the defaults of its node of the schema."""
    return [(name, defaults(node) | entry) for name, entry in checks.patterns(chosen)]


def settings():
    """Those of a dataset about which the config says nothing."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    dataset = defaults(schema["$defs"]["dataset"]) | {"reader": "csv", "seed": 1}
    dataset["windows"] |= {"held_out": held_out(schema["$defs"]["pattern"], dataset["windows"]), "seed": 1}
    taken = ("circular", "covariates", "file", "group", "plausible", "transform")
    dataset["windows"] |= {key: dataset[key] for key in taken}
    return dataset


def run_tidy_series(table, folder):
    """The script of that name."""
    tidy_series.tidy_series([table], folder / "series.parquet", settings(), "long")


def run_cut_windows(table, folder):
    """The script of that name, statistics included."""
    paths = [folder / f"{name}.parquet" for name in ("series", "windows", "window_starts", "statistics", "profile")]
    cut_windows.cut_windows(*paths, settings()["windows"], "long")


def run_statistics(table, folder):
    """The statistics alone, from the file."""
    wide = tidy.read(folder / "series.parquet")
    chosen = window_lengths.choose(
        wide, [len(wide)], *(settings()["windows"][key] for key in ("length", "block", "shares", "held_out"))
    )
    windows.statistics(wide, windows.assign_splits(len(wide), chosen.block, chosen.shares))


def run_fit_gaussian(table, folder):
    """The script of that name."""
    paths = folder / "windows.parquet", folder / "statistics.parquet", folder / "gaussian.safetensors"
    fit_gaussian.fit_gaussian(*map(str, paths), "long")


def run_train_csdi(table, folder):
    """The script of that name, for `N_TRAINING` steps from the base."""
    from scoredag import imputing  # with PyTorch, whose memory is not that of the other steps

    train_csdi = imputing.script("train_csdi")["train_csdi"]
    config = imputing.checked_config("long", 1, {"file": str(table)}, {"training": {"n_steps": N_TRAINING}})
    run = config["csdi"]["runs"]["long"]
    init = config["csdi"]["checkpoints"][run["init"]]
    training = {key: value for key, value in run["training"].items() if key != "save_every"}
    settings = {key: run[key] for key in ("conditional", "dataset", "device", "init")}
    settings |= {"init_sha256": init["sha256"], "training": training, "seed": 1}
    settings["covariates"] = {"circular": {}, "columns": [], "group": None}
    paths = [
        folder / name for name in ("windows.parquet", "statistics.parquet", "model.safetensors", "history.parquet")
    ]
    train_csdi(init["file"], *map(str, paths), settings, "long", N_TRAINING, "")


def run_impute_baselines(table, folder):
    """The script of that name, of linear interpolation alone, and of a structural model that knows no feature."""
    components.save({}, folder / "structural.parquet")
    names = ("series", "profile", "windows", "window_starts", "statistics", "gaussian", "structural", "baselines")
    paths = [str(folder / f"{name}.{'safetensors' if name == 'gaussian' else 'parquet'}") for name in names]
    impute_baselines.write_forecasts(*paths, "long", methods=["linear", "structural"])


STEPS = {
    "tidy_series": run_tidy_series,
    "cut_windows": run_cut_windows,
    "statistics": run_statistics,
    "fit_gaussian": run_fit_gaussian,
    "train_csdi": run_train_csdi,
    "impute_baselines": run_impute_baselines,
}


def measure(step, table, folder):
    """Run one step; its seconds, on the clock and of the processor, and the peak of this process in GB."""
    start, used = time.perf_counter(), time.process_time()
    with threadpoolctl.threadpool_limits(1, user_api="blas"):  # as jobs have
        STEPS[step](table, folder)
    return time.perf_counter() - start, time.process_time() - used, peak() / 1e9


def main():
    """Make a table, run every step in a process of its own, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=500_000)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--format", choices=["csv", "csv.gz", "parquet"], default="csv")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)  # a step, the table, a folder: in a child
    options = parser.parse_args()
    if options.step:
        step, *paths = options.step
        print(json.dumps(measure(step, *map(Path, paths))))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / f"long.{options.format}"
        write_table(table, options.hours, options.features)
        n_bytes = table.stat().st_size
        print(f"{options.hours} hours x {options.features} features, {options.format} of {n_bytes / 1e6:.0f} MB")
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, str(table), folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds, used, gigabytes = json.loads(done.stdout)
            print(f"{step:16} {seconds:6.1f} s  {used:6.1f} s of processor  {gigabytes:5.2f} GB", flush=True)


if __name__ == "__main__":
    main()
