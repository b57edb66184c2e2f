"""Structural models: closed forms and statsmodels' own model, simulated series, and what cannot be estimated."""

import logging
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from statsmodels.tsa.statespace.structural import UnobservedComponents

from fit_structural import fit_structural
from scoredag.errors import InputError
from scoredag.series import baselines, components, profiles, state_space, structural, tidy, windows
from scoredag.series.components import Season, Structural
from scoredag.store import tables

MODELS = {
    "local level": Structural(0.04, None, 0.3),
    "trend": Structural(0.01, 1e-4, 0.2),
    "level and AR(1)": Structural(0.02, None, 1e-8, (0.7,), 0.1),
    "AR(2) and season": Structural(0.0, None, 0.05, (1.2, -0.4), 0.1, (Season(12.0, 2, 1e-3), Season(5.5, 1, 1e-3))),
}


def covariance(model, n_steps):
    """Of a series of the model, without what is irregular: sums of products of the components' own, in closed form."""
    steps = np.arange(n_steps)
    earlier = np.minimum.outer(steps, steps).astype(float)
    lags = np.abs(np.subtract.outer(steps, steps))
    result = state_space.LEVEL + model.level * earlier
    if model.slope is not None:
        product = np.multiply.outer(steps, steps)
        result = result + state_space.SLOPE * product
        for step in range(n_steps):  # a move of the slope at `step` acts from two steps later on
            since = (steps - step - 1).clip(min=0)
            result = result + model.slope * np.multiply.outer(since, since)
    for season in model.seasons:
        for h in range(1, season.harmonics + 1):
            wave = np.cos(2 * np.pi * h * lags / season.period)
            result = result + wave * (state_space.SEASON / h**2 + season.variance * earlier)
    if model.coefficients:
        weights = lfilter([1.0], np.r_[1.0, -np.array(model.coefficients)], np.eye(1, 2000)[0])
        terms = [weights[: 2000 - lag] @ weights[lag:] for lag in range(n_steps)]
        result = result + model.autoregression * np.array(terms)[lags]
    return result


def simulated(model, n_steps, seed=0, n=1):
    rng = np.random.default_rng(seed)
    signal = covariance(model, n_steps)
    noise = np.sqrt(model.irregular) * rng.normal(size=(n, n_steps))
    return np.linalg.cholesky(signal + 1e-9 * np.eye(n_steps)) @ rng.normal(size=(n_steps, n)) + noise.T


def hidden(n_steps, share, seed=1):
    return np.random.default_rng(seed).random(n_steps) < share


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_smoothing_is_gaussian_conditioning(model):
    n = 60
    values, known = simulated(model, n)[:, 0], ~hidden(n, 0.4)
    known[20:30] = False
    mean, deviation = structural.smooth(model, values, known)
    signal = covariance(model, n)
    given = signal[np.ix_(known, known)] + model.irregular * np.eye(known.sum())
    weights = np.linalg.solve(given, signal[known])
    expected = weights.T @ values[known]
    variance = np.diag(signal - signal[known].T @ weights) + model.irregular
    np.testing.assert_allclose(mean, np.where(known, values, expected), atol=1e-6)
    np.testing.assert_allclose(deviation, np.where(known, 0, np.sqrt(variance)), atol=1e-6)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_likelihood_is_the_density_and_that_of_statsmodels_own_model(model):
    n = 80
    values = simulated(model, n)[:, 0]
    values[hidden(n, 0.2)] = np.nan
    there = ~np.isnan(values)
    law = covariance(model, n)[np.ix_(there, there)] + model.irregular * np.eye(there.sum())
    _, log_determinant = np.linalg.slogdet(law)
    y = values[there]
    density = -0.5 * (y @ np.linalg.solve(law, y) + log_determinant + len(y) * np.log(2 * np.pi))
    space = state_space.system(model)
    found = state_space.Likelihood(len(space.design), values, [n]).log(model)
    assert found == pytest.approx(density, abs=1e-5)

    theirs = UnobservedComponents(
        values,
        irregular=True,
        level=True,
        stochastic_level=model.level > 0,
        trend=model.slope is not None,
        stochastic_trend=model.slope is not None,
        autoregressive=len(model.coefficients) or None,
        freq_seasonal=[{"period": s.period, "harmonics": s.harmonics} for s in model.seasons] or None,
        loglikelihood_burn=0,
    )
    theirs.ssm.initialize_known(np.zeros(len(space.design)), space.start)
    variances = [model.irregular, *[v for v in (model.level, model.slope) if v], *(s.variance for s in model.seasons)]
    errors = [model.autoregression, *model.coefficients] if model.coefficients else []
    assert found == pytest.approx(theirs.loglike([*variances, *errors]), abs=1e-6)


