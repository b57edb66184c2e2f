"""Masks, loss and the training loop."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from scoredag.csdi import batches, checkpoint, devices, diffusion, masks, optimizers, training
from scoredag.csdi.muon import Muon
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError
from scoredag.store.arrays import Stored

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
    optimizer="adam",
    masks=("random",),
    step_power=1.0,
    save_every=100,
    threads=1,
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
    return batches.Batch(torch.from_numpy(values), known, cond_mask, time_points)


def train(seed=0, **changes):
    torch.manual_seed(0)
    model = CSDI(3)
    values, known = a_dataset()
    valid, settings = a_batch(*a_dataset(6, seed=9)), SETTINGS._replace(**changes)
    history = training.train(model, values, known, valid, settings, seed, device="cpu")
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
    rates = [optimizers.learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.505) and rates[100] == pytest.approx(0.01)
    assert all(b <= a for a, b in itertools.pairwise(rates[9:]))


def test_training_lowers_the_loss_and_keeps_the_best_weights():
    """At all noise levels alike, as the noisiest are the first that are learnt."""
    evenly = {"step_power": 1.0, "top_step": 49, "validation_draws": 8}
    model, history = train(n_steps=60, validate_every=10, **evenly)
    scores = [row["loss"] for row in history if row["split"] == "valid"]
    assert scores[-1] < 0.8 * scores[0]
    valid = a_batch(*a_dataset(6, seed=9))
    settings = SETTINGS._replace(n_steps=60, validate_every=10, **evenly)
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


def test_windows_on_disk_train_as_windows_in_memory_do(tmp_path):
    def on_disk(rows):
        result = Stored(rows.shape, rows.dtype, tmp_path)
        result[0 : len(rows)] = rows
        return result

    values, known = a_dataset()
    valid = a_batch(*a_dataset(6, seed=9))
    models = []
    for windows in ((values, known), (on_disk(values), on_disk(known))):
        torch.manual_seed(0)
        models.append(CSDI(3))
        training.train(models[-1], *windows, valid, SETTINGS, 0, device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))


def test_history_has_a_row_a_split_at_each_validation_and_at_the_end():
    _, history = train(n_steps=10)
    assert [(row["step"], row["split"]) for row in history] == [
        (0, "valid"),
        *((step, split) for step in (4, 8, 10) for split in ("train", "valid")),
    ]
    assert history[-1]["epoch"] == pytest.approx(10 * 4 / 16)


def test_each_pass_visits_every_window_once_in_a_new_order():
    passes = [np.concatenate([batches.window_numbers(10, 5, 0, 2 * i + j) for j in range(2)]) for i in range(2)]
    assert all(sorted(order) == list(range(10)) for order in passes)
    assert not np.array_equal(*passes)


def test_fewer_windows_than_a_batch_are_all_taken():
    assert sorted(batches.window_numbers(3, 16, 0, 7)) == [0, 1, 2]


def scores(numbers):
    """A function that gives these numbers, one a call."""
    return lambda *_: next(numbers)


def test_weights_that_only_get_worse_are_those_that_came(monkeypatch):
    monkeypatch.setattr(training, "validation_loss", scores(itertools.count(1)))
    torch.manual_seed(0)
    model = CSDI(3)
    before = weights_of(model)
    history = training.train(model, *a_dataset(), a_batch(*a_dataset(6, seed=9)), SETTINGS, 0, device="cpu")
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(model).items())
    assert history[0]["loss"] == 1


def test_a_loss_that_is_not_finite_stops_with_one_line():
    with pytest.raises(training.DivergenceError, match=r"^training: the loss is .*learning_rate$"):
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
    batch = batches.Batch(
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


def test_an_unknown_setting_is_refused_with_those_that_are_known():
    for field, known in {
        "optimizer": "muon",
        "decay": "milestones",
        "trainable": "last-layers",
        "masks": "mix",
    }.items():
        with pytest.raises(InputError, match=rf"\Atraining.{field}: 'x' is unknown; known are .*{known}.*\Z"):
            train(**{field: ("x",) if field == "masks" else "x"})


def weights_of(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moved(model):
    """The names of the parameters that training has changed."""
    torch.manual_seed(0)
    start = weights_of(CSDI(3))
    return {name for name, weight in weights_of(model).items() if not torch.equal(weight, start[name])}


ALL = {name for name, _ in CSDI(3).named_parameters()}


@pytest.mark.parametrize("optimizer", optimizers.OPTIMIZERS)
def test_every_optimizer_moves_all_parameters_and_lowers_the_loss(optimizer):
    rate = 0.01 if optimizer == "muon" else 2e-3
    model, history = train(optimizer=optimizer, learning_rate=rate, n_steps=30, validate_every=10)
    assert moved(model) == ALL
    scores = [row["loss"] for row in history if row["split"] == "valid"]
    assert scores[-1] < 0.95 * scores[0]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_optimizer_repeats_itself(optimizer):
    one, two = (weights_of(train(optimizer=optimizer)[0]) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in ALL)


def test_adamw_shrinks_weights_apart_from_the_gradient_and_adam_does_not():
    found = {}
    for optimizer in ("adam", "adamw"):
        model = CSDI(3)
        weight = model.embed_layer.weight
        settings = SETTINGS._replace(optimizer=optimizer, weight_decay=0.1)
        ((update, leaves, share),) = optimizers.build(model, settings)
        before = weight.detach().clone()
        for _, leaf in leaves:
            leaf.grad = torch.zeros_like(leaf)
        update.step()
        found[optimizer] = (weight / before - 1).detach()
        assert share == 1.0
    torch.testing.assert_close(found["adamw"], torch.full((3, 16), -0.1 * SETTINGS.learning_rate), rtol=1e-2, atol=0.0)
    assert found["adam"].abs().max() > 1.5 * 0.1 * SETTINGS.learning_rate  # its step is the rate, whatever the decay


def test_muon_gets_the_hidden_matrices_and_adam_the_rest():
    model = CSDI(3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = optimizers.build(model, SETTINGS._replace(optimizer="muon"))
    (muon, matrices, full), (adam, others, share), (adam_too, embedding, rate) = found
    assert isinstance(muon, Muon)
    assert isinstance(adam, torch.optim.AdamW) and isinstance(adam_too, torch.optim.AdamW)
    assert (full, share, rate) == (1.0, optimizers.ADAM_SHARE, optimizers.OPTIMIZERS["muon"].embedding_rate)
    taken, left, own = ({names[id(parameter)] for parameter, _ in leaves} for leaves in (matrices, others, embedding))
    assert len(taken) + len(left) + len(own) == len(ALL) and taken | left | own == ALL
    assert own == {"embed_layer.weight"}
    assert {name for name in left if not name.endswith("bias") and "norm" not in name} == {
        "diffmodel.input_projection.weight",
        "diffmodel.output_projection2.weight",
    }
    for parameter, leaf in matrices:  # views: what Muon does to one moves the other
        assert leaf.ndim == 2 and leaf.data_ptr() == parameter.data_ptr() and leaf.numel() == parameter.numel()


@pytest.mark.parametrize(
    ("optimizer", "rate", "shares"),
    [("adam", None, [1.0]), ("adam", 3.0, [1.0, 3.0]), ("muon", 0.2, [1.0, 0.2]), ("muon", 2.0, [1.0, 0.2, 2.0])],
)
def test_the_embedding_learns_at_a_rate_of_its_own(optimizer, rate, shares):
    model = CSDI(3)
    found = optimizers.build(model, SETTINGS._replace(optimizer=optimizer, embedding_rate=rate))
    assert [share for *_, share in found] == shares
    of_embedding = [share for _, leaves, share in found if leaves[0][0] is model.embed_layer.weight]
    assert of_embedding == [rate or 1.0]


def test_a_muon_step_is_nearly_orthogonal():
    model = CSDI(3)
    parameter = model.diffmodel.residual_layers[0].time_layer.layers[0].linear1.weight
    before = parameter.detach().clone()
    (muon, matrices, _), *_ = optimizers.build(model, SETTINGS._replace(optimizer="muon", learning_rate=0.01))
    for _, leaf in matrices:
        leaf.grad = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(0))
    muon.step()
    singular = torch.linalg.svdvals(parameter.detach() - before)
    assert singular[0] / singular[-2] < 3  # of the gradient, a random matrix: about 40


def test_what_is_given_is_all_given():
    values, known = a_dataset(n_features=4)
    settings = SETTINGS._replace(crop_features=(2, 4), masks=("random", "blocks"))
    hidden = np.zeros(4)
    for step in range(20):
        batch, _, _ = batches.draw(values, known, torch.from_numpy(known), settings, 0, step, given=[1, 3])
        targets = (batch.observed_mask - batch.cond_mask).sum((0, 2)).numpy()
        np.add.at(hidden, batch.features.numpy(), targets)
    assert (hidden[[1, 3]] == 0).all() and (hidden[[0, 2]] > 0).all()


def test_muon_does_what_that_of_pytorch_does():
    """Which rounds to bfloat16, three digits, in each of its 15 products."""
    rng = torch.Generator().manual_seed(0)
    shapes = [(8, 8), (24, 8), (8, 24), (8, 8)]
    begin = [torch.randn(shape, generator=rng) for shape in shapes]
    gradients = [[torch.randn(shape, generator=rng) for shape in shapes] for _ in range(4)]
    ends = []
    for kind, more in ((Muon, {}), (torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"})):
        matrices = [matrix.clone() for matrix in begin]
        optimizer = kind(matrices, lr=0.05, weight_decay=0.1, **more)
        for step in gradients:
            for matrix, gradient in zip(matrices, step, strict=True):
                matrix.grad = gradient.clone()
            optimizer.step()
        ends.append(matrices)
    for ours, theirs, first in zip(*ends, begin, strict=True):
        assert (ours - theirs).norm() < 0.02 * (theirs - first).norm()


def test_milestones_fall_to_a_tenth_twice():
    settings = SETTINGS._replace(n_steps=100, warm_up=10, learning_rate=1.0, decay="milestones")
    rates = [optimizers.learning_rate(step, settings) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[10:75] == [1.0] * 65
    assert rates[75:90] == pytest.approx([0.1] * 15) and rates[90:] == pytest.approx([0.01] * 10)


def test_a_warm_up_longer_than_the_training_only_rises():
    rates = [optimizers.learning_rate(step, SETTINGS._replace(n_steps=5, warm_up=10)) for step in range(5)]
    assert all(a < b for a, b in itertools.pairwise(rates))
    assert train(n_steps=3, warm_up=10)[1][-1]["step"] == 3


def test_patience_stops_early_and_keeps_the_best_weights():
    changes = {"learning_rate": 0.3, "warm_up": 0, "n_steps": 30, "validate_every": 1, "average_decay": 0.0}
    changes["validation_draws"] = 1
    model, history = train(patience=4, **changes)
    scores = [row["loss"] for row in history if row["split"] == "valid"]
    best = int(np.argmin(scores))
    assert len(scores) == best + 1 + 4 < 30
    assert min(scores) < scores[-1]
    valid, settings = a_batch(*a_dataset(6, seed=9)), SETTINGS._replace(**changes)
    again = training.validation_loss(model, valid, settings, 0, diffusion.quadratic_schedule())
    assert again == pytest.approx(min(scores), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize(
    ("trainable", "beginnings"),
    [
        ("embeddings", ("embed_layer.",)),
        ("last-layers", ("diffmodel.residual_layers.3.", "diffmodel.output_projection")),
    ],
)
def test_what_is_not_trainable_stays_bit_for_bit(optimizer, trainable, beginnings, monkeypatch):
    monkeypatch.setattr(training, "validation_loss", scores(itertools.count(0, -1)))
    torch.manual_seed(0)
    model = CSDI(3)
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.1)  # zero lets no gradient through
    before = weights_of(model)
    settings = SETTINGS._replace(optimizer=optimizer, trainable=trainable, weight_decay=0.1)
    training.train(model, *a_dataset(), a_batch(*a_dataset(6, seed=9)), settings, 0, device="cpu")
    changed = {name for name, weight in weights_of(model).items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in ALL if name.startswith(beginnings)}


def test_a_batch_is_cropped_in_features_and_steps():
    values, known = a_dataset(n_features=6, length=10)
    values += 100 * np.arange(6)[:, None] + 1000 * np.arange(10)  # which tells where an entry comes from
    settings = SETTINGS._replace(crop_features=(2, 4), crop_steps=(3, 7))
    shapes, firsts = set(), set()
    for step in range(200):
        batch, noise, level = batches.draw(values, known, torch.from_numpy(known[:5]), settings, 0, step)
        _, n_features, length = shape = batch.values.shape
        shapes.add((n_features, length))
        assert batch.observed_mask.shape == batch.cond_mask.shape == noise.shape == shape
        assert batch.time_points.shape == (4, length) and level.shape == batch.values.shape[:1]
        features = batch.features
        assert features.shape == (n_features,) and (features.diff() > 0).all()
        first = round((batch.values[0, 0, 0].item() - 100 * features[0].item()) / 1000)
        firsts.add(first)
        windows = batches.window_numbers(16, 4, 0, step)
        inside = np.ix_(windows, features.numpy(), range(first, first + length))
        assert np.array_equal(batch.values, values[inside])
        assert np.array_equal(batch.observed_mask, known[inside])
    assert shapes == {(n, length) for n in (2, 3, 4) for length in (3, 4, 5, 6, 7)}
    assert firsts == set(range(8))


def test_a_crop_larger_than_the_windows_takes_all_of_them():
    values, known = a_dataset()
    settings = SETTINGS._replace(crop_features=(2, 50), crop_steps=(20, 30))
    found = {batches.draw(values, known, torch.ones(2, 3, 8), settings, 0, step)[0].values.shape for step in range(30)}
    assert found == {(4, 2, 8), (4, 3, 8)}


def test_training_on_crops_moves_every_row_of_the_embedding():
    model, _ = train(crop_features=(1, 2), crop_steps=(2, 5), n_steps=20)
    torch.manual_seed(0)
    assert (model.embed_layer.weight != CSDI(3).embed_layer.weight).any(dim=1).all()


@pytest.mark.parametrize("threads", [2, 3])
def test_a_shared_batch_has_the_gradient_of_the_whole(threads):
    values, known = a_dataset(5)
    batch, noise, level = batches.draw(values, known, torch.from_numpy(known), SETTINGS._replace(batch_size=5), 0, 0)
    gradients = []
    for n in (1, threads):
        torch.manual_seed(0)
        model = CSDI(3, dropout=0.0)
        torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.1)
        # a clip that never bites, so that the gradients are those of the loss
        run = training._Run(model, SETTINGS._replace(threads=n, gradient_clip=1e9), 0)
        with devices.workers(n, torch.device("cpu")) as pool:
            value = run.update(pool, batch, noise, level)
        gradients.append([torch.tensor(value), *(parameter.grad for parameter in run.parameters)])
    for whole, shared in zip(*gradients, strict=True):
        assert (whole - shared).abs().max() < 1e-5 * max(1.0, whole.abs().max().item())


def test_more_threads_than_windows_do_no_harm():
    model, history = train(threads=7, batch_size=2)
    assert history[-1]["step"] == 12 and moved(model) == ALL


def test_the_gradient_is_clipped():
    values, known = a_dataset()
    batch, noise, level = batches.draw(values, known, torch.from_numpy(known), SETTINGS, 0, 0)
    run = training._Run(CSDI(3), SETTINGS._replace(gradient_clip=1e-3), 0)
    with devices.workers(1, torch.device("cpu")) as pool:
        run.update(pool, batch, noise, level)
    norm = torch.stack([parameter.grad.norm() for parameter in run.parameters]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_diverging_leaves_the_best_weights_so_far(monkeypatch):
    draw = batches.draw

    def explode(*arguments):
        batch, noise, level = draw(*arguments)
        return batch, noise * (math.inf if arguments[5] == 5 else 1.0), level

    monkeypatch.setattr(batches, "draw", explode)
    with pytest.raises(training.DivergenceError, match=r"nan at step 6; lower training.learning_rate\Z") as caught:
        train(validate_every=2)
    best = CSDI(3)
    best.load_state_dict(caught.value.best)
    valid = a_batch(*a_dataset(6, seed=9))
    assert math.isfinite(training.validation_loss(best, valid, SETTINGS, 0, diffusion.quadratic_schedule()))


def test_diverging_after_a_better_validation_leaves_its_weights(monkeypatch):
    monkeypatch.setattr(training, "validation_loss", scores(itertools.count(0, -1)))
    with pytest.raises(training.DivergenceError) as caught:
        train(learning_rate=1e30, warm_up=0, gradient_clip=1e30, validate_every=1)
    assert caught.value.best.keys() == CSDI(3).state_dict().keys()


def test_diverging_before_the_first_validation_leaves_nothing():
    with pytest.raises(training.DivergenceError) as caught:
        train(learning_rate=1e30, warm_up=0, gradient_clip=1e30)
    assert caught.value.best is None


def test_no_steps_leave_the_weights_as_they_are_and_validate_them_once():
    torch.manual_seed(0)
    before = CSDI(3)
    torch.nn.init.normal_(before.diffmodel.output_projection2.weight, std=0.01)
    model = copy.deepcopy(before)
    values, known = a_dataset()
    valid = a_batch(*a_dataset(6, seed=9))
    settings = SETTINGS._replace(n_steps=0)
    (row,) = training.train(model, values, known, valid, settings, 0, device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))
    assert (row["step"], row["split"], row["epoch"], row["learning_rate"]) == (0, "valid", 0.0, 0.0)
    expected = training.validation_loss(before, valid, settings, 0, diffusion.quadratic_schedule())
    assert row["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("power", [1.0, 1.5, 3.0])
def test_diffusion_steps_are_a_power_of_a_uniform_number(power):
    settings = training.Settings(step_power=power, top_step=49)
    levels = batches.diffusion_steps(5000, settings, torch.Generator().manual_seed(0))
    assert levels.min() >= 0 and levels.max() == 49
    for share in (0.2, 0.5, 0.9):
        # the largest step of this share of them, to half a step
        assert levels.double().quantile(share).item() == pytest.approx(50 * share**power - 0.5, abs=0.6)


def test_few_diffusion_steps_are_noisier_than_the_top_one():
    settings = training.Settings(step_power=1.0, top_step=22, share_above=0.25)
    levels = batches.diffusion_steps(8000, settings, torch.Generator().manual_seed(0))
    counts = levels.bincount(minlength=50).double() / 8000
    torch.testing.assert_close(counts[:23], torch.full((23,), 0.75 / 23).double(), atol=0.001, rtol=0)
    torch.testing.assert_close(counts[23:], torch.full((27,), 0.25 / 27).double(), atol=0.001, rtol=0)
    levels = batches.diffusion_steps(8000, settings._replace(share_above=0.0), torch.Generator().manual_seed(0))
    assert levels.max() == 22
