# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # CSDI: a fine-tuned model, its imputations, its scores
#
# This notebook goes through the imputation of a time series by CSDI: what the model does, how its fine-tuning went,
# what it fills in, how good that is beside simpler methods, and what can be concluded. It reads the tables of a run
# and computes what is quick. The theory is in docs/how-csdi-works.md.
#
# To open it elsewhere, install the project first, in its folder: `pip install --editable .`, and start Jupyter there.

# %%
# %matplotlib inline
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from scoredag.csdi import checkpoint, diffusion
from scoredag.figures import style
from scoredag.series import windows
from scoredag.store import tables, weights

torch.set_num_threads(1)
pd.options.display.float_format = "{:.3f}".format

# %% tags=["parameters"]
RESULTS = "results"
RUNS = {"nyc-weather": "nyc-weather"}  # {run: its dataset}

# %% [markdown]
# ## The runs
#
# A run is a dataset and a model that was fine-tuned on it from a checkpoint. `base` is this project's own, trained on
# simulated series alone. `official` are the weights that the authors of CSDI published, trained on PhysioNet 2012;
# the preset `config/presets/official.yaml` fetches them and makes runs of its own. None of these has seen the dataset
# before the fine-tuning.

# %%
facts = {}
for run in RUNS:
    known = weights.metadata(f"{RESULTS}/csdi/{run}/model.safetensors")
    names = ("init", "n_steps", "kept_step", "n_windows", "window_length", "validation_loss")
    facts[run] = {name: known.get(name) for name in names} | {"features": len(known["features"])}
pd.DataFrame(facts).T

# %% [markdown]
# ## The idea, on one window
#
# A window has features and steps. What is given stays as it is; noise is added to the targets alone, and the network
# learns to predict that noise from the noisy targets, the given values and the amount of noise. Here is one feature
# of one test window: the more noise, the less is left of the targets (red), while the given values (black) stay.

# %%
run, dataset = next(iter(RUNS.items()))
folder = Path(RESULTS, "datasets", dataset)
stats = tables.read(folder / "statistics.parquet", tables.STATISTICS)
starts = tables.read(folder / "window_starts.parquet", tables.WINDOW_STARTS)
numbers, values, roles = windows.read(str(folder / "windows.parquet"), stats, "test")
patterns = starts.set_index("window")["held_out"].astype(str).loc[numbers].to_numpy()
place = int(np.argmax([(roles[i] == windows.TARGET).sum() for i in range(len(roles))]))
target = roles[place] == windows.TARGET
given = roles[place] == windows.OBSERVED
feature = int(np.argmax(target.sum(axis=1) * (given.sum(axis=1) > 0)))
print(f"window {numbers[place]}, pattern {patterns[place]}: {given.sum()} values given, {target.sum()} targets")

schedule = diffusion.quadratic_schedule()
noise = torch.randn(1, *values[place].shape, generator=torch.Generator().manual_seed(0))
figure, axes = plt.subplots(1, 4, figsize=(11, 2.6), sharey=True, layout="constrained")
hours = np.arange(values.shape[2])
for axis, step in zip(axes, (0, 10, 18, 49), strict=True):
    noisy = diffusion.add_noise(torch.from_numpy(values[place])[None], noise, torch.tensor([step]), schedule)[0].numpy()
    level = float(((1 - schedule.alpha_bar[step]) / schedule.alpha_bar[step]).sqrt())
    axis.plot(hours[target[feature]], noisy[feature][target[feature]], "D", color="#d55e00", markersize=4)
    axis.plot(hours[given[feature]], values[place][feature][given[feature]], "o", color="black", markersize=4)
    axis.set(title=f"step {step}: noise {level:.{0 if level > 10 else 2}f} x signal", xlabel="step of the window")
axes[0].set_ylabel(f"{stats['feature'].iloc[feature]}, z-score")
plt.show()

# %% [markdown]
# ## Fine-tuning
#
# The loss is the squared error of the predicted noise over values that were observed and hidden on purpose: the split
# of each window into given values and targets is drawn anew in every step. The validation loss is that of averaged
# weights, with fixed noise; the weights with the lowest one are kept. Both losses weigh noise levels alike, but the
# validation loss is of averaged weights and of the values held out there, the training loss of the weights of each step
# and of targets drawn as `training.masks` says: compare each with itself.

