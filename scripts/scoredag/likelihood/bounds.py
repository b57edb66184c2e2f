"""Both sides of the bounds on the likelihood of score-based diffusion (Song et al. 2021), by draws and by quadrature.

The data are x at time 0, the reverse SDE ends at a smallest time eps > 0, and its law there is p_theta. What is
estimated holds exactly for that law: theorem 1 and the entropy for p_eps, the law of x at eps, and for single points

    -E[log p_theta(x')] <= L(x), x' ~ p_0eps(.|x),

with the integral of L from eps to T. Densities at eps tend to those at 0 as eps does.

The integrand is written with sigma s and a standard normal z: x' = alpha x + sigma z and grad log p_0t = -z / sigma,

    g^2 |s - grad log p_0t|^2 = (g / sigma)^2 |sigma s + z|^2.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scoredag import slices, streams
from scoredag.likelihood import mixtures
from scoredag.likelihood.scores import ScoreModel
from scoredag.likelihood.sde import HORIZON, SDE

_BATCH = 1 << 16  # evaluations of the score at once
_NEGLIGIBLE_WEIGHT = 1e-8  # of a node of the noise


class Estimator(NamedTuple):
    """How `score_matching` draws; all have the same mean."""

    joint: bool = True  # one draw for both terms: |sigma s|^2 + 2 sigma s z
    signs: tuple[int, ...] = (1,)  # z is taken with each of them, and the draws are averaged
    controlled: bool = False  # the same for the standard normal's score, whose bound is known, is subtracted


ESTIMATORS = {
    "separate": Estimator(joint=False),  # |sigma s + z|^2 less E|z|^2: the second term is integrated on its own
    "paired": Estimator(),
    "antithetic": Estimator(signs=(1, -1)),  # stays bounded where it is divided by sigma^2
    "controlled": Estimator(signs=(1, -1), controlled=True),
}


class Estimate(NamedTuple):
    """Means of draws, their standard errors, and the deviations of single draws: arrays, or numbers."""

    value: np.ndarray | float
    std_error: np.ndarray | float
    deviation: np.ndarray | float


def _uniform(sde, smallest_time, shares):
    t = smallest_time + shares * (HORIZON - smallest_time)
    return t, (HORIZON - smallest_time) * sde.squared_diffusion(t) / (2 * np.square(sde.noise(t)))


def _importance(sde, smallest_time, shares):
    """A density proportional to g^2 / sigma^2 (Song et al. 2021, section 4.1): log(sigma^2 / alpha^2) is uniform."""
    lowest, highest = (sde.log_noise_to_signal(t) for t in (smallest_time, HORIZON))
    return sde.time_at(lowest + shares * (highest - lowest)), np.full(len(shares), (highest - lowest) / 2)


# (sde, eps, shares of the way (n,)) -> what `draw_times` returns
TIMES: dict[str, Callable[[SDE, float, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "uniform": _uniform,
    "importance": _importance,
}


def draw_times(
    sde: SDE, smallest_time: float, n: int, rng: np.random.Generator, times: str = "importance"
) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) in eps .. T, drawn by one of `TIMES`, and g^2 / (2 sigma^2) over their density."""
    return TIMES[times](sde, smallest_time, rng.random(n))


def score_matching(
    model: ScoreModel, sde: SDE, x: np.ndarray, t: np.ndarray, z: np.ndarray, estimator: str = "controlled"
) -> np.ndarray:
    """Draws (N,) of sigma^2 (|s - grad log p_0t|^2 - |grad log p_0t|^2) at x' = alpha x + sigma z."""
    joint, signs, controlled = ESTIMATORS[estimator]
    signal, noise = np.reshape(sde.signal(t), (-1, 1)), np.reshape(sde.noise(t), (-1, 1))
    if not joint:
        return np.square(noise * model.score(signal * x + noise * z, t) + z).sum(axis=1) - x.shape[1]
    draws = np.zeros(len(x))
    for sign in signs:
        noisy = signal * x + sign * noise * z
        scaled = noise * model.score(noisy, t)
        draws += np.square(scaled).sum(axis=1) + 2 * sign * (scaled * z).sum(axis=1)
        if controlled:
            scaled = noise * -noisy / (signal**2 + noise**2)
            draws -= np.square(scaled).sum(axis=1) + 2 * sign * (scaled * z).sum(axis=1)
    return draws / len(signs)


