MIXTURE_FILES = expand(
    "results/gmm/{file}", file=["parameters.parquet", "exact.parquet", "modes.parquet", "density.png"]
)


rule read_mixture:
    """Read and check the mixture."""
    input:
        file=input_file(config["gmm"]),
    output:
        parameters="results/gmm/parameters.parquet",
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
    params:
        settings=settings("gmm", only=["n_exact"], seed=config["seed"]),
    script:
        "../scripts/draw_exact.py"


rule find_modes:
    """Find the modes of the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        modes="results/gmm/modes.parquet",
    script:
        "../scripts/find_modes.py"


rule plot_density:
    """Draw the log-density of the mixture."""
    input:
        parameters="results/gmm/parameters.parquet",
    output:
        figure=figure(
            "results/gmm/density.png",
            "Mixture",
            "Log-density of the Gaussian mixture in nats, clipped nine nats below its peak. Ellipses: one "
            "standard deviation of each component.",
        ),
    params:
        settings=settings("gmm", "figure"),
    script:
        "../scripts/plot_density.py"
