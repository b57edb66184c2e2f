"""The model card of a run in Markdown: what its tables say of the model, in words for who did not make it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scoredag import metrics
from scoredag.series import features, forecasts, gaps, grids, missingness, transforms

MAX_FEATURES = 40  # with a row each
N_WIDEST = 3  # features that are named for their errors
OFF = 0.03  # coverage that is so far from what an interval promises is named
NONE = "not scored"
_SCORES = {"mae": "MAE", "rmse": "RMSE", "crps": "CRPS"}
_COVERAGES = {percent: f"coverage_{percent}" for percent in metrics.PERCENTS}
_FITTED = metrics.CSDI + metrics.CORRECTED
_METHODS = {
    "auto": "the average of CSDI and simpler methods, quantile by quantile",
    "CSDI": "the draws of CSDI alone, corrected by the validation windows",
    "raw": "the draws of CSDI as they are",
}


class Model(NamedTuple):
    """What a card says of the model itself.

    `metadata` are those of the weights; `history`, `starts` and `statistics` the tables of those names; `interval` is
    the spacing of the series by pandas' name, `units` are those of columns.
    """

    run: str
    metadata: Mapping[str, Any]
    history: pd.DataFrame
    starts: pd.DataFrame
    statistics: pd.DataFrame
    interval: str
    units: Mapping[str, str]


class Use(NamedTuple):
    """How a model is used, by the config; `choice` is the table start_choice.parquet where `start` is `auto`."""

    sampler: str
    start: int | str | None
    choice: pd.DataFrame | None
    antithetic: bool
    method: str
    level: float


class Scores:
    """Look-ups in a table of scores of test windows, columns of metrics.parquet; None where something is not scored."""

    def __init__(self, table: pd.DataFrame):
        self.table = table
        self.patterns: list[str] = list(dict.fromkeys(table["held_out"]))
        self._rows = table.set_index(["held_out", "method", "feature", "metric"]).sort_index()

    def row(self, pattern: str, method: str, metric: str, feature: str = grids.TOTAL) -> pd.Series | None:
        """The row of a score, if there is one."""
        key = (pattern, method, feature, metric)
        return self._rows.loc[key] if key in self._rows.index else None

    def value(self, *key: str) -> float | None:
        """Its value, if there is one."""
        row = self.row(*key)
        return None if row is None or pd.isna(row["value"]) else float(row["value"])

    def n_targets(self, pattern: str) -> int:
        """Held-out values of a pattern: of any score but those of validation windows."""
        here = (self.table["held_out"] == pattern) & (self.table["metric"] == "crps")
        return int(self.table.loc[here & (self.table["feature"] == grids.TOTAL), "n_targets"].max())

    def weights(self, pattern: str) -> pd.DataFrame:
        """The rows of the weights of the average."""
        return self.table[(self.table["held_out"] == pattern) & (self.table["metric"] == "weight")]

    def simpler(self, pattern: str) -> str | None:
        """The method with the lowest CRPS besides CSDI and the average, with a distribution if any has one."""
        whole = self.table[(self.table["held_out"] == pattern) & (self.table["feature"] == grids.TOTAL)]
        crps = whole[whole["metric"] == "crps"].set_index("method")["value"].dropna()
        crps = crps[[name.partition(",")[0] not in (metrics.AUTO, metrics.CSDI) for name in crps.index]]
        held = crps[crps.index.isin(whole.loc[whole["metric"].isin(_COVERAGES.values()), "method"])]
        crps = crps if held.empty else held
        return None if crps.empty else str(crps.idxmin())


def write(model: Model, use: Use, table: pd.DataFrame, patterns: Mapping[str, Any], spans: pd.DataFrame) -> str:
    """The card.

    Args:
        model: what it is.
        use: how it is used.
        table: of the scores of test windows.
        patterns: {name: settings} of the patterns of missing entries that the dataset has, as `missingness` takes them.
        spans: the gaps of the series, from `gaps.find`.
    """
    scores = Scores(table)
    parts = [
        f"# Model card: {model.run}",
        "`model.safetensors` beside this page is a CSDI (Tashiro et al. 2021), a conditional score-based diffusion "
        "model, which draws samples of the missing values of a window of a time series. The page is made from the "
        "tables of its run. Held-out values are known, but hidden from the model and compared with what it says of "
        "them; the test windows that are scored here were used for nothing else.",
        f"## What it was trained on\n\n{markdown_table(list(_origin(model)), right=2)}\n{_statistics(model)}",
        f"## How it is used\n\n{_list(_usage(use, scores))}",
        f"## Scores\n\n{_score_part(scores, patterns)}",
        f"## Intervals\n\n{_coverage_part(scores)}",
        f"## Limits\n\n{_list(_limits(model, scores, patterns, spans))}",
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _origin(model):
    """Rows of what the model was trained on."""
    metadata, history = model.metadata, model.history
    train = model.starts[model.starts["held_out"].isna()]
    length = metadata["window_length"]
    last = train["start"].max() + (length - 1) * grids.offset_of(model.run, model.interval)
    n_series = train["series"].nunique() if "series" in train else 1
    valid = history[history["split"] == "valid"]
    best = valid.loc[valid["loss"].idxmin()]
    sha = metadata.get("init_sha256")
    init = "random weights" if metadata["init"] == "scratch" else f"the checkpoint `{metadata['init']}`"
    steps = int(history["step"].max())
    yield ["", ""]
    yield ["dataset", metadata["dataset"] + (f", {n_series:,} series" if n_series > 1 else "")]
    yield ["features", f"{len(model.statistics)}: {_names(model.statistics['feature'])}"]
    yield ["spacing of time", model.interval]
    yield ["training windows", f"{metadata['n_windows']:,} of {length:,} steps"]
    if len(train):
        between = "; validation and test windows lie between" if n_series == 1 else ""
        yield ["period of training", f"{_time(train['start'].min())} to {_time(last)} (UTC){between}"]
    if bounds := metadata.get("trained_for"):
        sizes = " and ".join(f"{least} to {most} {name}" for name, (least, most) in bounds.items())
        yield ["trained for", f"any features, in windows of {sizes}"]
    yield ["initial weights", init + (f", SHA-256 {sha}" if sha else "")]
    if steps:
        kept = (
            f"those of step {int(best['step']):,}" if best["step"] else "the initial ones, as training made none better"
        )
        yield ["training", f"{steps:,} steps; the weights that are kept are {kept}"]
    else:
        yield ["training", "not trained, as it is"]
    if "config_sha256" in metadata:
        yield ["settings", f"SHA-256 {metadata['config_sha256']}"]
    yield ["lowest validation loss", f"{_number(best['loss'])} (mean squared error of the noise, which is N(0, 1))"]


def _statistics(model):
    """The table of the features' statistics."""
    table = model.statistics
    rows = [["feature", "mean", "standard deviation", "missing"]]
    for row, transform in zip(table.head(MAX_FEATURES).itertuples(), transforms.names(table), strict=False):
        label = features.label(row.feature, model.units) + (f", its {transform}" if transform else "")
        rows.append([label, f"{row.mean:.4g}", f"{row.std:.4g}", _percent(row.missing_fraction)])
    more = f"\nand {len(table) - MAX_FEATURES:,} more.\n" if len(table) > MAX_FEATURES else ""
    return (
        "The model sees z-scores: values less the mean, over the standard deviation; where the dataset subtracts trend "
        "and cycles (`profile.parquet`), of what is left. The metadata of `model.safetensors` have these numbers "
        f"unrounded.\n\n{markdown_table(rows)}{more}"
    )