def test_several_series_are_independent_and_share_parameters():
    model, n = MODELS["AR(2) and season"], 50
    pair = simulated(model, n, n=2)
    known = ~hidden(2 * n, 0.3)
    below = pair.T.ravel()
    space = state_space.system(model)
    alone = [state_space.Likelihood(len(space.design), series, [n]).log(model) for series in pair.T]
    assert state_space.Likelihood(len(space.design), below, [n, n]).log(model) == pytest.approx(sum(alone))
    together = structural.smooth(model, below, known, [n, n])
    for i in range(2):
        part = slice(i * n, (i + 1) * n)
        for found, expected in zip(together, structural.smooth(model, below[part], known[part]), strict=True):
            np.testing.assert_allclose(found[part], expected, atol=1e-9)
    found = structural.fit(below, known, (), [n, n])
    assert np.isfinite(structural.smooth(found, below, known, [n, n])).all()


def test_variances_of_a_local_level_are_found():
    model, n = MODELS["local level"], 1000
    values = simulated(model, n)[:, 0]
    found = structural.fit(values, ~hidden(n, 0.1))
    gap = structural.smooth(found, values, np.arange(n) % 50 < 40)[1][40:50]
    expected = structural.smooth(model, values, np.arange(n) % 50 < 40)[1][40:50]
    np.testing.assert_allclose(gap, expected, rtol=0.15)


def seasonal(n_steps, period=24, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(n_steps) / period) + 0.3 * np.cos(4 * np.pi * np.arange(n_steps) / period)
    return wave + lfilter([1.0], [1.0, -0.9], noise * rng.normal(size=n_steps))


def test_a_long_gap_of_a_seasonal_series_is_filled():
    values = seasonal(720)
    known = np.ones(720, bool)
    known[300:360] = False
    model = structural.fit(values, known, (24.0, 168.0))
    assert [season.period for season in model.seasons] == [24.0]
    mean, _ = structural.smooth(model, values, known)
    line = baselines.linear(values[None, None], known[None, None])[0, 0]
    error, of_line = (np.abs(filled - values)[~known].mean() for filled in (mean, line))
    assert error < 0.4 * of_line


@pytest.mark.parametrize("name", ["local level", "AR(2) and season"])
def test_intervals_hold_their_level_on_simulated_series(name):
    n, inside = 500, []
    for seed in range(4):
        values, known = simulated(MODELS[name], n, seed)[:, 0], ~hidden(n, 0.3, seed)
        model = structural.fit(values, known, (12.0,))
        mean, deviation = structural.smooth(model, values, known)
        inside.append((np.abs(mean - values) < 1.645 * deviation)[~known])
    assert 0.86 < np.concatenate(inside).mean() < 0.94


@pytest.mark.parametrize(
    "values",
    [
        np.full(200, 3.0),
        np.r_[np.zeros(100), 1.0, np.zeros(99)],
        np.r_[1.0, np.full(199, np.nan)],
        np.r_[np.arange(5.0), np.full(195, np.nan)],
        np.arange(200.0),
        np.tile([0.0, 1.0], 100),
        np.array([1.0, 2.0]),
        np.r_[0.0, 1e6, np.random.default_rng(0).normal(size=198)],
        np.cumsum(np.cumsum(np.random.default_rng(0).normal(size=200))),
        np.where(np.arange(200) % 19 == 0, np.random.default_rng(0).normal(size=200), np.nan),
    ],
    ids=["constant", "a spike", "one value", "few", "a line", "two values", "short", "absurd", "smooth", "sparse"],
)
def test_odd_series_have_a_model_and_finite_answers(values):
    known = np.isfinite(values)
    known[-1] = False
    model = structural.fit(values, known, (24.0, 7.5))
    mean, deviation = structural.smooth(model, values, known)
    assert np.isfinite(mean).all() and np.isfinite(deviation).all()
    assert (mean[known] == values[known]).all() and (deviation[known] == 0).all()
    assert (deviation[~known] > 0).all()


def test_nothing_known_is_refused_and_smoothed_all_the_same():
    with pytest.raises(InputError, match="no value is known"):
        structural.fit(np.full(30, np.nan), np.ones(30, bool))
    mean, deviation = structural.smooth(MODELS["local level"], np.full(30, np.nan), np.zeros(30, bool))
    assert (mean == 0).all() and np.isfinite(deviation).all()


