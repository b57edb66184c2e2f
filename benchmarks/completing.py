"""Memory and time of complete_series on a long series: does writing the draws take longer than sampling them?

python benchmarks/completing.py RUN [--results results] [--network-every 50]   # a run whose inputs are there

As in memory.py the network computes in every n-th evaluation only and hands on the noise in the others, since a long
series takes hours; sampling is what the evaluations that were computed took, times how many there are. All else is
done as in a run: reading, the joint Gaussian, the structural model, the average, draws, writing.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
from memory import Sparing
from peaks import peak

import complete_series
import draw_gaps
from scoredag.applying import OF_DATASET, OF_RUN
from scoredag.csdi import checkpoint
from scoredag.job import record


class Timed(Sparing):
    """A network that computes in every n-th evaluation, and says how long these took."""

    def __init__(self, model, every):
        super().__init__(model, every)
        self.lock, self.seconds, self.n_computed, self.n_evaluations = threading.Lock(), 0.0, 0, 0

    def denoise(self, conditions, noisy, step, seed=0):
        """The predicted noise, or `noisy`."""
        computes = next(self.count) % self.every == 0
        begin = time.thread_time()
        result = self.model.denoise(conditions, noisy, step, seed) if computes else noisy
        with self.lock:
            self.seconds += (time.thread_time() - begin) if computes else 0.0
            self.n_computed += computes
            self.n_evaluations += 1
        return result


def main():
    """Complete the series once and print what it took, in GB (10^9 bytes) and seconds of the processor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--network-every", type=int, default=50)
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    of_run = options.results / "csdi" / options.run
    made = record.read(of_run / "validation_samples.parquet")
    dataset = record.read(of_run / "model.safetensors")["settings"]["dataset"]
    settings = record.read(options.results / "datasets" / dataset / "series.parquet")["settings"]
    settings = made["settings"] | {
        "dataset": {name: settings[name] for name in ("circular", "group", "plausible")}
        | {"round": {}, "name": dataset},
        "draws": options.draws,
        "max_gap": None,
        "method": "auto",
        "sampling": settings["sampling"]
        | {"n_samples": max(options.draws, settings["sampling"]["n_samples"]), "antithetic": False},
    }
    paths = {f"{name}_path": str(of_run / file) for name, file in OF_RUN.items()}
    paths |= {f"{name}_path": str(options.results / "datasets" / dataset / file) for name, file in OF_DATASET.items()}
    model = Timed(checkpoint.load(paths["model_path"]), options.network_every)
    draw_gaps.checkpoint = SimpleNamespace(load=lambda path: model, check_features=checkpoint.check_features)
    before, wall, used = peak(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        completed = Path(folder, "completed.parquet")
        complete_series.complete_series(
            **paths, drawn_path=None, completed_path=completed, settings=settings, run=options.run, threads=1
        )
        rows = pq.read_metadata(completed).num_rows
        size = completed.stat().st_size
    used = time.process_time() - used
    sampling = model.seconds / model.n_computed * model.n_evaluations
    told = {
        "rows": rows,
        "megabytes": size / 1e6,
        "peak_gigabytes": peak() / 1e9,
        "peak_before": before / 1e9,
        "seconds": time.perf_counter() - wall,
        "processor_seconds_without_network": used - model.seconds,
        "processor_seconds_of_network": sampling,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