def _usage(use, scores):
    """What a user has to know to sample."""
    start, chosen = use.start, ""
    if use.choice is not None:
        step = use.choice.loc[use.choice["chosen"], "step"].iloc[0]
        start, chosen = None if pd.isna(step) else int(step), ", chosen by the CRPS of validation windows"
    if start is None:
        begin = "noise alone"
    else:
        begin = (
            f"a draw of the joint Gaussian of a window given its observed values, at diffusion step {start} of 0 .. 49"
        )
    yield f"The reverse process starts with {begin}{chosen}; the sampler is `{use.sampler}`."
    first = next((scores.row(pattern, metrics.CSDI, "crps") for pattern in scores.patterns), None)
    if first is not None:
        pairs = ", in antithetic pairs" if use.antithetic else ""
        yield f"Scores below are of {int(first['n_samples']):,} samples of each value{pairs}."
    yield f"Gaps are filled by `method: {use.method}`: {_METHODS[use.method]}, with intervals of {_percent(use.level)}."


def _score_part(scores, patterns):
    """What was held out, the scores, and what they come to."""
    held_out = [["pattern", "what is held out", "values"]]
    rows = [["pattern", "method", *_SCORES.values()]]
    for pattern in scores.patterns:
        held_out.append([pattern, missingness.describe(**patterns[pattern]), f"{scores.n_targets(pattern):,}"])
        methods = [metrics.AUTO, metrics.CSDI, scores.simpler(pattern)]
        for method in filter(None, methods):
            rows.append([pattern, method, *(_with_ends(scores.row(pattern, method, name)) for name in _SCORES)])
    return (
        f"Of all features together, on test windows:\n\n{markdown_table(held_out, right=2)}\n"
        "MAE and RMSE are those of the median in z-scores, CRPS is over the mean size of a z-score; lower is "
        "better. `auto` is the average of CSDI and simpler methods; the third row is the simpler method with the "
        "lowest CRPS (*dressed*: with the quantiles of its errors on validation windows). In brackets are 95 % block "
        f"bootstrap intervals.\n\n{markdown_table(rows, right=2)}\n{_list(_verdicts(scores))}"
        f"\n{_weight_part(scores)}"
    )


