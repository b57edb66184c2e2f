"""The network against a plain, channels-first one built of torch's own modules, and the reference."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scoredag.csdi import checkpoint, diffusion, network


def plain_forward(model, noisy, observed, cond_mask, time_points, step):
    """CSDI written down naively: (B, C, K, L) tensors, convolutions, torch's encoder layers."""
    n_windows, n_features, length = noisy.shape
    net = model.diffmodel
    x = torch.stack([cond_mask * observed, (1 - cond_mask) * noisy], dim=1)
    position = time_points[..., None] / 10000 ** (torch.arange(0, 128, 2) / 128)
    time = torch.zeros(n_windows, length, 128)
    time[..., 0::2], time[..., 1::2] = position.sin(), position.cos()
    feature = model.embed_layer(torch.arange(n_features))
    side = torch.cat(
        [
            time[:, None].expand(-1, n_features, -1, -1),
            feature[None, :, None].expand(n_windows, -1, length, -1),
            cond_mask[..., None],
        ],
        dim=-1,
    ).permute(0, 3, 1, 2)
    angles = step[:, None] * 10 ** (torch.arange(64) / 63 * 4)
    embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
    for projection in (net.diffusion_embedding.projection1, net.diffusion_embedding.projection2):
        embedding = F.silu(projection(embedding))

    def pointwise(layer, z):
        return layer(z.flatten(2)).view(n_windows, -1, n_features, length)

    x = F.relu(pointwise(net.input_projection, x))
    skips = []
    for layer in net.residual_layers:
        y = x + layer.diffusion_projection(embedding)[:, :, None, None]
        if length > 1:
            y = y.permute(3, 0, 2, 1).reshape(length, n_windows * n_features, 64)
            y = layer.time_layer(y).view(length, n_windows, n_features, 64).permute(1, 3, 2, 0)
        if n_features > 1:
            y = y.permute(2, 0, 3, 1).reshape(n_features, n_windows * length, 64)
            y = layer.feature_layer(y).view(n_features, n_windows, length, 64).permute(1, 3, 0, 2)
        y = pointwise(layer.mid_projection, y) + pointwise(layer.cond_projection, side)
        gate, filter_ = y.chunk(2, dim=1)
        residual, skip = pointwise(layer.output_projection, gate.sigmoid() * filter_.tanh()).chunk(2, dim=1)
        x = (x + residual) / math.sqrt(2)
        skips.append(skip)
    x = sum(skips) / math.sqrt(len(skips))
    x = F.relu(pointwise(net.output_projection1, x))
    return pointwise(net.output_projection2, x)[:, 0]


def a_model(n_features, seed=0):
    torch.manual_seed(seed)
    model = network.CSDI(n_features)
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight)  # starts at zero, which hides all
    return model.eval()


def windows(n_windows, n_features, length, seed=1):
    generator = torch.Generator().manual_seed(seed)
    observed = torch.randn(n_windows, n_features, length, generator=generator)
    noisy = torch.randn(n_windows, n_features, length, generator=generator)
    cond_mask = (torch.rand(observed.shape, generator=generator) < 0.5).float()
    time_points = torch.rand(n_windows, length, generator=generator).cumsum(1) * 3  # irregular
    return noisy, observed, cond_mask, time_points


@pytest.mark.parametrize(("n_features", "length"), [(5, 7), (1, 6), (4, 1), (18, 24)])
@torch.no_grad()
def test_it_equals_the_plain_network(n_features, length):
    model = a_model(n_features)
    noisy, observed, cond_mask, time_points = windows(3, n_features, length)
    step = torch.tensor([0, 17, 49])
    expected = plain_forward(model, noisy, observed, cond_mask, time_points, step)
    found = model.predict_noise(noisy, observed, cond_mask, time_points, step)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_samples_share_the_conditions():
    model = a_model(4)
    noisy, observed, cond_mask, time_points = windows(3, 4, 6)
    many = torch.stack([noisy, 2 * noisy])
    together = model.denoise(model.condition(observed, cond_mask, time_points), many, 9)
    for sample, found in zip(many, together, strict=True):
        expected = model.predict_noise(sample, observed, cond_mask, time_points, 9)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_values_that_are_not_given_are_not_read():
    model = a_model(4)
    noisy, observed, cond_mask, time_points = windows(2, 4, 6)
    hidden = torch.where(cond_mask > 0, observed, torch.nan)
    found = model.predict_noise(noisy, hidden, cond_mask, time_points, 3)
    torch.testing.assert_close(found, model.predict_noise(noisy, observed, cond_mask, time_points, 3))


