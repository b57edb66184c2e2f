"""The score networks of several seeds: what is printed of each is what the page says it is."""

import numpy as np
import pytest

from scoredag.gmm import mixture_files
from scoredag.likelihood import problems, score_network


@pytest.fixture
def score_seeds(root, monkeypatch):
    """The script benchmarks/score_seeds.py as a module."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import score_seeds

    return score_seeds


@pytest.fixture
def problem(root):
    gmm = mixture_files.read(root / "data/gmm.csv")
    return problems.build(gmm, name="vp", span=[0.1, 20.0], smallest_time=1e-5)


def test_with_the_exact_score_the_flow_has_the_density_of_the_data(score_seeds, problem):
    terms = score_seeds.flow_terms(problem, problems.score_model(problem, {}), 30)
    np.testing.assert_allclose(terms, 0, atol=1e-3)
    scaled = score_seeds.flow_terms(problem, problems.score_model(problem, {"scale": 0.8}), 30)
    assert scaled.mean() > 0.5


def test_a_row_keeps_statement_1_and_depends_on_the_seed(score_seeds, problem):
    training = score_seeds.defaults()["training"]
    first, again, other = (
        score_seeds.measure(problem, "likelihood", seed, training, score_seeds.QUICK) for seed in (1, 1, 2)
    )
    assert first.bound > first.divergence - 4 * first.bound_error
    assert first.bound == again.bound and (first.flow == again.flow).all()
    assert first.bound != other.bound and first.divergence != other.divergence


def test_the_network_is_that_of_the_run(score_seeds, root, problem, tmp_path):
    """The same weights as the rule's, by its own function."""
    from scoredag.gmm import mixture
    from scoredag.store import tables
    from train_score import train_score

    training = score_seeds.defaults()["training"] | {"n_steps": 20}
    tables.write(
        mixture.to_table(mixture_files.read(root / "data/gmm.csv")), tmp_path / "parameters.parquet", tables.GMM
    )
    settings = {"training": training, "weighting": "likelihood", "seed": score_seeds.DEFAULT_SEED}
    settings["process"] = {"name": "vp", "span": [0.1, 20.0], "smallest_time": 1e-5}
    train_score(tmp_path / "parameters.parquet", tmp_path / "model.safetensors", settings, "mine")
    stored = score_network.load(tmp_path / "model.safetensors")
    found = score_seeds.trained(problem, "likelihood", score_seeds.DEFAULT_SEED, training)
    for ours, theirs in zip(found.matrices, stored.matrices, strict=True):
        np.testing.assert_array_equal(ours, theirs)
