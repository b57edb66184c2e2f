"""What the rules of the report ask of the config."""

BOUND_FIGURES = ["statements", "bounds", "gaps", "score_errors", "estimators", "dynamics"]
LANGEVIN_FIGURES = ["comparison", "convergence", "sweep"]
TEXTS = [path.stem for path in sorted((HOME / "docs").glob("*.md"))]
RUN_FIGURES = ["loss", "imputation", "metrics", "calibration", "joint_scores", "surprise"]


def text_files(kind):
    """Files of docs/, beside the rules."""
    return [local(str(path)) for path in sorted((HOME / "docs").glob(f"*.{kind}"))]


def text_content(wildcards):
    """The SHA-256 of these files, whatever their times."""
    return [sources.content(path) for path in (*text_files("md"), *text_files("png"))]


def of_likelihood(file):
    """A file of the likelihood's part, if the config has score models; else []."""
    return f"results/likelihood/{file}" if config["likelihood"]["score_models"] else []


def of_langevin(file, part="langevin"):
    """A file of the Langevin part, or of the mixture's, if the config has variants; else []."""
    return f"results/{part}/{file}" if config["langevin"]["variants"] else []


def noiseless():
    """The names of the Langevin variants without noise."""
    return variants(lambda variant: not has_noise(variant))


def figures_of_report():
    """[name, labels, path with wildcards] of each figure of the report."""
    found = [[name, {}, of_likelihood(f"{name}.png")] for name in BOUND_FIGURES]
    found += [[name, {}, of_langevin(f"{name}.png")] for name in LANGEVIN_FIGURES]
    found += [["density", {}, of_langevin("density.png", "gmm")]]
    found += [
        [name, {"variant": variant}, f"results/langevin/{{variant}}/{name}.png"]
        for variant in config["langevin"]["variants"]
        for name in ("scatter", "trajectories")
    ]
    found += [[name, {"run": run}, f"results/csdi/{{run}}/{name}.png"] for run in runs() for name in RUN_FIGURES]
    found += [["gaps", {"run": run}, "results/csdi/{run}/gaps.png"] for run in runs("fill_gaps")]
    found += [
        ["missingness", {"dataset": dataset}, "results/datasets/{dataset}/missingness.png"]
        for dataset in datasets_of_report()
    ]
    return [entry for entry in found if entry[-1]]


def figure_files(wildcards):
    """The figures of the report."""
    return [path.format(**labels) for _, labels, path in figures_of_report()]


def datasets_of_report():
    """The datasets of the runs, each once, in the order of the runs."""
    return list(dict.fromkeys(datasets_of_runs().values()))


def pages_of_report():
    """[path, what it is] of each file that the report links to."""
    animated = variants(lambda variant: variant["animate"])
    found = [
        [of_likelihood("dynamics.gif"), "three dynamics, animated"],
        [of_langevin("explore.html"), "live particles"],
    ]
    found += [[f"results/langevin/{variant}/animation.gif", f"{variant}, animated"] for variant in animated]
    found += [[f"results/csdi/{run}/explore.html", f"{run}, to explore"] for run in runs()]
    found += [[f"results/csdi/{run}/model-card.md", f"model card of {run}"] for run in runs()]
    found += [[f"results/notebooks/{name}.html", f"notebook {name}"] for name in notebooks()]
    return [entry for entry in found if entry[0]]


def page_files(wildcards):
    """The files that the report links to."""
    return [path for path, _ in pages_of_report()]


def report_settings(wildcards):
    """What the report says of the config, in its order, and the captions of its figures."""
    return sources.ordered(
        {
            "figures": [[name, labels, CAPTIONS[path].format(**labels)] for name, labels, path in figures_of_report()],
            "pages": [said for _, said in pages_of_report()],
            "runs": [[name, about_run(section("csdi", "runs", name))] for name in runs()],
            "score_models": [
                [name, about_model(model)] for name, model in config["likelihood"]["score_models"].items()
            ],
            "variants": [
                [name, about_variant(name, variant)] for name, variant in config["langevin"]["variants"].items()
            ],
        }
    )


def about_model(model):
    """What the report says of a score model, and what is the same in those that it may be compared with."""
    otherwise = {key: value for key, value in model.items() if key != "weighting"}
    return {"otherwise": otherwise, "weighting": model["weighting"]}


def about_variant(name, variant):
    """What the report says of a Langevin variant."""
    own = {key: variant[key] for key in ("n_particles", "n_steps", "step_size")}
    return own | {"title": title(name), "description": description(name), "has_noise": has_noise(variant)}


def about_run(run):
    """What the report says of a run, and what is the same in those that it may be compared with."""
    own = {key: run[key] for key in ("dataset", "init")} | {"n_steps": run["training"]["n_steps"]}
    same = {key: run[key] for key in ("conditional", "init", "sampling", "training")}
    same |= {"training": {key: value for key, value in run["training"].items() if key != "masks"}}
    reader = section("datasets", run["dataset"], "reader")
    return own | {"masks": run["training"]["masks"], "otherwise": same, "reader": reader}
