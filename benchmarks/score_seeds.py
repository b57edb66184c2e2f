"""Score networks of five seeds, trained with either weighting: the bound, and divergences of the SDE and the flow.

python benchmarks/score_seeds.py              # the table of docs/likelihood-bound.md; six minutes of one core
python benchmarks/score_seeds.py --sde ve     # the same for the variance exploding SDE
python benchmarks/score_seeds.py --quick      # a smoke test, no figure worth quoting

Networks and their training are those of the default run, whose own are those of seed 1.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from scoredag import streams
from scoredag.gmm import mixture_files
from scoredag.likelihood import bounds, flow, fokker_planck, problems, score_matching, score_network, scores

ROOT = Path(__file__).parents[1]
DEFAULT_SEED = 1  # of config/config.yaml


class Sizes(NamedTuple):
    """How much is computed; the training's sizes are the schema's but for what `training` says."""

    training: dict[str, Any]
    n_draws: int = 200_000  # for the bound
    n_points: int = 10_000  # for the flow
    n_steps: int = 80  # of the grid's equation in time
    n_cells: int | None = None


FULL = Sizes({})
QUICK = Sizes({"n_steps": 20}, n_draws=2_000, n_points=50, n_steps=40, n_cells=72)


class Row(NamedTuple):
    """One network: the right and the left side of statement 1, and the flow's divergence, in nats.

    Attributes:
        bound, bound_error: J_SM + D_KL(p_T || pi), its standard error.
        divergence: D_KL(p_eps || p_theta) of the reverse SDE, on a grid.
        flow: log p_eps - log p_ODE (n,) at points of p_eps, whose mean is D_KL(p_eps || p_ODE).
    """

    bound: float
    bound_error: float
    divergence: float
    flow: np.ndarray


def defaults(root: Path = ROOT) -> dict[str, Any]:
    """Defaults of the config by key: the SDE's, the smallest time's and the training's."""
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))
    part = schema["properties"]["likelihood"]["properties"]
    training = schema["$defs"]["score_model"]["properties"]["training"]["properties"]
    return {
        "beta": part["beta"]["default"],
        "sigma": part["sigma"]["default"],
        "smallest_time": part["smallest_time"]["default"],
        "training": {key: entry["default"] for key, entry in training.items()},
    }


def trained(problem: problems.Problem, weighting: str, seed: int, training: dict[str, Any]) -> score_network.Weights:
    """The network that the workflow trains with the config's `seed`, in float64."""
    network = score_matching.train(
        problem.data.gmm,
        problem.sde,
        weighting=weighting,
        smallest_time=problem.smallest_time,
        seed=streams.seed(seed, "likelihood", "network"),
        **training,
    )
    return score_network.Weights(*([array.astype(np.float64) for array in part] for part in network))


def measure(problem: problems.Problem, weighting: str, seed: int, training: dict[str, Any], sizes: Sizes) -> Row:
    """Train a network and compute its `Row`; all seeds have the same draws and points."""
    network = trained(problem, weighting, seed, training | sizes.training)
    model = scores.from_network(network, problem.sde)
    cells = problems.grid(problem, n_cells=sizes.n_cells)
    solutions = fokker_planck.refined(
        scores.on_clock(model, problem.sde),
        problems.clocks(problem, sizes.n_steps),
        problem.sde.relative_prior_variance,
        **cells,
    )
    divergences = (problems.totals(problem, solution).divergence for solution in solutions)
    matching = bounds.averaged(
        model, problem.data.gmm, problem.sde,
        smallest_time=problem.smallest_time, n_draws=sizes.n_draws, seed=streams.seed(DEFAULT_SEED, "likelihood"),
    )["score_matching"]  # fmt: skip
    return Row(
        matching.value + problems.prior_divergence(problem, fokker_planck.grid(**cells)),
        matching.std_error,
        fokker_planck.extrapolated(*divergences)[0],
        flow_terms(problem, model, sizes.n_points),
    )


def flow_terms(problem: problems.Problem, model: scores.ScoreModel, n_points: int) -> np.ndarray:
    """log p_eps - log p_ODE (n,) at points drawn from p_eps."""
    eps, spread = problem.smallest_time, problem.smallest_spread
    normals = streams.generator(DEFAULT_SEED, "score seeds", "noise").standard_normal((n_points, 2))
    data = problem.data.gmm.sample(n_points, streams.seed(DEFAULT_SEED, "score seeds", "data"))
    x = float(problem.sde.signal(eps)) * data + float(problem.sde.noise(eps)) * normals
    log_truth = problems.log_marginal(problem, eps, x / spread) - 2 * np.log(spread)
    return log_truth - flow.log_likelihood(model, problem.sde, x, eps)


def mean(values: np.ndarray) -> tuple[float, float]:
    """A mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def line(label: Any, *cells: str) -> str:
    """A row of the table."""
    return "| " + " | ".join([str(label), *cells]) + " |"


def main() -> None:
    """Print the table, a row a seed, then means over seeds with the deviation between seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sde", choices=("vp", "sub-vp", "ve"), default="vp")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    sizes, usual_keys = (QUICK if arguments.quick else FULL), defaults()
    span = usual_keys["sigma" if arguments.sde == "ve" else "beta"]
    gmm = mixture_files.read(ROOT / "data/gmm.csv")
    problem = problems.build(gmm, name=arguments.sde, span=span, smallest_time=usual_keys["smallest_time"])
    columns = ["bound, $g^2$", "$\\sigma^2$", "KL of the SDE, $g^2$", "$\\sigma^2$", "KL of the flow, $g^2$"]
    print(line("seed", *columns, "$\\sigma^2$", "flow, $g^2$ less $\\sigma^2$"))
    print("|" + "---|" * 8)
    table = []
    for seed in range(1, arguments.seeds + 1):
        ours, usual = (
            measure(problem, weighting, seed, usual_keys["training"], sizes) for weighting in score_matching.WEIGHTINGS
        )
        terms = ours.flow, usual.flow, ours.flow - usual.flow
        flows, flow_errors = zip(*map(mean, terms), strict=True)
        table.append([ours.bound, usual.bound, ours.divergence, usual.divergence, *flows])
        errors = [ours.bound_error, usual.bound_error, None, None, *flow_errors]
        cells = [
            f"{value:.3f}" + (f" ± {error:.3f}" if error is not None else "")
            for value, error in zip(table[-1], errors, strict=True)
        ]
        print(line(seed, *cells), flush=True)
    means, deviations = np.mean(table, axis=0), np.std(table, axis=0, ddof=1)
    cells = [f"{value:.3f} ({deviation:.3f})" for value, deviation in zip(means, deviations, strict=True)]
    print(line("mean (deviation)", *cells))


if __name__ == "__main__":
    main()
