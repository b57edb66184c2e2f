"""Train PyPOTS' SAITS, BRITS, ImputeFormer and TimesNet on a run's windows, and score them as its baselines.

    python benchmarks/learned_rivals.py [--quick] [--models SAITS ...]

Prints tables in Markdown; README.md beside this file says what was tried and what came out.
"""

import argparse
import contextlib
import logging
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pandas as pd
import torch
from csdi import RUN, Skipped, peer_class, require, silence

from scoredag import metrics
from scoredag.csdi import masks
from scoredag.series import dressing, windows
from scoredag.store import tables

SEEDS = (0, 1, 2)
COPIES = 4  # of each training window, with gaps, for BRITS, which hides nothing by itself
BATCH = 32
SCORES = ("mae", "rmse", "crps", *(f"coverage_{percent}" for percent in metrics.PERCENTS))
BESIDE = (metrics.CSDI, metrics.AUTO, "joint Gaussian", "masked ridge", "linear")

log = logging.getLogger("rivals")


class Setting(NamedTuple):
    """What one training is given. Epochs are as many as take one core two or three minutes."""

    epochs: int
    sizes: dict[str, Any]
    rate: float = 0.001  # falls to 0 as a cosine
    mixed: bool = False  # gaps as CSDI is trained with, in place of those that PyPOTS makes


SAITS = {"n_layers": 2, "n_heads": 4, "dropout": 0.1}
WIDE = SAITS | {"d_model": 128, "d_k": 32, "d_v": 32, "d_ffn": 256}
WIDER = SAITS | {"d_model": 256, "d_k": 64, "d_v": 64, "d_ffn": 512}
FORMER = {"n_layers": 2, "d_input_embed": 16, "d_learnable_embed": 32, "d_proj": 8, "d_ffn": 64, "n_temporal_heads": 4}
TIMES = {"n_layers": 2, "top_k": 3, "d_model": 64, "d_ffn": 64, "n_kernels": 3, "dropout": 0.1}
SETTINGS = {
    "SAITS": (Setting(100, WIDE), Setting(95, WIDE, mixed=True), Setting(36, WIDER, mixed=True)),
    "BRITS": (
        Setting(16, {"rnn_hidden_size": 128}, mixed=True),
        Setting(16, {"rnn_hidden_size": 128}, 0.003, mixed=True),
    ),
    "ImputeFormer": (Setting(30, FORMER, mixed=True), Setting(30, FORMER, 0.003, mixed=True)),
    "TimesNet": (
        Setting(100, TIMES),
        Setting(95, TIMES, mixed=True),
        Setting(95, TIMES | {"apply_nonstationary_norm": True}, mixed=True),
    ),
}


class Split(NamedTuple):
    """Windows (N, L, K), z-scores and NaN: what is given, and with the targets; and of each target (n,) the codes."""

    given: np.ndarray
    whole: np.ndarray
    targets: np.ndarray
    pattern: np.ndarray
    feature: np.ndarray

    @property
    def truth(self):
        """Of the targets (n,)."""
        return self.whole[self.targets].astype(np.float64)


class Trained(NamedTuple):
    """A training: forecasts of the targets of both splits, and what it took, in seconds of one core."""

    valid: np.ndarray
    test: np.ndarray
    best_epoch: int
    training: float
    imputation: float


def read(folder):
    """{split: `Split`} of a dataset, and the names of its patterns."""
    paths = {name: folder / f"{name}.parquet" for name in ("windows", "window_starts", "statistics")}
    require(*paths.values(), command=f"snakemake --cores all {folder / 'baselines.parquet'}")
    stats = tables.read(paths["statistics"], tables.STATISTICS)
    starts = tables.read(paths["window_starts"], tables.WINDOW_STARTS).set_index("window")["held_out"]
    splits = {}
    for name in windows.SPLITS:
        numbers, values, roles = (part for part in windows.read(str(paths["windows"]), stats, name))
        values, roles = values.transpose(0, 2, 1), roles.transpose(0, 2, 1)
        targets = roles == windows.TARGET
        window, _, feature = np.nonzero(targets)
        pattern = starts.loc[numbers].cat.codes.to_numpy()[window]
        given, whole = (
            np.where(known, values, np.nan) for known in (roles == windows.OBSERVED, roles != windows.MISSING)
        )
        splits[name] = Split(given, whole, targets, pattern, feature)
    return splits, list(starts.cat.categories)


