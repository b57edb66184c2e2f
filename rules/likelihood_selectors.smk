"""What the likelihood's rules ask of the config."""


def process():
    """The forward SDE of the likelihood's part, with the numbers that it depends on."""
    part = config["likelihood"]
    span = part["sigma" if part["sde"] == "ve" else "beta"]
    return {"name": part["sde"], "smallest_time": part["smallest_time"], "span": span}


def score_errors(wildcards):
    """The errors of a score model; an empty map for a network."""
    return errors_of(wildcards.score_model)


def errors_of(name):
    """The same, by the score model's name."""
    model = section("likelihood", "score_models", name)
    return {} if model["weighting"] else {error: model[error] for error in checks.EXACT_SCORE}


def grid():
    """The square of cells that equations are solved on."""
    return {key: config["likelihood"]["grid"][key] for key in ("half_width", "n_cells")}


def of_score_models(file):
    """A file of each score model, in the config's order."""
    return [f"results/likelihood/{name}/{file}" for name in config["likelihood"]["score_models"]]


def networks():
    """The names of the score models that are networks."""
    return [name for name, model in config["likelihood"]["score_models"].items() if model["weighting"]]


def network_weights(wildcards):
    """The weights of a score model that is a network; else []."""
    return weights_of(wildcards.score_model)


def weights_of(name):
    """The same, by the score model's name."""
    return f"results/likelihood/{name}/model.safetensors" if name in networks() else []


def beside_exact():
    """The score model whose dynamics are shown beside those of the exact score; None for none."""
    chosen = config["likelihood"]["dynamics"]["score_model"] or next(iter(networks()), None)
    return None if chosen == "exact" else chosen  # rows of that name are the exact score's
