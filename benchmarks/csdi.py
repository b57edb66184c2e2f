"""Measure CSDI beside PyPOTS' CSDI, whose network is the reference's, in one process.

    python benchmarks/csdi.py [--quick] [--markdown] [--rows training sampling ...]

Prints one table of measurements, ratios and goals; README.md beside this file says what each row means.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import torch
import yaml
from snakemake.utils import validate

from scoredag import metrics
from scoredag.csdi import batches, checkpoint, devices, diffusion, imputation, muon, network, optimizers, training
from scoredag.series import windows
from scoredag.store import tables

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "data" / "csdi-base.safetensors"
SCRATCH = ROOT / "benchmarks" / "scratch.yaml"
RUN, SCRATCH_RUN = "nyc-weather", "nyc-weather-scratch"
SHAPES = ((18, 24), (35, 48))  # (K, L): the shipped weather; the paper's health data
BATCH = 16
DROPOUT = 0.1  # the peer's, which its constructor cannot change
EQUAL_QUALITY = {"n_steps": 12, "second_order_above": 0.5}  # what the default sampler takes to be as good as DDPM
CPU = torch.device("cpu")
IDLE = 0.95  # the share of the CPU time below which the machine counts as busy
BLOCK = bytes(1 << 20)

log = logging.getLogger("benchmark")


class Row(NamedTuple):
    """One line of the table, as text; an empty cell has no meaning there."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""
    goal: str = ""
    met: str = ""


class Skipped(Exception):  # noqa: N818
    """Something that a row needs is not there; the message says what, and how to get it."""


# --- the two sides ---------------------------------------------------------------------------


@functools.cache
def run_settings(run=RUN):
    """Settings of a run of config/config.yaml, defaults filled in."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    validate(config, schema=str(ROOT / "config" / "schema.yaml"))
    return config["csdi"]["runs"][run]


@functools.cache
def peer_class():
    """PyPOTS' CSDI. Its import greets on stdout and writes a file into the home folder; neither is wanted here."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, HOME=home), silence():
        try:
            from pypots.imputation import CSDI
        except ImportError as error:
            raise Skipped(f"PyPOTS cannot be imported ({error}): pip install -r benchmarks/requirements.txt") from error
    return CSDI


@contextlib.contextmanager
def silence():
    """Nothing reaches stdout."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def make_peer(model, length):
    """The peer's network with the weights of ours; both are checked to predict the same noise."""
    kind = peer_class()
    with silence(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="enable_nested_tensor")
        peer = kind(
            n_steps=length,
            n_features=model.n_features,
            n_layers=4,
            n_heads=8,
            n_channels=64,
            d_time_embedding=128,
            d_feature_embedding=16,
            d_diffusion_embedding=128,
            n_diffusion_steps=diffusion.N_STEPS,
            schedule="quad",
            beta_start=0.0001,
            beta_end=0.5,
            device="cpu",
            verbose=False,
        ).model
    weights = {name.replace("diffmodel.", "backbone.diff_model."): value for name, value in model.state_dict().items()}
    peer.load_state_dict(weights | {"backbone.alpha_torch": peer.backbone.alpha_torch})
    check_same(model, peer, length)
    return peer


@torch.no_grad()
def check_same(model, peer, length):
    """Stop unless both networks predict the same noise in the same windows."""
    batch, noise, level = draw_batch(model.n_features, length, 2)
    model.eval()
    peer.eval()
    ours = model(noise, batch.values, batch.cond_mask, batch.time_points, level)
    side = peer.get_side_info(batch.time_points, batch.cond_mask)
    inputs = peer.backbone.set_input_to_diffmodel(noise, batch.values, batch.cond_mask)
    torch.testing.assert_close(ours, peer.backbone.diff_model(inputs, side, level), rtol=1e-3, atol=1e-3)


def draw_batch(n_features, length, size):
    """A `batches.Batch` of random windows, half of each given, and noise and diffusion steps for it."""
    generator = torch.Generator().manual_seed(0)
    shape = (size, n_features, length)
    batch = batches.Batch(
        values=torch.randn(shape, generator=generator),
        observed_mask=torch.ones(shape),
        cond_mask=(torch.rand(shape, generator=generator) < 0.5).float(),
        time_points=torch.arange(length, dtype=torch.float32).repeat(size, 1),
    )
    noise = torch.randn(shape, generator=generator)
    return batch, noise, torch.randint(diffusion.N_STEPS, (size,), generator=generator)


