"""Muon in float32. PyTorch's is in bfloat16, and takes most of a training where a CPU has no instructions for it."""

import math
from collections.abc import Iterable

import torch

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of the iteration (Jordan et al. 2024)
N_ITERATIONS = 5
LEAST = 1e-7  # norm of an update
RMS = 0.2  # of Adam's updates, to which these are scaled (Liu et al. 2025)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al. 2024): each update of a matrix has singular values near 1.

    Nesterov's momentum and decoupled weight decay, as in `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`.
    """

    def __init__(self, matrices: Iterable[torch.Tensor], lr: float, weight_decay: float) -> None:
        """Of matrices (a, b), each with a gradient at every step."""
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices, those of one shape together."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                updates = orthogonal(torch.stack([self._momentum(matrix) for matrix in matrices]))
                rate = RMS * math.sqrt(max(shape)) * group["lr"]
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=rate)

    def _momentum(self, matrix):
        """The gradient, and the mean of all so far, as Nesterov weighs them."""
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix.grad)
        mean = state["momentum_buffer"].lerp_(matrix.grad, 1 - MOMENTUM)
        return matrix.grad.lerp(mean, MOMENTUM)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (n, a, b) with their singular values brought near 1, by Newton-Schulz iterations of the fifth order."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    result = matrices.mT if is_tall else matrices
    result = result / result.norm(dim=(1, 2), keepdim=True).clamp(min=LEAST)
    linear, cubic, quintic = COEFFICIENTS
    for _ in range(N_ITERATIONS):
        gram = result @ result.mT
        factor = torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic)
        result = torch.baddbmm(result, factor, result, beta=linear)
    return result.mT if is_tall else result
