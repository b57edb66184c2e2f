"""Train or fine-tune CSDI on the training windows of a dataset."""

import logging
from pathlib import Path

import numpy as np
import torch

from scoredag import job, streams
from scoredag.csdi import batches, checkpoint, resume, training
from scoredag.csdi.network import CSDI
from scoredag.job import logs
from scoredag.series import angles, transforms, windows
from scoredag.store import files, tables, weights


def train_csdi(
    init_path: str | None,
    windows_path: str,
    statistics_path: str,
    model_path: str,
    history_path: str,
    settings: dict,
    run: str,
    save_every: int,
    code: str,
) -> None:
    """Write the model with the lowest validation loss, and the history of its training.

    While it runs, `unfinished.pt` beside the model holds the state of every `save_every` steps, from which a killed
    training goes on.
    """
    options = dict(settings["training"])
    dropout = options.pop("dropout")
    options = training.Settings(**options, save_every=save_every)
    seed = streams.seed(settings["seed"], "csdi", run)
    stats = tables.read(statistics_path, tables.STATISTICS)
    features = list(stats["feature"])
    covariates = angles.features_of(features, **settings["covariates"])
    folder = Path(model_path).parent
    values, known = windows.stored(windows_path, stats, "train", folder)
    _, valid_values, valid_roles = windows.read(windows_path, stats, "valid")
    valid = batches.Batch(
        torch.from_numpy(valid_values),
        torch.from_numpy(valid_roles != windows.MISSING).float(),
        torch.from_numpy(valid_roles == windows.OBSERVED).float(),
        torch.arange(values.shape[2], dtype=torch.float32).expand(len(valid_values), -1),
    )
    if init_path:
        files.check_sha256(init_path, settings["init_sha256"])
    if options.n_steps:
        model = _start(init_path, features, dropout, settings["conditional"], streams.seed(seed, "weights"))
        if options.embedding_rate == 0:
            torch.nn.init.zeros_(model.embed_layer.weight)
    else:
        model = _as_it_is(init_path, features, values.shape[2], settings["conditional"])
    logging.info("%d training windows of %d features x %d steps", *values.shape)
    inputs = [path for path in (init_path, windows_path, statistics_path) if path]
    store = resume.Store(folder / "unfinished.pt", resume.fingerprint([settings, run, code], inputs))
    last_good_path = folder / "last-good.safetensors"
    metadata = {
        "config_sha256": resume.fingerprint(settings, []),
        "dataset": settings["dataset"],
        "init": settings["init"],
        "init_sha256": files.sha256(init_path) if init_path else None,
        "n_windows": len(values),
        "window_length": values.shape[2],
    } | _scope(options, stats)
    with logs.progress(f"training {run}", options.n_steps, "step") as bar:
        try:
            history = training.train(
                model,
                values,
                known,
                valid,
                options,
                seed,
                store=store,
                progress=bar,
                device=settings["device"],
                given=[features.index(name) for name in covariates],
            )
        except training.DivergenceError as error:
            if error.best is not None:
                model.load_state_dict(error.best)
                checkpoint.save(model, last_good_path, metadata)
                logging.info("the best model so far: %s", last_good_path)
            raise
    tables.write({name: [row[name] for row in history] for name in history[0]}, history_path, tables.HISTORY)
    valid_losses = {row["step"]: row["loss"] for row in history if row["split"] == "valid"}
    kept = min(valid_losses, key=lambda step: np.nan_to_num(valid_losses[step], nan=np.inf))
    trained = {"n_steps": history[-1]["step"], "kept_step": kept, "validation_loss": valid_losses[kept]}
    checkpoint.save(model, model_path, metadata | trained)
    store.remove()
    last_good_path.unlink(missing_ok=True)


def _scope(options, stats):
    """What a model is for: these features with their statistics, or any, in windows as large as its batches were."""
    if options.embedding_rate != 0:
        return {
            "features": list(stats["feature"]),
            "statistics": {name: stats[name].tolist() for name in ("mean", "std")} | transforms.metadata(stats),
        }
    bounds = {"features": options.crop_features, "steps": options.crop_steps}
    return {"trained_for": {name: list(bound) for name, bound in bounds.items() if bound}}


def _start(init_path, features, dropout, conditional, seed):
    """The network to train: a new one, or the checkpoint's; its embedding only for the same features."""
    torch.manual_seed(seed)
    if not init_path:
        return CSDI(len(features), dropout, conditional)
    other = _trained_on(init_path, features) != features
    if other:
        logging.info("%s: trained on other features; their embedding starts anew", init_path)
    embedding = "new" if other else "stored"
    return checkpoint.load(init_path, len(features), dropout, conditional=conditional, embedding=embedding)


def _as_it_is(init_path, features, length, conditional):
    """The checkpoint's network; where it was trained on other features, with an embedding that stands for any."""
    model = checkpoint.load(init_path, conditional=conditional)
    other = _trained_on(init_path, features) != features or model.n_features != len(features)
    for name, (least, most) in weights.metadata(init_path).get("trained_for", {}).items():
        size = {"features": len(features), "steps": length}[name]
        if not least <= size <= most:
            logging.warning(
                "%s: trained for windows of %d to %d %s; of %d it does what it can", init_path, least, most, name, size
            )
    if not other:
        return model
    logging.info("%s: used without training, with an embedding that stands for any feature", init_path)
    return checkpoint.load(init_path, len(features), conditional=conditional, embedding="mean")


def _trained_on(init_path, features):
    """The features that a checkpoint names; a file that names none is taken for one of these."""
    return weights.metadata(init_path).get("features", features)


if __name__ == "__main__":
    job.run(train_csdi, cached=True)
