"""What the rules of CSDI ask of the config."""


def runs(*keys):
    """The names of the runs that `rule all` makes, and whose settings `keys` are true."""
    return [name for name, run in config["csdi"]["runs"].items() if all(run[key] for key in ("in_all", *keys))]


def run_setting(*keys):
    """A function of the wildcards: a setting of a run."""
    return lambda wildcards: section("csdi", "runs", wildcards.run, *keys)


def dataset_of_run(wildcards):
    """The settings of the dataset that the run is about."""
    return section("datasets", run_setting("dataset")(wildcards))


def dataset_file(name):
    """A function of the wildcards: a file of the dataset that the run is about."""
    return lambda wildcards: f"results/datasets/{run_setting('dataset')(wildcards)}/{name}"


def init_checkpoint(wildcards):
    """The checkpoint that the run starts from, an entry of csdi.checkpoints; None from scratch."""
    init = run_setting("init")(wildcards)
    return None if init == "scratch" else section("csdi", "checkpoints", init)


def start_choice(wildcards):
    """The table of the run that says where the reverse process starts, if validation windows choose it; else []."""
    is_auto = run_setting("sampling", "start")(wildcards) == "auto"
    return f"results/csdi/{wildcards.run}/start_choice.parquet" if is_auto else []


def filled_series(wildcards):
    """The series of the run with its gaps filled, if `rule all` fills them; else []."""
    return f"results/csdi/{wildcards.run}/imputed.parquet" if run_setting("fill_gaps")(wildcards) else []


def for_calibration(path):
    """A function of the wildcards: a file, {dataset} and {run} filled in, where validation windows choose; else []."""

    def chosen(wildcards):
        is_raw = run_setting("method")(wildcards) == "raw"
        return [] if is_raw else path.format(dataset=run_setting("dataset")(wildcards), run=wildcards.run)

    return chosen


def n_gpus(wildcards):
    """How many GPUs a job of the run takes: one, if the run names `cuda` as its device."""
    return int(run_setting("device")(wildcards) == "cuda")


def held_out(wildcards):
    """Pairs of a name and a pattern of missing entries of the dataset that the run is about, in the config's order."""
    return list(map(list, checks.patterns(dataset_of_run(wildcards)["windows"])))


def interval(wildcards):
    """Spacing of the times of the dataset that the run is about, as the config has it."""
    return dataset_of_run(wildcards)["interval"]


def units(wildcards):
    """Units of the columns of the dataset that the run is about."""
    return dataset_of_run(wildcards)["units"]


def gap_settings(wildcards):
    """What filling the gaps takes of the dataset that the run is about."""
    dataset = dataset_of_run(wildcards)
    more = {"name": run_setting("dataset")(wildcards)}
    return {key: dataset[key] for key in ("circular", "group", "plausible", "round")} | more


def save_every(wildcards, output):
    """Steps between two saved states of a training; as it asks for `output`, Snakemake never compares it."""
    return run_setting("training", "save_every")(wildcards)


level = run_setting("level")

# without the threads, which do not change samples
sampling = settings("csdi", "runs", "{run}", "sampling", without=["threads"])
