"""Train a score network on the mixture by denoising score matching."""

from scoredag import job, streams
from scoredag.gmm import mixture
from scoredag.job import logs
from scoredag.likelihood import problems, score_matching, score_network
from scoredag.store import tables


def train_score(parameters_path: str, model_path: str, settings: dict, score_model: str) -> None:
    """Write the weights, with the mixture's unit, the SDE and the training beside them."""
    gmm = mixture.from_table(tables.read(parameters_path, tables.GMM))
    problem = problems.build(gmm, **settings["process"])
    n_steps = settings["training"]["n_steps"]
    with logs.progress(f"training {score_model}", n_steps, "step") as bar:
        weights = score_matching.train(
            problem.data.gmm,
            problem.sde,
            smallest_time=problem.smallest_time,
            seed=streams.seed(settings["seed"], "likelihood", "network"),
            progress=bar,
            weighting=settings["weighting"],
            **settings["training"],
        )
    unit = {"centre": problem.data.centre.tolist(), "unit": problem.data.unit}
    score_network.save(weights, model_path, {"score_model": score_model, **settings, **unit})


if __name__ == "__main__":
    job.run(train_score, cached=True)
