"""A training that is stopped anywhere goes on as if nothing had happened."""

import numpy as np
import pytest
import torch

from scoredag.csdi import batches, masks, resume, training
from scoredag.csdi.network import CSDI

SETTINGS = training.Settings(
    n_steps=9,
    batch_size=4,
    learning_rate=2e-3,
    warm_up=2,
    weight_decay=1e-3,
    gradient_clip=1.0,
    average_decay=0.5,
    validate_every=3,
    validation_draws=2,
    save_every=2,
    masks=("random", "blocks", "mix"),
    crop_steps=(5, 8),
    optimizer="adam",
    step_power=1.0,
    threads=1,
)


class StoppedError(Exception):
    pass


class Killer:
    """Acts like a progress bar, and ends the training after a step."""

    def __init__(self, after):
        self.after = after
        self.step = 0

    def set_postfix_str(self, text, refresh):
        assert text.startswith(("loss ", "validation "))

    def update(self, n=1):
        self.step += n
        if self.step >= self.after:
            raise StoppedError


class FragileStore(resume.Store):
    """Fails in the middle of writing for the `n`-th time."""

    def __init__(self, path, key, n):
        super().__init__(path, key)
        self.n = n

    def save(self, state):
        self.n -= 1
        if self.n == 0:
            state = state | {"not a tensor": lambda: None}
        super().save(state)


def a_dataset(n, seed):
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, size=(n, 1, 1))
    values = np.sin(phase + np.arange(8) / 2 + np.arange(3)[:, None]).astype(np.float32)
    return values, rng.random(values.shape) < 0.9


def train(*, store=None, progress=None, first=0, **changes):
    """Train a model with fresh weights, drawn with the seed `first`."""
    torch.manual_seed(first)
    model = CSDI(3, dropout=0.1)
    values, known = a_dataset(6, seed=9)
    known = torch.from_numpy(known).float()
    cond_mask = masks.random(known, None, torch.Generator().manual_seed(1))
    valid = batches.Batch(torch.from_numpy(values), known, cond_mask, torch.arange(8.0).expand(6, -1))
    settings = SETTINGS._replace(**changes)
    history = training.train(model, *a_dataset(16, 0), valid, settings, 3, store=store, progress=progress, device="cpu")
    return model, history


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


OPTIMIZERS = {"adam": {}, "muon": {"optimizer": "muon", "learning_rate": 0.01}}


@pytest.fixture(scope="module", params=OPTIMIZERS)
def undisturbed(request):
    changes = OPTIMIZERS[request.param]
    return changes, *train(**changes)


def goes_on(path, undisturbed):
    """What is stored takes the place of whatever weights there are."""
    changes, expected, history = undisturbed
    model, found = train(store=resume.Store(path, "key"), first=1, **changes)
    assert same(model, expected)
    assert found == history


@pytest.mark.parametrize("after", range(1, 10))
def test_stopped_after_any_step_it_ends_with_the_same_weights_and_history(tmp_path, undisturbed, after):
    store = resume.Store(tmp_path / "state.pt", "key")
    with pytest.raises(StoppedError):
        train(store=store, progress=Killer(after), **undisturbed[0])
    state = store.load()
    saved = (after - 1) // 2 * 2  # the bar moves before a state is saved
    assert (state["rest"]["step"] if state else 0) == saved
    if saved:
        goes_on(store.path, undisturbed)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_stopped_while_saving_it_goes_on_from_the_state_before(tmp_path, undisturbed, n):
    with pytest.raises(Exception, match=r"pickle|lambda"):
        train(store=FragileStore(tmp_path / "state.pt", "key", n), **undisturbed[0])
    assert [path.name for path in tmp_path.iterdir()] == (["state.pt"] if n > 1 else [])
    if n > 1:
        goes_on(tmp_path / "state.pt", undisturbed)


