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
# # Does training the score train the likelihood?
#
# A diffusion model is trained by regression on noise. Song, Durkan, Murray and Ermon (2021) showed that with the
# right weighting the loss bounds the negative log-likelihood from above. On a mixture of Gaussians and on one
# Gaussian both sides can be computed. Here they are, from the tables of a run and, for one Gaussian, in closed form.
# Proofs: docs/likelihood-bound.md.
#
# To open it elsewhere, install the project first, in its folder: `pip install --editable .`, and start Jupyter there.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scoredag.figures import style
from scoredag.likelihood import gaussian
from scoredag.likelihood.sde import HORIZON, variance_preserving
from scoredag.store import tables

pd.options.display.float_format = "{:.4f}".format

# %% tags=["parameters"]
RESULTS = "results"

# %% [markdown]
# ## Both sides, model by model
#
# Statement 1: the divergence of the data from the model (left) is at most the weighted loss plus the divergence at
# the end of the forward process (right). Statement 3: the same for the expected negative log-likelihood. `slack` is
# what lies between.

# %%
summary = tables.read(f"{RESULTS}/likelihood/summary.parquet", tables.STATEMENTS)
summary = summary[summary["statement"].astype(str).isin(["1", "3"])]
summary.set_index(["statement", "score_model"])

# %% [markdown]
# ## Point by point
#
# Statement 4 bounds the negative log-likelihood of each single point. How far is the bound above it?

# %%
points = tables.read(f"{RESULTS}/likelihood/bounds.parquet", tables.BOUNDS).astype({"score_model": str})
points["gap"] = points["bound"] - points["nll"]
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
axis.axhline(0, color="0.6", linewidth=1)
for colour, (name, rows) in zip(style.CYCLE, points.groupby("score_model", sort=False), strict=False):
    axis.plot(rows["nll"], rows["gap"], ".", color=colour, label=name)
axis.set(xlabel="negative log-likelihood (nats)", ylabel="bound less likelihood (nats)")
figure.legend(loc="outside right upper")
plt.show()
points.groupby("score_model", sort=False)["gap"].describe()[["mean", "std", "min", "max"]]

# %% [markdown]
# ## One Gaussian, in closed form
#
# Let the score be wrong by a factor. The divergence grows with the square of the error, and the bound with it, but
# not as one curve: between them lies what the score has that no density has. A score that is the exact score of
# another Gaussian (wider, say) has a tight bound, however wrong it is. Change the covariance, or the errors, and run
# the cell again.

# %%
sde = variance_preserving()
mean, covariance, smallest = np.zeros(2), np.diag([1.5, 0.5]), 1e-5
first = gaussian.marginal(mean, covariance, sde, smallest)
last = gaussian.marginal(mean, covariance, sde, HORIZON)
prior = gaussian.divergence(*last, np.zeros(2), sde.prior_variance * np.eye(2))


def both_sides(model):
    """Divergence, bound."""
    divergence = gaussian.divergence(*first, *gaussian.reverse_law(model, sde, smallest))
    return divergence, gaussian.score_matching(mean, covariance, model, sde, smallest) + prior


factors = np.linspace(0.6, 1.4, 9)
scaled = np.array([both_sides(gaussian.affine(mean, covariance, sde, scale=factor)) for factor in factors])
widths = np.linspace(0.6, 1.6, 9)
widened = np.array([both_sides(gaussian.affine(mean, width * covariance, sde)) for width in widths])
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for axis, x, values, label in (
    (axes[0], factors, scaled, "factor of the score: no density's score"),
    (axes[1], widths, widened, "factor of the covariance: another density's score"),
):
    axis.plot(x, values[:, 1], "s-", color="#d55e00", label="bound")
    axis.plot(x, values[:, 0], "o-", color="#0072b2", label="divergence")
    axis.set(xlabel=label, ylabel="nats", ylim=(0, None))
    axis.legend()
plt.show()

# %% [markdown]
# ## Questions
#
# <details><summary>A model has a lower bound than another. Is its likelihood better?</summary>
#
# Not always. In the left figure the bound is several times the divergence, in the right one it is equal to it: a
# widened score can have the higher divergence and the lower bound.
# </details>
#
# <details><summary>What is bounded, the likelihood of the reverse SDE or of the probability flow?</summary>
#
# That of the reverse SDE. With a score that is not exact the two have different laws, and the flow may be above the
# bound.
# </details>
#
# <details><summary>Why is the usual weighting, the variance of the noise, no training for likelihood?</summary>
#
# It has the same minimiser where the network can be exact at all times. Where it cannot, it trades errors at small
# times, to which the likelihood is most sensitive, for errors at large ones.
# </details>
