"""Many windows: seconds and peak memory of imputing, scoring and evaluating them, a job at a time.

    python benchmarks/windows.py evaluate --windows 100000   # simulated samples: evaluate_csdi and plot_calibration
    python benchmarks/windows.py memory --windows 100000     # one of 20 shards, the network in every 50th evaluation
    python benchmarks/windows.py time --windows 100000       # the first 20 windows, beside those of 280
    python benchmarks/windows.py cores                       # two shards at once beside one job with two threads

Windows are those of the default run in size and patterns, 18 features x 24 steps, and their values are drawn at random.
Each job runs in a process of its own, with the default settings; its memory is that of the whole process.
"""

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pandas as pd
from memory import BASE, Sparing
from peaks import peak

from scoredag import gaussian, laws
from scoredag.csdi import checkpoint
from scoredag.series import baselines, windows
from scoredag.store import tables

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
FEATURES = [f"feature-{k}" for k in range(18)]
LENGTH = 24
SHARES = {"random-10": 0.1, "random-50": 0.5, "random-90": 0.9, "blocks-6": 0.1}  # of entries that are targets
N_VALID = 200
N_SAMPLES, CHUNK = 20, 20
N_SHARDS = 20
AT_ONCE = 500  # windows that are written at once
WITH_DEVIATIONS = (baselines.GAUSSIAN, baselines.STRUCTURAL)
SAMPLING = {"sampler": "dpm-solver++", "n_steps": None, "eta": None, "noise_above": 0.5, "second_order_above": 0.0}
SAMPLING |= {"start": 18, "n_samples": N_SAMPLES, "antithetic": True, "chunk": CHUNK}
JOBS = {
    "impute_csdi": {"split": "test", "settings": {"device": "cpu", "seed": 1, "sampling": SAMPLING}},
    "score_windows": {
        "settings": {"device": "cpu", "seed": 1, "sampling": {"start": 18, "chunk": CHUNK}}
        | {"likelihood": {"n_draws": 16, "variance": "beta"}}
    },
}


def simulate(folder, n_test):
    """Write the tables that evaluation reads, of `n_test` test windows."""
    hidden = list(simulate_windows(folder, n_test))
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


def simulate_windows(folder, n_test):
    """Write a dataset's tables, and yield the rows of the targets of some windows at a time."""
    stats = {"feature": FEATURES, "mean": 0.0, "std": 1.0, "missing_fraction": 0.0}
    tables.write(pd.DataFrame(stats), folder / "statistics.parquet", tables.STATISTICS)
    n = N_VALID + n_test
    splits = np.repeat(["valid", "test"], [N_VALID, n_test])
    patterns = np.concatenate([np.sort(np.arange(part) % len(SHARES)) for part in (N_VALID, n_test)])
    starts = pd.Timestamp("2000-01-01", tz="UTC") + pd.to_timedelta(LENGTH * np.arange(n), unit="h")
    starts = {"window": np.arange(n), "start": starts, "held_out": pd.Categorical.from_codes(patterns, list(SHARES))}
    tables.write(pd.DataFrame(starts), folder / "window_starts.parquet", tables.WINDOW_STARTS)
    with tables.writing(folder / "windows.parquet", tables.WINDOWS) as write:
        for which in np.array_split(np.arange(n), -(-n // AT_ONCE)):
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
            yield rows.assign(split=splits[which][window][targets.ravel()])


def simulate_run(folder, n_test):
    """Write what imputing and scoring `n_test` test windows reads: the base network, and a normal law to start from."""
    for _ in simulate_windows(folder, n_test):
        pass
    checkpoint.save(checkpoint.load(BASE, len(FEATURES), embedding="mean"), folder / "model.safetensors", {})
    n = len(FEATURES) * LENGTH
    law = laws.Gaussian(np.zeros(n), np.eye(n))
    gaussian.save(gaussian.Estimate(law, 0.0, 0.0), folder / "gaussian.safetensors", {})


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


def measured(name, arguments, network_every):
    """Call the function of a script in this process, and print seconds and its peak of memory."""
    load = checkpoint.load
    if network_every > 1:
        checkpoint.load = lambda path: Sparing(load(path), network_every)
    function = runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name=name)[name]
    begin, processor = time.perf_counter(), time.process_time()
    function(**arguments)
    took = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - processor}
    print(json.dumps(took | {"gigabytes": peak() / 1e9}))


