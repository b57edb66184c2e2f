"""What the job at work puts on its files: its record, and its claim on its outputs.

`job.run` sets both; whoever writes a file reads them. Without a job, as in a notebook, there is neither.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

KEY = "provenance"  # of the record, in the metadata of tables and weights
_record: ContextVar[dict[str, Any] | None] = ContextVar("record", default=None)
_claim: ContextVar[Callable[[], None] | None] = ContextVar("claim", default=None)


@contextlib.contextmanager
def job(*, record: dict[str, Any] | None = None, claim: Callable[[], None] | None = None) -> Iterator[None]:
    """Set the record, or the claim, or both, while the block runs.

    Args:
        record: what JSON can hold (see `job.record`).
        claim: raises InputError once another process has started the same job (see `files.claim`).
    """
    token = _record.set(record) if record else None
    claimed = _claim.set(claim) if claim else None
    try:
        yield
    finally:
        if token:
            _record.reset(token)
        if claimed:
            _claim.reset(claimed)


def record() -> dict[str, Any]:
    """The record of the job at work under its `KEY`, for the metadata of weights; empty where there is no job."""
    current = _record.get()
    return {KEY: current} if current else {}


def record_as_text() -> dict[str, str]:
    """`record` with its value as JSON text, for the metadata of tables."""
    return {key: json.dumps(value, sort_keys=True, ensure_ascii=False) for key, value in record().items()}


def check_claim() -> None:
    """Raise InputError if another process has claimed the outputs of the job at work."""
    check = _claim.get()
    if check:
        check()