def test_stretches_give_nearly_what_one_pass_gives(monkeypatch):
    values, known = seasonal(3000), ~hidden(3000, 0.5)
    known[700:740] = False
    model = Structural(0.0, None, 1e-4, (0.9,), 0.01, (Season(24.0, 2, 1e-6),))
    mean, deviation = structural.smooth(model, values, known)
    monkeypatch.setattr(structural, "STRETCH", 600)
    again, deviation_again = structural.smooth(model, values, known)
    assert np.abs(again - mean).sum() < 0.05 * deviation.sum()
    assert (np.abs(again - mean) <= 0.3 * deviation).all()
    np.testing.assert_allclose(deviation_again, deviation, rtol=0.01)


def test_memory_does_not_grow_with_the_series(monkeypatch):
    monkeypatch.setattr(structural, "STRETCH", 500)
    monkeypatch.setattr(structural, "MARGIN", 50)

    def most(n):
        tracemalloc.start()
        structural.smooth(MODELS["AR(2) and season"], np.zeros(n), np.arange(n) % 3 > 0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert most(6000) < 1.2 * most(1500)


@pytest.mark.parametrize(
    ("interval", "n_steps", "expected"),
    [
        ("1h", 2000, (24.0, 168.0)),
        ("30min", 1500, (48.0, 336.0)),
        ("1h", 100, (24.0,)),
        ("24h", 1500, (7.0, 365.25)),
        ("24h", 300, (7.0,)),
        ("B", 1000, (5.0, 260.89)),
        ("7D", 400, (52.18,)),
        ("MS", 120, (12.0,)),
        ("QS", 80, (4.0,)),
        ("YS", 80, ()),
    ],
)
def test_the_calendar_gives_periods(interval, n_steps, expected):
    times = pd.date_range("2001-01-01", periods=n_steps, freq=interval, tz="UTC")
    noise = np.random.default_rng(0).normal(size=n_steps)
    assert structural.periods_of(times, noise, [n_steps]) == pytest.approx(expected, rel=2e-3)


def test_the_autocorrelation_gives_a_period_that_no_calendar_has():
    times = pd.date_range("2001-01-01", periods=1000, freq="24h", tz="UTC")
    values = np.where(hidden(1000, 0.2), np.nan, seasonal(1000, 29))
    assert structural.periods_of(times, values, [1000]) == (7.0, 29.0)
    assert structural.periods_of(times, np.full(1000, np.nan), [500, 500]) == (7.0,)


def test_what_is_saved_is_loaded(tmp_path):
    components.save(MODELS, tmp_path / "structural.parquet")
    assert components.load(tmp_path / "structural.parquet") == MODELS
    components.save({}, tmp_path / "none.parquet")
    assert components.load(tmp_path / "none.parquet") == {}


@pytest.mark.parametrize("several", [False, True])
def test_the_rule_sees_training_steps_alone(tmp_path, caplog, several):
    """Other values in steps of other splits give the same table; a feature that is known only there is left out."""
    n, n_series = 480, 4
    times = pd.date_range("2001-01-01", periods=n, freq="1h", tz="UTC", name="time")
    index = pd.MultiIndex.from_product([list("abcd"), times[: n // n_series]], names=["series", "time"])
    lengths = [n // n_series] * n_series if several else [n]
    settings = {"block": n // n_series, "shares": [0.6, 0.2, 0.2], "split_seed": 1}
    trains = windows.split(lengths, several, **settings) == 0
    settings |= {"length": 24, "held_out": []}
    assert 0 < trains.sum() < n
    stats = pd.DataFrame({"feature": ["x", "y"], "mean": 5.0, "std": 2.0, "missing_fraction": 0.0})
    paths = {
        f"{name}_path": str(tmp_path / f"{name}.parquet") for name in ("statistics", "series", "structural", "profile")
    }
    tables.write(stats, paths["statistics_path"], tables.STATISTICS)
    profiles.write(None, paths["profile_path"])
    found = []
    for other in (0.0, 50.0):
        x = 5 + 2 * seasonal(n) + np.where(trains, 0.0, other)
        wide = pd.DataFrame({"x": x, "y": np.where(trains, np.nan, x)}, index if several else times)
        tables.write(tidy.to_tidy(wide), paths["series_path"], tables.SERIES)
        with caplog.at_level(logging.INFO):
            fit_structural(**paths, settings=settings, dataset="d")
        found.append(components.load(paths["structural_path"]))
    assert found[0] == found[1] and list(found[0]) == ["x"]
    assert "d: 'y': no value is known" in caplog.text and "season of 24 steps" in caplog.text
