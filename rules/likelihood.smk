include: "likelihood_selectors.smk"


LIKELIHOOD_FILES = [
    *expand(
        "results/likelihood/{score_model}/{table}.parquet",
        score_model=config["likelihood"]["score_models"],
        table=["likelihoods", "map", "quantities", "estimates", "estimated_quantities"],
    ),
    *expand("results/likelihood/{score_model}/model.safetensors", score_model=networks()),
    *expand(
        "results/likelihood/{file}",
        file=(
            ["bounds.parquet", "summary.parquet", "estimators.parquet", "score_errors.parquet"]
            + ["bounds.png", "gaps.png", "statements.png", "estimators.png", "score_errors.png"]
            + ["dynamics.parquet", "dynamics_distances.parquet", "dynamics.png", "dynamics.gif"]
            if config["likelihood"]["score_models"]
            else []
        ),
    ),
]


rule train_score:
    """Train a score network on the mixture by denoising score matching."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        model="results/likelihood/{score_model}/model.safetensors",
    wildcard_constraints:
        score_model=either(networks()),
    threads: lambda wildcards: section("likelihood", "score_models", wildcards.score_model, "training", "threads")
    resources:
        mem_mb=2000,
    params:
        settings=settings(
            "likelihood",
            "score_models",
            "{score_model}",
            only=["training", "weighting"],
            process=process(),
            seed=config["seed"],
        ),
    script:
        "../scripts/train_score.py"


rule solve_likelihood:
    """Solve for the likelihood of a score model's reverse SDE, and for the gap of its bound."""
    input:
        parameters="results/gmm/parameters.parquet",
        weights=network_weights,
    output:
        likelihoods="results/likelihood/{score_model}/likelihoods.parquet",
        map="results/likelihood/{score_model}/map.parquet",
        quantities="results/likelihood/{score_model}/quantities.parquet",
    params:
        settings=settings(
            errors=score_errors,
            grid=grid(),
            n_map=config["likelihood"]["figure"]["n_map"],
            n_points=config["likelihood"]["n_points"],
            n_steps=config["likelihood"]["grid"]["n_steps"],
            process=process(),
            seed=config["seed"],
        ),
    script:
        "../scripts/solve_likelihood.py"


rule estimate_bound:
    """Compute the bound on the likelihood of a score model: of points by quadrature, of the whole law by Monte Carlo."""
    input:
        parameters="results/gmm/parameters.parquet",
        weights=network_weights,
    output:
        estimates="results/likelihood/{score_model}/estimates.parquet",
        quantities="results/likelihood/{score_model}/estimated_quantities.parquet",
    params:
        settings=settings(
            "likelihood",
            only=["n_draws", "n_mean_draws", "n_points", "quadrature"],
            errors=score_errors,
            process=process(),
            seed=config["seed"],
        ),
    script:
        "../scripts/estimate_bound.py"


rule gather_bounds:
    """Put both sides of each statement on the likelihood side by side."""
    input:
        likelihoods=of_score_models("likelihoods.parquet"),
        estimates=of_score_models("estimates.parquet"),
        solved=of_score_models("quantities.parquet"),
        estimated=of_score_models("estimated_quantities.parquet"),
    output:
        bounds="results/likelihood/bounds.parquet",
        summary="results/likelihood/summary.parquet",
    params:
        settings=settings(score_models=list(config["likelihood"]["score_models"])),
    script:
        "../scripts/gather_bounds.py"


rule compare_estimators:
    """Compare the spread of estimators of the bound, with and without importance sampling of times."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        estimators="results/likelihood/estimators.parquet",
    params:
        settings=settings(
            "likelihood",
            "estimators",
            process=process(),
            seed=config["seed"],
        ),
    script:
        "../scripts/compare_estimators.py"


rule sweep_score_error:
    """Measure how the divergence and its bound grow with the error of the score."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        score_errors="results/likelihood/score_errors.parquet",
    params:
        settings=settings(
            "likelihood",
            "score_errors",
            grid=grid(),
            n_steps=config["likelihood"]["grid"]["n_steps"],
            process=process(),
            seed=config["seed"],
        ),
    script:
        "../scripts/sweep_score_error.py"


rule simulate_dynamics:
    """Follow particles by the forward SDE, the reverse SDE and the probability flow, and measure their marginals."""
    input:
        parameters="results/gmm/parameters.parquet",
        weights=weights_of(beside_exact()),
    output:
        dynamics="results/likelihood/dynamics.parquet",
        distances="results/likelihood/dynamics_distances.parquet",
    params:
        settings=settings(
            "likelihood",
            "dynamics",
            errors=errors_of(beside_exact()) if beside_exact() else {},
            process=process(),
            score_model=beside_exact(),
            seed=config["seed"],
        ),
    script:
        "../scripts/simulate_dynamics.py"


