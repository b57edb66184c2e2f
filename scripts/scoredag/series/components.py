"""What a structural model of a series consists of, in words and as a table."""

from collections.abc import Mapping
from typing import NamedTuple

from scoredag.store import files, tables


class Season(NamedTuple):
    """A cycle of `period` steps as `harmonics` waves of period, period / 2, .., each moved by noise of `variance`."""

    period: float
    harmonics: int
    variance: float


class Structural(NamedTuple):
    """What a value is the sum of, with the variances of the noise that moves it from step to step.

    level: of the level; 0 where it is constant. slope: of its slope; None without one. irregular: of what belongs to
    one step alone, above 0. coefficients: of the autoregression, of order 0 to 2; it is stationary. autoregression:
    the variance of its noise.
    """

    level: float
    slope: float | None
    irregular: float
    coefficients: tuple[float, ...] = ()
    autoregression: float = 0.0
    seasons: tuple[Season, ...] = ()


def described(model: Structural) -> str:
    """The components of a model in words."""
    level = "local level" if model.level else "constant level"
    parts = [level if model.slope is None else "local linear trend"]
    parts += [f"season of {season.period:g} steps (harmonics: {season.harmonics})" for season in model.seasons]
    return ", ".join(parts + [f"AR({len(model.coefficients)})"] * bool(model.coefficients))


def save(models: Mapping[str, Structural], path: files.PathLike) -> None:
    """Write the model of each feature as a table, one row a parameter."""
    tables.write_rows([row for name, model in models.items() for row in _rows(name, model)], path, tables.STRUCTURAL)


def load(path: files.PathLike) -> dict[str, Structural]:
    """The model of each feature that has one.

    Raises:
        InputError: the file cannot be read.
    """
    models = {}
    for feature, rows in tables.read(path, tables.STRUCTURAL).groupby("feature", sort=False):
        of = {key: dict(zip(part["parameter"], part["value"], strict=True)) for key, part in rows.groupby("component")}
        cycles = [of[name] for name in sorted(of) if name.startswith("season ")]
        errors = of.get("autoregression", {})
        models[str(feature)] = Structural(
            of["level"]["variance"],
            of["slope"]["variance"] if "slope" in of else None,
            of["irregular"]["variance"],
            tuple(errors[name] for name in ("lag 1", "lag 2") if name in errors),
            errors.get("variance", 0.0),
            tuple(Season(cycle["period"], int(cycle["harmonics"]), cycle["variance"]) for cycle in cycles),
        )
    return models


def _rows(feature, model):
    """(feature, component, parameter, value) of each parameter."""
    yield feature, "level", "variance", model.level
    if model.slope is not None:
        yield feature, "slope", "variance", model.slope
    yield feature, "irregular", "variance", model.irregular
    for number, season in enumerate(model.seasons, 1):
        yield from ((feature, f"season {number}", name, float(value)) for name, value in season._asdict().items())
    if model.coefficients:
        yield feature, "autoregression", "variance", model.autoregression
    for lag, coefficient in enumerate(model.coefficients, 1):
        yield feature, "autoregression", f"lag {lag}", coefficient
