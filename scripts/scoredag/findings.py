"""What the tables of a run say: each function takes tables and returns a sentence, or None where they are silent.

Backquotes stand around names, as in Markdown.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from scoredag import metrics

CLEAR = 3.0  # standard errors; what is off by less may be so by chance
NEAR, FAR = 1.5, 3.0  # times the noise floor: as near as exact samples are; clearly farther
MIXED = 1.1  # split R-hat below which chains agree
TURNED = 1.1  # times: ratios nearer to 1 are called the same
BIASED = 1.25  # times the variance, which the bias of a step may explain
LOWER = 0.5  # nats: a mean log-density that is off by more belongs to another law, whatever the distance
SAME = 0.005  # of a score, the ratio below which two methods are called alike
OFF = 0.03  # of the coverage of intervals, called off beyond it
DISTANCE = "sliced_wasserstein2"
FLOOR = "exact"  # the rows of a second exact sample
STATEMENTS = (1, 3, 4)  # inequalities of the bound; 2 and `gap` are equations
ALL = "all"  # features together

# -- the likelihood bound


def bound_holds(summary: pd.DataFrame) -> str | None:
    """Whether a right side is below its left side by more than chance."""
    rows = summary[summary["statement"].isin(map(str, STATEMENTS))]
    if rows.empty:
        return None
    broken = rows[rows["slack"] < -CLEAR * rows["std_error"]]
    if broken.empty:
        return (
            f"The bound holds: in none of {len(rows)} comparisons (statements 1, 3 and 4, each score model) is the "
            f"right side below the left one by more than {CLEAR:g} standard errors."
        )
    worst = broken.loc[broken["slack"].idxmin()]
    return (
        f"The bound fails in {len(broken)} of {len(rows)} comparisons: the right side is below the left one by more "
        f"than {CLEAR:g} standard errors, most for `{worst['score_model']}` in statement {worst['statement']} "
        f"({worst['slack']:.3f} ± {worst['std_error']:.3f} nats)."
    )


def bound_of_points(bounds: pd.DataFrame) -> str | None:
    """At how many points the bound is not below the negative log-likelihood, but for errors of computation."""
    if bounds.empty:
        return None
    slack = bounds["bound"] - bounds["nll"]
    above = slack >= -(bounds["nll_error"] + bounds["bound_std_error"])
    gaps = slack.groupby(bounds["score_model"], sort=False).mean().round(3) + 0.0  # no -0
    head = "At all" if above.all() else f"At {above.sum():,} of"
    return (
        f"{head} {len(bounds):,} points (of all score models) the bound is not below the negative log-likelihood, "
        f"but for errors of computation. Their mean gap is the largest for `{gaps.idxmax()}`, {gaps.max():.2f} nats, "
        f"and the smallest for `{gaps.idxmin()}`, {gaps.min():.3f}."
    )


def where_tight(summary: pd.DataFrame) -> str | None:
    """For which score models the bound is the divergence itself."""
    rows = _sides(summary)
    if rows.empty:
        return None
    tight = rows[rows["slack"] <= CLEAR * rows["std_error"]]
    loosest = rows["slack"].idxmax()
    left, right = rows.loc[loosest, ["left", "right"]]
    said = "tight for none"
    if len(tight):
        errors = CLEAR * tight["std_error"]
        said = f"tight for {names(tight.index)}, within {CLEAR:g} standard errors ({_span(errors, '.3f')} nats)"
    if loosest in tight.index:
        return f"The bound is {said}."
    return (
        f"The bound is {said}. It is the loosest for `{loosest}`: {_number(right)} nats where the divergence is "
        f"{_number(left)}. It is tight exactly if the score model is the score of what it generates, be that the data "
        "or not."
    )


def bound_orders(summary: pd.DataFrame) -> str | None:
    """Whether the order of score models by their bounds is that by their divergences."""
    rows = _sides(summary).sort_values("right")
    if len(rows) < 2:
        return None
    pairs = [
        (high["right"] / low["right"], low, high)
        for i, (_, low) in enumerate(rows.iterrows())
        for _, high in rows.iloc[i + 1 :].iterrows()
        if high["left"] < low["left"] and high["right"] - low["right"] > CLEAR * (high["std_error"] + low["std_error"])
    ]
    if not pairs:
        return "Here the bound orders the score models as their divergences do."
    ratio, low, high = max(pairs, key=lambda pair: pair[0])
    return (
        f"The bound does not order score models: `{high.name}` has {ratio:.1f} times the bound of `{low.name}` "
        f"({_number(high['right'])} to {_number(low['right'])} nats) and no larger divergence "
        f"({_number(high['left'])} to {_number(low['left'])})."
    )


def training_follows(summary: pd.DataFrame, weightings: Mapping[str, str]) -> str | None:
    """Whether the network trained for the bound has the lower bound, and the lower divergence.

    Args:
        summary: of the statements.
        weightings: {score model that is a network: `likelihood` or another weighting of its training}.
    """
    rows = _sides(summary)
    of = {weighting: name for name, weighting in reversed(list(weightings.items())) if name in rows.index}
    name = of.pop("likelihood", None)
    if name is None:
        return None
    bound, divergence = rows.loc[name, ["right", "left"]]
    own = (
        f"`{name}`, trained with the weighting g² of the bound, reaches a bound of {_number(bound)} nats on its "
        f"divergence, which is {_number(divergence)}"
    )
    if not of:
        return f"{own}. No network with another weighting stands beside it."
    weighting, other = next(iter(of.items()))
    bounds, divergences = (rows.loc[[name, other], side] for side in ("right", "left"))
    error = CLEAR * float(np.hypot(*rows.loc[[name, other], "std_error"]))
    if abs(bounds[name] - bounds[other]) <= error:
        return (
            f"Which weighting trains the bound better cannot be told: {_number(bounds[name])} nats with g² (`{name}`), "
            f"{_number(bounds[other])} with `{weighting}` (`{other}`), {CLEAR:g} standard errors {_number(error)}."
        )
    lower = [bool(values[name] < values[other]) for values in (bounds, divergences)]
    verdict = {
        (True, True): "Training with g² follows the bound, and the likelihood with it",
        (True, False): "Training with g² follows the bound, but not the likelihood",
        (False, True): "Training with g² does not reach the lower bound here, yet the lower divergence",
        (False, False): "Training with g² follows neither the bound nor the likelihood here",
    }[lower[0], lower[1]]
    return (
        f"{verdict}: {own}; `{other}`, the same network trained with the weighting `{weighting}`, "
        f"{_number(bounds[other])} and {_number(divergences[other])}. That is one training each."
    )


def flow_is_not_bounded(likelihoods: Mapping[str, pd.DataFrame], bounds: pd.DataFrame) -> str | None:
    """For which score models the probability flow is above the bound, which is not about it."""
    means = bounds.groupby("score_model")["bound"].mean()
    flows = {name: table["flow_nll"].mean() for name, table in likelihoods.items() if name in means.index}
    if not flows:
        return None
    above = {name: flow - means[name] for name, flow in flows.items() if flow > means[name] + 0.01}
    if not above:
        return "The probability flow stays below the bound for all score models, though the bound is not about it."
    worst = max(above, key=above.__getitem__)
    return (
        f"The bound is about the reverse SDE alone: by the probability flow the mean negative log-likelihood of "
        f"{names(above)} is above the bound, most for `{worst}` ({flows[worst]:.2f} nats, bound {means[worst]:.2f})."
    )


def error_grows(errors: pd.DataFrame, law: str = "mixture") -> str | None:
    """By which power of the score's error bound and divergence grow."""
    found = []
    for error, rows in errors[errors["law"] == law].groupby("error", sort=False):
        ends = rows.sort_values("amount").iloc[[0, -1]]
        span = np.diff(np.log(ends["amount"]))[0]
        if span > 0:
            powers = [np.diff(np.log(ends[side]))[0] / span for side in ("bound", "divergence")]
            shares = rows["divergence"] / rows["bound"]
            found.append(
                f"with an error of {error} from {ends['amount'].iloc[0]:g} to {ends['amount'].iloc[-1]:g} the bound "
                f"grows by the power {powers[0]:.1f}, the divergence by {powers[1]:.1f} and is "
                f"{_span(100 * shares, '.0f')} % of the bound"
            )
    return f"On the {law}, {'; '.join(found)}." if found else None


