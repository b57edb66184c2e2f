include: "langevin_selectors.smk"


LANGEVIN_FILES = [
    *expand(
        "results/langevin/{variant}/{file}",
        variant=config["langevin"]["variants"],
        file=[
            "samples.parquet",
            "history.parquet",
            "chains.parquet",
            "rates.parquet",
            "scatter.png",
            "trajectories.png",
        ],
    ),
    *expand("results/langevin/{variant}/animation.gif", variant=variants(lambda variant: variant["animate"])),
    *expand("results/langevin/{variant}/modes.parquet", variant=variants(lambda variant: not has_noise(variant))),
    *expand("results/langevin/{table}.parquet", table=["metrics", "convergence", "sweep", "theory", "stationary"]),
    *expand("results/langevin/{figure}.png", figure=["comparison", "convergence", "sweep"]),
    "results/langevin/explore.html",
]


rule sample_langevin:
    """Move particles by one Langevin variant and keep the asked-for steps."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        samples="results/langevin/{variant}/samples.parquet",
    wildcard_constraints:
        variant=either(variants(lambda variant: not is_sharded(variant))),
    threads: config["langevin"]["threads"]
    params:
        settings=settings("langevin", "variants", "{variant}", without=["animate", "label"], seed=config["seed"]),
    script:
        "../scripts/sample_langevin.py"


rule sample_shard:
    """Move one shard of a Langevin variant's particles."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        samples=temp("results/langevin/{variant}/shards/{shard}.parquet"),
    wildcard_constraints:
        variant=either(variants(is_sharded)),
    threads: config["langevin"]["threads"]
    resources:
        runtime=60,
    params:
        settings=shard_settings,
    script:
        "../scripts/sample_shard.py"


rule gather_shards:
    """Join the shards of a Langevin variant, by step and particle."""
    input:
        shards=shards,
    output:
        samples="results/langevin/{variant}/samples.parquet",
    wildcard_constraints:
        variant=either(variants(is_sharded)),
    resources:
        runtime=60,
    params:
        settings=shard_settings,
    script:
        "../scripts/gather_shards.py"


rule trace_langevin:
    """Follow the first particles of one Langevin variant on their way."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        history="results/langevin/{variant}/history.parquet",
        chains="results/langevin/{variant}/chains.parquet",
        rates="results/langevin/{variant}/rates.parquet",
    threads: config["langevin"]["threads"]
    params:
        settings=settings(
            history=config["langevin"]["history"],
            n_particles=lambda wildcards: section("langevin", "variants", wildcards.variant, "n_particles"),
            has_noise=lambda wildcards: has_noise(section("langevin", "variants", wildcards.variant)),
            seed=config["seed"],
            variant=settings(
                "langevin", "variants", "{variant}", without=["animate", "label", "n_particles", "snapshots"]
            ),
        ),
    script:
        "../scripts/trace_langevin.py"


rule count_modes:
    """Count the particles of a Langevin variant without noise at each mode of the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
        modes="results/gmm/modes.parquet",
        samples="results/langevin/{variant}/samples.parquet",
    output:
        shares="results/langevin/{variant}/modes.parquet",
    wildcard_constraints:
        variant=either(variants(lambda variant: not has_noise(variant))),
    params:
        settings=settings("langevin", "metrics", only=["n_particles"]),
    script:
        "../scripts/count_modes.py"


rule predict_bias:
    """Tabulate what theory says of the bias of small Langevin steps on the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        theory="results/langevin/theory.parquet",
    threads: config["langevin"]["threads"]
    params:
        settings=settings(seed=config["seed"]),
    script:
        "../scripts/predict_bias.py"


rule predict_laws:
    """Tabulate what overdamped Langevin steps do on each component of the mixture alone."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        stationary="results/langevin/stationary.parquet",
    params:
        settings=settings(variants=overdamped_settings),
    script:
        "../scripts/predict_laws.py"


rule plot_scatter:
    """Draw the samples of one Langevin variant over the density."""
    input:
        parameters="results/gmm/parameters.parquet",
        samples="results/langevin/{variant}/samples.parquet",
        shares=with_modes("results/langevin/{variant}/modes.parquet"),
    output:
        figure=figure(
            "results/langevin/{variant}/scatter.png",
            "Langevin",
            "Particles of Langevin variant {variant} at the last step, over contours of the mixture's density "
            "at 0.7, 2, 4 and 6 nats below its peak. The title counts particles outside the axes. Without noise, "
            "numbers are the shares of the particles at each mode, and crosses are modes that none reaches.",
            variant="{variant}",
        ),
    resources:
        runtime=20,
    params:
        settings=plane_settings(
            ["colour", "most_markers"], description=lambda wildcards: description(wildcards.variant)
        ),
    script:
        "../scripts/plot_scatter.py"


rule plot_trajectories:
    """Draw the way of a few particles of one Langevin variant over the density."""
    input:
        parameters="results/gmm/parameters.parquet",
        chains="results/langevin/{variant}/chains.parquet",
    output:
        figure=figure(
            "results/langevin/{variant}/trajectories.png",
            "Langevin",
            "The paths of a few particles of variant {variant} from their start (crosses) to the last step that is "
            "drawn (dots), over contours of the mixture's density. Without noise, arrows show the way.",
            variant="{variant}",
        ),
    params:
        settings=plane_settings(["n_trajectories"], description=lambda wildcards: description(wildcards.variant)),
    script:
        "../scripts/plot_trajectories.py"


