"""What the rule of notebooks asks of the config."""

from scoredag.store import files

NOTEBOOKS = {  # the results that each reads, and its parameters
    "langevin": {
        "tables": lambda: [
            *expand("results/gmm/{table}.parquet", table=["parameters", "exact"]),
            "results/langevin/metrics.parquet",
        ],
        "parameters": lambda: {
            "VARIANTS": {name: variant["label"] or name for name, variant in config["langevin"]["variants"].items()}
        },
    },
    "likelihood-bound": {
        "tables": lambda: expand("results/likelihood/{table}.parquet", table=["summary", "bounds"]),
        "parameters": dict,
    },
    "csdi": {
        "tables": lambda: [
            *expand(
                "results/csdi/{run}/{file}",
                run=runs(),
                file=["model.safetensors", "history.parquet", "metrics.parquet"],
            ),
            *expand(
                "results/datasets/{dataset}/{table}.parquet",
                dataset=sorted(set(datasets_of_runs().values())),
                table=["windows", "window_starts", "statistics"],
            ),
        ],
        "parameters": lambda: {"RUNS": datasets_of_runs()},
    },
    "own-series": {
        "tables": lambda: [
            local(sources.shipped(path, HOME)) for path in ("data/own-series.csv", "data/csdi-base.safetensors")
        ],
        "parameters": lambda: {"FILE": sources.shipped("data/own-series.csv", HOME)},
    },
}


def datasets_of_runs():
    """{run: its dataset} of the runs that `rule all` makes."""
    return {run: section("csdi", "runs", run, "dataset") for run in runs()}


def notebooks():
    """The notebooks that `rule all` makes, of those that the config names and has something for."""
    without = set() if runs() else {"csdi"}
    without |= set() if config["langevin"]["variants"] else {"langevin"}
    without |= set() if config["likelihood"]["score_models"] else {"likelihood-bound"}
    return [name for name in config["notebooks"] if name not in without]


def notebook_source(wildcards):
    """The source of a notebook, beside the rules."""
    return local(str(HOME / "notebooks" / f"{wildcards.notebook}.py"))


def notebook_content(wildcards):
    """The SHA-256 of the source, and of data that ship and are no results, whatever their times."""
    shipped = (path for path in notebook_tables(wildcards) if not path.startswith("results/"))
    return [sources.content(path) for path in (notebook_source(wildcards), *shipped)]


def notebook_tables(wildcards):
    """The results that a notebook reads."""
    return NOTEBOOKS[wildcards.notebook]["tables"]()


def notebook_settings(wildcards):
    """The parameters of a notebook, and a digest of the library's modules that it imports."""
    modules = sources.modules(Path(notebook_source(wildcards)), SCRIPTS)
    digest = files.combined(map(files.sha256, modules))
    return {"parameters": NOTEBOOKS[wildcards.notebook]["parameters"](), "modules": digest}