def cheapest_estimator(estimators: pd.DataFrame) -> str | None:
    """Which draw of the bound deviates least, and how far quadrature is."""
    draws = estimators[estimators["estimator"] != "quadrature"]
    if draws.empty:
        return None
    costs = draws["deviation"] * np.sqrt(draws["evaluations"])  # of the same error, the square of it
    best, worst = draws.loc[costs.idxmin()], draws.loc[costs.idxmax()]
    text = (
        f"For the same number of evaluations of the score, `{best['estimator']}` with `{best['times']}` times has the "
        f"smallest error: a draw deviates by {_number(best['deviation'])} nats, by `{worst['estimator']}` with "
        f"`{worst['times']}` times by {_number(worst['deviation'])}."
    )
    rules = estimators[estimators["estimator"] == "quadrature"]
    if rules.empty:
        return text
    finest = rules.loc[rules["evaluations"].idxmax()]
    needed = (best["deviation"] / finest["deviation"]) ** 2 * best["evaluations"]
    return (
        f"{text} Quadrature with {finest['evaluations']:,.0f} evaluations is off by {_number(finest['deviation'])}: "
        f"{best['estimator']} draws would take {needed / 1e6:,.0f} million evaluations for that."
    )


def dynamics_agree(distances: pd.DataFrame) -> str | None:
    """How near the data reverse SDE and probability flow end, of each score model."""
    rows = distances[(distances["metric"] == DISTANCE) & (distances["time"] == distances["time"].min())]
    floor = rows.loc[rows["dynamics"] == FLOOR, "value"]
    ends = rows[rows["score_model"] != "none"].pivot(index="score_model", columns="dynamics", values="value")
    if ends.empty or floor.empty or not {"reverse SDE", "probability flow"} <= {*ends.columns}:
        return None
    texts = []
    for name, row in ends.iterrows():
        sde, flow = row["reverse SDE"], row["probability flow"]
        verdict = "alike" if max(sde, flow) < NEAR * min(sde, flow) and max(sde, flow) < NEAR * floor.iloc[0] else None
        verdict = verdict or ("the SDE nearer" if sde < flow else "the flow nearer")
        texts.append(f"`{name}`: {sde:.2f} by the reverse SDE, {flow:.2f} by the probability flow ({verdict})")
    return f"Sliced W2 to the data at the end, with a noise floor of {floor.iloc[0]:.2f}: {'; '.join(texts)}."


