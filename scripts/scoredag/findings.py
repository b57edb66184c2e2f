"""What the tables of a run say: each function takes tables and returns a sentence, or None where they are silent.

Backquotes stand around names, as in Markdown.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scoredag import metrics

CLEAR = 3.0  # standard errors; what is off by less may be so by chance
NEAR, FAR = 1.5, 3.0  # times the noise floor: as near as exact samples are; clearly farther
MIXED = 1.1  # split R-hat below which chains agree
TURNED = 1.1  # times: ratios nearer to 1 are called the same
BIASED = 1.25  # times the variance, which the bias of a step may explain
LOWER = 0.5  # nats: a mean log-density that is off by more belongs to another law, whatever the distance
AWAY = 100.0  # nats: so much lower lies nothing that a stable step moves
SMALL = 0.25  # of a difference of bounds: divergences that differ by less do not follow it
SAME = 0.005  # of a score, the ratio below which two methods are called alike
OFF = 0.03  # of the coverage of intervals, called off beyond it
DISTANCE = "sliced_wasserstein2"
FLOOR = "exact"  # the rows of a second exact sample
STATEMENTS = (1, 3, 4)  # inequalities of the bound; 2 and `gap` are equations
ALL = "all"  # features together

# -- the likelihood bound


def bound_holds(summary: pd.DataFrame) -> str | None:
    """Whether a right side is below its left side by more than chance."""
    rows = summary[summary["statement"].isin(map(str, STATEMENTS))].dropna(subset=["slack", "std_error"])
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
    total = counted(len(bounds), "point")
    head = f"At {above.sum():,} of {total}"
    if above.all():
        head = f"At all {total}" if len(bounds) > 1 else "At the only point"
    text = f"{head} the bound is not below the negative log-likelihood, but for errors of computation"
    low, high = gaps.idxmin(), gaps.idxmax()
    if len(gaps) == 1:
        return f"{text}. The mean gap of `{low}` is {gaps[low]:.3f} nats."
    return f"{text}. The mean gap reaches from {gaps[low]:.3f} nats for `{low}` to {gaps[high]:.3f} for `{high}`."


def where_tight(summary: pd.DataFrame) -> str | None:
    """For which score models the bound cannot be told from the divergence itself."""
    rows = _sides(summary)
    if rows.empty:
        return None
    tight = rows[rows["slack"] <= CLEAR * rows["std_error"]]
    loosest = rows["slack"].idxmax()
    texts = []
    if len(tight):
        errors = [_number(CLEAR * ends) for ends in (tight["std_error"].min(), tight["std_error"].max())]
        texts.append(
            f"Within {CLEAR:g} standard errors ({' to '.join(dict.fromkeys(errors))} nats) the bound of "
            f"{names(tight.index)} cannot be told from the divergence"
        )
    if loosest not in tight.index:
        left, right = rows.loc[loosest, ["left", "right"]]
        head = "The bound is the loosest for" if len(rows) > 1 else "The bound is not tight for"
        texts.append(f"{head} `{loosest}`: {_number(right)} nats where the divergence is {_number(left)}")
    texts.append("It is tight exactly if the score model is the score of what it generates, be that the data or not")
    return f"{'. '.join(texts)}."


def bound_orders(summary: pd.DataFrame) -> str | None:
    """Whether the order of score models by their bounds is that by their divergences, as far as errors let it be told.

    The error of a slack stands for that of each of its sides, which it is not below.
    """
    rows = _sides(summary).sort_values("right")
    if len(rows) < 2:
        return None
    turned, alike = [], []
    for (_, low), (_, high) in itertools.combinations(rows.iterrows(), 2):
        bounds, divergences = high["right"] - low["right"], high["left"] - low["left"]
        error = CLEAR * float(np.hypot(low["std_error"], high["std_error"]))
        if bounds > error:
            pair = (bounds, low, high, error)
            turned += [pair] * (divergences < -error)
            alike += [pair] * (abs(divergences) <= error and abs(divergences) + error < SMALL * bounds)
    if not turned and not alike:
        return "Here no two score models whose bounds differ clearly have divergences in the other order, or alike."
    _, low, high, error = max(turned or alike, key=lambda pair: pair[0])
    bounds = f"`{high.name}` has the higher bound ({_number(high['right'])} nats, `{low.name}` {_number(low['right'])})"
    divergences = f"{_number(high['left'])}, `{low.name}` {_number(low['left'])}"
    if turned:
        return f"The bound does not order score models: {bounds}, but the lower divergence ({divergences})."
    return (
        f"A lower bound need not mean a lower divergence: {bounds}, but the divergences are alike within {CLEAR:g} "
        f"standard errors, {_number(error)} nats ({divergences})."
    )


def training_follows(summary: pd.DataFrame, networks: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Whether the network trained for the bound has the lower bound, and the lower divergence.

    Args:
        summary: of the statements.
        networks: {score model that is a network: `weighting` of its training, `likelihood` or another, and `otherwise`,
            the other settings}.
    """
    rows = _sides(summary)
    networks = {name: about for name, about in networks.items() if name in rows.index}
    name = next((name for name, about in networks.items() if about["weighting"] == "likelihood"), None)
    if name is None:
        return None
    bound, divergence = rows.loc[name, ["right", "left"]]
    own = (
        f"`{name}`, trained with the weighting g² of the bound, reaches a bound of {_number(bound)} nats on its "
        f"divergence, which is {_number(divergence)} (standard error of the difference "
        f"{_number(rows.loc[name, 'std_error'])})"
    )
    others = [
        other
        for other, about in networks.items()
        if about["weighting"] != "likelihood" and about["otherwise"] == networks[name]["otherwise"]
    ]
    if not others:
        return f"{own}. No network that differs in its weighting alone stands beside it."
    other = others[0]
    weighting = networks[other]["weighting"]
    lower, higher = rows.loc[name, ["right", "left"]], rows.loc[other, ["right", "left"]]
    error = CLEAR * float(np.hypot(*rows.loc[[name, other], "std_error"]))
    bounds, divergences = (0 if abs(step) <= error else -1 if step < 0 else 1 for step in lower - higher)
    if not bounds:
        return (
            f"Which weighting trains the bound better cannot be told: {_number(bound)} nats with g² (`{name}`), "
            f"{_number(higher['right'])} with `{weighting}` (`{other}`), {CLEAR:g} standard errors {_number(error)}."
        )
    verdict = {
        (-1, -1): "Training with g² follows the bound, and the likelihood with it",
        (-1, 0): "Training with g² follows the bound, but the divergences cannot be told apart",
        (-1, 1): "Training with g² follows the bound, but not the likelihood",
        (1, -1): "Training with g² does not reach the lower bound here, yet the lower divergence",
        (1, 0): "Training with g² does not reach the lower bound here, and the divergences cannot be told apart",
        (1, 1): "Training with g² follows neither the bound nor the likelihood here",
    }[bounds, divergences]
    return (
        f"{verdict}: {own}; `{other}`, the same network trained with the weighting `{weighting}`, "
        f"{_number(higher['right'])} and {_number(higher['left'])}. That is one training each."
    )


