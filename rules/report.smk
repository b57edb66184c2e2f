include: "report_selectors.smk"


rule render_texts:
    """Make pages of the texts of docs/, which a browser shows without a network."""
    input:
        texts=text_files("md"),
        images=text_files("png"),
    output:
        pages=expand("results/docs/{text}.html", text=TEXTS),
    params:
        content=text_content,
        elsewhere=os.path.relpath(HOME / "docs", "results/docs"),
    script:
        "../scripts/render_texts.py"


rule write_report:
    """Write the page that answers the questions of the assignment by the numbers of the run."""
    input:
        figures=figure_files,
        pages=page_files,
        texts=rules.render_texts.output.pages,
        summary=of_likelihood("summary.parquet"),
        bounds=of_likelihood("bounds.parquet"),
        likelihoods=of_score_models("likelihoods.parquet"),
        score_errors=of_likelihood("score_errors.parquet"),
        estimators=of_likelihood("estimators.parquet"),
        dynamics=of_likelihood("dynamics_distances.parquet"),
        components=of_langevin("parameters.parquet", "gmm"),
        langevin=of_langevin("metrics.parquet"),
        laws=of_langevin("stationary.parquet"),
        theory=of_langevin("theory.parquet"),
        sweep=of_langevin("sweep.parquet"),
        convergence=of_langevin("convergence.parquet"),
        modes=expand("results/langevin/{variant}/modes.parquet", variant=noiseless()),
        histories=expand("results/csdi/{run}/history.parquet", run=runs()),
        scores=expand("results/csdi/{run}/metrics.parquet", run=runs()),
        missingness=expand("results/datasets/{dataset}/missingness.parquet", dataset=datasets_of_report()),
    output:
        page="results/report.html",
    params:
        settings=report_settings,
    script:
        "../scripts/write_report.py"