def _sides(summary):
    """Left and right side of statement 1, by score model."""
    return summary[summary["statement"] == "1"].set_index("score_model")


# -- Langevin dynamics


def nearest(table: pd.DataFrame) -> str | None:
    """Which Langevin variants are nearest to and farthest from the mixture."""
    ratios = _ratios(table)
    if ratios.empty:
        return None
    best, worst = ratios.idxmin(), ratios.idxmax()
    floor = _value(table, FLOOR, DISTANCE)
    text = (
        f"By sliced W2 `{best}` is nearest to the mixture: {_value(table, best, DISTANCE):.2f}, {ratios[best]:.1f} "
        f"times the noise floor of {floor:.2f}, which is that of a second exact sample"
    )
    if best == worst:
        return f"{text}."
    return f"{text}; farthest is `{worst}`: {_value(table, worst, DISTANCE):.2f}, {ratios[worst]:.0f} times."


def law_of_variant(table: pd.DataFrame, variant: str, moving: str | None, n_steps: int, has_noise: bool = True) -> str:
    """Whether a Langevin variant samples the mixture, another law, or is on its way.

    Args:
        table: of the metrics of all variants.
        variant: its name.
        moving: the mean that still moves clearly at the last step (see `gmm.drift.clearest`); None for none.
        n_steps: of the variant.
        has_noise: whether its particles get any.
    """
    lost = _value(table, variant, "non_finite")
    if lost:
        return f"{lost:,.0f} particles diverged: the step is unstable."
    ratio = _ratios(table).get(variant, np.nan)
    log_densities = [_value(table, name, "mean_log_density") for name in (variant, FLOOR)]
    is_off = abs(log_densities[0] - log_densities[1]) > LOWER
    head = (
        f"sliced W2 {_value(table, variant, DISTANCE):.2f}, {_times(ratio)} the noise floor of "
        f"{_value(table, FLOOR, DISTANCE):.2f}; mean log-density {log_densities[0]:.2f} nats, of exact samples "
        f"{log_densities[1]:.2f}"
    )
    if not has_noise:
        verdict = "No law at all: particles only climb" if ratio >= FAR or is_off else "Near the mixture without noise"
        return f"{verdict} ({head})."
    if moving:
        z = _value(table, variant, f"drift_z_{moving}")
        return (
            f"Not at rest: the mean of {_mean(moving)} still moves after {n_steps:,} steps (z = {z:.1f}), so that its "
            f"distance is partly its way ({head})."
        )
    if ratio < NEAR and not is_off:
        return f"The mixture, as near as another exact sample ({head})."
    if ratio < FAR and not is_off:
        side = "too spread" if log_densities[0] < log_densities[1] else "too concentrated"
        return f"Nearly the mixture, a little {side} ({head})."
    chains = _value(table, variant, "split_r_hat_x"), _value(table, variant, "split_r_hat_y")
    if max(chains) < MIXED:
        return (
            f"Another law: its means are at rest, and single chains agree on it (split R-hat {chains[0]:.2f} and "
            f"{chains[1]:.2f}), but it is not the mixture ({head})."
        )
    rest = ", single chains do not agree" if max(chains) >= MIXED else ""
    return f"Another law, or one that is reached slowly: its means are at rest{rest} ({head})."


