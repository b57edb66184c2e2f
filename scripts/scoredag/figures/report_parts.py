"""The answers of the report, question by question, out of the tables and figures of a run."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from scoredag import findings, metrics
from scoredag.figures.report_page import Block, Figure, Finding, Labels, Links, Part, Section, Table, Text

VARIANT, RUN, PATTERN = "variant", "run", "pattern"  # what buttons tell apart
BOUND_SAYS = (
    "A score model s(x, t) makes a distribution by the reverse SDE. Song et al. (2021) bound its Kullback-Leibler "
    "divergence from the data, and its negative log-likelihood, from above: by the error of the score, half of the "
    "integral of g(t)² E‖s - ∇log p_t‖², and how far the end of the forward process is from the prior. Here every "
    "term can be computed, as the data are a Gaussian mixture."
)
TRAINING_IS = (
    "Denoising score matching with the weighting g(t)² differs from the bound by a constant: its training minimises "
    "the bound. Another weighting, as the usual sigma(t)², has the same minimiser for a model that can be exact, and "
    "another one for a network that cannot. To minimise a bound is not to minimise what it bounds: the gap depends on"
    " the model, too."
)
LANGEVIN_IS = (
    "A step is x ← x + τ s(x) + √(2τ) ζ with the exact score s = ∇log π of the mixture and noise ζ ~ N(0, C). For "
    "small τ and C = I particles come to be samples of π. Distances to exact samples are beside their noise floor, "
    "the distance of a second exact sample."
)
CSDI_IS = (
    "CSDI (Tashiro et al. 2021) learns the distribution of the missing values of a window given the observed ones. "
    "Noise is added to the targets alone; a network that sees the observed values predicts it, and the reverse "
    "process removes it step by step. As missing values are unknown, training is self-supervised: of what was "
    "observed some is hidden and becomes the targets, anew for each window, and the loss is the squared error of the "
    "predicted noise over them."
)
TARGETS_ARE = (
    "Which observed values are hidden in training decides what the network learns to fill in (section 4.3). Each "
    "training window of a run takes one of the strategies in its `training.masks` at random."
)
NOT_COMPARED = (
    "No two runs of this config, on one dataset, differ in their strategies, so that it does not tell which is better; "
    "a second run with other `training.masks` does."
)
STRATEGIES = {
    "random": ("a share of the observed values, from none to all", "gaps of any kind; where nothing is known"),
    "historical": ("what is missing in another training window", "gaps like those of the data, if it has many"),
    "mix": ("one of these two, by a coin", "many gaps that have a structure"),
    "test-pattern": ("what is held out in a test window", "a pattern that is known beforehand, as a forecast's"),
    "blocks": ("runs of one feature (not in the paper)", "sensors that fail for hours"),
    "gaps": ("runs of several features at once (not in the paper)", "stations that fail"),
    "outages": ("whole features (not in the paper)", "single sensors"),
}
SCORES_ARE = [
    ("MAE", "mean of |truth - median|", "the distribution about the median"),
    ("RMSE", "root of the mean of (truth - median)², ruled by the largest errors", "the same"),
    ("CRPS", "twice the mean pinball loss of 19 quantiles, over the mean |truth|", "whether values belong together"),
    ("coverage", "share of the truth within central intervals", "how wide they are"),
]
PAPERS_OWN = ("physionet",)  # readers of data sets that the paper used
N_SHOWN = 3  # methods of a pattern in the table of scores


class Shown(NamedTuple):
    """A figure before it is said what it shows in this run."""

    path: str
    content: bytes
    reading: str
    labels: Labels


class Tables(NamedTuple):
    """The tables of a run; None, or no entry, of a part that the config has not."""

    summary: pd.DataFrame | None
    bounds: pd.DataFrame | None
    likelihoods: Mapping[str, pd.DataFrame]  # of each score model
    score_errors: pd.DataFrame | None
    estimators: pd.DataFrame | None
    dynamics: pd.DataFrame | None
    components: pd.DataFrame | None
    langevin: pd.DataFrame | None
    laws: pd.DataFrame | None
    theory: pd.DataFrame | None
    sweep: pd.DataFrame | None
    convergence: pd.DataFrame | None
    modes: Mapping[str, pd.DataFrame]  # of each variant without noise
    moving: Mapping[str, str | None]  # of each variant, the mean that still moves
    histories: Mapping[str, pd.DataFrame]  # of each run
    scores: Mapping[str, pd.DataFrame]
    missingness: Mapping[str, pd.DataFrame]  # of each dataset


class Sheet:
    """The figures and links of a run, to be found by name."""

    def __init__(self, figures: Mapping[tuple[str, str], Shown], pages: Mapping[str, str], docs: str):
        """Figures by their name and label (`""` for none), addresses of pages by what they are, and of the texts."""
        self._figures, self._pages, self._docs = figures, pages, docs

    def figure(self, name: str, said: Iterable[str | None] = (), label: str = "") -> Iterator[Figure]:
        """The figure with what it shows, if there is one."""
        shown = self._figures.get((name, label))
        if shown is not None:
            yield Figure(shown.path, shown.content, [text for text in said if text], shown.reading, shown.labels)

    def links(self, docs: Mapping[str, str], pages: Collection[str]) -> Iterator[Links]:
        """Links to those pages that there are of the named ones, and to texts, {file: title}."""
        found = [(address, said) for said, address in self._pages.items() if said in pages]
        if found:
            yield Links("Made by this run:", found)
        yield Links("Texts:", [(f"{self._docs}/{file}", said) for file, said in docs.items()])


def parts(tables: Tables, sheet: Sheet, settings: Mapping[str, Any]) -> list[Part]:
    """The three parts of the assignment, each with its questions in its order.

    Args:
        tables: of the run.
        sheet: its figures and pages.
        settings: pairs of a name and what is said of it: `score_models`, `variants` and `runs`.
    """
    return [
        _likelihood(tables, sheet, dict(settings["score_models"])),
        _langevin(tables, sheet, dict(settings["variants"])),
        _csdi(tables, sheet, dict(settings["runs"])),
    ]


def _found(*said: str | None, labels: Labels | None = None) -> list[Block]:
    return [Finding(text, labels or {}) for text in said if text]


# -- 1


def _likelihood(tables, sheet, models):
    title = "1. Likelihood bounds of score-based diffusion models"
    docs = {"likelihood-bound.html": "the bound, its proofs, and what the default run shows"}
    links = sheet.links(docs, {"three dynamics, animated", "notebook likelihood-bound"})
    if tables.summary is None:
        said = Text("This config has no score models, so that nothing is computed for this part.")
        return Part(title, {}, [Section("1", "What does the bound say, and does training follow it?", [said, *links])])
    summary, bounds = tables.summary, tables.bounds
    networks = {name: about for name, about in models.items() if about["weighting"]}
    says = [
        Text(BOUND_SAYS),
        *sheet.figure("statements", [findings.bound_holds(summary)]),
        *sheet.figure("bounds", [findings.bound_of_points(bounds)]),
    ]
    follows = [
        Text(TRAINING_IS),
        *_found(findings.training_follows(summary, networks) or "No network is trained with the weighting g² here."),
        _sides_table(summary),
        *_found(findings.bound_orders(summary), findings.flow_is_not_bounded(tables.likelihoods, bounds)),
        *sheet.figure("gaps", [findings.where_tight(summary)]),
    ]
    depends = [
        *sheet.figure("score_errors", [findings.error_grows(tables.score_errors)]),
        *sheet.figure("estimators", [findings.cheapest_estimator(tables.estimators)]),
        *sheet.figure("dynamics", [findings.dynamics_agree(tables.dynamics)]),
    ]
    sections = [
        Section("1a", "What does the bound say?", says),
        Section("1b", "Does training follow it?", follows),
        Section("1c", "What do both sides depend on, and how are they estimated?", [*depends, *links]),
    ]
    return Part(title, {}, sections)


def _sides_table(summary):
    rows = summary[summary["statement"] == "1"]
    return Table(
        ["score model", "KL divergence", "bound on it", "slack", "standard error"],
        [
            [f"`{name}`", *(_fixed(value, 4) for value in values)]
            for name, *values in rows[["score_model", "left", "right", "slack", "std_error"]].itertuples(index=False)
        ],
        [{}] * len(rows),
    )


# -- 2


def _langevin(tables, sheet, variants):
    docs = {
        "langevin.html": "Langevin dynamics, theory beside every picture",
        "langevin.html#how-the-assignment-was-read": "how the assignment was read",
        "langevin-kernels.html": "other kernels",
    }
    animations = {"live particles", "notebook langevin", *(f"{name}, animated" for name in variants)}
    links = sheet.links(docs, animations)
    if tables.langevin is None:
        title, said = "2. Langevin dynamics on a mixture", Text("This config has no Langevin variants.")
        return Part(title, {}, [Section("2", "What do the variants sample?", [said, *links])])
    overview = [
        Text(LANGEVIN_IS),
        *sheet.figure("comparison", [findings.nearest(tables.langevin)]),
        _distances_table(tables.langevin, variants),
        *sheet.figure("density"),
    ]
    doubts = [
        *_found(findings.chains_agree_on(tables.langevin)),
        *sheet.figure("convergence", [findings.on_the_way(tables.convergence, list(variants))]),
        *sheet.figure("sweep", [findings.bias_of_a_step(tables.sweep, tables.theory)]),
    ]
    sections = [
        Section("2", "What do the variants sample?", overview),
        *(_variant(tables, sheet, name, about) for name, about in variants.items()),
        Section("2", "Is it a wrong law, or not there yet? And what does a step cost?", [*doubts, *links]),
    ]
    title = f"2. Langevin dynamics on a mixture of {findings.counted(len(tables.components), 'component')}"
    return Part(title, {VARIANT: {name: about["title"] for name, about in variants.items()}}, sections)


def _variant(tables, sheet, name, about):
    """The answer to what one variant shows: its law, and why."""
    law = findings.law_of_variant(tables.langevin, name, tables.moving[name], about)
    why = [
        findings.ends_in_modes(tables.modes[name], tables.langevin, name) if name in tables.modes else None,
        findings.step_is_stable(tables.laws, name, about["step_size"]),
        findings.temperatures(tables.laws, tables.components, name),
    ]
    blocks = [
        Text(about["description"].replace("\n", "; ")),
        *_found(law, *why),
        *sheet.figure("scatter", label=name),
        *sheet.figure("trajectories", label=name),
    ]
    said = about["title"].removeprefix(f"{name}: ")
    return Section(f"2 {name}", f"{said}: what do the particles show?", blocks, {VARIANT: name})


DISTANCES = {
    "sliced_wasserstein2": "sliced W2",
    "energy_distance": "energy distance",
    "mean_log_density": "mean log-density (nats)",
    "occupancy_total_variation": "occupancies, total variation",
}


def _distances_table(table, variants):
    values = table.pivot(index="variant", columns="metric", values="value")
    names = ["exact", *variants]
    said = {"exact": "a second exact sample"} | {name: about["title"] for name, about in variants.items()}
    return Table(
        ["", *DISTANCES.values()],
        [[said[name], *(_fixed(values.loc[name].get(metric)) for metric in DISTANCES)] for name in names],
        [{}, *({VARIANT: name} for name in variants)],
    )


def _fixed(value, digits=2):
    """A number of a table; nothing where there is none, as of particles that diverged."""
    return "" if pd.isna(value) else findings.fixed(value, digits)


# -- 3


def _csdi(tables, sheet, runs):
    title = "3. CSDI: imputation of a time series by conditional diffusion"
    docs = {
        "how-csdi-works.html": "how CSDI works",
        "how-csdi-works.html#which-targets": "which targets",
        "how-csdi-works.html#what-the-scores-mean": "what the scores mean",
        "csdi.html": "train, sample and score",
        "default-run.html": "scores of the default run",
    }
    own = {"notebook csdi", "notebook own-series"}
    own |= {text for name in runs for text in (f"{name}, to explore", f"model card of {name}")}
    links = sheet.links(docs, own)
    if not runs:
        said = Text("This config has no runs of CSDI, so that nothing is trained or imputed.")
        return Part(title, {}, [Section("3", "How does CSDI work, and how good is it?", [said, *links])])
    patterns = dict.fromkeys(name for table in tables.scores.values() for name in table["held_out"])
    sections = [
        Section(
            "3a", "What is the idea, and how is it trained?", [Text(CSDI_IS), *_each(runs, _training, tables, sheet)]
        ),
        Section(
            "3b",
            "Which values should be hidden in training?",
            [Text(TARGETS_ARE), _strategies(runs), *_targets(tables, runs)],
        ),
        Section("3c", "What do MAE, RMSE and CRPS say?", [_meanings(), *_each(runs, _scores, tables, sheet)]),
        Section(
            "3d",
            "What comes of fine-tuning a pretrained checkpoint on other data?",
            [*links, *_data(runs, tables, sheet), *_each(runs, _conclusions, tables, sheet)],
        ),
    ]
    if len(runs) > 1:
        sections = [section._replace(blocks=[*map(_named, section.blocks)]) for section in sections]
    buttons = {RUN: {name: name for name in runs}, PATTERN: {name: name for name in patterns}}
    return Part(title, buttons, sections)


def _named(block):
    """The block, its sentences with the name of the run that they are about."""
    run = None if isinstance(block, Table | Links) else block.labels.get(RUN)
    if run and isinstance(block, Finding):
        return block._replace(text=f"`{run}`: {block.text}")
    if run and isinstance(block, Figure):
        return block._replace(findings=[f"`{run}`: {text}" for text in block.findings])
    return block


def _each(runs, blocks, tables, sheet):
    for name, about in runs.items():
        yield from blocks(name, about, tables, sheet)


def _training(name, about, tables, sheet):
    init = "from scratch" if about["init"] == "scratch" else f"from the checkpoint `{about['init']}`"
    steps = findings.counted(about["n_steps"], "step")
    yield Text(f"Run `{name}`: {steps} on `{about['dataset']}`, {init}.", {RUN: name})
    yield from sheet.figure("loss", [findings.training_helps(tables.histories[name])], name)


def _strategies(runs):
    rows = [
        [f"`{name}`", hides, suits, ", ".join(run for run, about in runs.items() if name in about["masks"]) or "no run"]
        for name, (hides, suits) in STRATEGIES.items()
    ]
    return Table(["strategy", "hides", "suits", "takes part in"], rows, [{}] * len(rows), n_words=4)


def _targets(tables, runs):
    """What runs whose targets were chosen differently tell of the strategies, and the patterns of each run."""
    masks, otherwise = ({name: about[key] for name, about in runs.items()} for key in ("masks", "otherwise"))
    found = []
    for dataset in dict.fromkeys(about["dataset"] for about in runs.values()):
        own = {name: tables.scores[name] for name, about in runs.items() if about["dataset"] == dataset}
        found += _found(*findings.strategies_differ(own, masks, otherwise))
    yield from found or [Text(NOT_COMPARED)]
    for name, table in tables.scores.items():
        yield from _found(findings.hardest(table), labels={RUN: name})


def _meanings():
    return Table(["score", "of the held-out values", "does not see"], SCORES_ARE, [{}] * len(SCORES_ARE), n_words=3)


def _scores(name, about, tables, sheet):
    table = tables.scores[name]
    yield from _found(findings.ranking(table), findings.scores_disagree(table), labels={RUN: name})
    yield _scores_table(name, table)
    yield from sheet.figure("metrics", [findings.beside_simpler(table)], name)
    yield from sheet.figure("calibration", [findings.intervals_hold(table)], name)
    yield from sheet.figure("joint_scores", [findings.draws_belong_together(table)], name)


def _scores_table(name, table):
    """Of each pattern the average, CSDI, and the simpler methods with the lowest CRPS."""
    rows, labels = [], []
    columns = ["mae", "rmse", "crps", "coverage_90"]
    total = table[(table["feature"] == findings.ALL) & table["metric"].isin(columns)]
    for pattern, of_pattern in total.groupby("held_out", sort=False):
        values = of_pattern.pivot(index="method", columns="metric", values="value").reindex(columns=columns)
        own = [method for method in (metrics.AUTO, metrics.CSDI) if method in values.index]
        simpler = values.loc[[method for method in values.index if not method.startswith((metrics.AUTO, metrics.CSDI))]]
        for method in [*own, *simpler["crps"].nsmallest(N_SHOWN - len(own[:2])).index]:
            *scores, held = values.loc[method]
            share = "" if pd.isna(held) else f"{100 * held:.0f} %"
            rows.append([pattern, f"`{method}`", *(_fixed(score, 3) for score in scores), share])
            labels.append({RUN: name, PATTERN: pattern})
    return Table([f"`{name}`", "method", "MAE", "RMSE", "CRPS", "90 % intervals hold"], rows, labels, n_words=2)


def _conclusions(name, about, tables, sheet):
    table = tables.scores[name]
    yield Text(_about_data(name, about), {RUN: name})
    yield from _found(findings.training_helps(tables.histories[name]), labels={RUN: name})
    for pattern in table["held_out"].unique():
        yield from _found(findings.pattern_score(table, pattern), labels={RUN: name, PATTERN: pattern})
    yield from sheet.figure("imputation", [findings.intervals_widen(table)], name)
    yield from sheet.figure("surprise", [findings.likelihood_beside_gaussian(table)], name)
    yield from sheet.figure("gaps", [], name)


def _data(runs, tables, sheet):
    """What is missing in the dataset of each run, once."""
    for dataset in dict.fromkeys(about["dataset"] for about in runs.values()):
        yield from sheet.figure("missingness", [findings.missing_share(tables.missingness[dataset])], dataset)


def _about_data(name, about):
    """Whether the run is what the question asks for."""
    text = f"Run `{name}` is on `{about['dataset']}`"
    if about["init"] == "scratch":
        return f"{text}, from scratch: it fine-tunes nothing."
    whose = "which the paper used, too" if about["reader"] in PAPERS_OWN else "which the paper did not use"
    how = "fine-tuned from" if about["n_steps"] else "imputed without training by"
    return f"{text}, {whose}, {how} the checkpoint `{about['init']}`."
