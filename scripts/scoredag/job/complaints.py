"""What went wrong in a run, found again in what Snakemake has logged, for the very end of what is printed."""

import atexit
import re
import sys
from collections.abc import Sequence
from pathlib import Path


def error_lines(logs: Sequence[str | Path]) -> list[str]:
    """The lines of Snakemake's logs, and of the failed jobs' logs that it names, which say what is wrong.

    A failed job without such a line has its log's last line, as that of a traceback.
    """
    text = "\n".join(map(_read, logs))
    lines = re.findall(r"^error: .*", text, re.MULTILINE)
    for path in re.findall(r"^ +log: (.*) \(check log file\(s\)", text, re.MULTILINE):
        own = _read(path).strip().splitlines()[1:]  # the first is the job's claim
        lines += [line for line in own if line.startswith("error: ")] or [f"{path}: {line}" for line in own[-1:]]
    return list(dict.fromkeys(lines))


def repeat_at_exit(lines: list[str]) -> None:
    """Print the lines after all else, each as one of this workflow's, where Snakemake's command is what runs."""
    if "snakemake" in sys.argv[0]:
        for line in reversed(lines):
            atexit.register(print, f"scoredag: {line}", file=sys.stderr, flush=True)


def _read(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