def chains_agree_on(table: pd.DataFrame) -> str | None:
    """Whether split R-hat tells which variants sample the mixture."""
    ratios = _ratios(table)
    hats = table[table["metric"].str.startswith("split_r_hat")].groupby("variant")["value"].max().reindex(ratios.index)
    hats = hats.dropna()
    if hats.empty:
        return None
    fooled = [name for name in hats.index if hats[name] < MIXED and ratios[name] >= FAR]
    slow = [name for name in hats.index if hats[name] >= MIXED and ratios[name] < FAR]
    texts = []
    if fooled:
        texts.append(f"{names(fooled)} {'has' if len(fooled) == 1 else 'have'} chains that agree on another law")
    if slow:
        texts.append(
            f"{names(slow)}, near the mixture by distance, {'has' if len(slow) == 1 else 'have'} chains that disagree"
        )
    numbers = ", ".join(f"`{name}` {hats[name]:.2f}" for name in hats.index)
    if not texts:
        return f"Split R-hat and distance say the same of each variant ({numbers})."
    return f"Split R-hat does not tell: {'; '.join(texts)} ({numbers})."


def ends_in_modes(shares: pd.DataFrame) -> str | None:
    """Where particles without noise end."""
    modes = shares.dropna(subset=["mode"])
    if modes.empty or not shares["n_particles"].sum():
        return None
    ranked = modes.sort_values("share", ascending=False)
    first = ranked.head(2)
    empty = int((modes["n_particles"] == 0).sum())
    highest = modes.loc[modes["log_density"].idxmax()]
    texts = [f"{100 * row['share']:.1f} % in mode {row['mode']:.0f}" for _, row in first.iterrows() if row["share"]]
    lost = 100 * (1 - float(modes["share"].sum()))
    rest = f", {lost:.1f} % in none" if lost > 0.05 else ""
    head = f"Without noise particles end in modes: {' and '.join(texts) or 'none of these'}{rest}"
    if highest["mode"] == ranked["mode"].iloc[0]:
        return f"{head}; the first of these is the highest, and {empty} of {len(modes)} modes have no particles."
    return (
        f"{head}; the highest mode has {100 * highest['share']:.2f} %, and {empty} of {len(modes)} have no particles. "
        "Where a particle starts decides, not how high the mode is."
    )


def step_is_stable(laws: pd.DataFrame, theory: pd.DataFrame, variant: str, step_size: float) -> str | None:
    """What the step multiplies the distance from a component's mean by."""
    rows = laws[laws["variant"] == variant]
    limits = theory.loc[theory["quantity"] == "stability_limit", "value"]
    if rows.empty or limits.empty:
        return None
    across, along = (rows[f"multiplier_{way}"] for way in ("across", "along"))
    head = (
        f"One step multiplies the distance from a component's mean by {_span(across, '.2f')} across it and "
        f"{_span(along, '.2f')} along it"
    )
    if np.maximum(across.abs(), along.abs()).max() < 1:
        return f"{head}: it contracts everywhere; steps below {limits.iloc[0]:.2f} do."
    share = 100 * float((np.maximum(across.abs(), along.abs()) >= 1).mean())
    return (
        f"{head}: within {share:.0f} % of the components it expands, as the step of {step_size:g} is above the limit "
        f"of {limits.iloc[0]:.2f}: particles cannot settle there."
    )


