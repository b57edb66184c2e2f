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

TIME_CHANNELS = 128
FEATURE_CHANNELS = 16
STEP_CHANNELS = 128
CHANNELS = 64
HEADS = 8
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
        dropout: probability in the transformer layers while training.
    """

    def __init__(self, n_features, dropout=0.1):
        super().__init__()
        self.embed_layer = nn.Embedding(n_features, FEATURE_CHANNELS)
        self.diffmodel = _Denoiser(dropout)

    @property
    def n_features(self):
        """K, the number of features."""
        return self.embed_layer.num_embeddings

    def condition(self, observed, cond_mask, time_points):
        """What is constant over diffusion steps and samples.

        Args:
            observed: values (B, K, L), z-scores; read where `cond_mask` is 1.
            cond_mask: conditional mask (B, K, L), 1 = given to the network.
            time_points: (B, L), in steps; need not be regular.
        """
        mask = cond_mask.to(observed.dtype).movedim(1, 0).unsqueeze(-1)
        given = torch.where(mask > 0, observed.movedim(1, 0).unsqueeze(-1), 0.0)
        time = sinusoids(time_points, TIME_CHANNELS)
        feature = self.embed_layer.weight
        net = self.diffmodel
        return Conditions(
            observation=F.linear(given, net.input_projection.weight[:, :1, 0], net.input_projection.bias),
            unknown=1 - mask,
            side=tuple(layer.project_side(time, feature, mask) for layer in net.residual_layers),
        )

    def denoise(self, conditions, noisy, step):
        """The predicted noise (S, B, K, L) in `noisy` (S, B, K, L) at diffusion step `step`.

        `step` is an integer, or a tensor (B,), in 0 .. 49; `conditions` are shared by all S samples.
        """
        return self.diffmodel(conditions, noisy, step)

    def predict_noise(self, noisy, observed, cond_mask, time_points, step):
        """The predicted noise (B, K, L); `noisy`, `observed` and `cond_mask` (B, K, L), `time_points` (B, L)."""
        conditions = self.condition(observed, cond_mask, time_points)
        return self.denoise(conditions, noisy.unsqueeze(0), step).squeeze(0)

    forward = predict_noise


class _Denoiser(nn.Module):
    """Input projection, residual layers, skip sum and output head."""

    def __init__(self, dropout):
        super().__init__()
        self.diffusion_embedding = _StepEmbedding()
        self.input_projection = _pointwise(2, CHANNELS)
        self.output_projection1 = _pointwise(CHANNELS, CHANNELS)
        self.output_projection2 = _pointwise(CHANNELS, 1)
        nn.init.zeros_(self.output_projection2.weight)
        self.residual_layers = nn.ModuleList(_ResidualLayer(dropout) for _ in range(LAYERS))

    def forward(self, conditions, noisy, step):
        n_samples, n_windows, n_features, length = noisy.shape
        noisy = noisy.permute(2, 0, 1, 3).contiguous().unsqueeze(-1)
        x = noisy * conditions.unknown.unsqueeze(1) * self.input_projection.weight[
            :, 1, 0
        ] + conditions.observation.unsqueeze(1)
        x = F.relu(x).view(n_features, n_samples * n_windows, length, CHANNELS)
        step = torch.as_tensor(step, device=noisy.device).reshape(-1)
        embedding = self.diffusion_embedding(step)  # (1 or B, STEP_CHANNELS)
        skips = 0
        for layer, side in zip(self.residual_layers, conditions.side, strict=True):
            x, skip = layer(x, side, embedding)
            skips = skips + skip
        x = F.relu(_apply(self.output_projection1, skips / math.sqrt(LAYERS)))
        x = _apply(self.output_projection2, x)
        return x.view(n_features, n_samples, n_windows, length).permute(1, 2, 0, 3)


class _ResidualLayer(nn.Module):
    """Attention over time, attention over features, gated by the side information."""

    def __init__(self, dropout):
        super().__init__()
        self.diffusion_projection = nn.Linear(STEP_CHANNELS, CHANNELS)
        self.cond_projection = _pointwise(TIME_CHANNELS + FEATURE_CHANNELS + 1, 2 * CHANNELS)
        self.mid_projection = _pointwise(CHANNELS, 2 * CHANNELS)
        self.output_projection = _pointwise(CHANNELS, 2 * CHANNELS)
        self.time_layer = _transformer(dropout)
        self.feature_layer = _transformer(dropout)

    def project_side(self, time, feature, mask):
        """(K, B, L, 2 C): the 1x1 convolution splits into parts for time, feature and mask."""
        weight = self.cond_projection.weight[:, :, 0]
        of_time, of_feature, of_mask = weight.split([TIME_CHANNELS, FEATURE_CHANNELS, 1], dim=1)
        by_time = F.linear(time, of_time, self.cond_projection.bias)  # (B, L, 2 C)
        by_feature = F.linear(feature, of_feature)[:, None, None]  # (K, 1, 1, 2 C)
        return by_time + by_feature + mask * of_mask[:, 0]

    def forward(self, x, side, embedding):
        n_features, n, length, _ = x.shape
        n_windows = side.shape[1]
        step = self.diffusion_projection(embedding)  # (1 or B, C)
        y = x.view(n_features, -1, n_windows, length, CHANNELS) + step[:, None]
        y = y.view(n_features * n, length, CHANNELS)
        if length > 1:
            y = _encode(self.time_layer, y, sequence_axis=1)
        y = y.view(n_features, n * length, CHANNELS)
        if n_features > 1:
            y = _encode(self.feature_layer, y, sequence_axis=0)
        y = y.view(n_features, -1, n_windows, length, CHANNELS)
        gate, filter_ = (_apply(self.mid_projection, y) + side.unsqueeze(1)).chunk(2, dim=-1)
        y = torch.sigmoid(gate) * torch.tanh(filter_)
        residual, skip = _apply(self.output_projection, y).view(n_features, n, length, -1).chunk(2, dim=-1)
        return (x + residual) / math.sqrt(2), skip


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


def sinusoids(positions, channels):
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
    return F.linear(x, convolution.weight[:, :, 0], convolution.bias)


def _transformer(dropout):
    """One post-norm encoder layer; only its parameters are used (see `_encode`)."""
    layer = nn.TransformerEncoderLayer(CHANNELS, HEADS, CHANNELS, dropout, activation="gelu")
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)


def _encode(encoder, x, sequence_axis):
    """Post-norm encoder layer on `x` (N, T, C) or, with `sequence_axis=0`, (T, N, C)."""
    layer = encoder.layers[0]
    rate = layer.dropout.p if layer.training else 0.0
    attention = layer.self_attn
    qkv = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    qkv = qkv.view(*x.shape[:2], 3, HEADS, CHANNELS // HEADS)
    # to (3, N, heads, T, C / heads), whichever axis the sequence is on
    query, key, value = qkv.permute(2, 1 - sequence_axis, 3, sequence_axis, 4)
    mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=rate)
    mixed = mixed.permute((0, 2, 1, 3) if sequence_axis == 1 else (2, 0, 1, 3)).reshape(x.shape)
    x = layer.norm1(x + F.dropout(attention.out_proj(mixed), rate, layer.training))
    hidden = F.dropout(F.gelu(layer.linear1(x)), rate, layer.training)
    return layer.norm2(x + F.dropout(layer.linear2(hidden), rate, layer.training))
