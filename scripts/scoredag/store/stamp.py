"""What the job at work stands for: the record that its files carry, and its claim on its outputs.

`job.run` sets both; whoever writes a file reads them. Without a job, as in a notebook, both are None.
"""

import contextlib
import json
from contextvars import ContextVar

KEY = "provenance"  # of the record, in the metadata of tables and weights
_record = ContextVar("record", default=None)
_claim = ContextVar("claim", default=None)


@contextlib.contextmanager
def setting(*, record=None, claim=None):
    """Set the record, or the claim, or both, while the block runs.

    Args:
        record: a dict of what JSON can hold (see `job.record`).
        claim: a function without arguments that raises InputError once another process has started the same job.
    """
    tokens = [(variable, variable.set(value)) for variable, value in ((_record, record), (_claim, claim)) if value]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def record():
    """The record of the job at work under its `KEY`, for the metadata of weights; empty where there is no job."""
    return {KEY: _record.get()} if _record.get() else {}


def record_as_text():
    """`record` with the record as JSON, for the metadata of tables."""
    return {key: json.dumps(value, sort_keys=True, ensure_ascii=False) for key, value in record().items()}


def check_claim():
    """Raise InputError if another process has claimed the outputs of the job at work."""
    if _claim.get():
        _claim.get()()