# %%
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for colour, run in zip(style.CYCLE, RUNS, strict=False):
    history = tables.read(f"{RESULTS}/csdi/{run}/history.parquet", tables.HISTORY)
    for split, line in (("train", ":"), ("valid", "-")):
        rows = history[history["split"].astype(str) == split]
        axis.plot(rows["step"], rows["loss"], line, color=colour, label=f"{run}, {split}")
    valid = history[history["split"].astype(str) == "valid"]["loss"]
    gain, kept = 1 - valid.min() / valid.iloc[0], weights.metadata(f"{RESULTS}/csdi/{run}/model.safetensors")
    print(f"{run}: validation loss {valid.iloc[0]:.3f} before fine-tuning, {valid.min():.3f} at best, {gain:.0%} less")
    if kept["n_steps"] and kept["kept_step"] == kept["n_steps"]:
        print(f"{run}: the best weights are those of the last step, so longer training may still help")
axis.set(xlabel="training step", ylabel="squared error of the noise", ylim=(0, None))
axis.legend()
plt.show()

# %% [markdown]
# ## One window, imputed now
#
# Samples of the window above, by ancestral sampling (`ddpm`) from pure noise in 50 steps, the paper's way, and by the
# solver in few. Each sample is a whole window; the band is that of 5 to 95 %.

# %%
run = next(iter(RUNS))
model = checkpoint.load(f"{RESULTS}/csdi/{run}/model.safetensors")
observed = torch.from_numpy(np.where(given, values[place], 0).astype(np.float32))[None]
mask = torch.from_numpy(given.astype(np.float32))[None]
time = torch.arange(values.shape[2], dtype=torch.float32)[None]
figure, axes = plt.subplots(1, 3, figsize=(11, 3), sharey=True, layout="constrained")
errors = {}
for axis, (sampler, n_steps) in zip(axes, (("ddpm", 50), ("dpm-solver++", 6), ("dpm-solver++", 2)), strict=True):
    drawn = diffusion.sample(
        model, observed, mask, time, 16, sampler=sampler, n_steps=n_steps, generator=torch.Generator().manual_seed(1)
    )[:, 0].numpy()
    lower, median, upper = np.quantile(drawn, [0.05, 0.5, 0.95], axis=0)
    errors[f"{sampler}, {n_steps} steps"] = np.abs(median - values[place])[target].mean()
    axis.fill_between(hours, lower[feature], upper[feature], color="#0072b2", alpha=0.3, linewidth=0)
    axis.plot(hours, median[feature], color="#0072b2")
    axis.plot(hours[given[feature]], values[place][feature][given[feature]], "o", color="black", markersize=4)
    axis.plot(hours[target[feature]], values[place][feature][target[feature]], "D", color="#d55e00", markersize=4)
    axis.set(title=f"{sampler}, {n_steps} steps", xlabel="step of the window")
axes[0].set_ylabel(f"{stats['feature'].iloc[feature]}, z-score")
plt.show()
pd.Series(errors, name="mean absolute error of this window").to_frame()

# %% [markdown]
# ## Scores
#
# Values of test windows were hidden under several patterns; every method sees the same rest of the window
# (`structural` the whole series). MAE and RMSE are those of the median, in z-scores; CRPS is that of the whole
# distribution, relative to the mean absolute z-score. Simpler methods, *dressed*, have the quantiles of their errors
# on validation windows for a distribution. In brackets, 95 % bootstrap intervals over stretches of windows.


# %%
def scores(run):
    """The scores over all features."""
    table = tables.read(f"{RESULTS}/csdi/{run}/metrics.parquet", tables.CSDI_METRICS)
    table = table[table["feature"].astype(str) == "all"]
    return table.astype({"method": str, "metric": str, "held_out": str})


def told(row):
    """A score with its interval."""
    return f"{row.value:.3f} [{row.lower:.3f}, {row.upper:.3f}]"


