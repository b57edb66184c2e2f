"""Modes of a mixture: those that another optimiser finds, flat tops, and which points lead to them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from count_modes import count_modes
from scoredag.gmm import mixture, mixture_files, modes
from scoredag.gmm.mixture import GaussianMixture
from scoredag.store import tables

UNIT = np.eye(2)


@pytest.fixture(scope="module")
def shipped():
    return mixture_files.read(Path(__file__).parents[2] / "data/gmm.csv")


def test_the_modes_that_ship_are_those_that_bfgs_finds(shipped):
    places, heights = modes.find(shipped)
    assert len(places) == 14 and (np.diff(heights) <= 0).all()
    np.testing.assert_allclose(heights, shipped.log_density(places))

    def fall(x):
        return -shipped.log_density(x[None])[0], -shipped.score(x[None])[0]

    found = [optimize.minimize(fall, start, jac=True, method="BFGS", tol=1e-7).x for start in shipped.means[::3]]
    distances = np.linalg.norm(np.array(found)[:, None] - places, axis=-1)
    assert distances.min(axis=1).max() < 1e-3
    assert len(set(distances.argmin(axis=1))) > 10


CASES = {  # mixture, its modes
    "one component": (GaussianMixture([1], [[3, 4]], [UNIT]), [[3, 4]]),
    "two at one place": (GaussianMixture([0.5, 0.5], [[0, 0], [0, 0]], [UNIT, 2 * UNIT]), [[0, 0]]),
    "a flat top": (GaussianMixture([0.5, 0.5], [[-1, 0], [1, 0]], [UNIT, UNIT]), [[0, 0]]),
    "two that are told apart": (GaussianMixture([0.6, 0.4], [[-9, 0], [9, 0]], [UNIT, UNIT]), [[-9, 0], [9, 0]]),
    "a mean on a saddle": (
        GaussianMixture([0.4, 0.4, 0.2], [[-3, 0], [3, 0], [0, 0]], [UNIT, UNIT, 4 * UNIT]),
        [[2.97, 0], [-2.97, 0]],
    ),
    "narrow ones in a wide one": (
        GaussianMixture([0.3, 0.3, 0.4], [[0, 0], [1, 0], [0, 50]], [1e-12 * UNIT, 1e-4 * UNIT, 100 * UNIT]),
        [[0, 0], [1, 0], [0, 50]],
    ),
    "far from the origin": (
        GaussianMixture([0.5, 0.5], [[1e8, 0], [-1e8, 0]], [1e-4 * UNIT, UNIT]),
        [[1e8, 0], [-1e8, 0]],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_modes_of_mixtures_where_they_are_known(case):
    gmm, expected = CASES[case]
    places, _ = modes.find(gmm)
    assert len(places) == len(expected)
    for place in np.array(expected, dtype=float):
        assert np.linalg.norm(places - place, axis=1).min() < 0.01


def test_crossed_components_may_have_more_modes_than_there_are_components():
    gmm = GaussianMixture([0.5, 0.5], [[0, 0], [3, 2]], [np.diag([4, 0.01]), np.diag([0.01, 4])])
    places, _ = modes.find(gmm)
    assert len(places) == 3
    np.testing.assert_allclose(gmm.score(places), 0, atol=1e-3)


def test_a_ring_of_even_height_is_one_mode_and_all_of_it_leads_there():
    angles = 2 * np.pi * np.arange(60) / 60
    gmm = GaussianMixture(np.full(60, 1 / 60), 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1), [UNIT] * 60)
    places, _ = modes.find(gmm)
    assert len(places) == 1
    assert (modes.nearest(gmm, gmm.sample(300, 1), places) == 0).all()


def test_points_belong_to_the_mode_that_is_uphill():
    gmm, places = CASES["two that are told apart"]
    x = np.array([[-4.0, 3.0], [4.0, -3.0], [np.nan, 0.0], [9.0, 0.0]])
    assert modes.nearest(gmm, x, np.array(places)).tolist() == [0, 1, -1, 1]
    assert modes.nearest(gmm, x, np.array(places)[:1]).tolist() == [0, -1, -1, -1]  # one that was not found


def test_shares_count_all_particles_and_those_at_no_mode(tmp_path, caplog):
    gmm, places = CASES["two that are told apart"]
    paths = [tmp_path / f"{name}.parquet" for name in ("parameters", "modes", "samples", "shares")]
    tables.write(mixture.to_table(gmm), paths[0], tables.GMM)
    x, y = np.array(places, dtype=float).T
    heights = gmm.log_density(np.array(places, dtype=float))
    tables.write({"mode": [0, 1], "x": x, "y": y, "log_density": heights}, paths[1], tables.MODES)
    points = {"x": [-9.0, -9.0, -8.0, np.inf], "y": [0.0, 0.0, 0.0, 0.0]}
    tables.write({"particle": range(4), "step": [7] * 4} | points, paths[2], tables.PARTICLES)
    count_modes(*paths, {"n_particles": 10})
    table = tables.read(paths[3], tables.MODE_SHARES)
    assert table["n_particles"].tolist() == [3, 0, 1] and table["share"].tolist() == [0.75, 0, 0.25]
    assert table["mode"].isna().tolist() == [False, False, True]
    assert pd.isna(table["x"].iloc[2])
    assert "1 of 4 particles are still more than 0.01 nats below their mode" in caplog.text
    assert "1 of 4 particles are at no mode that was found" in caplog.text


def test_of_many_components_the_heaviest_are_climbed_from_and_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setattr(modes, "_N_MEANS", 1)
    gmm, expected = CASES["two that are told apart"]
    places, _ = modes.find(gmm)
    np.testing.assert_allclose(places, expected, atol=1e-3)  # the other is found from drawn points
    assert "from the 1 heaviest of 2 components" in caplog.text