def train(name, setting, seed, splits):
    """Train a model, keep the epoch with the lowest validation error, and forecast the targets: `Trained`."""
    from pypots import imputation, optim
    from pypots.nn.modules.loss import MAE

    torch.manual_seed(seed)
    windows_in = splits["train"].given
    if setting.mixed and name == "BRITS":
        windows_in = np.concatenate([windows_in, *(hidden(windows_in) for _ in range(COPIES))])
    n_steps = setting.epochs * math.ceil(len(windows_in) / BATCH)
    decay = optim.lr_scheduler.LambdaLR(lambda step: (1 + math.cos(math.pi * min(step / n_steps, 1))) / 2)
    with silence():
        model = getattr(imputation, name)(
            n_steps=windows_in.shape[1],
            n_features=windows_in.shape[2],
            **setting.sizes,
            batch_size=BATCH,
            epochs=setting.epochs,
            validation_metric=MAE,
            optimizer=optim.Adam(lr=setting.rate, lr_scheduler=decay),
            device="cpu",
        )
    gaps = mock.patch("pypots.imputation.saits.data.mcar", lambda window, p: torch.from_numpy(hidden(window[None])[0]))
    if setting.mixed and name == "TimesNet":
        learn_hidden(model.model)
    valid = splits["valid"]
    start = time.process_time()
    with gaps if setting.mixed else contextlib.nullcontext():
        model.fit({"X": windows_in}, {"X": valid.given, "X_ori": valid.whole})
    middle = time.process_time()
    points = [model.impute({"X": part.given})[part.targets].astype(np.float64) for part in (splits["test"], valid)]
    n_windows = len(splits["test"].given) + len(valid.given)
    a_window = (time.process_time() - middle) / n_windows
    return Trained(points[1], points[0], model.best_epoch, middle - start, a_window * len(splits["test"].given))


def hidden(windows_in):
    """Windows (N, L, K) less what CSDI's default masks hide: any share of single entries, or blocks."""
    values = torch.as_tensor(windows_in)
    observed = (~values.isnan()).float().transpose(1, 2)
    kept = masks.draw(("random", "blocks"), observed, None, torch.default_generator).transpose(1, 2)
    return torch.where(kept > 0, values, torch.nan).numpy()


def learn_hidden(network):
    """Let TimesNet learn hidden values, as SAITS does: PyPOTS trains it by those alone that it is given."""
    plain = network.forward

    def forward(inputs, calc_criterion=False):
        results = plain(inputs, calc_criterion)
        if network.training:
            parts = (inputs["missing_mask"], inputs["indicating_mask"])
            results["loss"] = sum(network.training_loss(results["reconstruction"], inputs["X_ori"], p) for p in parts)
        return results

    network.forward = forward


def scores(trained, splits, patterns):
    """(pattern, score, value) of the test split: points, and points with the quantiles of their validation errors."""
    valid, test = splits["valid"], splits["test"]
    sizes = len(patterns), test.whole.shape[2]
    quantiles = dressing.fit(valid.truth - trained.valid, valid.pattern, valid.feature, *sizes)
    dressed = dressing.dress(trained.test, 1.0, test.pattern, test.feature, quantiles)
    terms = metrics.terms(dressed, test.truth, are_quantiles=True)
    terms |= {name: metrics.terms(trained.test[None], test.truth)[name] for name in ("mae", "rmse")}
    for code, pattern in enumerate(patterns):
        here = test.pattern == code
        for name in SCORES:
            top, bottom = (part[here].sum() for part in terms[name])
            yield pattern, name, float(metrics.ratio(name, top, bottom))


def rival(name, settings, seeds, splits, patterns):
    """The rows of a model: each setting on validation windows, the best one with every seed on test windows."""
    rows, found = [], []
    for number, setting in enumerate(settings, start=1):
        trained = train(name, setting, seeds[0], splits)
        error = np.abs(trained.valid - splits["valid"].truth)
        maes = [error[splits["valid"].pattern == code].mean() for code in range(len(patterns))]
        found.append((np.mean(maes), number, trained))
        log.info("%s, %s: MAE of validation windows %.4f, %.0f s", name, setting, np.mean(maes), trained.training)
        new = [*((pattern, "mae", mae) for pattern, mae in zip(patterns, maes, strict=True)), *costs(trained)]
        rows += [(name, number, seeds[0], "valid", *row) for row in new]
    _, number, first = min(found)
    for seed in seeds:
        trained = first if seed == seeds[0] else train(name, settings[number - 1], seed, splits)
        log.info("%s, setting %d, seed %d: %.0f s", name, number, seed, trained.training)
        rows += [(name, number, seed, "test", *row) for row in (*scores(trained, splits, patterns), *costs(trained))]
    return pd.DataFrame(rows, columns=["method", "setting", "seed", "split", "held_out", "metric", "value"])


