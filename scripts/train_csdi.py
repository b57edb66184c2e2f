"""Train or fine-tune CSDI on the training windows of a dataset."""

import hashlib
import json
import logging

import torch

from scoredag import files, logs, streams, tables
from scoredag.csdi import checkpoint, training
from scoredag.csdi.network import CSDI
from scoredag.series import windows


def train_csdi(init_path, windows_path, statistics_path, model_path, history_path, settings, run):
    """Write the model with the lowest validation loss, and the history of its training."""
    options = dict(settings["training"])
    torch.set_num_threads(options.pop("threads"))
    dropout = options.pop("dropout")
    seed = streams.seed(settings["seed"], "csdi", run)
    stats = tables.read(statistics_path, tables.STATISTICS)
    values, roles = _read(windows_path, stats, "train")
    valid_values, valid_roles = _read(windows_path, stats, "valid")
    valid = training.Batch(
        torch.from_numpy(valid_values),
        torch.from_numpy(valid_roles != windows.MISSING).float(),
        torch.from_numpy(valid_roles == windows.OBSERVED).float(),
        torch.arange(values.shape[2], dtype=torch.float32).expand(len(valid_values), -1),
    )
    torch.manual_seed(streams.seed(seed, "weights"))
    if init_path:
        files.check_sha256(init_path, settings["init_sha256"])
        model = checkpoint.load(init_path, n_features=len(stats), dropout=dropout)
    else:
        model = CSDI(len(stats), dropout)
    logging.info("%d training windows of %d features x %d steps", *values.shape)
    observed = roles != windows.MISSING
    history = training.train(
        model, values, observed, valid, training.Settings(**options), seed, logs.progress(f"training {run}")
    )
    metadata = {
        "config_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        "dataset": settings["dataset"],
        "features": list(stats["feature"]),
        "init": settings["init"],
    }
    tables.write({name: [row[name] for row in history] for name in history[0]}, history_path, tables.HISTORY)
    checkpoint.save(model, model_path, metadata)


def _read(windows_path, stats, split):
    table = tables.read(windows_path, tables.WINDOWS, filters=[("split", "==", split)])
    _, values, roles = windows.to_arrays(table, stats)
    return values, roles


if __name__ == "__main__":
    with logs.to_file(snakemake.log[0]):
        train_csdi(
            snakemake.input.get("init"),
            snakemake.input.windows,
            snakemake.input.statistics,
            snakemake.output.model,
            snakemake.output.history,
            snakemake.params.settings,
            snakemake.wildcards.run,
        )