@contextlib.contextmanager
def torch_threads(n):
    """PyTorch's own threads, which the peer computes with."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def interleave(sides, repetitions, warm_up=None):
    """Median seconds of a call of each of `sides`, {name: function}, called in turn after a warm-up each."""
    for call in (warm_up or sides).values():
        call()
    seconds = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, call in sides.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


# --- rows ------------------------------------------------------------------------------------


def training_rows(options):
    """A step of Adam on one batch: the same dropout in both, and each side's own default."""
    for n_features, length in SHAPES:
        log.info("training steps, K=%d L=%d", n_features, length)
        seconds = step_seconds(n_features, length, options)
        what = f"training step, K={n_features} L={length}, batch {BATCH}"
        yield faster(options, f"{what}, dropout {DROPOUT} in both", seconds["dropout"], seconds["peer"], 1.5)
        yield faster(options, f"{what}, dropout 0, peer {DROPOUT}", seconds["no dropout"], seconds["peer"], 2)


def step_settings(options):
    """`training.Settings` of the steps that are measured."""
    wanted = {name: value for name, value in run_settings()["training"].items() if name != "dropout"}
    wanted |= {"optimizer": "adam", "learning_rate": 0.001, "trainable": "all", "threads": options.threads}
    return training.Settings(**wanted)


def step_seconds(n_features, length, options):
    """Median seconds of a training step: ours with and without dropout, and the peer's."""
    batch, noise, level = draw_batch(n_features, length, BATCH)
    settings = step_settings(options)
    peer = make_peer(checkpoint.load(BASE, n_features), length).train()
    optimizer = torch.optim.Adam(
        peer.parameters(), settings.learning_rate, weight_decay=optimizers.OPTIMIZERS["adam"].weight_decay
    )
    inputs = {
        "X_ori": batch.values,
        "indicating_mask": batch.observed_mask - batch.cond_mask,
        "cond_mask": batch.cond_mask,
        "observed_tp": batch.time_points,
    }

    def peer_step():
        with torch_threads(options.threads):
            optimizer.zero_grad()
            peer(inputs, calc_criterion=True)["loss"].backward()
            optimizer.step()

    runs = {
        name: training._Run(checkpoint.load(BASE, n_features, dropout), settings, 0)
        for name, dropout in (("dropout", DROPOUT), ("no dropout", 0.0))
    }
    # as in training: one pool for all steps
    with devices.workers(options.threads, CPU) as pool:
        sides = {name: functools.partial(run.update, pool, batch, noise, level) for name, run in runs.items()}
        return interleave(sides | {"peer": peer_step}, options.repetitions)


