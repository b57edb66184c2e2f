"""Normal laws of many entries at once, and what they say of some entries given others.

Both classes have the same methods, and each of these leads to a law of the same class. n is the number of entries,
and everything is in float64.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular


class Gaussian(NamedTuple):
    """Mean (n,) and covariance (n, n), dense: memory n^2, time n^3."""

    mean: np.ndarray
    covariance: np.ndarray

    def variances(self) -> np.ndarray:
        """The variance of each entry, (n,)."""
        return np.diagonal(self.covariance)

    def marginal(self, chosen: np.ndarray) -> "Gaussian":
        """The law of the entries where `chosen`, boolean (n,)."""
        return Gaussian(self.mean[chosen], self.covariance[np.ix_(chosen, chosen)])

    def given(self, there: np.ndarray, values: np.ndarray) -> "Gaussian":
        """The law of the other entries, where those of `there`, boolean (n,), have these `values`, in their order."""
        rest = self.marginal(~there)
        if not there.any():
            return rest
        lower = np.linalg.cholesky(self.covariance[np.ix_(there, there)])
        across = self.covariance[np.ix_(there, ~there)]
        whitened = solve_triangular(lower, np.column_stack([across, values - self.mean[there]]), lower=True)
        across, centred = whitened[:, :-1], whitened[:, -1]
        return Gaussian(rest.mean + across.T @ centred, rest.covariance - across.T @ across)

    def noisy(self, abar: float) -> "Gaussian":
        """The law of sqrt(abar) x + sqrt(1 - abar) noise, with x of this law and standard normal noise."""
        covariance = abar * self.covariance
        covariance[np.diag_indices_from(covariance)] += 1 - abar
        return Gaussian(np.sqrt(abar) * self.mean, covariance)

    def draw(self, normals: np.ndarray) -> np.ndarray:
        """Draws (S, n) from standard normal numbers (S, n); those from -`normals` lie opposite about the mean."""
        return self.mean + normals @ np.linalg.cholesky(self.covariance).T

    def divergences(self, centre: np.ndarray, variance: float, sizes: np.ndarray) -> np.ndarray:
        """KL(N(centre, variance I) || this law), in nats, a sum of parts >= 0 by consecutive groups of entries.

        By the chain rule a group's part is the mean divergence of its own law from this law's, given the entries of
        the groups before it. Here each entry is first a group of its own: with L the Cholesky factor of the covariance,
        L^-1 (x - mean) is what an entry has that those before it do not tell, over its deviation.

        Args:
            centre: (n,).
            variance: of each entry of the law that is compared with this one.
            sizes: integers (G,) that add up to n, how many entries a group has.

        Returns:
            (G,); 0 for a group without entries.
        """
        lower = np.linalg.cholesky(self.covariance)
        inverse = solve_triangular(lower, np.eye(len(lower)), lower=True)
        squares = (inverse @ (centre - self.mean)) ** 2 + variance * (inverse**2).sum(axis=1)
        each = np.log(np.diagonal(lower)) + (squares - np.log(variance) - 1) / 2
        return _by_group(each, sizes)

    def surprises(self, x: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """-log of the density at `x` (n,), in nats, a sum of parts by consecutive groups of entries, (G,).

        By the chain rule a group's part is its own, given the entries of the groups before it; `sizes` as in
        `divergences`.
        """
        lower = np.linalg.cholesky(self.covariance)
        whitened = solve_triangular(lower, x - self.mean, lower=True)
        return _by_group(np.log(np.diagonal(lower)) + (whitened**2 + np.log(2 * np.pi)) / 2, sizes)


class LowRank(NamedTuple):
    """Mean (n,), factors (n, r) and noise (n,) > 0, for the covariance F F' + diag(noise): factor analysis.

    An entry is mean + F z + sqrt(noise) e with r standard normal numbers z that all entries share. By Woodbury's
    identity, with r x r matrices: memory n r, time n r^2, and never a matrix n x n.
    """

    mean: np.ndarray
    factors: np.ndarray
    noise: np.ndarray

    def variances(self) -> np.ndarray:
        """The variance of each entry, (n,)."""
        return (self.factors**2).sum(axis=1) + self.noise

    def marginal(self, chosen: np.ndarray) -> "LowRank":
        """The law of the entries where `chosen`, boolean (n,)."""
        return LowRank(self.mean[chosen], self.factors[chosen], self.noise[chosen])

    def given(self, there: np.ndarray, values: np.ndarray) -> "LowRank":
        """The law of the other entries, where those of `there`, boolean (n,), have these `values`, in their order.

        It has z ~ N(M^-1 F' N^-1 (x - mean), M^-1) of `there`'s entries, with M = I + F' N^-1 F and N their noise.
        """
        rest, seen = self.marginal(~there), self.marginal(there)
        weighted = seen.factors / seen.noise[:, None]
        lower = np.linalg.cholesky(np.eye(self.factors.shape[1]) + seen.factors.T @ weighted)
        z = cho_solve((lower, True), weighted.T @ (values - seen.mean))
        factors = solve_triangular(lower, rest.factors.T, lower=True).T
        return LowRank(rest.mean + rest.factors @ z, factors, rest.noise)

    def noisy(self, abar: float) -> "LowRank":
        """The law of sqrt(abar) x + sqrt(1 - abar) noise, with x of this law and standard normal noise."""
        return LowRank(np.sqrt(abar) * self.mean, np.sqrt(abar) * self.factors, abar * self.noise + 1 - abar)

    def draw(self, normals: np.ndarray) -> np.ndarray:
        """Draws (S, n) from standard normal numbers (S, n); those from -`normals` lie opposite about the mean.

        With A = N^-1/2 F the covariance is N^1/2 (I + A A') N^1/2. The symmetric root of the middle takes the n
        numbers as they are, and no r more: I + B diag(1 / (1 + sqrt(1 + s))) B', B = A V, with A' A = V diag(s) V'.
        """
        deviations = np.sqrt(self.noise)
        scaled = self.factors / deviations[:, None]
        squares, vectors = np.linalg.eigh(scaled.T @ scaled)
        turned = scaled @ vectors
        along = (normals @ turned) / (1 + np.sqrt(1 + squares.clip(min=0.0)))
        return self.mean + deviations * (normals + along @ turned.T)

    def divergences(self, centre: np.ndarray, variance: float, sizes: np.ndarray) -> np.ndarray:
        """As `Gaussian.divergences`, and equal to it where the laws are.

        N(centre, variance I) is independent between groups, so the divergence of the first g of them is that of the
        first g - 1 and the part of group g: parts are differences of closed forms, one Cholesky factor (r, r) a group.
        """
        centred, ends = centre - self.mean, np.cumsum(sizes)
        # summed over entries from the first one on: sums of F' N^-1 F, F' N^-2 F, F' N^-1 (centre - mean), and the rest
        rank = self.factors.shape[1]
        inner, outer, across, alone = np.eye(rank), np.zeros((rank, rank)), np.zeros(rank), 0.0
        totals = [0.0]
        for first, last in itertools.pairwise([0, *ends]):
            if first == last:
                totals.append(totals[-1])
                continue
            here = slice(first, last)
            weighted = self.factors[here] / self.noise[here, None]
            inner += self.factors[here].T @ weighted
            outer += weighted.T @ weighted
            across += weighted.T @ centred[here]
            relative = variance / self.noise[here]
            alone += (relative - 1 - np.log(relative) + centred[here] ** 2 / self.noise[here]).sum()
            factor = cho_factor(inner, lower=True)
            log_det = 2 * np.log(np.diagonal(factor[0])).sum()
            less = variance * np.trace(cho_solve(factor, outer)) + across @ cho_solve(factor, across)
            totals.append((alone + log_det - less) / 2)
        return np.diff(totals)

    def surprises(self, x: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """As `Gaussian.surprises`, and equal to it where the laws are: differences of closed forms, as above."""
        centred, ends = x - self.mean, np.cumsum(sizes)
        inner, across, alone = np.eye(self.factors.shape[1]), np.zeros(self.factors.shape[1]), 0.0
        totals = [0.0]
        for first, last in itertools.pairwise([0, *ends]):
            here = slice(first, last)
            weighted = self.factors[here] / self.noise[here, None]
            inner += self.factors[here].T @ weighted
            across += weighted.T @ centred[here]
            alone += (np.log(2 * np.pi * self.noise[here]) + centred[here] ** 2 / self.noise[here]).sum()
            factor = cho_factor(inner, lower=True)
            log_det = 2 * np.log(np.diagonal(factor[0])).sum()
            totals.append((alone + log_det - across @ cho_solve(factor, across)) / 2)
        return np.diff(totals)


def _by_group(values, sizes):
    """Sums (G,) of values (n,) over consecutive groups of `sizes` (G,)."""
    return np.bincount(np.repeat(np.arange(len(sizes)), sizes), values, minlength=len(sizes))


Law = Gaussian | LowRank
