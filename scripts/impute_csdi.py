"""Impute the held-out entries of the test windows with a trained CSDI."""

import numpy as np

from scoredag import job, streams
from scoredag.csdi import checkpoint, imputation
from scoredag.job import logs
from scoredag.series import transforms, windows
from scoredag.store import tables


def impute_csdi(
    model_path: str,
    gaussian_path: str,
    choice_path: str | None,
    windows_path: str,
    statistics_path: str,
    samples_path: str,
    settings: dict,
    split: str,
    run: str,
    threads: int,
) -> None:
    """Write samples, in physical units, of every target of a split, or of one shard of its windows."""
    model = checkpoint.load(model_path)
    stats = tables.read(statistics_path, tables.STATISTICS)
    checkpoint.check_features(model_path, list(stats["feature"]))
    seed = streams.seed(settings["seed"], "imputation", run)
    scale, shift = (stats[name].to_numpy(np.float32)[:, None] for name in ("std", "mean"))
    sampling = imputation.options(settings["sampling"], gaussian_path, choice_path)
    n_samples = sampling["n_samples"]
    batch_size = imputation.windows_at_once(settings["device"], sampling["chunk"], n_samples)
    which = windows.share(windows.numbers(windows_path, split), batch_size, *settings.get("shard", windows.WHOLE))
    with (
        tables.writing(samples_path, tables.imputations(n_samples)) as write,
        logs.progress(f"imputing {run}", len(which), "window") as bar,
    ):
        for part, table in windows.parts(windows_path, stats, split, which, batch_size):
            numbers, values, roles = windows.to_arrays(table, stats)
            profile = windows.profile(table, len(stats))
            targets = table.loc[table["role"] == "target", ["window", "step", "feature", "value"]]
            targets = targets.rename(columns={"value": "truth"})
            for batch, samples in imputation.impute(
                model,
                numbers,
                values,
                roles == windows.OBSERVED,
                seed=seed,
                threads=threads,
                device=settings["device"],
                progress=bar,
                **sampling,
            ):
                held_out = (roles[batch] == windows.TARGET).transpose(0, 2, 1)  # by window, step, feature
                shifted = samples * scale + shift + profile[batch].astype(np.float32)
                drawn = shifted.transpose(1, 3, 2, 0)[held_out]
                drawn = transforms.inverse(drawn.T, stats, np.nonzero(held_out)[2]).T.astype(np.float32)
                first, last = np.searchsorted(targets["window"], numbers[batch][[0, -1]] + [0, 1])
                write(targets.iloc[first:last].assign(samples=list(drawn)))
                done = slice(part.start + batch.start, part.start + batch.stop)
                logs.tenths(done, len(which), "windows")


if __name__ == "__main__":
    job.run(impute_csdi, cached=True)
