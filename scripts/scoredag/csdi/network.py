"""The CSDI network (Tashiro et al., NeurIPS 2021, section 4 and appendix D).

Shapes: B windows, S samples, K features, L steps, C channels. Inside, tokens are laid out as
(K, N, L, C) with N = B or S * B: attention over time and over features then both read them
without a copy. Parameters carry the names of the official checkpoint, so that it loads as is.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from scoredag.csdi import layers
from scoredag.csdi.layers import CHANNELS, HEADS

TIME_CHANNELS = 128
FEATURE_CHANNELS = 16
STEP_CHANNELS = 128
LAYERS = 4


class Conditions(NamedTuple):
    """All that a window tells the network besides the noisy target; constant over steps."""

    observation: torch.Tensor  # (K, B, L, C): the observed half of the input projection
    unknown: torch.Tensor  # (K, B, L, 1): 1 where the noisy target is read
    side: tuple[torch.Tensor, ...]  # LAYERS times (K, B, L, 2 C): projected side information


class CSDI(nn.Module):
    """Predicts the noise in the unknown entries of windows of K features and any length.

    Args:
        n_features: K, the rows of the feature embedding.
        conditional: whether the network is told the observations. If not, it sees only noise and
            noisy values, and no mask (CSDI, appendix C); `diffusion.sample` then lets
            the observations in through the noisy values.
        dropout: probability in the transformer layers while training; on a CPU in float32 its
            masks depend on the `seed` of a call alone, elsewhere on PyTorch's global generator.
    """

    def __init__(self, n_features: int, dropout: float = 0.1, conditional: bool = True):
        super().__init__()
        self.conditional = conditional
        self.embed_layer = nn.Embedding(n_features, FEATURE_CHANNELS)
        self.diffmodel = _Denoiser(dropout, conditional)

    @property
    def n_features(self) -> int:
        """K, the number of features."""
        return self.embed_layer.num_embeddings

    def condition(
        self,
        observed: torch.Tensor,
        cond_mask: torch.Tensor,
        time_points: torch.Tensor,
        features: torch.Tensor | None = None,
    ) -> Conditions:
        """What is constant over diffusion steps and samples.

        Args:
            observed: values (B, K, L), z-scores; read where `cond_mask` is 1.
            cond_mask: conditional mask (B, K, L), 1 = given to the network.
            time_points: (B, L), in steps; need not be regular.
            features: (K,), the features' rows of the embedding; None is all, in order.
        """
        mask = cond_mask.to(observed.dtype).movedim(1, 0).unsqueeze(-1)
        time = sinusoids(time_points, TIME_CHANNELS).to(observed.dtype)
        feature = self.embed_layer.weight if features is None else self.embed_layer(features)
        net = self.diffmodel
        if self.conditional:
            given = torch.where(mask > 0, observed.movedim(1, 0).unsqueeze(-1), 0.0)
            observation = F.linear(given, net.input_projection.weight[:, :1, 0], net.input_projection.bias)
            unknown = 1 - mask
        else:
            observation = net.input_projection.bias.expand(*mask.shape[:3], CHANNELS)
            unknown = torch.ones_like(mask)
        side = tuple(_project_side(layer, time, feature, mask) for layer in net.residual_layers)
        return Conditions(observation, unknown, side)

    def denoise(
        self, conditions: Conditions, noisy: torch.Tensor, step: int | torch.Tensor, seed: int = 0
    ) -> torch.Tensor:
        """The predicted noise (S, B, K, L) in `noisy` (S, B, K, L) at diffusion step `step`.

        `step` is an integer, or a tensor (B,), in 0 .. 49; `conditions` are shared by all S
        samples; `seed` is dropout's.
        """
        return self.diffmodel(conditions, noisy, step, seed)

    def predict_noise(
        self,
        noisy: torch.Tensor,
        observed: torch.Tensor,
        cond_mask: torch.Tensor,
        time_points: torch.Tensor,
        step: int | torch.Tensor,
        features: torch.Tensor | None = None,
        seed: int = 0,
    ) -> torch.Tensor:
        """The predicted noise (B, K, L); `noisy`, `observed` and `cond_mask` (B, K, L), `time_points` (B, L).

        `features` as in `condition`, `step` and `seed` as in `denoise`.
        """
        conditions = self.condition(observed, cond_mask, time_points, features)
        return self.denoise(conditions, noisy.unsqueeze(0), step, seed).squeeze(0)

    forward = predict_noise


class _Denoiser(nn.Module):
    """Input projection, residual layers, skip sum and output head."""

    def __init__(self, dropout, conditional):
        super().__init__()
        self.dropout = dropout
        self.diffusion_embedding = _StepEmbedding()
        self.input_projection = _pointwise(2 if conditional else 1, CHANNELS)
        self.output_projection1 = _pointwise(CHANNELS, CHANNELS)
        self.output_projection2 = _pointwise(CHANNELS, 1)
        nn.init.zeros_(self.output_projection2.weight)
        self.residual_layers = nn.ModuleList(_ResidualLayer(conditional) for _ in range(LAYERS))

    def forward(self, conditions, noisy, step, seed):
        n_samples, n_windows, n_features, length = noisy.shape
        noisy = noisy.permute(2, 0, 1, 3).contiguous().unsqueeze(-1)
        of_noisy = self.input_projection.weight[:, -1, 0]
        x = noisy * conditions.unknown.unsqueeze(1) * of_noisy + conditions.observation.unsqueeze(1)
        x = F.relu(x).view(n_features, n_samples * n_windows, length, CHANNELS)
        step = torch.as_tensor(step, device=noisy.device).reshape(-1)
        embedding = self.diffusion_embedding(step)  # (1 or B, STEP_CHANNELS)
        dropout = _Seeds(self.dropout if self.training else 0.0, seed)
        skips = 0
        for layer, side in zip(self.residual_layers, conditions.side, strict=True):
            x, skip = layer(x, side, embedding, dropout)
            skips = skips + skip
        x = F.relu(_apply(self.output_projection1, skips / math.sqrt(LAYERS)))
        x = _apply(self.output_projection2, x)
        return x.view(n_features, n_samples, n_windows, length).permute(1, 2, 0, 3)


class _ResidualLayer(nn.Module):
    """Attention over time, attention over features, gated by the side information."""

    def __init__(self, conditional):
        super().__init__()
        self.diffusion_projection = nn.Linear(STEP_CHANNELS, CHANNELS)
        self.cond_projection = _pointwise(TIME_CHANNELS + FEATURE_CHANNELS + conditional, 2 * CHANNELS)
        self.mid_projection = _pointwise(CHANNELS, 2 * CHANNELS)
        self.output_projection = _pointwise(CHANNELS, 2 * CHANNELS)
        self.time_layer = _transformer()
        self.feature_layer = _transformer()

    def forward(self, x, side, embedding, dropout):
        n_features, n, length, _ = x.shape
        n_windows = side.shape[1]
        step = self.diffusion_projection(embedding)  # (1 or B, C)
        y = x.view(n_features, -1, n_windows, length, CHANNELS) + step[:, None]
        y = y.view(n_features * n, length, CHANNELS)
        if length > 1:
            y = _encode(self.time_layer, y, 1, dropout)
        y = y.view(n_features, n * length, CHANNELS)
        if n_features > 1:
            y = _encode(self.feature_layer, y, 0, dropout)
        y = _gate(
            _linear(y, self.mid_projection.weight[:, :, 0]).view(n_features, -1, n_windows * length, 2 * CHANNELS),
            side.reshape(n_features, 1, n_windows * length, 2 * CHANNELS),
        )
        residual, skip = _apply(self.output_projection, y).view(n_features, n, length, -1).chunk(2, dim=-1)
        return (x + residual) / math.sqrt(2), skip


def _project_side(layer, time, feature, mask):
    """(K, B, L, 2 C): the 1x1 convolution splits into parts for time, feature and mask.

    The bias of the middle projection, which the side information is added to, is in it, too.
    """
    weight = layer.cond_projection.weight[:, :, 0]
    of_time, of_feature, of_mask = weight.tensor_split([TIME_CHANNELS, TIME_CHANNELS + FEATURE_CHANNELS], dim=1)
    by_time = F.linear(time, of_time, layer.cond_projection.bias + layer.mid_projection.bias)  # (B, L, 2 C)
    by_feature = F.linear(feature, of_feature)[:, None, None]  # (K, 1, 1, 2 C)
    side = by_time + by_feature
    return side + mask * of_mask[:, 0] if of_mask.shape[1] else side


class _StepEmbedding(nn.Module):
    """Diffusion steps (B,) to (B, STEP_CHANNELS): sinusoids, then two linear layers with SiLU."""

    def __init__(self):
        super().__init__()
        self.projection1 = nn.Linear(STEP_CHANNELS, STEP_CHANNELS)
        self.projection2 = nn.Linear(STEP_CHANNELS, STEP_CHANNELS)

    def forward(self, step):
        half = STEP_CHANNELS // 2
        frequencies = 10 ** (torch.arange(half, device=step.device) * 4 / (half - 1))
        # in float32, as the official weights were trained: the largest angle, 490 000, is coarse there
        angles = step[:, None].to(torch.float32) * frequencies
        embedding = torch.cat([angles.sin(), angles.cos()], dim=-1).to(self.projection1.weight.dtype)
        return F.silu(self.projection2(F.silu(self.projection1(embedding))))


def sinusoids(positions: torch.Tensor, channels: int) -> torch.Tensor:
    """(..., channels): sine on even, cosine on odd channels, periods 2 pi 10000^(2 i / channels)."""
    exponents = torch.arange(0, channels, 2, device=positions.device) / channels
    angles = positions.unsqueeze(-1) / 10000.0**exponents
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def _pointwise(n_in, n_out):
    """A 1x1 convolution; only its parameters are used (see `_apply`)."""
    layer = nn.Conv1d(n_in, n_out, 1)
    nn.init.kaiming_normal_(layer.weight)
    return layer


def _apply(convolution, x):
    """A 1x1 convolution over the last axis, which is a linear layer."""
    return _linear(x, convolution.weight[:, :, 0], convolution.bias)


def _transformer():
    """One post-norm encoder layer; only its parameters are used (see `_encode`)."""
    layer = nn.TransformerEncoderLayer(CHANNELS, HEADS, CHANNELS, activation="gelu")
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)


class _Seeds:
    """Dropout while training: its rate, and a fresh seed for each use."""

    def __init__(self, rate, seed):
        self.rate = rate
        self._seed = seed

    def next(self):
        self._seed = (self._seed + 0x9E3779B9) % 2**32  # a golden ratio: far from all earlier ones
        return self.rate, self._seed


def _compiled(x):
    """Whether the CPU kernels can work on `x`."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def _linear(x, weight, bias=None):
    """`x` (..., n) times the transpose of `weight` (m, n), plus `bias` (m,)."""
    return layers.linear(x, weight, bias) if _compiled(x) else F.linear(x, weight, bias)