def evaluations(estimator: str) -> int:
    """Of the score, for a draw by one of `ESTIMATORS`."""
    return len(ESTIMATORS[estimator].signs)


def analytic_part(sde: SDE, x: np.ndarray, smallest_time: float, estimator: str = "controlled") -> np.ndarray:
    """What `pointwise` adds to the mean of the draws, (N,): prior and drift, or the bound for the standard normal.

    That bound has s = -x / (alpha^2 + sigma^2). On the clock B its integrand is (|y|^2 - 4) / 2, of which
    E|y|^2 = 2 + (|x|^2 - 2) exp(-B) over the forward process.
    """
    ends = prior_term(sde, x) - drift_term(sde, smallest_time)
    if not ESTIMATORS[estimator].controlled:
        return ends
    first, last = (sde.clock(t) for t in (smallest_time, HORIZON))
    n = x.shape[1]
    decayed = np.exp(-first) - np.exp(-last)
    return ends + ((np.square(x).sum(axis=1) - n) * decayed - n * (last - first)) / 2


def prior_term(sde: SDE, x: np.ndarray) -> np.ndarray:
    """-E[log pi(x_T)] over p_0T(.|x), (N,)."""
    alpha, sigma, variance = float(sde.signal(HORIZON)), float(sde.noise(HORIZON)), sde.prior_variance
    n = x.shape[1]
    squares = np.square(alpha * x).sum(axis=1) + n * sigma**2
    return n / 2 * np.log(2 * np.pi * variance) + squares / (2 * variance)


def drift_term(sde: SDE, smallest_time: float, n: int = 2) -> float:
    """int div f dt from eps to T: as f = a x, n times the logarithm of alpha_T / alpha_eps."""
    return n * float(np.log(sde.signal(HORIZON) / sde.signal(smallest_time)))


