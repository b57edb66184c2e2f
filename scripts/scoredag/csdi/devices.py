"""Where PyTorch computes, and with how many threads."""

import contextlib
import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import threadpoolctl
import torch

from scoredag.errors import InputError

DEVICES = ("auto", "cpu", "cuda")


def choose(name: str) -> torch.device:
    """The torch device of `auto`, `cpu` or `cuda`; `auto` takes a GPU where there is one.

    Raises:
        InputError: an unknown name, or `cuda` without a GPU that PyTorch can use.
    """
    if name not in DEVICES:
        raise InputError(f"device: '{name}' is unknown; known are {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda is asked for, but PyTorch finds no GPU; write auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def workers(n: int, device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads that share the work on a batch; each computes with one thread.

    On a CPU that beats `n` threads on each product: products are small, and no thread waits for
    another until the batch is done. A GPU gets one thread, and products in bfloat16.
    """
    before = torch.get_num_threads()
    if device.type == "cuda":
        n, threads_each = 1, before
    else:
        threads_each = 1
        _keep_memory()
    torch.set_num_threads(threads_each)
    try:
        # sums in float64 would show how many threads NumPy's BLAS has, which a job's cores set
        with (
            threadpoolctl.threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(threads_each,)) as pool,
        ):
            yield pool
    finally:
        torch.set_num_threads(before)


def precision(device: torch.device) -> torch.autocast:
    """A context in which products on a GPU are in bfloat16; on a CPU all stays as it is."""
    return torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")


@contextlib.contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Turn running out of memory into one line that ends in `advice`.

    Raises:
        InputError: no memory was left, on the CPU or the GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise InputError(f"out of memory: {advice}") from error
        raise


def _keep_memory():
    """Let glibc keep freed memory: by default each large tensor is given back and faulted in anew."""
    with contextlib.suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 1 << 25)  # M_MMAP_THRESHOLD, at its maximum