def test_dropout_acts_while_training_only():
    model = a_model(4)
    inputs = (*windows(2, 4, 6), 3)
    assert torch.equal(model.predict_noise(*inputs), model.predict_noise(*inputs))
    model.train()
    first = model.predict_noise(*inputs, seed=1)
    assert torch.equal(model.predict_noise(*inputs, seed=1), first)
    assert not torch.equal(model.predict_noise(*inputs, seed=2), first)


@pytest.fixture(scope="module")
def reference(parity):
    with np.load(parity / "csdi-K35-L48.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@torch.no_grad()
def test_the_official_checkpoint_gives_the_reference_outputs(reference, mirror):
    model = checkpoint.load(mirror / "csdi-physionet.pth")
    inputs = [torch.from_numpy(reference[k]) for k in ("noisy_data", "observed_data", "cond_mask", "observed_tp")]
    for step, expected in zip(reference["t_forward"], reference["forward_t"], strict=True):
        found = model.predict_noise(*inputs, int(step))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    mixed = model.predict_noise(*inputs, torch.from_numpy(reference["t_loss"]))
    np.testing.assert_allclose(mixed.numpy(), reference["forward_mixed_t"], atol=1e-5)
    double = model.double().predict_noise(*(part.double() for part in inputs), int(reference["forward64_tlist"][1]))
    np.testing.assert_allclose(double.numpy(), reference["forward64_t"][1], atol=1e-5)


@torch.no_grad()
def test_the_whole_trajectory_of_the_official_weights_is_that_of_the_algorithm_box(reference, mirror, monkeypatch):
    """CSDI, algorithm 2, sample by sample in plain PyTorch, against batched samples and kernels."""
    model = checkpoint.load(mirror / "csdi-physionet.pth")
    observed, known, cond_mask, time_points = (
        torch.from_numpy(reference[k][:1]) for k in ("observed_data", "observed_mask", "cond_mask", "observed_tp")
    )
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2, *observed.shape, generator=generator)
    noise = torch.randn(2, 50, *observed.shape, generator=generator)
    found = diffusion.sample(model, observed, cond_mask, time_points, 2, x_T=start, noise=noise)
    monkeypatch.setattr(network, "_compiled", lambda x: False)
    beta, abar = (part.tolist() for part in diffusion.quadratic_schedule())
    target = (known - cond_mask).bool()
    for s, x in enumerate(start):
        for t in reversed(range(50)):
            predicted = model.predict_noise(x, observed, cond_mask, time_points, t)
            x = (x - beta[t] / math.sqrt(1 - abar[t]) * predicted) / math.sqrt(1 - beta[t])
            if t > 0:
                x = x + math.sqrt((1 - abar[t - 1]) / (1 - abar[t]) * beta[t]) * noise[s, t]
        torch.testing.assert_close(found[s][target], x[target], atol=1e-4, rtol=0)


def unconditional(n_features, seed=0):
    torch.manual_seed(seed)
    model = network.CSDI(n_features, conditional=False)
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight)
    return model.eval()


