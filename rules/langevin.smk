rule sample_langevin:
    """Move particles by one Langevin variant and keep the asked-for steps."""
    input:
        parameters="results/gmm/parameters.parquet",
        code=code("sample_langevin.py"),
    output:
        samples="results/langevin/{variant}/samples.parquet",
    log:
        "logs/langevin/{variant}/sample_langevin.log",
    benchmark:
        "logs/langevin/{variant}/sample_langevin.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: config["langevin"]["threads"]
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings("langevin", "variants", "{variant}", without=["label"], seed=config["seed"]),
    script:
        "../scripts/sample_langevin.py"


rule plot_scatter:
    """Draw the samples of one Langevin variant over the density."""
    input:
        parameters="results/gmm/parameters.parquet",
        samples="results/langevin/{variant}/samples.parquet",
        code=code("plot_scatter.py"),
    output:
        figure=report(
            "results/langevin/{variant}/scatter.png",
            caption="../report/scatter.rst",
            category="Langevin",
            labels={"figure": "scatter", "variant": "{variant}"},
        ),
    log:
        "logs/langevin/{variant}/plot_scatter.log",
    benchmark:
        "logs/langevin/{variant}/plot_scatter.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings(
            "langevin",
            "figure",
            half_width=config["gmm"]["figure"]["half_width"],
            title=lambda wildcards: title(wildcards.variant),
        ),
    script:
        "../scripts/plot_scatter.py"


rule measure_langevin:
    """Measure how far the samples of each Langevin variant are from the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
        exact="results/gmm/exact.parquet",
        samples=expand("results/langevin/{variant}/samples.parquet", variant=config["langevin"]["variants"]),
        code=code("measure_langevin.py"),
    output:
        metrics="results/langevin/metrics.parquet",
    log:
        "logs/langevin/measure_langevin.log",
    benchmark:
        "logs/langevin/measure_langevin.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings("langevin", "metrics", variants=list(config["langevin"]["variants"]), seed=config["seed"]),
    script:
        "../scripts/measure_langevin.py"


rule plot_comparison:
    """Draw all Langevin variants and the exact samples on the same axes."""
    input:
        parameters="results/gmm/parameters.parquet",
        exact="results/gmm/exact.parquet",
        samples=expand("results/langevin/{variant}/samples.parquet", variant=config["langevin"]["variants"]),
        code=code("plot_comparison.py"),
    output:
        figure=report(
            "results/langevin/comparison.png",
            caption="../report/comparison.rst",
            category="Langevin",
            labels={"figure": "comparison", "variant": "all"},
        ),
    log:
        "logs/langevin/plot_comparison.log",
    benchmark:
        "logs/langevin/plot_comparison.tsv"
    conda:
        "../envs/scoredag.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=settings(
            "langevin",
            "figure",
            half_width=config["gmm"]["figure"]["half_width"],
            titles=[title(variant) for variant in config["langevin"]["variants"]],
        ),
    script:
        "../scripts/plot_comparison.py"