rule plot_bounds:
    """Draw how far the bound of each point is above its negative log-likelihood."""
    input:
        bounds="results/likelihood/bounds.parquet",
        quantities=of_score_models("quantities.parquet"),
    output:
        figure=figure(
            "results/likelihood/bounds.png",
            "Likelihood",
            "The bound on the negative log-likelihood of each point (Song et al. 2021, theorem 3), less the "
            "negative log-likelihood of the reverse SDE itself, which is solved on a grid, against the latter; "
            "one panel per score model, each with its own scale. Bars are the errors of quadrature and grid. "
            "The mean gap is that over the whole distribution of the data.",
            variant="all",
        ),
    params:
        settings=settings(score_models=list(config["likelihood"]["score_models"])),
    script:
        "../scripts/plot_bounds.py"


rule plot_bound_gaps:
    """Draw maps of the gap between bound and negative log-likelihood."""
    input:
        parameters="results/gmm/parameters.parquet",
        maps=of_score_models("map.parquet"),
        quantities=of_score_models("quantities.parquet"),
    output:
        figure=figure(
            "results/likelihood/gaps.png",
            "Likelihood",
            "Gap between the bound and the negative log-likelihood over the plane: half the mean squared "
            "distance, along the forward process, between the score model and the score of the distribution "
            "that it generates. Contours: the mixture's density two and six nats below its peak. Grey: more "
            "than nine nats below it, or unknown to the grid. Colours are in proportion to the square root of "
            "the gap. The mean is that over the whole distribution of the data.",
            label="gaps of the bound",
            variant="all",
        ),
    params:
        settings=settings(score_models=list(config["likelihood"]["score_models"])),
    script:
        "../scripts/plot_bound_gaps.py"


rule plot_statements:
    """Draw the slack of each statement, and the likelihoods that they are about."""
    input:
        summary="results/likelihood/summary.parquet",
        likelihoods=of_score_models("likelihoods.parquet"),
    output:
        figure=figure(
            "results/likelihood/statements.png",
            "Likelihood",
            "Left: right less left side of each statement of docs/likelihood-bound.md for each score model. "
            "Right: mean negative log-likelihood by the reverse SDE, the bound on it, and that by the "
            "probability flow ODE; no model is below the entropy of the data. Bars are twice the error.",
            variant="all",
        ),
    params:
        settings=settings(score_models=list(config["likelihood"]["score_models"])),
    script:
        "../scripts/plot_statements.py"


rule plot_estimators:
    """Draw error and cost of estimators of the bound."""
    input:
        estimators="results/likelihood/estimators.parquet",
    output:
        figure=figure(
            "results/likelihood/estimators.png",
            "Likelihood",
            "Left: standard deviation of a single draw of the bound of a point, for estimators with the same "
            "mean, with times drawn uniformly and with importance sampling, and evaluations of the score for a "
            "draw. Right: error of the bound against evaluations, for each estimator with its better times and "
            "for quadrature with its nodes in time and noise.",
            variant="all",
        ),
    script:
        "../scripts/plot_estimators.py"


rule plot_score_errors:
    """Draw the divergence and its bound against the error of the score."""
    input:
        score_errors="results/likelihood/score_errors.parquet",
    output:
        figure=figure(
            "results/likelihood/score_errors.png",
            "Likelihood",
            "Both sides of statement 1 against the size of the error in the score, for the mixture (on a "
            "grid) and for one Gaussian with its mean and covariance (in closed form).",
            label="errors of the score",
            variant="all",
        ),
    script:
        "../scripts/plot_score_errors.py"


rule plot_dynamics:
    """Draw particles by the three dynamics, at a few times and on their paths."""
    input:
        parameters="results/gmm/parameters.parquet",
        dynamics="results/likelihood/dynamics.parquet",
    output:
        figure=figure(
            "results/likelihood/dynamics.png",
            "Likelihood",
            "The same particles by the forward SDE from data, and by the reverse SDE and the probability flow "
            "from where it ended, for the exact score and for a score model: over contours of p_t, and six "
            "particles on their paths. The marginals are the same, the paths are not.",
            label="three dynamics",
            variant="all",
        ),
    params:
        settings=settings("likelihood", "dynamics", only=["times"], process=process()),
    script:
        "../scripts/plot_dynamics.py"


rule animate_dynamics:
    """Show particles by the three dynamics on their way from noise to data."""
    input:
        parameters="results/gmm/parameters.parquet",
        dynamics="results/likelihood/dynamics.parquet",
    output:
        animation=figure(
            "results/likelihood/dynamics.gif",
            "Likelihood",
            "The same particles by the reverse SDE and the probability flow, and by the forward SDE as a film "
            "that is run backward, over contours of p_t.",
            label="three dynamics, animated",
            variant="all",
        ),
    params:
        settings=settings(process=process()),
    script:
        "../scripts/animate_dynamics.py"