def temperatures(laws: pd.DataFrame, components: pd.DataFrame, variant: str) -> str | None:
    """How much wider or narrower than the components the law of a variant's steps is, component by component."""
    rows = laws[laws["variant"] == variant].merge(components, on="component", suffixes=("", "_own"))
    rows = rows.dropna(subset=["cov_xx", "cov_yy"])
    if rows.empty:
        return None
    x, y = (float((rows[name] / rows[f"{name}_own"]).median()) for name in ("cov_xx", "cov_yy"))
    current = float(rows["circulation"].abs().max())
    text = f"On a component alone its law has {x:.2f} times the variance along x and {y:.2f} times along y (medians)"
    if max(x, y) < TURNED * min(x, y):
        if max(x, y, 1 / x, 1 / y) < BIASED:
            return f"{text}: the component's own, but for the bias of a step."
        return f"{text}: {'wider' if x > 1 else 'narrower'} by the same factor both ways."
    rest = f" and a current circulates (up to {current:.2f}): there is no detailed balance" if current > 0.01 else ""
    return f"{text}: a temperature of its own in each direction{rest}."


def bias_of_a_step(sweep: pd.DataFrame, theory: pd.DataFrame) -> str | None:
    """Whether the bias of small steps is that of theory, and what an acceptance step leaves of it."""
    slopes = theory.loc[theory["quantity"] == "bias_slope", "value"]
    rows = sweep[sweep["kernel"] == "overdamped"].sort_values("step_size")
    if slopes.empty or rows.empty:
        return None
    slope = float(slopes.iloc[0])
    off = (rows["bias"] - slope * rows["step_size"]).abs() > CLEAR * rows["std_error"]
    first = rows.loc[off, "step_size"].min() if off.any() else None
    kept = rows.loc[rows["step_size"] < (np.inf if first is None else first), "step_size"]
    head = f"Theory says that the bias of the mean log-density is {slope:.2f} nats per unit of step size"
    if kept.empty:
        text = f"{head}; no step size of the sweep is small enough for it"
    else:
        text = f"{head}; steps up to {kept.max():g} agree within {CLEAR:g} standard errors"
    if first is not None and len(kept):
        largest = rows.iloc[-1]
        ratio = largest["bias"] / (slope * largest["step_size"])
        text += f", at {largest['step_size']:g} the bias is {ratio:.1f} times that"
    corrected = sweep[sweep["kernel"] == "mala"]
    if len(corrected):
        worst = (corrected["bias"].abs() / corrected["std_error"]).max()
        text += f". With acceptance (MALA) {'none' if worst < CLEAR else 'some'} is left (largest z {worst:.1f})"
    return f"{text}."


def on_the_way(convergence: pd.DataFrame, variants: Sequence[str]) -> str | None:
    """When each variant was nearest to the mixture."""
    rows = convergence[convergence["metric"] == DISTANCE]
    texts = []
    for name in variants:
        path = rows[rows["variant"] == name].set_index("step")["value"].dropna()
        if len(path) > 1:
            step, last = path.idxmin(), path.index.max()
            passed = path[step] < path[last] / TURNED
            way = f"comes to {path[step]:.2f} by step {step:,} and ends at" if passed else "ends at its nearest,"
            texts.append(f"`{name}` {way} {path.loc[last]:.2f}")
    return f"Sliced W2 over the steps: {'; '.join(texts)}." if texts else None


def _ratios(table):
    """{variant: how many times the noise floor its sliced W2 is}."""
    rows = table[table["metric"] == DISTANCE].set_index("variant")["value"]
    return (rows / rows.get(FLOOR, np.nan)).drop(FLOOR, errors="ignore").dropna()


def _value(table, variant, metric):
    rows = table.loc[(table["variant"] == variant) & (table["metric"] == metric), "value"]
    return float(rows.iloc[0]) if len(rows) else np.nan


def _mean(name):
    return {"log_density": "the log-density"}.get(name, name)


# -- CSDI


