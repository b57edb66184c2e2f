"""How CSDI is trained: the config's keys under `training`, but for `dropout`, which is the network's."""

from collections.abc import Sequence
from typing import NamedTuple


class Settings(NamedTuple):
    """Names and defaults are the schema's (config/schema.yaml), which says more of each."""

    n_steps: int = 1300  # 0 only validates
    batch_size: int = 8
    masks: Sequence[str] = ("random", "blocks")  # of `masks.MASKS`
    crop_features: Sequence[int] | None = None  # fewest and most features of a batch, chosen at random
    crop_steps: Sequence[int] | None = None  # shortest and longest crop of the windows of a batch
    optimizer: str = "muon"  # one of `optimizers.OPTIMIZERS`
    trainable: str = "all"  # one of `optimizers.TRAINABLE`; the rest is frozen
    learning_rate: float = 0.005
    embedding_rate: float | None = None  # of the feature embedding, in learning rates; None takes the optimizer's
    warm_up: int = 30  # steps
    decay: str = "cosine"  # one of `optimizers.DECAYS`
    weight_decay: float | None = None  # None takes the optimizer's
    gradient_clip: float = 1.0  # largest norm of the gradient
    step_power: float = 1.5  # the others are (top_step + 1) u^step_power, u uniform; 1 is the paper's
    top_step: int = 22  # the noisiest diffusion step that is trained often
    share_above: float = 0.05  # of the training windows whose steps are noisier, all as often
    average_decay: float = 0.98  # of the exponential moving average of the weights
    validate_every: int = 100  # steps
    patience: int | None = None  # validations without a better one after which training stops
    save_every: int = 50  # steps
    validation_draws: int = 2  # diffusion steps at which each validation window is scored
    threads: int = 2
