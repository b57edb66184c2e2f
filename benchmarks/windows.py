"""Many windows: seconds and peak memory of imputing, scoring and evaluating them, a job at a time.

    python benchmarks/windows.py evaluate --windows 100000     # simulated samples: evaluate_csdi, plot_calibration
    python benchmarks/windows.py shard --windows 100000        # the first windows of one of 20 shards, beside as many of 280
    python benchmarks/windows.py cores --windows 48            # two shards at once beside one job with two threads

Windows are those of the default run in size and patterns, 18 features x 24 steps, and their values are drawn at random;
each job runs in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "scripts"))

import numpy as np
import pandas as pd
from peaks import peak

from scoredag.series import baselines, windows
from scoredag.store import tables

FEATURES = [f"feature-{k}" for k in range(18)]
LENGTH = 24
SHARES = {"random-10": 0.1, "random-50": 0.5, "random-90": 0.9, "blocks-6": 0.1}  # of entries that are targets
N_VALID = 200
N_SAMPLES = 20
AT_ONCE = 500  # windows that are written at once
WITH_DEVIATIONS = (baselines.GAUSSIAN, baselines.STRUCTURAL)


def simulate(folder, n_test):
    """Write the tables that evaluation reads, of `n_test` test windows."""
    stats = {"feature": FEATURES, "mean": 0.0, "std": 1.0, "missing_fraction": 0.0}
    tables.write(pd.DataFrame(stats), folder / "statistics.parquet", tables.STATISTICS)
    splits = np.repeat(["valid", "test"], [N_VALID, n_test])
    patterns = np.concatenate([np.sort(np.arange(n) % len(SHARES)) for n in (N_VALID, n_test)])
    starts = pd.Timestamp("2000-01-01", tz="UTC") + pd.to_timedelta(24 * np.arange(N_VALID + n_test), unit="h")
    starts = {"window": np.arange(N_VALID + n_test), "start": starts}
    starts["held_out"] = pd.Categorical.from_codes(patterns, list(SHARES))
    tables.write(pd.DataFrame(starts), folder / "window_starts.parquet", tables.WINDOW_STARTS)
    hidden = []
    with tables.writing(folder / "windows.parquet", tables.WINDOWS) as write:
        for which in np.array_split(np.arange(N_VALID + n_test), -(-(N_VALID + n_test) // AT_ONCE)):
            rng = np.random.default_rng(int(which[0]))
            shares = np.array(list(SHARES.values()))[patterns[which]]
            targets = rng.random((len(which), LENGTH, len(FEATURES))) < shares[:, None, None]
            values = rounded(rng.normal(size=targets.shape))
            window, step, feature = (place.ravel() for place in np.indices(targets.shape))
            names = pd.Categorical.from_codes(feature, FEATURES)
            columns = {"window": which[window], "step": step, "feature": names, "value": values.ravel()}
            columns["role"] = pd.Categorical.from_codes(targets.ravel().astype(int), windows.ROLES)
            write(columns | {"split": pd.Categorical(splits[which][window], windows.SPLITS)})
            rows = pd.DataFrame(columns)[targets.ravel()].drop(columns="role").rename(columns={"value": "truth"})
            hidden.append(rows.assign(split=splits[which][window][targets.ravel()]))
    for split, name in (("valid", "validation_samples"), ("test", "samples")):
        with tables.writing(folder / f"{name}.parquet", tables.imputations(N_SAMPLES)) as write:
            for number, rows in enumerate(rows[rows["split"] == split] for rows in hidden):
                if len(rows):
                    write(rows.assign(samples=list(drawn(rows["truth"].to_numpy(), number))))
    with tables.writing(folder / "baselines.parquet", tables.BASELINES) as write:
        for place, method in enumerate(baselines.NAMES):
            for split in ("valid", "test"):
                for number, rows in enumerate(rows[rows["split"] == split] for rows in hidden):
                    if len(rows):
                        write(forecasts(rows, method, (place, number)))


def rounded(values):
    """Values that a file holds in a few bytes."""
    return (values * 64).round() / 64


def drawn(truth, number):
    """Twenty draws (n, S) about a forecast that is right to half a deviation, in pairs."""
    rng = np.random.default_rng([1, number])
    noise = 0.5 * rng.normal(size=(len(truth), N_SAMPLES // 2))
    middle = truth + 0.5 * rng.normal(size=len(truth))
    return rounded(middle[:, None] + np.stack([noise, -noise], axis=2).reshape(len(truth), -1)).astype(np.float32)


def forecasts(rows, method, seed):
    """Rows of the table of baselines."""
    values = rounded(rows["truth"].to_numpy() + np.random.default_rng(seed).normal(size=len(rows)))
    method = pd.Categorical.from_codes(np.full(len(rows), baselines.NAMES.index(method)), baselines.NAMES)
    deviation = 1.0 if method[0] in WITH_DEVIATIONS else np.nan
    split = pd.Categorical(rows["split"], windows.SPLITS)
    return rows.assign(split=split, method=method, value=values, deviation=deviation)


def measured(name, **arguments):
    """Call the function of a script in this process, and print seconds and its peak of memory."""
    import runpy

    function = runpy.run_path(str(HERE.parents[1] / "scripts" / f"{name}.py"), run_name=name)[name]
    begin, cpu = time.perf_counter(), time.process_time()
    function(**arguments)
    took = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    print(json.dumps(took | {"gigabytes": peak() / 1e9}))


def start(name, arguments):
    """The process of a job."""
    command = [sys.executable, str(HERE), "job", name, json.dumps(arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process):
    """What `measured` has printed there."""
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return json.loads(output.splitlines()[-1])


def paths(folder, *names):
    return {f"{name}_path": str(folder / f"{name}.parquet") for name in names}


def evaluate(folder, n_windows):
    """Score simulated samples, and count how often they hold the truth."""
    begin = time.perf_counter()
    simulate(folder, n_windows)
    print(f"{n_windows} windows x {N_SAMPLES} samples, simulated in {time.perf_counter() - begin:.0f} s")
    inputs = paths(folder, "samples", "baselines", "windows", "statistics")
    inputs |= {
        "validation_path": str(folder / "validation_samples.parquet"),
        "starts_path": str(folder / "window_starts.parquet"),
    }
    evaluation = {"scores_path": None, "split": "test", "settings": {"seed": 1, "antithetic": True}}
    tell("evaluate_csdi", finished(start("evaluate_csdi", inputs | evaluation | paths(folder, "metrics"))))
    calibration = {
        "figure_path": str(folder / "calibration.png"),
        "settings": {"colour": "#0072b2", "antithetic": True},
    }
    tell("plot_calibration", finished(start("plot_calibration", inputs | calibration)))


def tell(name, took):
    print(f"{name}: {took['seconds']:.0f} s ({took['cpu']:.0f} s of processor), {took['gigabytes']:.2f} GB at most")


def main():
    """Measure one of the jobs."""
    if sys.argv[1:2] == ["job"]:
        measured(sys.argv[2], **json.loads(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["evaluate"])
    parser.add_argument("--windows", type=int, default=100_000, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"evaluate": evaluate}[options.what](Path(folder), options.windows)


if __name__ == "__main__":
    main()