def training_helps(history: pd.DataFrame) -> str | None:
    """By how much the validation loss falls, and whether it still does."""
    losses = history[history["split"] == "valid"].dropna(subset=["loss"]).set_index("step")["loss"]
    if len(losses) < 2:
        return None
    first, best, last = losses.index[0], losses.idxmin(), losses.index[-1]
    change = losses[best] / losses[first] - 1
    if best == first:
        return f"Training does not help: the validation loss is lowest before it ({losses[first]:.3f})."
    text = (
        f"The validation loss falls from {losses[first]:.3f} to {losses[best]:.3f} ({100 * change:.0f} %) at step "
        f"{best:,}, whose weights are kept"
    )
    rise = losses[last] / losses[best] - 1
    if best != last:
        return f"{text}; then it rises by {100 * rise:.1f} % until step {last:,}."
    tail = losses[losses.index >= last - 0.1 * (last - first)]
    falling = 1 - losses[last] / tail.iloc[0] if len(tail) > 1 else 0.0
    return f"{text}; over the last tenth of the steps it falls by {100 * falling:.1f} %."


def ranking(table: pd.DataFrame, score: str = "crps") -> str | None:
    """Under how many patterns the average, or CSDI, has the lowest score."""
    scores = _scores(table, score)
    own = _leader(scores)
    if own is None:
        return None
    winners = scores.idxmin()
    won = [pattern for pattern in scores.columns if winners[pattern] == own]
    text = f"`{own}` has the lowest {score.upper()} under {len(won)} of {len(scores.columns)} patterns"
    lost = [f"{pattern}: `{winners[pattern]}`" for pattern in scores.columns if pattern not in won]
    return f"{text}{f' ({_listed(lost)})' if lost else ''}."


def beside_simpler(table: pd.DataFrame, score: str = "crps") -> str | None:
    """How far the average, or CSDI, is below or above the best simpler method."""
    scores = _scores(table, score)
    own = _leader(scores)
    simpler = scores[[not _is_own(method) for method in scores.index]]
    if own is None or simpler.empty:
        return None
    texts = []
    for pattern in scores.columns:
        best = simpler[pattern].idxmin()
        change = 100 * (scores.loc[own, pattern] / simpler.loc[best, pattern] - 1)
        texts.append(f"{pattern} {round(change) + 0:+d} % (`{best}`)")
    return f"{score.upper()} of `{own}` against the best simpler method: {_listed(texts)}."


def pattern_score(table: pd.DataFrame, pattern: str) -> str | None:
    """How good the average, or CSDI, is under one pattern, and whether that is clear of the best simpler method."""
    scores = _scores(table, "crps")
    own = _leader(scores)
    if own is None or pattern not in scores.columns:
        return None
    row = _row(table, pattern, own, "crps")
    text = f"{pattern}: `{own}` has a CRPS of {_number(row['value'])}"
    if row["n_targets"] < metrics.FEW:
        return f"{text} on {row['n_targets']:,} values, too few to tell methods apart."
    simpler = scores.loc[[method for method in scores.index if not _is_own(method)], pattern].dropna()
    if simpler.empty:
        return f"{text}; no simpler method stands beside it."
    rival = _row(table, pattern, simpler.idxmin(), "crps")
    apart = row["upper"] < rival["lower"] or rival["upper"] < row["lower"]
    ratio = row["value"] / rival["value"]
    side = f"{100 * abs(ratio - 1):.0f} % {'below' if ratio < 1 else 'above'} that of"
    side = "as much as" if abs(ratio - 1) < SAME else side
    return (
        f"{text}, {side} the best simpler method, `{rival['method']}`, with {_number(rival['value'])}; their 95 % "
        f"intervals {'do not overlap' if apart else 'overlap'}."
    )


def scores_disagree(table: pd.DataFrame) -> str | None:
    """Whether MAE, RMSE and CRPS name the same best method."""
    by_score = {score: _scores(table, score) for score in ("mae", "rmse", "crps")}
    winners = {score: scores.idxmin() for score, scores in by_score.items() if not scores.empty}
    if len(winners) < 3:
        return None
    patterns = winners["crps"].index
    differ = [pattern for pattern in patterns if len({winners[score].get(pattern) for score in winners}) > 1]
    if not differ:
        return f"MAE, RMSE and CRPS name the same best method under all {len(patterns)} patterns."
    texts = [
        f"{pattern}: " + ", ".join(f"{score.upper()} `{winners[score].get(pattern)}`" for score in winners)
        for pattern in differ
    ]
    head = f"The three scores do not name the same best method under {len(differ)} of {len(patterns)} patterns"
    return f"{head} ({'; '.join(texts)})."