def _encode(encoder, x, sequence_axis, dropout):
    """Post-norm encoder layer on `x` (N, T, C) or, with `sequence_axis=0`, (T, N, C)."""
    layer = encoder.layers[0]
    mixed, bias = _attend(layer.self_attn, x, sequence_axis, dropout)
    x = _add_and_norm(layer.norm1, x, mixed, bias, dropout)
    hidden = _gelu(_linear(x, layer.linear1.weight), layer.linear1.bias, dropout)
    return _add_and_norm(layer.norm2, x, _linear(hidden, layer.linear2.weight), layer.linear2.bias, dropout)


def _attend(attention, x, sequence_axis, dropout):
    """Self-attention in eight heads, shapes as in `_encode`: the output, and the bias to add to it."""
    weight, bias, out_weight = attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight
    if _compiled(x):
        # the kernels' order of channels, (width, head)
        weight = weight.view(3, HEADS, -1, CHANNELS).transpose(1, 2).reshape(weight.shape)
        bias = bias.view(3, HEADS, -1).transpose(1, 2).reshape(bias.shape)
        out_weight = out_weight.view(CHANNELS, HEADS, -1).transpose(1, 2).reshape(out_weight.shape)
        mixed = layers.attention(_linear(x, weight), bias, sequence_axis, *dropout.next())
    else:
        qkv = _linear(x, weight, bias).view(*x.shape[:2], 3, HEADS, CHANNELS // HEADS)
        # to (3, N, heads, T, C / heads), whichever axis the sequence is on
        query, key, value = qkv.permute(2, 1 - sequence_axis, 3, sequence_axis, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout.rate)
        mixed = mixed.permute((0, 2, 1, 3) if sequence_axis == 1 else (2, 0, 1, 3)).reshape(x.shape)
    return _linear(mixed, out_weight), attention.out_proj.bias


def _add_and_norm(norm, x, y, bias, dropout):
    """Layer norm of x + dropout(y + bias)."""
    if _compiled(x):
        return layers.add_and_norm(x, y, bias, norm.weight, norm.bias, *dropout.next())
    return norm(x + F.dropout(y + bias, dropout.rate))


def _gelu(x, bias, dropout):
    """Dropout of the GELU of x + bias."""
    return layers.gelu(x, bias, *dropout.next()) if _compiled(x) else F.dropout(F.gelu(x + bias), dropout.rate)


def _gate(z, side):
    """sigmoid(a) tanh(b), where z + side = (a, b)."""
    if _compiled(z):
        return layers.gate(z, side)
    a, b = (z + side).chunk(2, dim=-1)
    return torch.sigmoid(a) * torch.tanh(b)
