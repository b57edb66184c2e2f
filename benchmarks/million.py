"""A million test windows, from a table of minutes to metrics, completed series and figures, in 20 shards.

python benchmarks/million.py FOLDER [--minutes 13200000] [--cores 2]

Writes FOLDER/minutes.parquet unless it is there, runs Snakemake in FOLDER with million.yaml, and prints what the jobs
of each rule took: seconds on the clock, and GB (10^9 bytes) of the largest, as Snakemake saw it, which looks every 30
seconds; then seconds of processor of all. Run again after an interruption, it goes on from there.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import series

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("metrics.png", "calibration.png", "imputed.parquet", "gaps.png")


def measured(logs: Path) -> pd.DataFrame:
    """A row for each rule: its number of jobs, their seconds together and at most, GB at most."""
    timings = {path: pd.read_csv(path, sep="\t").iloc[-1] for path in logs.rglob("*.tsv")}
    rows = [(path.stem, float(row["s"]), float(row["max_rss"]) * 2**20 / 1e9) for path, row in timings.items()]
    jobs = pd.DataFrame(rows, columns=["rule", "seconds", "gigabytes"]).groupby("rule")
    columns = {"jobs": jobs.size(), "seconds": jobs["seconds"].sum(), "of_one": jobs["seconds"].max()}
    return pd.DataFrame(columns | {"gigabytes": jobs["gigabytes"].max()}).sort_values("seconds", ascending=False)


def main() -> int:
    """Make the table, run Snakemake, and print a line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, default=13_200_000)
    parser.add_argument("--cores", default="2")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table = options.folder / "minutes.parquet"
    if not table.exists():
        series.write_table(table, options.minutes, 1, "1min")
    config = ROOT / "benchmarks" / "million.yaml"
    command = [sys.executable, "-m", "snakemake", *(f"results/csdi/minutes/{name}" for name in TARGETS)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(options.folder), "--configfile", str(config)]
    status = subprocess.run([*command, "--cores", options.cores, "--quiet", "rules"]).returncode
    for rule, jobs, seconds, of_one, gigabytes in measured(options.folder / "logs").itertuples():
        print(f"{rule:24} {jobs:3} jobs {seconds:8.0f} s  {of_one:6.0f} s at most  {gigabytes:5.2f} GB")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor since this was started")
    return status


if __name__ == "__main__":
    sys.exit(main())
