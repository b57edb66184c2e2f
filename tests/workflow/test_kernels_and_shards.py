"""Shards, other kernels and divergence, end to end."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scoredag import streams
from scoredag.gmm import langevin, mixture_files
from scoredag.job import record

SHARDED = """
gmm: {n_exact: 300}
langevin:
  shard_size: 500
  variants: {a: null, c: null, d: null, b: {n_particles: 1200, n_steps: 20, snapshots: [0, 5]}}
  figure: {most_markers: 1000}
"""


def test_shards_give_the_samples_of_one_job(root, project):
    (project.folder / "sharded.yaml").write_text(SHARDED, encoding="utf-8")
    target = "results/langevin/b/scatter.png"
    assert project.jobs(target, configfiles=("sharded.yaml",)) >= {"sample_shard:b", "gather_shards:b"}
    done = project.snakemake(target, configfiles=("sharded.yaml",))
    assert done.returncode == 0, done.stdout
    found = pd.read_parquet(project.folder / "results/langevin/b/samples.parquet")
    gmm = mixture_files.read(root / "data/gmm.csv")
    expected = langevin.simulate(
        gmm,
        n_particles=1200,
        n_steps=20,
        step_size=0.1,
        noise_covariance=np.eye(2),
        snapshots=[0, 5],
        seed=streams.seed(1, "langevin", "b"),
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
    assert not (project.folder / "results/langevin/b/shards").exists() or not list(
        (project.folder / "results/langevin/b/shards").iterdir()
    )
    settings = record.read(project.folder / "results/langevin/b/samples.parquet")["settings"]
    assert settings["seed"] == 1 and settings["variant"]["step_size"] == 0.1
    with Image.open(project.folder / target) as image:
        assert min(image.size) > 400  # binned, as they are more than most_markers
    again = project.snakemake(target, configfiles=("sharded.yaml",))
    assert "Nothing to be done" in again.stdout


KERNELS = "config/presets/kernels.yaml"
SMALL = """
gmm: {n_exact: 300}
langevin:
  variants: {%s}
  history: {n_particles: 300, n_snapshots: 4, n_chains: 8}
"""
NAMES = ("langevin", "preconditioned", "mala", "underdamped", "annealed", "tempering")


@pytest.mark.slow
def test_the_preset_shows_every_kernel(project):
    variants = ", ".join(f"{name}: {{n_particles: 300, n_steps: 40}}" for name in NAMES)
    (project.folder / "small.yaml").write_text(SMALL % variants, encoding="utf-8")
    target = "results/langevin/metrics.parquet"
    done = project.snakemake(target, configfiles=(KERNELS, "small.yaml"))
    assert done.returncode == 0, done.stdout
    table = pd.read_parquet(project.folder / target).pivot(index="metric", columns="variant", values="value")
    assert set(table.columns) == {"exact", *NAMES}
    assert (table.loc["non_finite"] == 0).all()
    assert table.loc["acceptance"].dropna().index.tolist() == ["mala", "tempering"]
    assert table.loc["swap_acceptance"].dropna().between(0.05, 1).tolist() == [True]


def test_divergence_stops_with_one_line_or_is_counted(project):
    step = "step_size: 30, n_particles: 500, n_steps: 400"
    overlay = f"langevin: {{variants: {{a: null, b: null, c: null, d: {{{step}, divergence: stop}}}}}}"
    (project.folder / "far.yaml").write_text(overlay, encoding="utf-8")
    target = "results/langevin/d/samples.parquet"
    done = project.snakemake(target, configfiles=("far.yaml",))
    assert done.returncode != 0 and "error: step_size: 500 of 500 particles are not finite" in done.stdout, done.stdout
    assert not (project.folder / target).exists()
    log = (project.folder / "logs/langevin/d/sample_langevin.log").read_text(encoding="utf-8")
    assert "step_size 30 is beyond the stability limit" in log
    (project.folder / "far.yaml").write_text(overlay.replace("stop", "keep"), encoding="utf-8")
    done = project.snakemake(target, configfiles=("far.yaml",))
    assert done.returncode == 0, done.stdout
    samples = pq.read_table(project.folder / target, columns=["x"]).to_pandas()
    assert len(samples) == 500 and not np.isfinite(samples["x"]).any()