@torch.no_grad()
def test_an_unconditional_network_reads_neither_observations_nor_mask():
    model = unconditional(4)
    noisy, observed, cond_mask, time_points = windows(2, 4, 6)
    expected = model.predict_noise(noisy, observed, cond_mask, time_points, 3)
    nothing = torch.full_like(observed, torch.nan)
    assert torch.equal(model.predict_noise(noisy, nothing, cond_mask, time_points, 3), expected)
    assert torch.equal(model.predict_noise(noisy, observed, 1 - cond_mask, time_points, 3), expected)
    other = noisy.clone()
    other[0, 0, 0] += 1  # all noisy values are read, those of given entries too
    changed = (model.predict_noise(other, observed, cond_mask, time_points, 3) - expected).abs()
    assert changed[0].max() > 1e-3 and changed[1].max() < 1e-6


@torch.no_grad()
def test_a_conditional_network_does_not_read_the_noise_in_given_entries():
    model = a_model(4)
    noisy, observed, cond_mask, time_points = windows(2, 4, 6)
    other = torch.where(cond_mask > 0, 100.0, noisy)
    expected = model.predict_noise(noisy, observed, cond_mask, time_points, 3)
    assert torch.equal(model.predict_noise(other, observed, cond_mask, time_points, 3), expected)


@pytest.mark.parametrize("make", [a_model, unconditional])
@torch.no_grad()
def test_time_points_matter_by_their_distances(make):
    model = make(4)
    noisy, observed, cond_mask, irregular = windows(2, 4, 6)
    regular = torch.arange(6.0).expand(2, -1)
    expected = model.predict_noise(noisy, observed, cond_mask, regular, 3)
    assert torch.equal(model.predict_noise(noisy, observed, cond_mask, torch.arange(6).expand(2, -1), 3), expected)
    other = model.predict_noise(noisy, observed, cond_mask, irregular, 3)
    assert ((other - expected).abs().amax((1, 2)) > 1e-3).all()
    mixed = torch.stack([regular[0], irregular[1]])  # each window goes by its own
    found = model.predict_noise(noisy, observed, cond_mask, mixed, 3)
    torch.testing.assert_close(found, torch.stack([expected[0], other[1]]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [a_model, unconditional])
@torch.no_grad()
def test_some_features_are_those_rows_of_the_embedding(make):
    model = make(5)
    noisy, observed, cond_mask, time_points = windows(2, 3, 6)
    rows = torch.tensor([4, 0, 2])
    found = model.predict_noise(noisy, observed, cond_mask, time_points, 3, features=rows)
    small = make(3, seed=1)
    small.load_state_dict(model.state_dict() | {"embed_layer.weight": model.embed_layer.weight[rows]})
    expected = small.predict_noise(noisy, observed, cond_mask, time_points, 3)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    again = small.predict_noise(noisy, observed, cond_mask, time_points, 3, features=torch.arange(3))
    assert torch.equal(again, expected)


@pytest.mark.parametrize(("n_features", "length"), [(1, 6), (4, 1), (1, 1)])
@pytest.mark.parametrize("conditional", [True, False])
def test_one_feature_and_one_step_will_do(n_features, length, conditional):
    torch.manual_seed(0)
    model = network.CSDI(n_features, conditional=conditional)
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight)
    noisy, observed, cond_mask, time_points = windows(3, n_features, length)
    found = model(noisy, observed, cond_mask, time_points, torch.tensor([0, 17, 49]), seed=1)
    assert found.shape == (3, n_features, length) and found.isfinite().all()
    found.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    unused = {name for name, gradient in gradients.items() if gradient is None}
    layers = [name for name, n in (("time_layer", length), ("feature_layer", n_features)) if n == 1]
    assert unused == {name for name in gradients if any(layer in name for layer in layers)}
    assert all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)


@torch.no_grad()
def test_features_that_swap_rows_swap_results():
    model = a_model(4)
    noisy, observed, cond_mask, time_points = windows(2, 4, 6)
    order = torch.tensor([2, 0, 3, 1])
    swapped = model.predict_noise(*(x[:, order] for x in (noisy, observed, cond_mask)), time_points, 3, features=order)
    expected = model.predict_noise(noisy, observed, cond_mask, time_points, 3)[:, order]
    torch.testing.assert_close(swapped, expected, atol=1e-5, rtol=1e-5)