def _verdicts(scores):
    """Is the average better than the best single method? A sentence for each pattern."""
    for pattern in scores.patterns:
        auto = scores.row(pattern, metrics.AUTO, "crps")
        singles = [scores.simpler(pattern), _FITTED, metrics.CSDI]
        crps = {name: row for name in singles if name and (row := scores.row(pattern, name, "crps")) is not None}
        if auto is None or not crps:
            yield f"{pattern}: `auto` is {NONE}."
            continue
        best = min(crps, key=lambda name: crps[name]["value"])
        other = crps[best]
        apart = auto["value"] / other["value"] - 1
        verdict = f"{abs(apart):.1%} {'worse' if apart > 0 else 'better'} than".replace("%", " %")
        doubts = []
        if auto["lower"] <= other["upper"] and other["lower"] <= auto["upper"]:
            doubts.append("their intervals overlap")
        if scores.n_targets(pattern) < metrics.FEW:
            doubts.append("there are too few values to tell")
        yield (
            f"{pattern}: `auto` has a CRPS of {_number(auto['value'])}, {verdict if apart else 'the same as'} the best "
            f"single method, `{best}`, with {_number(other['value'])}{'; ' * bool(doubts)}{' and '.join(doubts)}."
        )


def _weight_part(scores):
    """The table of the weights of the average."""
    tables = {pattern: scores.weights(pattern).query(f"feature == '{grids.TOTAL}'") for pattern in scores.patterns}
    methods = list(dict.fromkeys(name for table in tables.values() for name in table["method"]))
    if not methods:
        return "There are no weights of `auto`."
    rows = [["pattern", *methods]]
    for pattern, table in tables.items():
        shares = table.set_index("method")["value"]
        rows.append([pattern, *(_percent(shares.get(name)) for name in methods)])
    return f"What `auto` consists of, on average over the features:\n\n{markdown_table(rows)}"


def _coverage_part(scores):
    """The table of coverage."""
    rows = [["pattern", "method", *(f"{percent} %" for percent in _COVERAGES)]]
    for pattern in scores.patterns:
        for method in (metrics.AUTO, _FITTED):
            shares = [_percent(scores.value(pattern, method, name)) for name in _COVERAGES.values()]
            rows.append([pattern, method, *shares])
    return (
        "Share of the held-out values of test windows that lie in central intervals of 50, 80, 90 and 95 %; "
        f"`{_FITTED}` are CSDI's, as the validation windows correct them.\n\n{markdown_table(rows, right=2)}"
    )


def _limits(model, scores, patterns, spans):
    """What not to trust the model with, as far as the tables say it."""
    few = [name for name in scores.patterns if scores.n_targets(name) < metrics.FEW]
    if few:
        yield f"{_names(few)}: fewer than {metrics.FEW} values are too few to tell methods apart."
    if hidden := [name for name in patterns if name not in scores.patterns]:
        yield f"{_names(hidden)} hid nothing in the test windows: {NONE}."
    yield from _off(scores)
    yield from _widest(model, scores)
    yield from _uncalibrated(scores, len(model.statistics))
    kinds = {patterns[name]["pattern"] for name in scores.patterns}
    if unseen := [pattern.gaps for kind, pattern in missingness.PATTERNS.items() if kind not in kinds]:
        yield f"{NONE.capitalize()} are {'; '.join(unseen)}."
    if by_value := [name for name in scores.patterns if missingness.by_value(patterns[name]["pattern"])]:
        yield f"{_names(by_value)} hide values for what they are. Nothing given says so, and no method can know it."
    length = model.metadata["window_length"]
    long = int(gaps.is_long(spans, length).sum())
    longest = f"; the longest has {int((spans['stop'] - spans['first']).max()):,} steps" if len(spans) else ""
    yield (
        f"A window has {length:,} steps. Gaps that do not fit into one with a step on either side are filled from "
        f"several windows; how well is {NONE}. They are {long:,} of the {len(spans):,} gaps of the series{longest}."
    )
    yield (
        "What validation windows calibrate holds for series like them: a change of the instrument, the place or the "
        "climate is not covered."
    )


