"""The likelihood of the probability flow ODE (Song et al. 2021, score SDE, section 4.3)."""

import numpy as np
from scipy.integrate import solve_ivp

from scoredag.likelihood.scores import ScoreModel
from scoredag.likelihood.sde import HORIZON, SDE

_TOLERANCE = 1e-6


def log_likelihood(model: ScoreModel, sde: SDE, x: np.ndarray, smallest_time: float) -> np.ndarray:
    """log p_ODE(x) (N,) of points (N, 2) at the smallest time, for dx/dt = f - g^2 s / 2 from the prior at T.

    By the instantaneous change of variables (Chen et al. 2018), on the clock of `sde`, with an error of about 1e-5.
    Equal to the law of the reverse SDE only where s is the score of the forward process.
    """
    n = len(x)
    spread = float(sde.spread(smallest_time))

    def slopes(clock, state):
        t = sde.time_on(clock)
        scale = float(sde.spread(t))
        y = state[: 2 * n].reshape(n, 2)
        velocity = -(y + scale * model.score(scale * y, t)) / 2
        growth = -1 - scale**2 * model.divergence(scale * y, t) / 2
        return np.concatenate([velocity.ravel(), growth])

    start = np.concatenate([(x / spread).ravel(), np.zeros(n)])
    ends = [float(sde.clock(t)) for t in (smallest_time, HORIZON)]
    path = solve_ivp(slopes, ends, start, method="DOP853", rtol=_TOLERANCE, atol=_TOLERANCE, first_step=1e-4).y
    last, growth = path[: 2 * n, -1].reshape(n, 2), path[2 * n :, -1]
    return sde.log_prior(last) + growth - 2 * np.log(spread)
