"""Masks, loss and the training loop."""

import itertools
import math

import numpy as np
import pytest
import torch

from scoredag.csdi import checkpoint, diffusion, masks, training
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

SETTINGS = training.Settings(
    n_steps=12,
    batch_size=4,
    learning_rate=2e-3,
    warm_up=2,
    weight_decay=0.0,
    gradient_clip=1.0,
    average_decay=0.5,
    validate_every=4,
    validation_draws=4,
)


def a_dataset(n=16, n_features=3, length=8, seed=0):
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, size=(n, 1, 1))
    values = np.sin(phase + np.arange(length) / 2 + np.arange(n_features)[:, None]).astype(np.float32)
    return values, rng.random(values.shape) < 0.9


def a_batch(values, known, seed=1):
    known = torch.from_numpy(known).float()
    cond_mask = masks.random(known, None, torch.Generator().manual_seed(seed))
    time_points = torch.arange(values.shape[2]).float().expand(len(values), -1)
    return training.Batch(torch.from_numpy(values), known, cond_mask, time_points)


def train(seed=0, **changes):
    torch.manual_seed(0)
    model = CSDI(3)
    values, known = a_dataset()
    history = training.train(model, values, known, a_batch(*a_dataset(6, seed=9)), SETTINGS._replace(**changes), seed)
    return model, history


def test_the_random_mask_hides_a_uniform_share_of_the_observed_entries():
    known = (torch.rand(4000, 5, 20, generator=torch.Generator().manual_seed(0)) < 0.7).float()
    cond_mask = masks.random(known, None, torch.Generator().manual_seed(1))
    assert ((cond_mask == 0) | (known == 1)).all()
    hidden = (1 - cond_mask.sum((1, 2)) / known.sum((1, 2))).sort().values
    uniform = (torch.arange(4000) + 0.5) / 4000
    assert (hidden - uniform).abs().max() < 0.03  # Kolmogorov-Smirnov: 0.026 at 1 %
    where = (known - cond_mask).sum(0) / known.sum(0)
    assert (where - 0.5).abs().max() < 0.05  # no position is preferred


def test_the_loss_is_the_mean_over_targets():
    values, known = a_dataset()
    batch = a_batch(values, known)
    torch.manual_seed(0)
    model = CSDI(3)  # predicts a constant at first: its last layer starts at zero
    constant = model.diffmodel.output_projection2.bias.item()
    noise = torch.randn(batch.values.shape)
    found = training.loss(model, batch, noise, torch.arange(16), diffusion.quadratic_schedule())
    targets = (batch.observed_mask - batch.cond_mask).bool()
    assert found.item() == pytest.approx(((noise[targets] - constant) ** 2).mean().item(), rel=1e-5)


def test_the_learning_rate_warms_up_and_falls_to_one_percent():
    settings = SETTINGS._replace(n_steps=100, warm_up=10, learning_rate=1.0)
    rates = [training.learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.505) and rates[100] == pytest.approx(0.01)
    assert all(b <= a for a, b in itertools.pairwise(rates[9:]))


def test_training_lowers_the_loss_and_keeps_the_best_weights():
    model, history = train(n_steps=60, validate_every=10)
    scores = [row["loss"] for row in history if row["split"] == "valid"]
    assert scores[-1] < 0.8 * scores[0]
    valid = a_batch(*a_dataset(6, seed=9))
    settings = SETTINGS._replace(n_steps=60, validate_every=10)
    again = training.validation_loss(model, valid, settings, 0, diffusion.quadratic_schedule())
    assert again == pytest.approx(min(scores), rel=1e-5)
    assert not model.training


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    one, _ = train()
    torch.rand(3)  # the global stream's position does not matter
    two, _ = train()
    other, _ = train(seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_history_has_a_row_a_split_at_each_validation_and_at_the_end():
    _, history = train(n_steps=10)
    assert [(row["step"], row["split"]) for row in history] == [
        (step, split) for step in (4, 8, 10) for split in ("train", "valid")
    ]
    assert history[-1]["epoch"] == pytest.approx(10 * 4 / 16)


def test_each_pass_visits_every_window_once_in_a_new_order():
    passes = [np.concatenate([training._chosen(10, 5, 0, 2 * i + j) for j in range(2)]) for i in range(2)]
    assert all(sorted(order) == list(range(10)) for order in passes)
    assert not np.array_equal(*passes)


def test_fewer_windows_than_a_batch_are_all_taken():
    assert sorted(training._chosen(3, 16, 0, 7)) == [0, 1, 2]


def test_a_loss_that_is_not_finite_stops_with_one_line():
    with pytest.raises(InputError, match=r"^training: the loss is .*learning_rate$"):
        train(learning_rate=1e30, warm_up=0, gradient_clip=1e30)


def test_nothing_to_train_or_validate_on_is_refused():
    values, known = a_dataset()
    with pytest.raises(InputError, match="no value is observed"):
        training.train(CSDI(3), values, np.zeros_like(known), a_batch(values, known), SETTINGS, 0)
    valid = a_batch(values, known)
    with pytest.raises(InputError, match="no target"):
        training.train(CSDI(3), values, known, valid._replace(cond_mask=valid.observed_mask), SETTINGS, 0)


def test_loss_gradients_and_adam_steps_are_the_references(parity, mirror):
    with np.load(parity / "csdi-K35-L48.npz", allow_pickle=False) as stored:
        reference = {name: stored[name] for name in stored.files}
    batch = training.Batch(
        *(torch.from_numpy(reference[k]) for k in ("observed_data", "observed_mask", "cond_mask", "observed_tp"))
    )
    noise, step = torch.from_numpy(reference["noise"]), torch.from_numpy(reference["t_loss"])
    schedule = diffusion.quadratic_schedule()
    model = checkpoint.load(mirror / "csdi-physionet.pth")
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for i, expected in enumerate(reference["adam_losses"]):
        optimizer.zero_grad()
        value = training.loss(model, batch, noise, step, schedule)
        assert value.item() == pytest.approx(expected, abs=1e-5)
        value.backward()
        if i == 0:
            parameters = dict(model.named_parameters())
            for name, norm in zip(reference["grad_names"], reference["grad_norms"], strict=True):
                gradient = parameters[name].grad
                found = 0.0 if gradient is None else gradient.norm().item()
                assert math.isclose(found, norm, rel_tol=1e-4, abs_tol=1e-6), name
            np.testing.assert_allclose(parameters["embed_layer.weight"].grad, reference["grad_embed"], atol=1e-6)
        optimizer.step()