def compared(table, metric):
    """One score of each method that has it, patterns side by side, the best on average first."""
    rows = table[(table["metric"] == metric) & ~table["method"].str.contains("paper|conformal")]
    order = rows.groupby("method")["value"].mean().sort_values().index
    texts = rows.assign(text=list(map(told, rows.itertuples())))
    wide = texts.pivot(index="method", columns="held_out", values="text")
    return wide.loc[order, list(dict.fromkeys(rows["held_out"]))]


for run in RUNS:
    print(f"CRPS, {run}")
    display(compared(scores(run), "crps"))

# %%
for run in RUNS:
    for metric in ("mae", "rmse"):
        print(f"{metric.upper()}, {run}")
        display(compared(scores(run), metric))

# %% [markdown]
# ## Do the intervals hold?
#
# The share of hidden values inside an interval should be what its name says. CSDI stands for its draws as they are: a
# dash where too few independent ones are left for such an interval, as of an antithetic pair one counts. `auto` is
# the average of CSDI, ridge, joint Gaussian and structural model, corrected by validation windows.

# %%
for run in RUNS:
    table = scores(run)
    held = table[table["metric"].str.fullmatch(r"coverage_\d+") & table["method"].isin(["CSDI", "auto"])]
    wide = held.pivot(index=["method", "held_out"], columns="metric", values="value")
    print(f"share of hidden values inside the interval, {run}")
    display(wide.map(lambda share: "-" if np.isnan(share) else f"{share:.1%}"))

# %% [markdown]
# ## What can be concluded, and what not
#
# The sentences follow from the tables above.

# %%
for run in RUNS:
    table = scores(run)
    crps = table[table["metric"] == "crps"].set_index(["held_out", "method"])
    for pattern in dict.fromkeys(table["held_out"]):
        rows = crps.loc[pattern]
        rows = rows[~rows.index.str.contains("paper|conformal")]
        others = rows.drop(index=["CSDI", "auto"], errors="ignore")
        best, own = others["value"].idxmin(), rows.loc["CSDI"]
        apart = own["upper"] < others.loc[best, "lower"] or own["lower"] > others.loc[best, "upper"]
        word = "lower" if own["value"] < others.loc[best, "value"] else "higher"
        sure = "their intervals do not overlap" if apart else "their intervals overlap"
        few = ", of few hidden values" if own["n_targets"] < 500 else ""
        share = abs(1 - own["value"] / others.loc[best, "value"])
        print(f"{run}, {pattern}: CSDI's CRPS is {share:.0%} {word} than of {best}, the best simpler one; {sure}{few}.")

# %% [markdown]
# - Intervals that overlap do not show that two methods are equal, as both are scored on the same windows; they warn
#   of a difference that other weeks could turn.
# - It is one dataset, and one training of each run: other seeds move the scores in the third digit
#   (docs/experiments.md), other series much more (docs/zoo.md).
# - Hidden values were hidden by chance. Values that are missing because they are high or low are worse than any of
#   this (docs/held-out-patterns.md).
#
# ## Questions
#
# <details><summary>Why is CSDI's CRPS below its MAE over the mean |z|, and a single value's equal to it?</summary>
#
# For a single value the CRPS is its absolute error. A distribution that spreads where it is unsure pays a little
# where the median was right, and saves more where it was wrong.
# </details>
#
# <details><summary>Why may few solver steps have a low error of the median and still be worse?</summary>
#
# They tend to draw averages, so that the spread of the samples is wrong: look at the bands above. One window tells
# little; the number of steps was chosen on validation windows (docs/experiments.md). By default this project takes
# four steps from a draw of the joint Gaussian of a window, not from noise, so no panel above is what the scores are
# of.
# </details>
#
# <details><summary>Fine-tuned from the official weights or from the base: which is better?</summary>
#
# Run `snakemake --cores 8` and then the same with `--configfile config/presets/official.yaml`, which leaves the first
# run on disk. Write `RUNS = {"nyc-weather": "nyc-weather", "nyc-weather-official": "nyc-weather"}` into this notebook,
# run it again, and compare by CRPS with intervals. Three trainings of each, of 0 to 2,000 steps, are in docs/csdi.md.
# </details>
