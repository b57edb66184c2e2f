"""Devices, threads and memory."""

import numpy as np
import pytest
import torch

from scoredag.csdi import devices, imputation
from scoredag.csdi.network import CSDI
from scoredag.errors import InputError

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")


def test_cuda_without_a_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"\Adevice: cuda .* no GPU; write auto or cpu\Z"):
        devices.choose("cuda")
    assert devices.choose("auto") == devices.choose("cpu") == torch.device("cpu")


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose("auto") == devices.choose("cuda") == torch.device("cuda")
    assert devices.choose("cpu") == torch.device("cpu")


def test_another_device_is_refused():
    with pytest.raises(InputError, match=r"\Adevice: 'tpu' is unknown; known are auto, cpu, cuda\Z"):
        devices.choose("tpu")


def test_too_large_a_tensor_or_array_is_one_line_with_advice():
    for allocate in (lambda: torch.empty(1 << 59), lambda: np.empty(1 << 59)):
        with pytest.raises(InputError, match=r"\Aout of memory: lower it\Z"), devices.enough_memory("lower it"):
            allocate()


def test_a_full_gpu_is_the_same_line():
    with pytest.raises(InputError, match="out of memory"), devices.enough_memory("lower it"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize("error", [RuntimeError("shapes"), ValueError("no"), InputError("already one line")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, devices.enough_memory("lower it"):
        raise error
    assert caught.value is error


def test_memory_that_runs_out_in_a_worker_is_one_line():
    with (
        pytest.raises(InputError, match="out of memory: lower it"),
        devices.workers(2, torch.device("cpu")) as pool,
        devices.enough_memory("lower it"),
    ):
        list(pool.map(torch.empty, [1, 1 << 59]))


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_workers_compute_with_one_thread_each_and_leave_the_number_as_it_was():
    with devices.workers(2, torch.device("cpu")) as pool:
        counts = list(pool.map(lambda _: torch.get_num_threads(), range(8)))
    assert counts == [1] * 8 and torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), devices.workers(2, torch.device("cpu")):
        _ = 1 / 0
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_imputation_that_is_given_up_leaves_the_number_of_threads_as_it_was():
    values, known = np.zeros((4, 2, 3), np.float32), np.zeros((4, 2, 3), bool)
    options = {"n_samples": 1, "chunk": 1, "seed": 0, "n_steps": 1, "device": "cpu"}
    parts = imputation.impute(CSDI(2).eval(), range(4), values, known, **options)
    next(parts)
    parts.close()
    assert torch.get_num_threads() == 3


def test_a_cpu_computes_in_full_precision():
    with devices.precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@needs_gpu
def test_a_gpu_imputes_nearly_what_a_cpu_does():
    torch.manual_seed(0)
    model = CSDI(3).eval()
    torch.nn.init.normal_(model.diffmodel.output_projection2.weight, std=0.01)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 3, 6)).astype(np.float32)
    known = rng.random(values.shape) < 0.6
    options = {"n_samples": 3, "chunk": 2, "seed": 1, "sampler": "ddpm", "n_steps": 4, "antithetic": False}
    results = [
        np.concatenate(
            [part for _, part in imputation.impute(model, range(5), values, known, device=name, **options)], 1
        )
        for name in ("cuda", "cpu")
    ]
    np.testing.assert_allclose(*results, atol=0.05)