def intervals_hold(table: pd.DataFrame, percent: int = 90) -> str | None:
    """What central intervals of the average, or CSDI, hold."""
    rows = table[(table["feature"] == ALL) & (table["metric"] == f"coverage_{percent}")]
    for method in (metrics.AUTO, metrics.CSDI + metrics.CORRECTED, metrics.CSDI):
        found = rows[rows["method"] == method].dropna(subset=["value"])
        if len(found):
            break
    else:
        return None
    level, values = percent / 100, found.set_index("held_out")["value"]
    text = f"The {percent} % intervals of `{method}` hold {_span(100 * values, '.0f')} %"
    narrow, wide = values[values < level - OFF], values[values > level + OFF]
    if narrow.empty and wide.empty:
        return f"{text} of the held-out values: calibrated within {100 * OFF:g} points."
    faults = [
        f"too {fault} under {_listed(found.index)}"
        for fault, found in (("narrow", narrow), ("wide", wide))
        if len(found)
    ]
    return f"{text}: {' and '.join(faults)}."


def intervals_widen(table: pd.DataFrame, percent: int = 90) -> str | None:
    """Where central intervals of the average, or CSDI, are the widest."""
    for method in (metrics.AUTO, metrics.CSDI + metrics.CORRECTED, metrics.CSDI):
        widths = _scores(table[table["method"] == method], f"interval_width_{percent}")
        if not widths.empty:
            break
    else:
        return None
    row = widths.iloc[0].dropna()
    wide, narrow = row.idxmax(), row.idxmin()
    if len(row) < 2 or row[wide] < TURNED * row[narrow]:
        return f"The {percent} % intervals of `{method}` are {_span(row, '.2f')} wide (z-scores) under each pattern."
    return (
        f"The {percent} % intervals of `{method}` are {row[wide] / row[narrow]:.1f} times as wide under {wide} as "
        f"under {narrow} ({row[wide]:.2f} and {row[narrow]:.2f}, z-scores): how much is given shows in them."
    )


def hardest(table: pd.DataFrame) -> str | None:
    """Which pattern of missing entries is the hardest."""
    scores = _scores(table, "crps")
    own = _leader(scores)
    if own is None or len(scores.columns) < 2:
        return None
    row = scores.loc[own].dropna()
    hard, easy = row.idxmax(), row.idxmin()
    return (
        f"What is hidden decides how hard it is: `{own}` has a CRPS of {_number(row[easy])} under {easy} and "
        f"{_number(row[hard])}, {row[hard] / row[easy]:.1f} times that, under {hard}."
    )


def strategies_differ(tables: Mapping[str, pd.DataFrame], masks: Mapping[str, Sequence[str]]) -> str | None:
    """Which of several trainings on one dataset, whose targets were chosen differently, is the best one by CRPS.

    Args:
        tables: of the scores of each run.
        masks: of each run, the strategies that its targets were chosen by.
    """
    if len({tuple(sorted(masks[run])) for run in tables}) < 2:
        return None
    scores = {run: _scores(table, "crps") for run, table in tables.items()}
    own = pd.DataFrame({run: table.loc[metrics.CSDI] for run, table in scores.items() if metrics.CSDI in table.index})
    own = own.dropna()
    if own.empty or own.shape[1] < 2:
        return None
    texts = [f"{pattern}: `{row.idxmin()}` ({_number(row.min())})" for pattern, row in own.iterrows()]
    said = "; ".join(f"`{run}` hides by {_listed(masks[run])}" for run in own.columns)
    return f"The lowest CRPS of CSDI by strategy: {'; '.join(texts)}. {said}."