def flow_is_not_bounded(likelihoods: Mapping[str, pd.DataFrame], bounds: pd.DataFrame) -> str | None:
    """For which score models the probability flow is above the bound, which is not about it, by more than chance."""
    said = {}
    for name, table in likelihoods.items():
        both = table.merge(bounds[bounds["score_model"] == name], on="point")
        over = both["flow_nll"] - both["bound"]
        if len(over) > 1:
            said[name] = over.mean(), float(np.hypot(over.sem(), both["bound_std_error"].mean()))
    if not said:
        return None
    above = [name for name, (value, error) in said.items() if value > CLEAR * error]
    rest = "".join(
        f" For `{name}` it is above the bound by {value:.2f} ± {error:.2f} nats, which may be chance."
        for name, (value, error) in said.items()
        if error < value <= CLEAR * error
    )
    mean = "the mean negative log-likelihood by the probability flow"
    if not above:
        return (
            f"For no score model {mean} is above the bound by more than chance, though the bound is not about it.{rest}"
        )
    worst = max(above, key=lambda name: said[name][0])
    value, error = said[worst]
    most = f", most for `{worst}`" if len(above) > 1 else ""
    return (
        f"The bound is about the reverse SDE alone: {mean} is above it for {names(above)}{most} (by {value:.2f} ± "
        f"{error:.2f} nats).{rest}"
    )


