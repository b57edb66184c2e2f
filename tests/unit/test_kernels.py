"""The compiled kernels against PyTorch's own operations in double precision."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

from scoredag.csdi import layers, network

CHANNELS, HEADS, WIDTH = layers.CHANNELS, layers.HEADS, layers.WIDTH
RATE = 0.3


def normal(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def plain_attention(qkv, bias, axis, kept=None):
    """Softmax attention; `kept` (N, heads, T, T) multiplies its weights."""
    x = (qkv + bias).unflatten(-1, (3, WIDTH, HEADS))
    query, key, value = (x if axis == 1 else x.transpose(0, 1)).permute(2, 0, 4, 1, 3)
    if kept is None:
        mixed = F.scaled_dot_product_attention(query, key, value)
    else:
        mixed = ((query @ key.mT / math.sqrt(WIDTH)).softmax(-1) * kept) @ value
    mixed = mixed.permute(0, 2, 3, 1).flatten(2)
    return mixed if axis == 1 else mixed.transpose(0, 1)


def plain_add_and_norm(x, y, bias, weight, shift, kept=1.0):
    return F.layer_norm(x + kept * (y + bias), (CHANNELS,), weight, shift)


def plain_gelu(x, bias, kept=1.0):
    return kept * F.gelu(x + bias)


def plain_gate(z, side):
    a, b = (z + side).chunk(2, dim=-1)
    return a.sigmoid() * b.tanh()


def with_gradients(function, *tensors):
    """The result for `tensors`, and the gradient of a random sum of it for each of them."""
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    result = function(*tensors)
    direction = normal(*result.shape, seed=99).to(result.dtype)
    return [result.detach(), *torch.autograd.grad((direction * result).sum(), tensors)]


def agree(kernel, plain, *tensors, tolerance=2e-6):
    """Result and gradients of `kernel` are those of `plain`, relative to the largest of each."""
    expected = with_gradients(plain, *(tensor.double() for tensor in tensors))
    for found, exact in zip(with_gradients(kernel, *tensors), expected, strict=True):
        assert found.shape == exact.shape
        assert (found - exact).abs().max() <= tolerance * max(1.0, exact.abs().max().item())


@pytest.mark.parametrize("axis", [0, 1])
def test_attention_is_pytorchs_for_every_length(axis):
    for length in range(1, 51):
        shape = (3, length) if axis == 1 else (length, 3)
        qkv, bias = normal(*shape, 3 * CHANNELS, seed=length), normal(3 * CHANNELS, seed=1)
        agree(lambda *x: layers.attention(*x, axis), lambda *x: plain_attention(*x, axis), qkv, bias)


@pytest.mark.parametrize("axis", [0, 1])
def test_attention_bears_large_scores(axis):
    qkv = normal(9, 9, 3, WIDTH, HEADS)
    query, key, _ = (qkv if axis == 1 else qkv.transpose(0, 1)).permute(2, 0, 4, 1, 3)
    scores = query @ key.mT / math.sqrt(WIDTH)
    qkv[:, :, :2] *= (80 / scores.abs().max()).sqrt()
    qkv = qkv.flatten(2)
    bias = torch.zeros(3 * CHANNELS)
    # scores of 80 are exact to 1e-5 at best, and so are the weights' relative errors
    kernel, plain = (lambda *x: layers.attention(*x, axis)), (lambda *x: plain_attention(*x, axis))
    agree(kernel, plain, qkv, bias, tolerance=2e-5)


def test_attention_with_scores_that_overflow_an_exponential_stays_finite():
    qkv = normal(2, 7, 3 * CHANNELS, scale=100.0)
    found = with_gradients(lambda *x: layers.attention(*x, 1), qkv, torch.zeros(3 * CHANNELS))
    assert all(part.isfinite().all() for part in found)
    expected = plain_attention(qkv.double(), 0.0, 1)
    assert (found[0] - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("shape", [(CHANNELS,), (1, CHANNELS), (7, 5, CHANNELS)])
def test_add_and_norm_is_pytorchs_layer_norm(shape):
    inputs = [normal(*shape, seed=i, scale=3.0) for i in range(2)]
    inputs += [normal(CHANNELS, seed=i) for i in range(2, 5)]
    agree(layers.add_and_norm, plain_add_and_norm, *inputs)


def test_add_and_norm_of_equal_channels_is_finite():
    x, zero, one = torch.full((2, CHANNELS), 7.0), torch.zeros(CHANNELS), torch.ones(CHANNELS)
    agree(layers.add_and_norm, plain_add_and_norm, x, x, zero, one, zero, tolerance=1e-3)


@pytest.mark.parametrize("one_dnn", [layers.ONE_DNN, False])
@pytest.mark.parametrize("biased", [True, False])
def test_the_product_is_pytorchs(monkeypatch, one_dnn, biased):
    monkeypatch.setattr(layers, "ONE_DNN", one_dnn)
    inputs = [normal(3, 5, CHANNELS), normal(2 * CHANNELS, CHANNELS, seed=1), normal(2 * CHANNELS, seed=2)]
    agree(layers.linear, F.linear, *inputs[: 3 if biased else 2])


def test_gelu_is_pytorchs_exact_one():
    x = torch.linspace(-12, 12, 200 * CHANNELS).view(200, CHANNELS)
    bias = normal(CHANNELS, scale=0.5)
    found, exact = layers.gelu(x, bias), F.gelu((x + bias).double())
    assert ((found - exact).abs() < 3e-7 * (x + bias).abs().clamp(min=1)).all()  # float32 resolves no more above 2
    agree(layers.gelu, plain_gelu, x, bias)


def test_gelu_far_out_is_zero_or_the_identity():
    x = torch.tensor([-1e30, -50.0, 50.0, 1e30]).repeat(CHANNELS // 4)
    found, slope, _ = with_gradients(layers.gelu, x, torch.zeros(CHANNELS))
    assert (found[x < 0].abs() < 1e-7).all() and torch.equal(found[x > 0], x[x > 0])
    assert slope.isfinite().all()


@pytest.mark.parametrize("n_samples", [1, 4])
def test_the_gate_is_pytorchs_and_samples_share_their_side(n_samples):
    z, side = normal(3, n_samples, 5, 2 * CHANNELS, scale=3.0), normal(3, 1, 5, 2 * CHANNELS, seed=1)
    agree(layers.gate, plain_gate, z, side)
    gradient = with_gradients(layers.gate, z, side)
    torch.testing.assert_close(gradient[2], gradient[1].sum(1, keepdim=True))


def test_the_gate_saturates():
    z = torch.linspace(-300, 300, 50 * 2 * CHANNELS).view(1, 1, 50, 2 * CHANNELS)
    for seed in range(3):  # the halves of a row meet in other pairs
        order = torch.randperm(z.numel(), generator=torch.Generator().manual_seed(seed))
        agree(layers.gate, plain_gate, z.flatten()[order].view_as(z), torch.zeros(1, 1, 50, 2 * CHANNELS))


def test_nan_stays_nan():
    """Training stops where the loss is not finite: no kernel may make a number of what is none."""
    nan = torch.full((2, 3, CHANNELS), torch.nan)
    zero, one = torch.zeros(CHANNELS), torch.ones(CHANNELS)
    assert layers.gelu(nan, zero).isnan().all()
    assert layers.add_and_norm(nan, torch.zeros_like(nan), zero, one, zero).isnan().all()
    gate = torch.zeros(1, 1, 2, 2 * CHANNELS)
    for half in (slice(CHANNELS), slice(CHANNELS, None)):
        gate[0, 0, 1] = 1.0
        gate[0, 0, 1, half] = torch.nan
        assert layers.gate(gate, torch.zeros_like(gate))[0, 0, 1].isnan().all()
    for part in range(3):  # queries, keys, values
        qkv = normal(1, 4, 3 * CHANNELS)
        qkv[0, 2, part * CHANNELS : (part + 1) * CHANNELS] = torch.nan
        found = layers.attention(qkv, torch.zeros(3 * CHANNELS), 1).isnan().all(-1)[0]
        assert found.tolist() == ([False, False, True, False] if part == 0 else [True] * 4)


def attention_kept(n, length, axis, rate, seed):
    """What dropout multiplies the weights of attention with, (n, heads, length, length); length <= WIDTH.

    With equal scores and unit vectors as values, channel j of the output is the weight of key j.
    """
    qkv = torch.zeros(n, length, 3, WIDTH, HEADS)
    qkv[:, :, 2] = torch.eye(length, WIDTH)[None, :, :, None]
    qkv = qkv.flatten(2) if axis == 1 else qkv.flatten(2).transpose(0, 1)
    mixed = layers.attention(qkv.contiguous(), torch.zeros(3 * CHANNELS), axis, rate, seed)
    mixed = (mixed if axis == 1 else mixed.transpose(0, 1)).unflatten(-1, (WIDTH, HEADS))
    return mixed[:, :, :length].permute(0, 3, 1, 2) * length


def gelu_kept(shape, rate, seed):
    """What dropout multiplies the entries with."""
    return layers.gelu(torch.full(shape, 9.0), torch.zeros(CHANNELS), rate, seed) / 9


def add_and_norm_kept(shape, rate, seed):
    """The same of `add_and_norm`, which hides it in a norm: whether an entry of y has any influence."""
    x, zero, one = normal(*shape), torch.zeros(CHANNELS), torch.ones(CHANNELS)
    y = normal(*shape, seed=1).requires_grad_()
    result = layers.add_and_norm(x, y, zero, one, zero, rate, seed)
    (gradient,) = torch.autograd.grad((normal(*shape, seed=2) * result).sum(), y)
    return (gradient != 0) / (1 - rate)


MASKS = {
    "attention along 1": lambda rate, seed: attention_kept(60, 8, 1, rate, seed),
    "attention along 0": lambda rate, seed: attention_kept(60, 8, 0, rate, seed),
    "gelu": lambda rate, seed: gelu_kept((500, CHANNELS), rate, seed),
    "add_and_norm": lambda rate, seed: add_and_norm_kept((500, CHANNELS), rate, seed),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(name, rate):
    kept = MASKS[name](rate, 12345)
    on = kept > 0.5
    torch.testing.assert_close(kept[on], torch.full_like(kept[on], 1 / (1 - rate)), rtol=1e-5, atol=0.0)
    assert (kept[~on] == 0).all()
    deviation = math.sqrt(rate * (1 - rate) / on.numel())
    assert on.double().mean().item() == pytest.approx(1 - rate, abs=4 * deviation)
    for axis in range(on.ndim):  # and does so everywhere: no row, column or head is preferred
        shares = on.double().mean([other for other in range(on.ndim) if other != axis])
        assert (shares - (1 - rate)).abs().max() < 5 * deviation * math.sqrt(on.shape[axis])


@pytest.mark.parametrize("name", MASKS)
def test_the_seed_alone_decides_what_dropout_keeps(name):
    first = MASKS[name](RATE, 7)
    assert torch.equal(MASKS[name](RATE, 7), first)
    for seed in (0, 6, 8, 7 + 2**31, 2**32 - 1):
        other = MASKS[name](RATE, seed)
        both = ((first > 0) & (other > 0)).double().mean().item()
        assert both == pytest.approx((1 - RATE) ** 2, abs=0.02)  # as of two that know nothing of each other


@pytest.mark.parametrize("axis", [0, 1])
def test_attention_drops_the_same_weights_on_the_way_back(axis):
    qkv, bias = normal(8, 8, 3 * CHANNELS), normal(3 * CHANNELS, seed=1)
    kept = attention_kept(8, 8, axis, RATE, 3).round(decimals=4)
    kept = torch.where(kept > 0, 1 / (1 - RATE), 0.0).double()
    agree(
        lambda *x: layers.attention(*x, axis, RATE, 3),
        lambda *x: plain_attention(*x, axis, kept),
        qkv,
        bias,
        tolerance=5e-6,
    )


def test_gelu_drops_the_same_entries_on_the_way_back():
    kept = gelu_kept((20, CHANNELS), RATE, 3).double()
    x, bias = normal(20, CHANNELS), normal(CHANNELS, seed=1)
    agree(lambda *x: layers.gelu(*x, RATE, 3), lambda *x: plain_gelu(*x, kept), x, bias)


def test_add_and_norm_drops_the_same_entries_on_the_way_back():
    kept = add_and_norm_kept((20, CHANNELS), RATE, 3).double()
    inputs = [normal(20, CHANNELS, seed=i) for i in range(2)] + [normal(CHANNELS, seed=i) for i in range(2, 5)]
    agree(
        lambda *x: layers.add_and_norm(*x, RATE, 3),
        lambda *x: plain_add_and_norm(*x, kept),
        *inputs,
        tolerance=5e-6,
    )


def test_attention_with_dropout_is_right_on_average():
    qkv, bias = normal(2, 5, 3 * CHANNELS), torch.zeros(3 * CHANNELS)
    drawn = torch.stack([layers.attention(qkv, bias, 1, RATE, seed) for seed in range(2000)])
    error = drawn.mean(0) - layers.attention(qkv, bias, 1)
    assert (error / (drawn.std(0) / math.sqrt(2000))).abs().max() < 5


def apply_all(seed):
    """Results and gradients of all kernels for inputs that depend on `seed`, flattened."""
    x, y = normal(11, 6, CHANNELS, seed=seed), normal(11, 6, CHANNELS, seed=seed + 1)
    vectors = [normal(CHANNELS, seed=i) for i in range(3)]
    qkv, bias = normal(11, 6, 3 * CHANNELS, seed=seed), normal(3 * CHANNELS)
    z, side = normal(3, 2, 5, 2 * CHANNELS, seed=seed), normal(3, 1, 5, 2 * CHANNELS, seed=seed + 1)
    found = [
        *with_gradients(lambda *x: layers.attention(*x, 0, RATE, seed), qkv, bias),
        *with_gradients(lambda *x: layers.attention(*x, 1, RATE, seed), qkv, bias),
        *with_gradients(lambda *x: layers.add_and_norm(*x, RATE, seed), x, y, *vectors),
        *with_gradients(lambda *x: layers.gelu(*x, RATE, seed), x, vectors[0]),
        *with_gradients(layers.gate, z, side),
    ]
    return torch.cat([part.flatten() for part in found])


def test_threads_do_not_disturb_each_other():
    alone = [apply_all(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(apply_all, range(12)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def strided(x):
    """Equal to `x`, in another order in memory."""
    return x.detach().transpose(0, -1).contiguous().transpose(0, -1)


def test_inputs_need_not_be_contiguous():
    def check(kernel, *tensors):
        others = [strided(x) if x.ndim > 1 else torch.stack([x, x], 1)[:, 0] for x in tensors]
        assert not any(other.is_contiguous() for other in others)
        results = with_gradients(kernel, *tensors), with_gradients(kernel, *others)
        for expected, found in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-6)

    vectors = [normal(CHANNELS, seed=i) for i in range(3)]
    x, y = normal(4, 5, CHANNELS), normal(4, 5, CHANNELS, seed=1)
    for axis in (0, 1):
        check(lambda *x, axis=axis: layers.attention(*x, axis), normal(4, 5, 3 * CHANNELS), normal(3 * CHANNELS))
    check(layers.add_and_norm, x, y, *vectors)
    check(lambda *x: layers.add_and_norm(*x, RATE, 1), x, y, *vectors)
    check(layers.gelu, x, vectors[0])
    check(layers.gate, normal(3, 2, 5, 2 * CHANNELS), normal(3, 1, 5, 2 * CHANNELS, seed=1))


def test_gradients_need_not_be_contiguous():
    """An expanded gradient, as of a sum, and a transposed one."""
    x, bias, vector = normal(6, 6, CHANNELS).requires_grad_(), normal(3 * CHANNELS), normal(CHANNELS)
    functions = [
        lambda: layers.attention(x.repeat(1, 1, 3), bias, 1),
        lambda: layers.add_and_norm(x, 2 * x, vector, vector, vector),
        lambda: layers.gelu(x, vector),
        lambda: layers.gate(x.repeat(1, 1, 2)[None], torch.zeros(1, 1, 6, 2 * CHANNELS))[0],
    ]
    directions = [torch.ones(()).expand(6, 6, CHANNELS), normal(CHANNELS).expand(6, 6, -1)]
    directions += [strided(normal(6, 6, CHANNELS)), normal(6, 6)[..., None].expand(-1, -1, CHANNELS)]
    for function in functions:
        for direction in directions:
            (found,) = torch.autograd.grad(function(), x, direction)
            (expected,) = torch.autograd.grad(function(), x, direction.contiguous())
            torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(("n_features", "length"), [(5, 7), (1, 9), (4, 1), (1, 1)])
@pytest.mark.parametrize("conditional", [True, False])
def test_the_whole_network_has_the_outputs_and_gradients_of_pytorchs_operations(
    monkeypatch, n_features, length, conditional
):
    torch.manual_seed(0)
    model = network.CSDI(n_features, 0.0, conditional).train()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight)
    shape = (3, n_features, length)
    noisy, observed = normal(*shape), normal(*shape, seed=1)
    cond_mask = (normal(*shape, seed=2) > 0).float()
    time_points = torch.arange(float(length)).expand(3, -1)
    parameters = dict(model.named_parameters())

    def results():
        output = model(noisy, observed, cond_mask, time_points, torch.tensor([0, 17, 49]))
        gradients = torch.autograd.grad(output.square().mean(), parameters.values(), allow_unused=True)
        return output, dict(zip(parameters, gradients, strict=True))

    output, gradients = results()
    monkeypatch.setattr(network, "_compiled", lambda x: False)
    plain_output, plain_gradients = results()
    torch.testing.assert_close(output, plain_output, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        expected = plain_gradients[name]
        assert (gradient is None) == (expected is None), name
        if gradient is not None:
            largest = max(1e-3, expected.abs().max().item())
            assert (gradient - expected).abs().max() < 1e-5 * largest + 1e-6, name