def draws_belong_together(table: pd.DataFrame) -> str | None:
    """What is lost of sums and means where the entries of a draw are shuffled."""
    rows = table[(table["feature"] == ALL) & (table["metric"] == "coverage_80_of_mean")]
    held = rows.pivot(index="held_out", columns="method", values="value")
    shuffled = f"{metrics.AUTO}, entries shuffled"
    if not {metrics.AUTO, shuffled} <= {*held.columns}:
        return None
    held = held.reindex(rows["held_out"].drop_duplicates()).dropna(subset=[metrics.AUTO, shuffled])
    if held.empty:
        return None
    losses = held[metrics.AUTO] - held[shuffled]
    worst = losses.idxmax()
    kept, lost = 100 * held.loc[worst, metrics.AUTO], 100 * held.loc[worst, shuffled]
    head = f"80 % intervals of the mean over a gap hold {kept:.0f} % by joint draws of `{metrics.AUTO}`"
    if losses[worst] < OFF:
        return f"{head} and {lost:.0f} % by draws whose entries are shuffled ({worst}): little depends on it here."
    return f"{head} and {lost:.0f} % by draws whose entries are shuffled ({worst}): single values do not tell of sums."


def likelihood_beside_gaussian(table: pd.DataFrame) -> str | None:
    """How many nats a target the variational bound of CSDI is below the exact value of the joint Gaussian."""
    rows = table[table["feature"] == ALL]
    bounds, exact = (rows[rows["metric"] == name].set_index("held_out")["value"] for name in ("nll_bound", "nll"))
    gains = (exact - bounds).dropna()
    if gains.empty:
        return None
    if (gains > 0).all():
        return (
            f"CSDI's variational bound on the negative log-likelihood is {_span(gains, '.2f')} nats a value below the "
            "exact one of the joint Gaussian: the model finds the held-out values less surprising."
        )
    better = gains.index[gains > 0]
    if better.empty:
        return (
            f"CSDI's variational bound on the negative log-likelihood is {_span(-gains, '.2f')} nats a value above the "
            "exact one of the joint Gaussian: to CSDI the held-out values are more surprising, or its bound is loose."
        )
    return (
        f"CSDI's variational bound on the negative log-likelihood is below the exact one of the joint Gaussian under "
        f"{len(better)} of {len(gains)} patterns (by {_span(gains, '.2f')} nats a value); a bound may be loose."
    )


def missing_share(missingness: pd.DataFrame) -> str | None:
    """How much of a series is missing, and of which feature most."""
    rows = missingness[(missingness["kind"] == "feature") & missingness["share"].notna()]
    total = rows[rows["feature"] == ALL]
    single = rows[rows["feature"] != ALL]
    if total.empty or single.empty:
        return None
    share, most = 100 * float(total["share"].iloc[0]), single.loc[single["share"].idxmax()]
    if not share:
        return "Nothing is missing in the series itself: what is imputed is what was held out."
    return (
        f"{share:.1f} % of the series' own values are missing, most of {most['feature']} ({100 * most['share']:.0f} %)."
    )


def _scores(table, score):
    """Method by pattern: a score of all features together, by methods that give draws or quantiles."""
    rows = table[(table["feature"] == ALL) & (table["metric"] == score)].dropna(subset=["value"])
    rows = rows[~rows["method"].str.endswith(metrics.AS_IN_PAPER)]
    order = rows["held_out"].drop_duplicates().tolist()
    return rows.pivot(index="method", columns="held_out", values="value").reindex(columns=order)


def _row(table, pattern, method, score):
    is_row = (table["feature"] == ALL) & (table["metric"] == score) & (table["held_out"] == pattern)
    return table[is_row & (table["method"] == method)].iloc[0]


def _leader(scores):
    """The method that the workflow would fill gaps by."""
    return next((name for name in (metrics.AUTO, metrics.CSDI) if name in scores.index), None)


def _is_own(method):
    return method.startswith((metrics.AUTO, metrics.CSDI))


# -- words


def names(items: Iterable[object]) -> str:
    """Names in backquotes, with commas and `and`."""
    quoted = [f"`{item}`" for item in items]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}" if quoted else "none"


def _listed(texts: Iterable[object]) -> str:
    return ", ".join(map(str, texts))


def _number(value: float) -> str:
    """Three digits; one of what is below 0.001."""
    if pd.isna(value):
        return "none"
    if 0 < abs(value) < 0.001:
        return np.format_float_positional(value, precision=1, fractional=False, trim="-")
    return f"{value:#.3g}".rstrip(".")


def _span(values: Iterable[float], form: str) -> str:
    """The least and the greatest of values, once where they look the same."""
    ends = [f"{value:{form}}" for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"
