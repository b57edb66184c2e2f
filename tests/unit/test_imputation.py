"""Imputation of many windows: streams and batches."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from scoredag.csdi import diffusion, imputation
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

OPTIONS = {"n_samples": 3, "seed": 1, "sampler": "ddpm", "n_steps": 4}
OPTIONS |= {"eta": 0.0, "noise_above": 0.0, "antithetic": False, "threads": 1, "device": "cpu"}


def a_problem(n=5):
    torch.manual_seed(0)
    model = CSDI(3).eval()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.01)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 3, 6)).astype(np.float32)
    return model, np.arange(10, 10 + n), values, rng.random(values.shape) < 0.6


def impute(model, numbers, values, known, chunk, **more):
    parts = imputation.impute(model, numbers, values, known, chunk=chunk, **OPTIONS | more)
    return np.concatenate([samples for _, samples in parts], axis=1)


def test_samples_depend_neither_on_the_chunk_nor_on_companions():
    model, numbers, values, known = a_problem()
    whole = impute(model, numbers, values, known, 15)
    assert whole.shape == (3, 5, 3, 6)
    for chunk in (1, 2, 7):  # less than a window's samples, and more
        found = impute(model, numbers, values, known, chunk, threads=2)
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-5)
    alone = impute(model, numbers[3:4], values[3:4], known[3:4], 3)
    np.testing.assert_allclose(alone, whole[:, 3:4], rtol=1e-5, atol=1e-5)


def test_known_entries_are_kept_and_unknown_ones_vary():
    model, numbers, values, known = a_problem()
    samples = impute(model, numbers, values, known, 15)
    assert (samples[:, known] == values[known]).all()
    assert (samples[:, ~known].std(axis=0) > 0).all()


def test_batches_cover_all_windows_once():
    model, numbers, values, known = a_problem()
    parts = imputation.impute(model, numbers, values, known, chunk=6, **OPTIONS)
    assert [part for part, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_antithetic_samples_start_from_opposite_numbers():
    model, numbers, values, known = a_problem()
    torch.nn.init.zeros_(model.diffmodel.output_projection2.weight)  # predicts no noise: a linear sampler
    torch.nn.init.zeros_(model.diffmodel.output_projection2.bias)
    samples = impute(model, numbers, values, known, 2, antithetic=True)
    np.testing.assert_allclose(samples[1][~known], -samples[0][~known], rtol=1e-5)
    assert not np.allclose(samples[2][~known], samples[0][~known])


def test_samples_do_not_depend_on_the_threads():
    model, numbers, values, known = a_problem(9)
    whole = impute(model, numbers, values, known, 27)
    for chunk, threads in ((27, 2), (4, 1), (4, 3), (1, 5)):
        found = impute(model, numbers, values, known, chunk, threads=threads)
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-5)


def test_threads_leave_no_trace_in_the_last_digit():
    """So that a run may have fewer cores than the config's threads, and another number is no reason to run again."""
    problem = a_problem(9)
    one, two, five = (impute(*problem, 4, threads=threads) for threads in (1, 2, 5))
    assert one.tobytes() == two.tobytes() == five.tobytes()


def test_each_sample_of_each_window_is_another_one():
    model, numbers, values, known = a_problem()
    values[:], known[:] = values[0], known[0]
    samples = impute(model, numbers, values, known, 4)[..., ~known[0]].reshape(15, -1)
    assert len({tuple(sample) for sample in samples.tolist()}) == 15


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_a_window_with_nothing_observed_is_imputed_all_the_same(conditional, sampler):
    model, numbers, values, known = a_problem()
    if not conditional:
        model = CSDI(3, conditional=False).eval()
    values[1], known[1] = 0.0, False
    options = OPTIONS | {"sampler": sampler}
    ((_, samples),) = imputation.impute(model, numbers, values, known, chunk=15, **options)
    assert np.isfinite(samples).all() and (samples[:, 1].std(axis=0) > 0).all()


def test_time_points_are_those_of_each_window():
    model, numbers, values, known = a_problem()
    expected = impute(model, numbers, values, known, 4)
    regular = np.tile(np.arange(6), (5, 1))
    for time_points in (regular, regular.astype(float), torch.from_numpy(regular)):
        found = impute(model, numbers, values, known, 4, time_points=time_points)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4 * np.abs(expected).max())
    irregular = regular.astype(np.float32)
    irregular[2] *= 3.5
    found = impute(model, numbers, values, known, 4, time_points=irregular)
    changed = np.abs(found - expected).max(axis=(0, 2, 3)) > 0.01 * np.abs(expected).max()
    assert changed.tolist() == [False, False, True, False, False]


class Watched:
    """An array that tells how far it has been read."""

    def __init__(self, array):
        self.array, self.shape, self.last = array, array.shape, 0

    def __len__(self):
        return len(self.array)

    def __getitem__(self, part):
        self.last = max(self.last, part.stop)
        return self.array[part]


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_handed_out_before_later_windows_are_read(threads):
    model, numbers, values, known = a_problem(40)
    watched = Watched(values)
    parts = imputation.impute(model, numbers, watched, known, chunk=3, **OPTIONS | {"threads": threads})
    for done, (part, _) in enumerate(parts, start=1):
        assert part == slice(done - 1, done)
        assert done <= watched.last <= min(done + threads + 1, 40)


def test_progress_counts_windows():
    model, numbers, values, known = a_problem()

    class Bar:
        counts: ClassVar = []

        def update(self, n):
            self.counts.append(n)

    impute(model, numbers, values, known, 6, progress=Bar())
    assert Bar.counts == [2, 2, 1]


@pytest.mark.parametrize("changes", [{"sampler": "euler"}, {"n_steps": 99}, {"device": "tpu"}])
def test_unknown_settings_are_refused(changes):
    model, numbers, values, known = a_problem()
    with pytest.raises(InputError, match=r"euler|99|tpu"):
        list(imputation.impute(model, numbers, values, known, chunk=3, **OPTIONS | changes))