def error_grows(errors: pd.DataFrame, law: str = "mixture") -> str | None:
    """By which power of the score's error bound and divergence grow."""
    found = []
    positive = (errors[["amount", "bound", "divergence"]] > 0).all(axis=1)
    for error, rows in errors[(errors["law"] == law) & positive].groupby("error", sort=False):
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
        f"smallest error: a draw deviates by {_number(best['deviation'])} nats"
    )
    if len(draws) > 1:
        text += f", by `{worst['estimator']}` with `{worst['times']}` times by {_number(worst['deviation'])}"
    rules = estimators[(estimators["estimator"] == "quadrature") & (estimators["deviation"] > 0)]
    if rules.empty:
        return f"{text}."
    finest = rules.loc[rules["evaluations"].idxmax()]
    needed = (best["deviation"] / finest["deviation"]) ** 2 * best["evaluations"]
    count = f"{needed / 1e6:,.0f} million" if needed >= 1e6 else f"{needed:,.0f}"
    return (
        f"{text}. Quadrature with {finest['evaluations']:,.0f} evaluations is off by {_number(finest['deviation'])}: "
        f"{best['estimator']} draws would take {count} evaluations for that."
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
        # distances of two samples of one law differ by chance, too, by less than the floor
        verdict = "alike" if abs(sde - flow) < floor.iloc[0] else "the SDE nearer" if sde < flow else "the flow nearer"
        texts.append(f"`{name}`: {fixed(sde)} by the reverse SDE, {fixed(flow)} by the probability flow ({verdict})")
    return (
        f"Sliced W2 to the data at the end, with a noise floor of {floor.iloc[0]:.2f}, within which distances are "
        f"alike: {'; '.join(texts)}."
    )


def _sides(summary):
    """Left and right side of statement 1, by score model."""
    return summary[summary["statement"] == "1"].dropna(subset=["slack", "std_error"]).set_index("score_model")


# -- Langevin dynamics


def nearest(table: pd.DataFrame) -> str | None:
    """Which Langevin variants are nearest to and farthest from the mixture."""
    ratios = _ratios(table)
    if ratios.empty:
        return None
    best, worst = ratios.idxmin(), ratios.idxmax()
    alike = [name for name in ratios.index if name != best and ratios[name] < ratios[best] + 1]
    text = (
        f"By sliced W2 `{best}` is nearest to the mixture: {fixed(_value(table, best, DISTANCE))}, "
        f"{_times(ratios[best])} the noise floor of {fixed(_value(table, FLOOR, DISTANCE))}, which is that of a second "
        "exact sample"
    )
    if alike:
        text += f"; {names(alike)} {_is(alike)} farther by less than the floor"
    if worst in [best, *alike]:
        return f"{text}."
    return f"{text}; farthest is `{worst}`: {fixed(_value(table, worst, DISTANCE))}, {_times(ratios[worst])}."


def law_of_variant(table: pd.DataFrame, variant: str, moving: str | None, about: Mapping[str, Any]) -> str:
    """Whether a Langevin variant samples the mixture, another law, or is on its way.

    Args:
        table: of the metrics of all variants.
        variant: its name.
        moving: the mean that still moves clearly at the last step (see `gmm.drift.clearest`); None for none.
        about: of the variant, `n_steps`, `n_particles`, and `has_noise`, whether its particles get any.
    """
    lost = _value(table, variant, "non_finite")
    if lost:
        return f"{counted(int(lost), 'particle')} diverged: the step is unstable."
    ratio = _ratios(table).get(variant, np.nan)
    own, exact = (_value(table, name, "mean_log_density") for name in (variant, FLOOR))
    is_off = abs(own - exact) > LOWER
    head = (
        f"sliced W2 {fixed(_value(table, variant, DISTANCE))}, {_times(ratio)} the noise floor of "
        f"{fixed(_value(table, FLOOR, DISTANCE))}; mean log-density {fixed(own)} nats, of exact samples {fixed(exact)}"
    )
    steps, particles = counted(about["n_steps"], "step"), counted(about["n_particles"], "particle")
    if _is_away(table, variant):
        return (
            f"Away from the mixture after {steps}, where it has next to no density: particles run away, or they start "
            f"far off ({head})."
        )
    if not about["has_noise"]:
        verdict = "Near the mixture without noise"
        if ratio >= FAR or is_off:
            ends = "higher" if own > exact else "no higher"
            verdict = f"No law at all: without noise particles end {ends} than exact samples lie"
        return f"{verdict} ({head})."
    if moving:
        z = _value(table, variant, f"drift_z_{moving}")
        return (
            f"Not at rest: the mean of {_mean(moving)} still moves after {steps} (z = {z:.1f}), so that its "
            f"distance is partly its way ({head})."
        )
    if ratio < NEAR and not is_off:
        return f"The mixture, as far as {particles} tell: about as near as another exact sample ({head})."
    if ratio < FAR and not is_off:
        side = ", a little too spread" if own < exact else ", a little too concentrated"
        # of two means: the log-density of a normal law in the plane has the variance 1
        is_clear = abs(own - exact) > CLEAR * np.sqrt(2 / about["n_particles"])
        return f"Close to the mixture, as far as {particles} tell{side if is_clear else ''} ({head})."
    chains = [_value(table, variant, f"split_r_hat_{axis}") for axis in "xy"]
    hats = " and ".join(f"{hat:.2f}" for hat in chains)
    is_followed = table.loc[table["variant"] == variant, "metric"].str.startswith("drift_z").any()
    if is_followed and np.max(chains) < MIXED:  # false where one is unknown
        return (
            f"Another law: no mean moves clearly, and single chains agree on it (split R-hat {hats}), but it is not "
            f"the mixture ({head})."
        )
    rest = "no mean moves clearly" if is_followed else "whether means still move is unknown"
    apart = f", single chains do not agree, split R-hat {hats}" if np.max(chains) >= MIXED else ""
    return f"Another law, or one that is reached slowly: {rest}{apart} ({head})."


def chains_agree_on(table: pd.DataFrame) -> str | None:
    """Whether split R-hat tells which variants sample the mixture."""
    ratios = _ratios(table)
    ratios = ratios[[not _is_away(table, name) for name in ratios.index]]  # chains that run away agree on nothing
    hats = table[table["metric"].str.startswith("split_r_hat")].groupby("variant")["value"].max().reindex(ratios.index)
    hats = hats.dropna()
    if hats.empty:
        return None
    fooled = [name for name in hats.index if hats[name] < MIXED and ratios[name] >= FAR]
    slow = [name for name in hats.index if hats[name] >= MIXED and ratios[name] < FAR]
    texts = []
    if fooled:
        texts.append(f"{names(fooled)}, far from the mixture by distance, {_has(fooled)} chains that agree")
    if slow:
        texts.append(f"{names(slow)}, near the mixture by distance, {_has(slow)} chains that disagree")
    numbers = ", ".join(f"`{name}` {fixed(hats[name])}" for name in hats.index)
    if not texts:
        return f"Split R-hat and distance say the same{' of each variant' if len(hats) > 1 else ''} ({numbers})."
    return f"Split R-hat does not tell: {'; '.join(texts)} ({numbers})."


def ends_in_modes(shares: pd.DataFrame, table: pd.DataFrame, variant: str) -> str | None:
    """Where the particles of a variant without noise end, unless its metrics say that they run away."""
    modes = shares.dropna(subset=["mode"])
    if modes.empty or not shares["n_particles"].sum() or _is_away(table, variant):
        return None
    if not modes["n_particles"].sum():
        return "Without noise no particle ends in a mode: steps are too few or too large for that."
    ranked = modes.sort_values("share", ascending=False)
    empty = (modes["n_particles"] == 0).sum()
    highest = modes.loc[modes["log_density"].idxmax()]
    texts = [
        f"{100 * row['share']:.1f} % in mode {row['mode']:.0f}" for _, row in ranked.head(2).iterrows() if row["share"]
    ]
    lost = 100 * (1 - float(modes["share"].sum()))
    rest = f", {lost:.1f} % in none" if lost > 0.05 else ""
    without = f"{empty} of {counted(len(modes), 'mode')} {'has' if empty == 1 else 'have'} no particles"
    head = f"Without noise particles end in modes: {' and '.join(texts)}{rest}"
    if highest["mode"] == ranked["mode"].iloc[0]:
        return f"{head}; the first of these is the highest, and {without}."
    return (
        f"{head}; the highest mode has {100 * highest['share']:.2f} %, and {without}. "
        "Where a particle starts decides, not how high the mode is."
    )


def step_is_stable(laws: pd.DataFrame, variant: str, step_size: float) -> str | None:
    """What the step multiplies the distance from a component's mean by."""
    rows = laws[laws["variant"] == variant]
    if rows.empty:
        return None
    across, along = (rows[f"multiplier_{way}"] for way in ("across", "along"))
    head = (
        f"One step multiplies the distance from a component's mean by {_span(across, '.2f')} across it and "
        f"{_span(along, '.2f')} along it"
    )
    # a multiplier is 1 less the step size times a curvature
    limit = 2 * step_size / (1 - min(across.min(), along.min()))
    expands = int((np.maximum(across.abs(), along.abs()) >= 1).sum())
    if not expands:
        return f"{head}: it contracts everywhere; steps below {_number(limit)} do."
    return (
        f"{head}: within {expands:,} of {counted(len(rows), 'component')} it expands, as the step of {step_size:g} is "
        f"above the limit of {_number(limit)}: particles cannot settle there."
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
    return f"{text}: another factor in each direction{rest}."


def bias_of_a_step(sweep: pd.DataFrame, theory: pd.DataFrame) -> str | None:
    """Whether the bias of small steps is that of theory, and what an acceptance step leaves of it."""
    slopes = theory[theory["quantity"] == "bias_slope"]
    rows = sweep[sweep["kernel"] == "overdamped"].sort_values("step_size")
    if slopes.empty or rows.empty:
        return None
    slope, slope_error = (float(slopes[column].fillna(0).iloc[0]) for column in ("value", "std_error"))
    errors = np.hypot(rows["std_error"], slope_error * rows["step_size"])
    agrees = (rows["bias"] - slope * rows["step_size"]).abs() <= CLEAR * errors  # false where particles diverged
    kept = rows.loc[agrees.cummin(), "step_size"]
    text = f"Theory says that the bias of the mean log-density is {slope:.2f} nats per unit of step size"
    if kept.empty:
        text += "; no step size of the sweep is small enough for it"
    else:
        text += f"; steps up to {kept.max():g} agree within {CLEAR:g} standard errors"
    finite = rows.dropna(subset=["bias"])
    if len(kept) < len(finite):
        largest = finite.iloc[-1]
        ratio = largest["bias"] / (slope * largest["step_size"])
        text += f", at {largest['step_size']:g} the bias is {fixed(ratio, 1)} times that"
    corrected = sweep[sweep["kernel"] == "mala"].dropna(subset=["bias"])
    if len(corrected):
        worst = (corrected["bias"].abs() / corrected["std_error"]).max()
        text += f". With acceptance (MALA) {'no' if worst < CLEAR else 'some'} bias is seen (largest z {worst:.1f})"
    return f"{text}."


def on_the_way(convergence: pd.DataFrame, variants: Sequence[str]) -> str | None:
    """When each variant was nearest to the mixture."""
    rows = convergence[convergence["metric"] == DISTANCE]
    floor = rows.loc[rows["variant"] == FLOOR, "value"].min()
    texts = []
    for name in variants:
        path = rows[rows["variant"] == name].set_index("step")["value"].dropna()
        if len(path) > 1:
            step, last = path.idxmin(), path.index.max()
            # a minimum that is not clear of the noise is none
            passed = path[last] - path[step] > max(floor / 2, (TURNED - 1) * path[step])
            start = "starts at {}" if step == path.index.min() else f"comes to {{}} by step {step:,}"
            way = f"{start.format(fixed(path[step]))} and ends at" if passed else "ends as near as it comes,"
            texts.append(f"`{name}` {way} {fixed(path.loc[last])}")
    if not texts:
        return None
    return f"Sliced W2 over the steps, of the particles that are followed: {'; '.join(texts)}."


def _ratios(table):
    """{variant: how many times the noise floor its sliced W2 is}."""
    rows = table[table["metric"] == DISTANCE].set_index("variant")["value"]
    return (rows / rows.get(FLOOR, np.nan)).drop(FLOOR, errors="ignore").dropna()


def _is_away(table, variant):
    """Whether the particles of a variant are where the mixture has next to no density, or nowhere."""
    own, exact = (_value(table, name, "mean_log_density") for name in (variant, FLOOR))
    return not own >= exact - AWAY


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
    if best == first:
        return f"Training does not help: the validation loss is lowest before it ({_number(losses[first])})."
    text = (
        f"The validation loss falls by {_percent(1 - losses[best] / losses[first])} from {_number(losses[first])} to "
        f"{_number(losses[best])} at step {best:,}, whose weights are kept"
    )
    if best != last:
        return f"{text}; then it rises by {_percent(losses[last] / losses[best] - 1)} until step {last:,}."
    tail = losses[losses.index >= last - 0.1 * (last - first)]
    if len(tail) < 2:
        return f"{text}."
    return f"{text}; over the last tenth of the steps it falls by {_percent(1 - losses[last] / tail.iloc[0])}."


def ranking(table: pd.DataFrame, score: str = "crps") -> str | None:
    """Under how many patterns the average, or CSDI, has the lowest score."""
    scores, own = _told(table, score)
    if own is None:
        return None
    winners = scores.idxmin()
    won = [pattern for pattern in scores.columns if winners[pattern] == own]
    text = f"`{own}` has the lowest {score.upper()} under {len(won)} of {counted(len(scores.columns), 'pattern')}"
    if won and len(scores) > 1:
        clear = [pattern for pattern in won if _is_clear(table, scores, pattern, score)]
        text += f", by 95 % intervals clear of the next method under {len(clear) or 'none'} of these"
    lost = [
        f"{pattern}: `{winners[pattern]}`, by {_percent(1 - scores[pattern].min() / scores.loc[own, pattern])}"
        for pattern in scores.columns
        if pattern not in won
    ]
    return f"{text} ({'; '.join(lost)})." if lost else f"{text}."


def beside_simpler(table: pd.DataFrame, score: str = "crps") -> str | None:
    """How far the average, or CSDI, is below or above the best simpler method."""
    scores, own = _told(table, score)
    simpler = scores[[not _is_own(method) for method in scores.index]]
    if own is None or simpler.empty:
        return None
    texts, unclear = [], []
    for pattern in simpler.columns[simpler.notna().any()]:
        best = simpler[pattern].idxmin()
        change = 100 * (scores.loc[own, pattern] / simpler.loc[best, pattern] - 1)
        texts.append(f"{pattern} {round(change) + 0:+d} % (`{best}`)")
        if not _are_apart(*(_row(table, pattern, method, score) for method in (own, best))):
            unclear.append(pattern)
    overlap = f"; their 95 % intervals overlap under {_listed(unclear)}" if unclear else ""
    return f"{score.upper()} of `{own}` against the best simpler method: {_listed(texts)}{overlap}."


def pattern_score(table: pd.DataFrame, pattern: str) -> str | None:
    """How good the average, or CSDI, is under one pattern, and whether that is clear of the best simpler method."""
    scores = _scores(table, "crps")
    own = _leader(scores)
    if own is None or pattern not in scores.columns or pd.isna(scores.loc[own, pattern]):
        return None
    row = _row(table, pattern, own, "crps")
    text = f"{pattern}: `{own}` has a CRPS of {_number(row['value'])}"
    if row["n_targets"] < metrics.FEW:
        return f"{text} on {counted(row['n_targets'], 'value')}, too few to tell methods apart."
    simpler = scores.loc[[method for method in scores.index if not _is_own(method)], pattern].dropna()
    if simpler.empty:
        return f"{text}; no simpler method stands beside it."
    rival = _row(table, pattern, simpler.idxmin(), "crps")
    apart = _are_apart(row, rival)
    ratio = row["value"] / rival["value"]
    side = f"{100 * abs(ratio - 1):.0f} % {'below' if ratio < 1 else 'above'} that of"
    side = "as much as" if abs(ratio - 1) < SAME else side
    return (
        f"{text}, {side} the best simpler method, `{rival['method']}`, with {_number(rival['value'])}; their 95 % "
        f"intervals {'do not overlap' if apart else 'overlap'}."
    )


def scores_disagree(table: pd.DataFrame) -> str | None:
    """Whether MAE, RMSE and CRPS name the same best method, and whether they do so by more than chance."""
    by_score = {score: _told(table, score)[0] for score in ("mae", "rmse", "crps")}
    winners = {score: scores.idxmin() for score, scores in by_score.items() if not scores.empty}
    if len(winners) < 3:
        return None
    patterns = winners["crps"].index
    differ, is_clear = [], False
    for pattern in patterns:
        # quantiles about a median make no other method of it
        best = {score: _undressed(winners[score].get(pattern)) for score in winners}
        if len(set(best.values())) > 1:
            differ.append(f"{pattern}: " + ", ".join(f"{score.upper()} `{best[score]}`" for score in best))
            for pair in itertools.combinations(winners, 2):
                pairs = [[_row(table, pattern, winners[of][pattern], score) for of in pair] for score in pair]
                is_clear |= all(_are_apart(*rows) for rows in pairs)
    all_of_them = counted(len(patterns), "pattern")
    if not differ:
        return f"MAE, RMSE and CRPS name the same best method under {'each of ' * (len(patterns) > 1)}{all_of_them}."
    text = (
        f"The three scores do not name the same best method under {len(differ)} of {all_of_them} ({'; '.join(differ)})"
    )
    return f"{text}{'' if is_clear else ', but the 95 % intervals of these methods overlap'}."


def intervals_hold(table: pd.DataFrame, percent: int = 90) -> str | None:
    """What central intervals of the average, or CSDI, hold, and whether that is off by more than chance."""
    is_told = table["n_targets"] >= metrics.FEW
    method, found = _with_intervals(_rows(table[is_told], f"coverage_{percent}"))
    if found.empty:
        return None
    level, values = percent / 100, found["value"]
    text = f"The {percent} % intervals of `{method}` hold {_span(100 * values, '.0f')} % of the held-out values"
    narrow = found.index[(values < level - OFF) & (found["upper"] < level)]
    wide = found.index[(values > level + OFF) & (found["lower"] > level)]
    faults = [f"too {fault} under {_listed(of)}" for fault, of in (("narrow", narrow), ("wide", wide)) if len(of)]
    if faults:
        return f"{text}: {' and '.join(faults)}."
    if (values - level).abs().max() <= OFF:
        return f"{text}: calibrated within {100 * OFF:g} points."
    return f"{text}: off by more than {100 * OFF:g} points, but not by more than chance."


def intervals_widen(table: pd.DataFrame, percent: int = 90) -> str | None:
    """Where central intervals of the average, or CSDI, are the widest."""
    method, found = _with_intervals(_rows(table, f"interval_width_{percent}"))
    if found.empty:
        return None
    row = found["value"]
    wide, narrow = row.idxmax(), row.idxmin()
    if len(row) < 2:
        return f"The {percent} % intervals of `{method}` are {fixed(row[wide])} wide (z-scores)."
    if row[wide] < TURNED * row[narrow]:
        return f"The {percent} % intervals of `{method}` are {_span(row, '.2f')} wide (z-scores) under each pattern."
    return (
        f"The {percent} % intervals of `{method}` are {row[wide] / row[narrow]:.1f} times as wide under {wide} as "
        f"under {narrow} ({fixed(row[wide])} and {fixed(row[narrow])}, z-scores)."
    )


def hardest(table: pd.DataFrame) -> str | None:
    """Which pattern of missing entries is the hardest."""
    scores, own = _told(table, "crps")
    if own is None or len(scores.columns) < 2:
        return None
    row = scores.loc[own]
    hard, easy = row.idxmax(), row.idxmin()
    said = f"`{own}` has a CRPS of {_number(row[easy])} under {easy} and {_number(row[hard])}"
    if not _are_apart(*(_row(table, pattern, own, "crps") for pattern in (easy, hard))):
        return f"Which pattern is the hardest cannot be told: {said} under {hard}, and their 95 % intervals overlap."
    return f"What is hidden decides how hard it is: {said}, {row[hard] / row[easy]:.1f} times that, under {hard}."


def strategies_differ(
    tables: Mapping[str, pd.DataFrame], masks: Mapping[str, Sequence[str]], otherwise: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Which of several trainings on one dataset, whose targets were chosen differently, is the best one by CRPS.

    Args:
        tables: of the scores of each run.
        masks: of each run, the strategies that its targets were chosen by.
        otherwise: of each run, its other settings; runs are compared that have the same.
    """
    groups: list[list[str]] = []
    for run in tables:
        group = next((group for group in groups if otherwise[group[0]] == otherwise[run]), None)
        groups.append([run]) if group is None else group.append(run)
    said = [_best_strategy({run: tables[run] for run in group}, masks) for group in groups]
    if len({frozenset(masks[run]) for run in tables}) > 1 and not any(said):
        keys = sorted({key for run in tables for key in _differing(otherwise[run], otherwise[next(iter(tables))])})
        if keys:
            return [
                f"The runs {names(tables)} do not tell which strategy is better: they differ in their "
                f"{_listed(f'`{key}`' for key in keys)}, too."
            ]
    return [text for text in said if text]


def _differing(one, other):
    """Dotted names of the settings in which two dicts differ."""
    for key in sorted({*one, *other}):
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from (f"{key}.{rest}" for rest in _differing(left, right))
        elif left != right:
            yield key


def _best_strategy(tables, masks):
    """Of runs that differ in their masks alone, if they do, the lowest CRPS under each pattern, and the next one."""
    rows = [
        (", ".join(sorted(masks[run])), *row)
        for run, table in tables.items()
        for row in _rows(table, "crps")
        .query("method == @metrics.CSDI and n_targets >= @metrics.FEW")[["held_out", "value", "lower", "upper"]]
        .itertuples(index=False)
    ]
    found = pd.DataFrame(rows, columns=["masks", "held_out", "value", "lower", "upper"])
    if found["masks"].nunique() < 2:
        return None
    means = found.groupby(["held_out", "masks"], sort=False).mean()
    texts, unclear = [], []
    for pattern, of in means.groupby("held_out", sort=False):
        if len(of) > 1:
            (_, best), (_, second) = of.index[of["value"].argsort(kind="stable")][:2]
            first, next_one = of.loc[(pattern, best)], of.loc[(pattern, second)]
            texts.append(f"{pattern}: {best} ({_number(first['value'])}), then {second} ({_number(next_one['value'])})")
            unclear += [] if _are_apart(first, next_one) else [pattern]
    counts = found.groupby(["held_out", "masks"]).size()
    trainings = f"{_span(counts, 'd')} training{'' if counts.max() == 1 else 's'} each"
    head = f"The lowest CRPS of CSDI by strategy, {trainings}"
    overlap = f" The 95 % intervals of the two overlap under {_listed(unclear)}." if unclear else ""
    return f"{head}: {'; '.join(texts)}.{overlap}" if texts else None


def draws_belong_together(table: pd.DataFrame) -> str | None:
    """What is lost of sums and means where the entries of a draw are shuffled."""
    rows = table[(table["feature"] == ALL) & (table["metric"] == "coverage_80_of_mean")]
    held = rows.pivot(index="held_out", columns="method", values="value")
    if not {metrics.AUTO, metrics.SHUFFLED} <= {*held.columns}:
        return None
    held = held.reindex(rows["held_out"].drop_duplicates()).dropna(subset=[metrics.AUTO, metrics.SHUFFLED])
    if held.empty:
        return None
    losses = held[metrics.AUTO] - held[metrics.SHUFFLED]
    worst = losses.idxmax()
    kept, lost = 100 * held.loc[worst, metrics.AUTO], 100 * held.loc[worst, metrics.SHUFFLED]
    head = (
        f"80 % intervals of the mean over a gap hold {kept:.0f} % by joint draws of `{metrics.AUTO}` and {lost:.0f} % "
        f"by draws whose entries are shuffled ({worst})"
    )
    joint, apart = (_row(table, worst, name, "coverage_80_of_mean") for name in (metrics.AUTO, metrics.SHUFFLED))
    if losses[worst] < OFF or not _are_apart(joint, apart):
        return f"{head}: little depends on it here, or too few gaps are held out to see it."
    short = ", though joint draws hold too little as well" if joint["upper"] < 0.8 else ""
    return f"{head}: single values do not tell of sums{short}."


def likelihood_beside_gaussian(table: pd.DataFrame) -> str | None:
    """How many nats a target the variational bound of CSDI is below the exact value of the joint Gaussian."""
    rows = table[table["feature"] == ALL]
    bounds, exact = (rows[rows["metric"] == name].set_index("held_out") for name in ("nll_bound", "nll"))
    gains = (exact["value"] - bounds["value"]).dropna()
    if gains.empty:
        return None
    unclear = [pattern for pattern in gains.index if not _are_apart(bounds.loc[pattern], exact.loc[pattern])]
    overlap = f" Their 95 % intervals overlap under {_listed(unclear)}." if unclear else ""
    head = "CSDI's variational bound on the negative log-likelihood is"
    if (gains > 0).all():
        more = "" if unclear else ": the model finds the held-out values less surprising"
        return f"{head} {_span(gains, '.2f')} nats a value below the exact one of the joint Gaussian{more}.{overlap}"
    if (gains <= 0).all():
        return (
            f"{head} {_span(-gains, '.2f')} nats a value above the exact one of the joint Gaussian: to CSDI the "
            f"held-out values are more surprising, or its bound is loose.{overlap}"
        )
    below, above = ({name: abs(gains[name]) for name in gains.index[sign * gains > 0]} for sign in (1, -1))
    lists = [_listed(f"{name} {value:.2f}" for name, value in of.items()) for of in (below, above)]
    return (
        f"{head} below the exact one of the joint Gaussian under {len(below)} of {len(gains)} patterns (nats a value: "
        f"{lists[0]}) and above it under the rest ({lists[1]}), where it may be loose.{overlap}"
    )


def missing_share(missingness: pd.DataFrame) -> str | None:
    """How much of a series is missing, and of which feature most."""
    rows = missingness[(missingness["kind"] == "feature") & missingness["share"].notna()]
    total = rows[rows["feature"] == ALL]
    single = rows[rows["feature"] != ALL]
    if total.empty or single.empty:
        return None
    share, most = float(total["share"].iloc[0]), single.loc[single["share"].idxmax()]
    if not share:
        return "Nothing is missing in the series itself: what is imputed is what was held out."
    text = f"{_percent(share)} of the series' own values are missing"
    if single["share"].max() == single["share"].min():
        return f"{text}{', of each feature as many' if len(single) > 1 else ''}."
    return f"{text}, most of {most['feature']} ({_percent(float(most['share']))})."


def _told(table, score):
    """`_scores` of patterns with enough targets to tell methods apart, and the one that it is about, if it has them."""
    scores = _scores(table[table["n_targets"] >= metrics.FEW], score)
    scores = scores[~scores.index.str.endswith(metrics.CORRECTED)]  # the same method once more
    own = _leader(scores)
    return (scores, None) if own is None else (scores.loc[:, scores.loc[own].notna()], own)


def _scores(table, score):
    """Method by pattern: a score of all features together, by methods that give draws or quantiles."""
    rows = _rows(table, score)
    order = rows["held_out"].drop_duplicates().tolist()
    return rows.pivot(index="method", columns="held_out", values="value").reindex(columns=order)


def _rows(table, score):
    """The rows of a score of all features together, but for those of CSDI's own code."""
    rows = table[(table["feature"] == ALL) & (table["metric"] == score)].dropna(subset=["value"])
    return rows[~rows["method"].str.endswith(metrics.AS_IN_PAPER)]


def _with_intervals(rows):
    """The method whose intervals are told, the first of three that has some, and its rows by pattern."""
    methods = (metrics.AUTO, metrics.CSDI + metrics.CORRECTED, metrics.CSDI)
    method = next((name for name in methods if (rows["method"] == name).any()), None)
    return method, rows[rows["method"] == method].set_index("held_out")


def _is_clear(table, scores, pattern, score):
    """Whether the lowest score under a pattern is clear of the next one."""
    first, second = scores[pattern].sort_values().index[:2]
    return _are_apart(*(_row(table, pattern, method, score) for method in (first, second)))


def _are_apart(one, other):
    """Whether the 95 % intervals of two rows of scores do not overlap; false where one is unknown."""
    return bool(one["upper"] < other["lower"] or other["upper"] < one["lower"])


def _undressed(method):
    """The name of a method without that of how its median gets its quantiles."""
    return str(method).removesuffix(metrics.DRESSED).removesuffix(metrics.CORRECTED)


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


def fixed(value: float, digits: int = 2) -> str:
    """With so many digits after the point; by a power of ten where that would be long."""
    return f"{round(value, digits) + 0.0:.{digits}f}" if abs(value) < 1e5 else f"{value:.1e}"  # no -0


def _percent(share: float) -> str:
    """One digit after the point below ten percent; what would be shown as 0 is `less than`."""
    percent = 100 * share
    if 0 < percent < 0.05:
        return "less than 0.1 %"
    return f"{percent + 0.0:.{1 if percent < 9.95 else 0}f} %"


def _times(ratio: float) -> str:
    return f"{fixed(ratio, 1 if ratio < 10 else 0)} times"


def counted(n: int, thing: str) -> str:
    """A number of things in words."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def _is(items: Sequence[object]) -> str:
    return "is" if len(items) == 1 else "are"


def _has(items: Sequence[object]) -> str:
    return "has" if len(items) == 1 else "have"
