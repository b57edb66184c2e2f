"""What the benchmarks of several trainings share: their tables of scores, rows of Markdown, and arguments."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def scores(results: Path, run: str, file: str = "metrics.parquet") -> pd.DataFrame:
    """A run's scores over all features, a row a method, metric and pattern (`held_out`), which are texts."""
    table = pd.read_parquet(results / "csdi" / run / file)
    return table[table["feature"] == "all"].astype(dict.fromkeys(("method", "metric", "held_out"), str))


def row(label: str, cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join([label, *cells]) + " |"


def head(label: str, cells: Sequence[str]) -> str:
    """The first two rows of a Markdown table."""
    return row(label, cells) + "\n|" + "---|" * (1 + len(cells))


def parser(about: str) -> argparse.ArgumentParser:
    """With the argument `results`, where finished runs lie."""
    result = argparse.ArgumentParser(description=about.splitlines()[0])
    result.add_argument("--results", type=Path, default=Path("results"))
    return result


def arguments(about: str, figure: Path | None = None) -> argparse.Namespace:
    """`results`, where finished runs lie, and `figure`, where it is written, if there is one."""
    own = parser(about)
    if figure:
        own.add_argument("--figure", type=Path, default=figure)
    return own.parse_args()