def test_stopped_again_and_again_it_still_ends_the_same(tmp_path, undisturbed):
    changes, expected, history = undisturbed
    store = resume.Store(tmp_path / "state.pt", "key")
    for after in (3, 4, 6, 7, 9):
        with pytest.raises(StoppedError):
            train(store=store, progress=Killer(after), **changes)
    model, found = train(store=store, **changes)
    assert same(model, expected) and found == history


def test_patience_is_not_forgotten(tmp_path):
    """The weights stop moving, so that no validation is better than the first."""
    changes = {"learning_rate": 1e-30, "average_decay": 0.0, "patience": 3, "n_steps": 50, "validate_every": 2}
    _, history = train(**changes)
    store = resume.Store(tmp_path / "state.pt", "key")
    with pytest.raises(StoppedError):
        train(store=store, progress=Killer(5), **changes)
    _, found = train(store=store, **changes)
    assert found == history and found[-1]["step"] < 50
    for _ in range(2):  # a state of a training that has stopped early is its end
        assert train(store=store, **changes)[1] == history


def test_a_finished_training_repeats_only_what_followed_the_last_state(tmp_path):
    store = resume.Store(tmp_path / "state.pt", "key")
    expected, history = train(store=store)
    assert store.load()["rest"]["step"] == 8
    model, found = train(store=store)
    assert same(model, expected) and found == history


def a_state(path):
    resume.Store(path, "key").save({"step": 3, "weights": torch.ones(100)})


def test_a_state_comes_back_as_it_was_saved(tmp_path):
    path = tmp_path / "state.pt"
    state = {"weights": torch.arange(5), "history": [{"loss": 0.1, "split": "valid"}], "best": float("inf"), "no": None}
    resume.Store(path, "key").save(state)
    found = resume.Store(path, "key").load()
    assert torch.equal(found.pop("weights"), state.pop("weights")) and found == state
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.pt"]


def test_nothing_stored_is_none(tmp_path):
    assert resume.Store(tmp_path / "state.pt", "key").load() is None


def test_a_state_of_another_fingerprint_is_not_taken_up(tmp_path, caplog):
    a_state(tmp_path / "state.pt")
    caplog.set_level("INFO")
    assert resume.Store(tmp_path / "state.pt", "other").load() is None
    assert "of other settings, data or code, starting afresh" in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_state_is_not_taken_up(tmp_path, caplog, share):
    path = tmp_path / "state.pt"
    a_state(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    caplog.set_level("INFO")
    assert resume.Store(path, "key").load() is None
    assert "cannot be read" in caplog.text and "starting afresh" in caplog.text


def test_garbage_is_not_taken_up(tmp_path):
    path = tmp_path / "state.pt"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert resume.Store(path, "key").load() is None
    for other in ([1, 2], torch.ones(3), {"state": 1}):
        torch.save(other, path)
        assert resume.Store(path, "key").load() is None


def test_a_damaged_state_is_started_over_and_ends_the_same(tmp_path):
    path = tmp_path / "state.pt"
    path.write_bytes(b"PK\x03\x04 not a state")
    expected, history = train()
    model, found = train(store=resume.Store(path, "key"))
    assert same(model, expected) and found == history


def test_a_removed_state_is_gone(tmp_path):
    store = resume.Store(tmp_path / "state.pt", "key")
    a_state(store.path)
    store.remove()
    store.remove()
    assert store.load() is None


def test_the_fingerprint_tells_settings_and_contents_apart(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    first = resume.fingerprint({"a": 1, "b": [2]}, [one, two])
    assert resume.fingerprint({"b": [2], "a": 1}, [one, two]) == first
    others = [resume.fingerprint(*pair) for pair in (({"a": 1}, [one, two]), ({"a": 1, "b": [2]}, [two, one]))]
    one.write_text("c")
    others.append(resume.fingerprint({"a": 1, "b": [2]}, [one, two]))
    assert len({first, *others}) == 4