def costs(trained):
    """(`all`, name, number) of what a training took."""
    return [("all", name, getattr(trained, name)) for name in ("best_epoch", "training", "imputation")]


def beside(path):
    """Rows of the run's own methods; CRPS and coverage are those of a distribution, also where a method is a point."""
    rows = tables.read(path, tables.CSDI_METRICS).query("feature == 'all'")
    for method in BESIDE:
        names = (method + ending for ending in (metrics.DRESSED, metrics.CORRECTED, ""))
        as_distribution = next(name for name in names if (rows["method"] == name).any())
        for name, wanted in ((method, SCORES[:2]), (as_distribution, SCORES[2:])):
            yield rows[(rows["method"] == name) & rows["metric"].isin(wanted)].assign(method=method, split="test")


def as_tables(table, patterns):
    """Settings on validation windows, the chosen ones with a star; then scores of test windows, mean ± deviation."""
    scored = table.groupby(["split", "metric", "method", "held_out"], sort=False)["value"].agg(["mean", "std"])
    test = scored.loc["test"]
    tried = table[table["split"] == "valid"].set_index(["method", "setting", "metric", "held_out"])["value"]
    maes = tried.unstack(["metric", "held_out"], sort=False)
    texts = maes["mae"][patterns].assign(mean=maes["mae"][patterns].mean(axis=1)).map("{:.4f}".format)
    best = set(table[table["split"] == "test"].groupby(["method", "setting"]).groups)
    texts.index = [f"{name}, {number:.0f}{' *' * ((name, number) in best)}" for name, number in texts.index]
    extra = {"best epoch": maes["best_epoch", "all"], "seconds": maes["training", "all"]}
    yield "model, setting", texts.assign(**{name: [f"{n:.0f}" for n in column] for name, column in extra.items()})

    methods = list(dict.fromkeys(table["method"]))
    texts = test.apply(lambda row: f"{row['mean']:.4f}" + f" ± {row['std']:.4f}" * bool(row["std"] >= 0), axis=1)
    for metric in SCORES[:3]:
        yield metric.upper(), texts[metric].unstack().loc[methods, patterns]
    held = test["mean"].unstack("metric")[list(SCORES[3:])]
    texts = held.apply(lambda row: ", ".join(f"{100 * share:.0f}" for share in row), axis=1)
    yield "% held by intervals of 50, 80, 90, 95 %", texts.unstack().loc[methods, patterns]
    spent = test.loc[["training", "imputation"]].apply(lambda row: f"{row['mean']:.1f} ± {row['std']:.1f}", axis=1)
    yield "seconds of one core", spent.unstack("metric").droplevel("held_out")


def main():
    """Train, write a table of each model, and print what there is."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test: one epoch, no figure worth quoting")
    parser.add_argument("--models", nargs="*", choices=SETTINGS, default=list(SETTINGS), help="train these, or none")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the finished run lies")
    options = parser.parse_args()
    metrics_path = options.results / "csdi" / RUN / "metrics.parquet"
    try:
        require(metrics_path, command=f"snakemake --cores all {metrics_path}")
        splits, patterns = read(options.results / "datasets" / RUN)
        peer_class()
    except Skipped as error:
        sys.exit(str(error))
    logging.getLogger("PyPOTS running log").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as nowhere:
        folder = Path(nowhere) if options.quick else options.results / "rivals" / RUN
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.models:
            settings, seeds = SETTINGS[name], SEEDS
            if options.quick:
                settings, seeds = [setting._replace(epochs=1) for setting in settings], SEEDS[:2]
            rival(name, settings, seeds, splits, patterns).to_parquet(folder / f"{name}.parquet")
        done = [pd.read_parquet(path) for name in SETTINGS for path in folder.glob(f"{name}.parquet")]
    for title, frame in as_tables(pd.concat([*done, *beside(metrics_path)]), patterns):
        lines = [[title, *frame], ["---"] * (1 + len(frame.columns)), *frame.reset_index().to_numpy().tolist()]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines), end="\n\n")


if __name__ == "__main__":
    main()