def optimizer_rows(options):
    """A step of Muon on the hidden matrices: ours in float32, PyTorch's in bfloat16, a thread each."""
    log.info("steps of Muon")
    model = checkpoint.load(BASE, SHAPES[0][0])
    settings = step_settings(options)._replace(optimizer="muon", threads=1)
    (_, leaves, _), *_ = optimizers.build(model, settings)
    sides = {}
    for name, kind, more in (
        ("ours", muon.Muon, {}),
        ("peer", torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"}),
    ):
        matrices = [leaf.clone() for _, leaf in leaves]
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        sides[name] = kind(matrices, lr=settings.learning_rate, weight_decay=0.1, **more).step
    with torch_threads(1):
        seconds = interleave(sides, options.repetitions)
    yield faster(
        options, f"step of Muon, {len(leaves)} matrices; peer: torch.optim.Muon", seconds["ours"], seconds["peer"]
    )


def plain_rows(options):
    """What the compiled layers bring: ours with them, and in plain PyTorch alone, as on a GPU."""
    for n_features, length in SHAPES:
        log.info("compiled layers and plain PyTorch, K=%d L=%d", n_features, length)
        batch, noise, level = draw_batch(n_features, length, BATCH)
        model = checkpoint.load(BASE, n_features, DROPOUT)
        steps = training._Run(checkpoint.load(BASE, n_features, DROPOUT), step_settings(options), 0)
        size = f"K={n_features} L={length}, batch {BATCH}"

        def predict(model=model, inputs=(noise, batch.values, batch.cond_mask, batch.time_points, level)):
            with torch.no_grad(), torch_threads(options.threads):
                model(*inputs)

        with devices.workers(options.threads, CPU) as pool:
            step = functools.partial(steps.update, pool, batch, noise, level)
            seconds = interleave({"ours": step, "plain": plain(step)}, options.repetitions)
        what = f"training step, {size}, dropout {DROPOUT}; peer column: ours, plain PyTorch"
        yield faster(options, what, seconds["ours"], seconds["plain"])
        model.eval()
        seconds = interleave({"ours": predict, "plain": plain(predict)}, options.repetitions)
        what = f"noise of {BATCH} windows, K={n_features} L={length}; peer column: ours, plain PyTorch"
        yield faster(options, what, seconds["ours"], seconds["plain"])


def plain(function):
    """`function` without the compiled layers."""

    def call():
        with mock.patch.object(network, "_compiled", return_value=False):
            function()

    return call


def sampling_rows(options):
    """The same number of samples by ancestral sampling with all 50 steps."""
    n_windows, n_samples = options.sampling
    for shape in SHAPES:
        seconds = sampling_seconds(*shape, options)
        what = f"sampling, K={shape[0]} L={shape[1]}, {n_windows} windows x {n_samples} samples, 50 steps of DDPM"
        yield faster(options, what, seconds["ours"], seconds["peer"], 1.5)


@functools.cache
def sampling_seconds(n_features, length, options):
    """Median seconds of both for `options.sampling` windows and samples."""
    log.info("sampling, K=%d L=%d", n_features, length)
    n_windows, n_samples = options.sampling
    batch, _, _ = draw_batch(n_features, length, n_windows)
    model = checkpoint.load(BASE, n_features)
    peer = make_peer(model, length).eval()
    inputs = {"X": batch.values, "cond_mask": batch.cond_mask, "observed_tp": batch.time_points}

    def ours(n_samples, n_steps=diffusion.N_STEPS):
        samples = imputation.impute(
            model,
            np.arange(n_windows),
            batch.values.numpy(),
            batch.cond_mask.numpy() > 0,
            n_samples=n_samples,
            chunk=max(1, n_windows * n_samples // options.threads),  # work for every thread
            seed=0,
            threads=options.threads,
            device="cpu",
            sampler="ddpm",
            n_steps=n_steps,
            antithetic=False,
        )
        for _ in samples:
            pass

    def peers(n_samples):
        with torch.no_grad(), torch_threads(options.threads):
            peer(inputs, n_sampling_times=n_samples)

    return interleave(
        {"ours": lambda: ours(n_samples), "peer": lambda: peers(n_samples)},
        options.sampling_repetitions,
        warm_up={"ours": lambda: ours(n_samples, n_steps=2), "peer": lambda: peers(1)},
    )


def quality_rows(options):
    """Our solvers: scores against our 50 steps of DDPM on the same entries, and speed against the peer's."""
    model_path = options.results / "csdi" / RUN / "model.safetensors"
    folder = options.results / "datasets" / run_settings()["dataset"]
    require(model_path, folder / "windows.parquet", folder / "statistics.parquet", command="snakemake --cores all")
    model = checkpoint.load(model_path)
    stats = tables.read(folder / "statistics.parquet", tables.STATISTICS)
    numbers, values, roles = windows.read(folder / "windows.parquet", stats, "test")
    # spread over all test windows, and so over the patterns of missing entries
    chosen = np.unique(np.linspace(0, len(numbers) - 1, options.windows).round().astype(int))
    numbers, values, roles = numbers[chosen], values[chosen], roles[chosen]
    peer = sampling_seconds(*values.shape[1:], options)["peer"] / np.prod(options.sampling)
    peer *= len(chosen) * options.samples

    sampling = run_settings()["sampling"] | {"n_samples": options.samples, "threads": options.threads}
    choice = model_path.with_name("start_choice.parquet") if sampling["start"] == "auto" else None
    default = imputation.options(sampling, folder / "gaussian.safetensors", choice)
    sampler = diffusion.SAMPLERS[default["sampler"]]
    default["n_steps"] = default["n_steps"] or (sampler.from_start if default["start"] else sampler.from_noise)
    from_noise = sampling | {"start": None}
    reference = from_noise | {"sampler": "ddpm", "n_steps": diffusion.N_STEPS, "antithetic": False}
    # settings, how many times as fast as the peer, how many times the errors of all steps at most
    solvers = {"from noise": (from_noise | EQUAL_QUALITY, 6, 1.02), "default sampler": (default, 40, 1.01)}
    known, score = roles == windows.OBSERVED, functools.partial(scores, truth=values, mask=roles == windows.TARGET)
    samples, _ = drawn(model, numbers, values, known, reference)
    halves, theirs = [score(samples[part::2]) for part in (0, 1)], score(samples)
    for name, (settings, times, most) in solvers.items():
        samples, seconds = drawn(model, numbers, values, known, settings)
        ours = score(samples)
        size = f"{len(chosen)} windows x {options.samples} samples"
        what = f"{name} ({settings['sampler']}, {settings['n_steps']} steps), {size}"
        yield faster(options, f"{what}: time; peer: 50 steps of DDPM, from its time for sampling", seconds, peer, times)
        for metric in ("mae", "rmse", "crps"):
            noise = abs(halves[0][metric] / halves[1][metric] - 1)
            title = f"{what}: {metric.upper()}; peer column: our 50 steps of DDPM, whose halves differ by {noise:.1%}"
            yield lower(title, ours[metric], theirs[metric], most)
        met = abs(ours["coverage"] - 0.9) <= abs(theirs["coverage"] - 0.9) + 0.005
        goal = ("no further from 90 %", yes(met))
        title = f"{what}: coverage of 90 % intervals; peer column: our 50 steps of DDPM"
        yield Row(title, f"{ours['coverage']:.1%}", f"{theirs['coverage']:.1%}", "", *goal)


def drawn(model, numbers, values, known, settings):
    """Samples (S, N, K, L) of the windows by a sampler, and the seconds that they took."""
    log.info("quality: %s, %d steps", settings["sampler"], settings["n_steps"])
    start = time.perf_counter()
    parts = imputation.impute(model, numbers, values, known, seed=0, device="cpu", **settings)
    samples = np.concatenate([samples for _, samples in parts], axis=1)
    return samples, time.perf_counter() - start


def scores(samples, truth, mask):
    """MAE, RMSE, CRPS and coverage of the 90 % interval."""
    return {name: getattr(metrics, name)(samples, truth, mask) for name in ("mae", "rmse", "crps", "coverage")}


def memory_rows(options):
    """Peak memory of imputation in a process of its own: it must not grow with the number of windows."""
    n_samples = 100
    for n_windows in options.memory_windows:
        log.info("memory, %d windows", n_windows)
        chunk = run_settings()["sampling"]["chunk"]
        numbers = [n_windows, n_samples, chunk, options.threads, options.network_every]
        command = [sys.executable, str(Path(__file__).with_name("memory.py")), *map(str, numbers)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        used = json.loads(done.stdout)["gigabytes"]
        what = f"peak memory beyond the imports, K=35 L=48, {n_windows} windows x {n_samples} samples"
        yield Row(what, f"{used:.2f} GB", goal="2 GB at most", met=yes(used <= 2))


def finetuning_rows(options):
    """CRPS of the default run against the same run from scratch: two finished runs are read."""
    paths = [options.results / "csdi" / run / "metrics.parquet" for run in (RUN, SCRATCH_RUN)]
    overlay = SCRATCH.relative_to(ROOT)
    command = f"snakemake --cores all {' '.join(f'results/csdi/{path.parent.name}/{path.name}' for path in paths)}"
    require(*paths, command=f"{command} --configfile {overlay}")
    ours, scratch = (read_crps(path) for path in paths)
    budget = f"{run_settings()['training']['n_steps']} steps"
    what = f"CRPS on {RUN} after {budget} from {BASE.relative_to(ROOT)}; peer column: from scratch"
    yield lower(f"{what}, mean of the patterns", ours.mean(), scratch[ours.index].mean(), 0.8)
    for pattern in ours.index:
        yield lower(f"{what}, {pattern}", ours[pattern], scratch[pattern])


def read_crps(path):
    """CRPS of CSDI over all features by pattern of missing entries."""
    table = tables.read(path, tables.CSDI_METRICS)
    wanted = table[(table["method"] == "CSDI") & (table["feature"] == "all") & (table["metric"] == "crps")]
    return wanted.set_index("held_out")["value"]


ROWS = {
    "training": training_rows,
    "optimizer": optimizer_rows,
    "plain": plain_rows,
    "sampling": sampling_rows,
    "quality": quality_rows,
    "memory": memory_rows,
    "finetuning": finetuning_rows,
}


def require(*paths, command):
    """Raise `Skipped` unless all `paths` are there; `command` makes them."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise Skipped(f"no {' and no '.join(missing)}; they come from: {command}")


# --- the table -------------------------------------------------------------------------------


def faster(options, what, ours, peer, goal=None):
    """A row of seconds; the ratio says how many times as long the peer takes."""
    met = yes(peer >= (goal or 0) * ours) if options.share >= IDLE else "busy"
    judged = (f"{goal:g} at least", met) if goal else ("", "")
    return Row(what, f"{ours:.3g} s", f"{peer:.3g} s", f"{peer / ours:.2f}", *judged)


def lower(what, ours, peer, goal=None):
    """A row of errors; the ratio is ours over the other."""
    wanted = ("", "") if goal is None else (f"{goal:g} at most", yes(ours <= goal * peer))
    return Row(what, f"{ours:.4f}", f"{peer:.4f}", f"{ours / peer:.3f}", *wanted)


def yes(met):
    """A cell."""
    return "yes" if met else "no"


def cpu_share(threads, seconds=1.0):
    """The share of the CPU time that `threads` threads ask for and get, at most 1: less where others compute."""

    def work():
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            hashlib.sha256(BLOCK).digest()  # without Python's lock

    start, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(threads):
            pool.submit(work)
    return min(1.0, (time.process_time() - used) / (time.perf_counter() - start) / threads)


def environment(options):
    """Lines that say where and with what the table was measured."""
    names = ("torch", "numba", "numpy", "pypots")
    versions = ", ".join(f"{name} {version(name)}" for name in names if name != "pypots" or has_peer())
    kind = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    yield f"{os.cpu_count()} CPUs ({kind}), {options.threads} threads"
    yield f"Python {platform.python_version()}, {versions}"
    if options.share < IDLE:
        got = f"{options.threads} threads get {options.share:.0%} of the CPU time they ask for"
        yield f"busy: {got}; no ratio of times is judged (benchmarks/README.md says why)"
    if options.quick:
        yield "--quick: sizes of a smoke test, whose figures mean little"


def has_peer():
    """Whether PyPOTS can be imported."""
    try:
        return bool(peer_class())
    except Skipped:
        return False


def as_table(rows, markdown):
    """The rows as lines of text, or of Markdown."""
    lines = [tuple(field.replace("_", " ") for field in Row._fields), *rows]
    if markdown:
        lines.insert(1, ("---",) * len(Row._fields))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


class Options(NamedTuple):
    """What is measured, and how much of it."""

    rows: tuple = tuple(ROWS)
    results: Path = Path("results")
    threads: int = 2
    repetitions: int = 11
    sampling: tuple = (8, 5)  # windows, samples
    sampling_repetitions: int = 3
    windows: int = 24
    samples: int = 50
    memory_windows: tuple = (800, 200)
    network_every: int = 19  # odd, so that it meets both steps of a chunk
    share: float = 1.0  # see `cpu_share`
    quick: bool = False
    markdown: bool = False


QUICK = {
    "repetitions": 2,
    "sampling": (2, 2),
    "sampling_repetitions": 1,
    "windows": 4,
    "samples": 10,
    "memory_windows": (8, 2),
}


def parse(arguments=None):
    """`Options` from the command line."""
    default = Options()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test: everything small, no figure worth quoting")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=default.rows, help="only these")
    parser.add_argument("--results", type=Path, default=default.results, help="where finished runs lie")
    parser.add_argument("--threads", type=int, default=default.threads, help="of both sides")
    parser.add_argument("--repetitions", type=int, help=f"of a training step ({default.repetitions})")
    parser.add_argument("--windows", type=int, help=f"test windows of the row of quality ({default.windows})")
    parser.add_argument("--samples", type=int, help=f"a window in the row of quality ({default.samples})")
    parser.add_argument("--memory-windows", type=int, nargs="+", help="windows of the rows of memory (800 200)")
    parser.add_argument("--network-every", type=int, help="memory: evaluations of which one runs the network (19)")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    # hashable, as a cached function takes them
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return default._replace(**((QUICK if given["quick"] else {}) | given))


def main():
    """Measure, and print the table."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    torch.manual_seed(0)
    options = parse()
    options = options._replace(share=cpu_share(options.threads))
    header = list(environment(options))
    rows, notes = [], []
    for name in options.rows:
        try:
            rows += ROWS[name](options)
        except Skipped as error:
            notes.append(f"{name}: skipped: {error}")
    separator = "\n\n" if options.markdown else "\n"
    print(separator.join(header), as_table(rows, options.markdown), *notes, sep="\n\n")


if __name__ == "__main__":
    main()
