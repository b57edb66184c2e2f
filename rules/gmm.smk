MIXTURE_FILES = expand("results/gmm/{file}", file=["parameters.parquet", "exact.parquet", "density.png"])


rule read_mixture:
    """Read and check the mixture."""
    input:
        file=input_file(config["gmm"]),
    output:
        parameters="results/gmm/parameters.parquet",
    log:
        "logs/gmm/read_mixture.log",
    benchmark:
        "logs/gmm/read_mixture.tsv"
    conda:
        "../envs/scoredag.yaml"
    params:
        content=content(config["gmm"]),
        settings=settings("gmm", only=["normalise"]),
    script:
        "../scripts/read_mixture.py"


rule draw_exact:
    """Draw samples directly from the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        exact="results/gmm/exact.parquet",
    log:
        "logs/gmm/draw_exact.log",
    benchmark:
        "logs/gmm/draw_exact.tsv"
    conda:
        "../envs/scoredag.yaml"
    params:
        settings=settings("gmm", only=["n_exact"], seed=config["seed"]),
    script:
        "../scripts/draw_exact.py"


rule plot_density:
    """Draw the log-density of the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        figure=report(
            "results/gmm/density.png",
            caption="../report/density.rst",
            category="Mixture",
            labels={"figure": "density"},
        ),
    log:
        "logs/gmm/plot_density.log",
    benchmark:
        "logs/gmm/plot_density.tsv"
    conda:
        "../envs/scoredag.yaml"
    params:
        settings=settings("gmm", "figure"),
    script:
        "../scripts/plot_density.py"