rule animate_langevin:
    """Show the particles of one Langevin variant on their way."""
    input:
        parameters="results/gmm/parameters.parquet",
        history="results/langevin/{variant}/history.parquet",
    output:
        animation=figure(
            "results/langevin/{variant}/animation.gif",
            "Langevin",
            "Particles of variant {variant} at steps that are evenly spaced on a logarithmic scale.",
            variant="{variant}",
        ),
    params:
        settings=plane_settings(["colour"]),
    script:
        "../scripts/animate_langevin.py"


rule measure_langevin:
    """Measure how far the samples of each Langevin variant are from the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
        exact="results/gmm/exact.parquet",
        samples=of_variants("samples.parquet"),
        chains=of_variants("chains.parquet"),
        rates=of_variants("rates.parquet"),
    output:
        metrics="results/langevin/metrics.parquet",
    resources:
        runtime=60,
    params:
        settings=settings(
            "langevin",
            "metrics",
            variants=list(config["langevin"]["variants"]),
            without_noise=variants(lambda variant: not has_noise(variant)),
            seed=config["seed"],
        ),
    script:
        "../scripts/measure_langevin.py"


rule measure_convergence:
    """Measure how the particles of each Langevin variant come near the mixture, over its steps."""
    input:
        parameters="results/gmm/parameters.parquet",
        history=of_variants("history.parquet"),
    output:
        convergence="results/langevin/convergence.parquet",
    params:
        settings=settings(
            "langevin",
            "metrics",
            only=["n_cells", "n_projections"],
            n_particles=config["langevin"]["history"]["n_particles"],
            seed=config["seed"],
            variants=list(config["langevin"]["variants"]),
        ),
    script:
        "../scripts/measure_convergence.py"


rule plot_convergence:
    """Draw how the particles of each Langevin variant come near the mixture."""
    input:
        convergence="results/langevin/convergence.parquet",
        rates=of_variants("rates.parquet"),
    output:
        figure=figure(
            "results/langevin/convergence.png",
            "Langevin",
            "Distances between the particles and exact samples, over the steps. The dotted line is the noise "
            "floor: the same distance between two exact samples of the same size. A variant whose means still "
            "change in the second half of its steps ends in open circles: its law is not reached yet.",
            variant="all",
        ),
    params:
        settings=settings(
            titles=[[variant, title(variant)] for variant in config["langevin"]["variants"]],
            n_particles=config["langevin"]["history"]["n_particles"],
        ),
    script:
        "../scripts/plot_convergence.py"


rule sweep_langevin:
    """Measure the bias of Langevin kernels against their step size."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        sweep="results/langevin/sweep.parquet",
    threads: config["langevin"]["threads"]
    params:
        settings=settings("langevin", "sweep", seed=config["seed"]),
    script:
        "../scripts/sweep_langevin.py"


rule plot_sweep:
    """Draw the bias of Langevin kernels against their step size."""
    input:
        sweep="results/langevin/sweep.parquet",
        theory="results/langevin/theory.parquet",
    output:
        figure=figure(
            "results/langevin/sweep.png",
            "Langevin",
            "The effect of a finite step size: the bias of the mean log-density after the same time, for "
            "particles that start as exact samples, with the slope that theory gives for small steps. Below 0 "
            "particles are too spread. Bars are two standard errors.",
            variant="all",
        ),
    script:
        "../scripts/plot_sweep.py"


rule plot_comparison:
    """Draw all Langevin variants and the exact samples on the same axes."""
    input:
        parameters="results/gmm/parameters.parquet",
        exact="results/gmm/exact.parquet",
        samples=of_variants("samples.parquet"),
    output:
        figure=figure(
            "results/langevin/comparison.png",
            "Langevin",
            "The density, exact samples of the mixture, and the particles of each Langevin variant at the "
            "last step, all on the same axes.",
            variant="all",
        ),
    params:
        settings=settings(
            "langevin",
            "figure",
            only=["colour", "most_markers"],
            half_width=config["gmm"]["figure"]["half_width"],
            titles=[title(variant) for variant in config["langevin"]["variants"]],
        ),
    script:
        "../scripts/plot_comparison.py"


rule plot_langevin_page:
    """Write the page on which particles move live by the Langevin variants."""
    input:
        parameters="results/gmm/parameters.parquet",
        exact="results/gmm/exact.parquet",
        modes="results/gmm/modes.parquet",
    output:
        page=figure(
            "results/langevin/explore.html",
            "Langevin",
            "A page on which particles move live over the mixture's density, by the variants and by settings of one's "
            "own; in a second tab by the forward SDE, the reverse SDE and the probability flow.",
            variant="all",
        ),
    params:
        settings=settings(
            "langevin",
            "figure",
            only=["colour"],
            half_width=config["gmm"]["figure"]["half_width"],
            process=lambda wildcards: process(),
            variants=moves_of_variants,
        ),
    script:
        "../scripts/plot_langevin_page.py"