def _off(scores):
    """Intervals of the average that hold too much or too little."""
    for pattern in scores.patterns:
        faults: dict[str, list[str]] = {"narrow": [], "wide": []}
        for percent, name in _COVERAGES.items():
            row, level = scores.row(pattern, metrics.AUTO, name), percent / 100
            if row is not None and abs(row["value"] - level) > OFF:
                chance = " (perhaps by chance)" if row["lower"] <= level <= row["upper"] else ""
                text = f"those of {percent} % hold {_percent(row['value'])}{chance}"
                faults["narrow" if row["value"] < level else "wide"].append(text)
        for fault, texts in faults.items():
            if texts:
                yield f"{pattern}: intervals of `{metrics.AUTO}` are too {fault}: {', '.join(texts)}."


def _widest(model, scores):
    """The features with the largest errors, and those that have none."""
    totals = {}
    for name in model.statistics["feature"]:
        found = [_error(scores, pattern, name) for pattern in scores.patterns]
        rows = [row for row in found if row is not None]
        if rows:
            counts = [row["n_targets"] for row in rows]
            totals[name] = float(np.average([row["value"] for row in rows], weights=counts))
    std = model.statistics.set_index("feature")["std"]
    if len(totals) > 1:
        widest = sorted(totals, key=lambda name: -totals[name])[:N_WIDEST]
        texts = [
            f"{name}, {_number(totals[name])} ({_number(totals[name] * std[name])} {_unit(name, model)})"
            for name in widest
        ]
        yield f"The largest MAE in z-scores, over all patterns: {'; '.join(texts)}."
    if missing := [name for name in std.index if name not in totals]:
        yield f"No value was held out of {_names(missing)}: {NONE}."


def _unit(feature, model):
    """The feature's unit, in words where there is none, or where errors are those of its transform."""
    row = list(model.statistics["feature"]).index(feature)
    if transform := transforms.names(model.statistics)[row]:
        return f"of its {transform}"
    column = features.column_of(feature, model.units)
    return "in its own unit" if column is None else model.units[column]


def _error(scores, pattern, feature):
    """The row of a feature's MAE by the average, or where there is none by CSDI."""
    rows = (scores.row(pattern, method, "mae", feature) for method in (metrics.AUTO, metrics.CSDI))
    return next((row for row in rows if row is not None), None)


def _uncalibrated(scores, n_features):
    """What there were too few validation values for."""
    if all(scores.row(pattern, metrics.AUTO, "crps") is None for pattern in scores.patterns):
        yield (
            f"Fewer than {forecasts.FEW} values were held out of the validation windows: nothing is calibrated, there "
            "is no `auto`, and intervals are those of the draws as they are."
        )
        return
    for pattern in scores.patterns:
        rows = scores.weights(pattern)
        is_total = rows["feature"] == grids.TOTAL
        n_targets = int(rows.loc[is_total, "n_targets"].max())
        if n_targets < forecasts.LEAST:
            yield (
                f"{pattern}: {n_targets} validation values are too few to choose weights by; those of all patterns "
                "choose them."
            )
        counts = rows[~is_total].groupby("feature")["n_targets"].max()
        if few := int((counts < forecasts.COUNTED).sum()):
            yield (
                f"{pattern}: {few} of {n_features} features have fewer than {forecasts.COUNTED} validation values; "
                "their weights in `auto` are those of all features together."
            )


def _with_ends(row):
    """A score with its bootstrap interval."""
    if row is None or pd.isna(row["value"]):
        return NONE
    return f"{_number(row['value'])} ({_number(row['lower'])} to {_number(row['upper'])})"


def _number(value):
    return NONE if value is None or pd.isna(value) else f"{value:#.3g}"


def _percent(share):
    return NONE if share is None or pd.isna(share) else f"{100 * share:.0f} %"


def _time(moment):
    return f"{moment:%Y-%m-%d %H:%M}"


def _names(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - MAX_FEATURES:,} more" if len(names) > MAX_FEATURES else ""
    return ", ".join(names[:MAX_FEATURES]) + more


def _list(lines: Iterator[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def markdown_table(rows: Sequence[Sequence[str]], right: int = 1) -> str:
    """A table whose first row is its head; columns from `right` on are aligned right."""
    rule = ["---"] * right + ["--:"] * (len(rows[0]) - right)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in [cells[0], rule, *cells[1:]])