def start(name, arguments, network_every=1):
    """The process of a job."""
    command = [sys.executable, __file__, "job", name, json.dumps(arguments), str(network_every)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process):
    """What `measured` has printed there."""
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: a job failed: {output}")
    return json.loads(output.splitlines()[-1])


def start_shard(name, folder, shard, threads, network_every=1, output="out"):
    """The process of a shard of imputing or scoring."""
    job = JOBS[name] | {"settings": JOBS[name]["settings"] | {"shard": shard}}
    arguments = paths(folder, "windows", "statistics") | {"choice_path": None, "run": "simulated", "threads": threads}
    arguments |= {f"{kind}_path": str(folder / f"{kind}.safetensors") for kind in ("model", "gaussian")}
    if name == "score_windows":
        arguments |= {"starts_path": str(folder / "window_starts.parquet"), "scores_path": str(folder / output)}
    else:
        arguments |= {"samples_path": str(folder / output)}
    return start(name, arguments | job, network_every)


def paths(folder, *names):
    """Arguments of a script's function that are tables of these names."""
    return {f"{name}_path": str(folder / f"{name}.parquet") for name in names}


def evaluate(folder, n_windows):
    """Score simulated samples, and count how often they hold the truth."""
    simulate(folder, n_windows)
    inputs = paths(folder, "samples", "baselines", "windows", "statistics")
    inputs["validation_path"] = str(folder / "validation_samples.parquet")
    inputs["starts_path"] = str(folder / "window_starts.parquet")
    settings = {"seed": 1, "antithetic": True}
    outputs = {"scores_path": None, "metrics_path": str(folder / "metrics.parquet"), "split": "test", "threads": 2}
    tell("evaluate_csdi", finished(start("evaluate_csdi", inputs | outputs | {"settings": settings})))
    settings = {"colour": "#0072b2", "antithetic": True}
    outputs = {"figure_path": str(folder / "calibration.png")}
    tell("plot_calibration", finished(start("plot_calibration", inputs | outputs | {"settings": settings})))


def memory(folder, n_windows):
    """Impute and score one of the shards, the network in every 50th evaluation only."""
    simulate_run(folder, n_windows)
    for name in JOBS:
        took = finished(start_shard(name, folder, [N_SHARDS // 2, N_SHARDS], 2, network_every=50))
        tell(f"{name}, a shard of {n_windows // N_SHARDS} of {n_windows} windows", took)


def times(folder, n_windows, n_timed=20, n_rounds=3):
    """Impute and score the first windows of many and of 280, in turn."""
    counts = (280, n_windows)
    for n in counts:
        (folder / str(n)).mkdir()
        simulate_run(folder / str(n), n)
    for name in JOBS:
        seconds = {n: [] for n in counts}
        for _ in range(n_rounds):
            for n in counts:
                took = finished(start_shard(name, folder / str(n), [0, n // n_timed], 1))
                seconds[n].append(took["processor"] / n_timed)
        shown = ", ".join(f"{np.median(seconds[n]):.3f} s of {n}" for n in counts)
        print(f"{name}, of processor for a window, reading included: {shown}", flush=True)


def cores(folder, n_windows):
    """Impute as many windows by two shards at once and by one job with two threads, in turn."""
    simulate_run(folder, n_windows)
    for _ in range(2):
        for label, shards, threads in (("two shards", [[0, 2], [1, 2]], 1), ("two threads", [[0, 1]], 2)):
            jobs = [start_shard("impute_csdi", folder, shard, threads, output=str(shard[0])) for shard in shards]
            took = [finished(job) for job in jobs]
            seconds, processor = max(job["seconds"] for job in took), sum(job["processor"] for job in took)
            print(f"{label}: {n_windows} windows in {seconds:.1f} s ({processor:.1f} s of processor)", flush=True)


def tell(name, took):
    """Print what a job has taken."""
    print(
        f"{name}: {took['seconds']:.0f} s ({took['processor']:.0f} s of processor), {took['gigabytes']:.2f} GB at most",
        flush=True,
    )


def main():
    """Measure one of the jobs."""
    if sys.argv[1:2] == ["job"]:
        measured(sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))
        return
    kinds = {"evaluate": evaluate, "memory": memory, "time": times, "cores": cores}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=kinds)
    parser.add_argument("--windows", type=int, metavar="N", help="test windows (100000; of cores 80)")
    options = parser.parse_args()
    n_windows = options.windows or (80 if options.what == "cores" else 100_000)
    with tempfile.TemporaryDirectory() as folder:
        kinds[options.what](Path(folder), n_windows)


if __name__ == "__main__":
    main()