def pointwise(
    model: ScoreModel,
    sde: SDE,
    x: np.ndarray,
    *,
    smallest_time: float,
    n_draws: int,
    seed: int,
    estimator: str = "controlled",
    times: str = "importance",
) -> Estimate:
    """L(x), the bound on the negative log-likelihood of single points (Song et al. 2021, theorem 3).

    Args:
        model: the score, whose reverse SDE has the likelihood.
        sde: the forward SDE.
        x: points (N, 2) at time 0.
        smallest_time: eps.
        n_draws: times and noises a point; `antithetic` and `controlled` take each noise with both signs.
        seed: integer; each point has its own stream.
        estimator: one of `ESTIMATORS`.
        times: one of `TIMES`.

    Returns:
        An `Estimate` in nats, each part (N,).
    """
    means, deviations = np.empty(len(x)), np.empty(len(x))
    size = max(1, _BATCH // n_draws)
    for block in slices.covering(len(x), size):
        generators = [streams.generator(seed, "bound", point) for point in range(block.start, block.stop)]
        drawn = (draw_times(sde, smallest_time, n_draws, rng, times) for rng in generators)
        t, weight = (np.concatenate(part) for part in zip(*drawn, strict=True))
        z = np.concatenate([rng.standard_normal((n_draws, 2)) for rng in generators])
        draws = weight * score_matching(model, sde, np.repeat(x[block], n_draws, axis=0), t, z, estimator)
        draws = draws.reshape(-1, n_draws)
        means[block], deviations[block] = draws.mean(axis=1), draws.std(axis=1, ddof=1)
    return Estimate(analytic_part(sde, x, smallest_time, estimator) + means, deviations / np.sqrt(n_draws), deviations)


def quadrature(
    model: ScoreModel, sde: SDE, x: np.ndarray, *, smallest_time: float, n_times: int, n_nodes: int
) -> tuple[np.ndarray, int]:
    """L(x) of points (N, 2), as `pointwise` has it, and the number of evaluations of the score for each of them.

    Gauss & Legendre's rule over log(sigma^2 / alpha^2), with `n_times` nodes, and that of Gauss & Hermite for the
    noise, `n_nodes` along each axis. Nodes and their opposites go together; those of next to no weight are left out.
    """
    lowest, highest = (sde.log_noise_to_signal(t) for t in (smallest_time, HORIZON))
    places, shares = np.polynomial.legendre.leggauss(n_times)
    t = sde.time_at(lowest + (places + 1) / 2 * (highest - lowest))
    line, line_weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    z = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.outer(line_weights, line_weights).ravel() / line_weights.sum() ** 2
    kept = (z[:, 0] > 0) & (weights > _NEGLIGIBLE_WEIGHT) if n_nodes % 2 == 0 else weights > _NEGLIGIBLE_WEIGHT
    z, weights = z[kept], weights[kept] / weights[kept].sum()
    joint = np.outer(shares * (highest - lowest) / 4, weights).ravel()  # g^2 / (2 sigma^2) dt is half of d log
    times, noises = np.repeat(t, len(z)), np.tile(z, (n_times, 1))
    integrals = [joint @ score_matching(model, sde, np.broadcast_to(point, noises.shape), times, noises) for point in x]
    return analytic_part(sde, x, smallest_time) + np.array(integrals), 2 * len(joint)


def refined_quadrature(
    model: ScoreModel, sde: SDE, x: np.ndarray, *, smallest_time: float, n_times: int, n_nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """`quadrature`, (N,), and its distance from that of a coarser rule, which is an upper bound of its error."""
    rules = (n_times, n_nodes), (3 * n_times // 5, 2 * (n_nodes // 3))
    fine, coarse = (
        quadrature(model, sde, x, smallest_time=smallest_time, n_times=times, n_nodes=nodes)[0]
        for times, nodes in rules
    )
    return fine, np.abs(fine - coarse)


def averaged(
    model: ScoreModel, gmm: mixtures.Mixture, sde: SDE, *, smallest_time: float, n_draws: int, seed: int
) -> dict[str, Estimate]:
    """Means over x ~ p_0 for the statements about the whole law; times by importance, antithetic noise.

    Returns:
        {name: `Estimate`} in nats of
        `bound`: E[L(x)], the bound on the cross-entropy -E[log p_theta] (theorem 3, or equation 31, averaged);
        `score_matching`: J_SM(theta; g^2) = int g^2 E|grad log p_t - s|^2 dt / 2 (equation 5);
        `information`: int (2 div f + g^2 E|grad log p_t|^2) dt / 2, by which the entropy grows (theorem 4).
    """
    draws: dict[str, list[np.ndarray]] = {"bound": [], "score_matching": [], "information": []}
    truth = mixtures.spectrum(gmm)
    offset = drift_term(sde, smallest_time) + _mean_square(gmm, sde, smallest_time) / 2
    for block, first in enumerate(range(0, n_draws, _BATCH)):
        n = min(_BATCH, n_draws - first)
        rng = streams.generator(seed, "averages", block)
        x = gmm.sample(n, streams.seed(seed, "averages", "data", block))
        t, weight = draw_times(sde, smallest_time, n, rng)
        z = rng.standard_normal((n, 2))
        noise = np.reshape(sde.noise(t), (-1, 1))
        noisy = np.reshape(sde.signal(t), (-1, 1)) * x + noise * z
        exact = mixtures.evaluate(truth, noisy, sde.signal(t), sde.noise(t))[1]
        error = model.score(noisy, t) - exact
        draws["bound"].append(analytic_part(sde, x, smallest_time) + weight * score_matching(model, sde, x, t, z))
        draws["score_matching"].append(weight * np.square(noise * error).sum(axis=1))
        normal = noise * noisy / np.reshape(sde.spread(t), (-1, 1)) ** 2  # sigma times the score of the standard normal
        difference = np.square(noise * exact).sum(axis=1) - np.square(normal).sum(axis=1)
        draws["information"].append(weight * difference + offset)
    return {name: _estimate(np.concatenate(parts)) for name, parts in draws.items()}


def _mean_square(gmm, sde, smallest_time):
    """int E|y|^2 dB over the forward process from `gmm`."""
    first, last = (float(sde.clock(t)) for t in (smallest_time, HORIZON))
    squares = gmm.weights @ (np.square(gmm.means).sum(axis=1) + np.trace(gmm.covariances, axis1=1, axis2=2))
    return 2 * (last - first) + (squares - 2) * float(np.exp(-first) - np.exp(-last))


def _estimate(draws):
    deviation = float(draws.std(ddof=1))
    return Estimate(float(draws.mean()), deviation / np.sqrt(len(draws)), deviation)
