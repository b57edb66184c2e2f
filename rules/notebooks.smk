include: "notebooks_selectors.smk"


NOTEBOOK_FILES = expand("results/notebooks/{notebook}.{kind}", notebook=notebooks(), kind=["ipynb", "html"])


rule execute_notebook:
    """Execute the source of a notebook on the results of the run."""
    input:
        source=notebook_source,
        tables=notebook_tables,
    output:
        notebook="results/notebooks/{notebook}.ipynb",
        page=figure(
            "results/notebooks/{notebook}.html",
            "Notebooks",
            "Notebook {notebook}, executed on the results of this run.",
            label="{notebook}",
        ),
    wildcard_constraints:
        notebook=either(NOTEBOOKS),
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        content=notebook_content,
        settings=notebook_settings,
    script:
        "../scripts/execute_notebook.py"
