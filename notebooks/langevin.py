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
# # Langevin dynamics on a Gaussian mixture
#
# The score of a density is the gradient of its logarithm. Langevin dynamics follows it uphill and adds noise, x + τ
# s(x) + √(2 τ) ζ. This notebook asks what the noise does, what the step size τ does, and what another covariance of
# the noise samples. It reads the tables of a run and moves some particles itself. Theory: docs/langevin.md.
#
# To open it elsewhere, install the project first, in its folder: `pip install --editable .`, and start Jupyter there.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scoredag.figures import style
from scoredag.gmm import langevin, mixture
from scoredag.store import tables

pd.options.display.float_format = "{:.2f}".format

# %% tags=["parameters"]
RESULTS = "results"
VARIANTS = {"a": "no noise", "b": "noise N(0, I)", "c": "large step", "d": "other covariance"}

# %% [markdown]
# ## The mixture and its score
#
# The score is exact here: it is that of a mixture of Gaussians in closed form. Arrows show it, longer where the
# density falls off faster.

# %%
gmm = mixture.from_table(tables.read(f"{RESULTS}/gmm/parameters.parquet", tables.GMM))
exact = tables.read(f"{RESULTS}/gmm/exact.parquet", tables.POINTS)[["x", "y"]].to_numpy()
low, high = exact.min(axis=0) - 2, exact.max(axis=0) + 2
grid = np.stack(np.meshgrid(np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120)), axis=-1)
log_density = gmm.log_density(grid.reshape(-1, 2)).reshape(grid.shape[:2])
peak = log_density.max()


def draw(axis, title):
    """Contours of the mixture's density."""
    axis.contour(
        grid[..., 0],
        grid[..., 1],
        log_density,
        levels=peak - np.array([6, 4, 2, 0.7]),
        colors="0.7",
        linewidths=0.8,
        linestyles="solid",
    )
    axis.set(title=title, xlabel="x", ylabel="y", aspect="equal", xlim=(low[0], high[0]), ylim=(low[1], high[1]))


figure, axis = plt.subplots(figsize=(5.5, 5), layout="constrained")
draw(axis, f"{gmm.n_components} components")
sparse = grid[4::8, 4::8].reshape(-1, 2)
score = gmm.score(sparse)
length = np.linalg.norm(score, axis=1, keepdims=True)
axis.quiver(*sparse.T, *(score / length * np.sqrt(length)).T, color="#0072b2", width=0.003)
plt.show()

# %% [markdown]
# ## The variants of the run
#
# Sliced W2 and energy distance say how far the last particles are from exact samples; the row `exact` is that of two
# exact samples, the noise floor. A variant with noise that samples the mixture is near it.

# %%
metrics = tables.read(f"{RESULTS}/langevin/metrics.parquet", tables.LANGEVIN_METRICS).astype(
    {"variant": str, "metric": str}
)
wide = metrics.pivot(index="variant", columns="metric", values="value")
rows = ["exact", *VARIANTS]
names = ["sliced_wasserstein2", "energy_distance", "mean_log_density", "occupancy_total_variation"]
wide.loc[rows, names]

# %% [markdown]
# ## What the noise does
#
# The same 300 particles from N(0, I), 3,000 steps of τ = 0.1, without noise and with it. Without noise each particle
# climbs to the mode above it and stays: it is an optimiser. With noise, particles keep moving, and where they are is
# distributed as the density says.


# %%
def moved(step_size, covariance, n_steps=300):
    """Positions (300, 2) at the last step."""
    particles = langevin.simulate(
        gmm, n_particles=300, n_steps=n_steps, step_size=step_size, noise_covariance=covariance, seed=0
    )
    return particles[["x", "y"]].to_numpy()


UNIT = [[1, 0], [0, 1]]
figure, axes = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
for axis, covariance, title in zip(axes, (None, UNIT), ("no noise", "noise N(0, I)"), strict=True):
    ends = moved(0.1, covariance, n_steps=3000)
    draw(axis, f"{title}: {len(np.unique(ends.round(1), axis=0))} different places")
    axis.plot(*ends.T, ".", color="#d55e00", markersize=4)
plt.show()

# %% [markdown]
# ## What the step size does
#
# Each step goes straight along the score at its beginning. A small step hardly errs, but takes many to get anywhere;
# a large one misses. The mean log-density of the particles shows it: too large steps leave particles where the
# density is low. Move τ here and run the cell again.

# %%
truth = gmm.log_density(exact).mean()
found = {}
for step_size in (0.02, 0.1, 0.3, 0.6, 1.0):
    ends = moved(step_size, UNIT, n_steps=round(30 / step_size))
    found[step_size] = gmm.log_density(ends).mean() - truth
figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.axhline(0, color="0.6")
axis.plot(list(found), list(found.values()), "o-", color="#0072b2")
axis.set(xscale="log", xlabel="step size τ", ylabel="mean log-density\nless that of exact samples (nats)")
style.plain_numbers(axis.xaxis)
plt.show()

# %% [markdown]
# ## What another covariance samples
#
# Noise of variance 2 in x and 0.2 in y: hotter along x, colder along y. It is no temperature of the mixture, and not
# the mixture. For one Gaussian with variance v along an axis, noise of variance c there and a step τ the particles
# end with variance c v / (1 - τ / (2 v)): this is checked on one component.

# %%
one = mixture.GaussianMixture([1.0], [[0.0, 0.0]], [np.diag([1.5, 0.8])])
particles = langevin.simulate(
    one, n_particles=20_000, n_steps=200, step_size=0.1, noise_covariance=[[2, 0], [0, 0.2]], seed=0
)
variances = particles[["x", "y"]].var().to_numpy()
v, c = np.array([1.5, 0.8]), np.array([2, 0.2])
pd.DataFrame(
    {"variance of the Gaussian": v, "of the particles": variances, "by theory": c * v / (1 - 0.1 / (2 * v))}, ["x", "y"]
)

# %% [markdown]
# ## Questions
#
# <details><summary>All particles without noise end in few places. Is the score wrong elsewhere?</summary>
#
# No, it is exact everywhere. A gradient flow keeps nothing but the modes; the density around them is lost with the
# noise.
# </details>
#
# <details><summary>Would the bias at a large step go away with more steps?</summary>
#
# No. The particles have reached the law that this step size has; it is another one than the mixture. An acceptance
# step (kernel `mala`) or smaller steps are needed.
# </details>
#
# <details><summary>How can noise of another covariance sample the mixture all the same?</summary>
#
# The drift has to have it, too: x + τ M s(x) + √(2 τ) ζ with ζ ~ N(0, M), the kernel `overdamped` with
# `preconditioner`.
# </details>
