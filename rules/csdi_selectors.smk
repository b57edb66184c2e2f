"""What the rules of CSDI ask of the config."""


def runs(*keys):
    """The names of the runs that `rule all` makes, and whose settings `keys` are true."""
    return [name for name, run in config["csdi"]["runs"].items() if all(run[key] for key in ("in_all", *keys))]


def run_setting(*keys):
    """A function of the wildcards: a setting of a run."""
    return lambda wildcards: section("csdi", "runs", wildcards.run, *keys)


def from_scratch(wildcards):
    """Runs beside which a fine-tuned one is drawn: on its dataset, from scratch, noise levels as often in training."""
    chosen = section("csdi", "runs", wildcards.run)

    def levels(run):
        return [run["dataset"], *(run["training"][key] for key in ("step_power", "top_step", "share_above"))]

    if chosen["init"] == "scratch":
        return []
    return [
        name
        for name in runs()
        if (run := section("csdi", "runs", name))["init"] == "scratch" and levels(run) == levels(chosen)
    ]


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


def imputation_settings(**more):
    """What imputing windows takes of a run."""
    return settings("csdi", "runs", "{run}", only=["device"], sampling=sampling, seed=config["seed"], **more)


def score_settings(**more):
    """What scoring windows takes of a run."""
    return settings(
        "csdi",
        "runs",
        "{run}",
        only=["device", "likelihood"],
        sampling=settings("csdi", "runs", "{run}", "sampling", only=["chunk", "start"]),
        seed=config["seed"],
        **more,
    )


def completion_sampling(wildcards):
    """How completed series are drawn: CSDI's share of their law takes no fewer draws than validation has corrected."""
    of_run = settings("csdi", "runs", "{run}", "sampling", without=["antithetic", "threads"])(wildcards)
    n_samples = max(run_setting("completed", "draws")(wildcards), of_run["n_samples"])
    return of_run | {"n_samples": n_samples, "antithetic": False}


def gap_sampling_settings(sampling, **more):
    """What drawing missing values takes of a run, with its `sampling`."""
    return settings("csdi", "runs", "{run}", only=["device", "max_gap"], sampling=sampling, seed=config["seed"], **more)


def drawn_in_shards(table):
    """A function of the wildcards: the draws of missing values where a run has shards, as a table of this name."""

    def path(wildcards):
        return f"results/csdi/{wildcards.run}/{table}.parquet" if run_setting("shards")(wildcards) > 1 else []

    return path


def in_shards(are):
    """The names of the runs whose windows are imputed and scored in several shards, or of the others."""
    return [name for name, run in config["csdi"]["runs"].items() if (run["shards"] > 1) == are]


def shard(wildcards):
    """The number of a shard, and of how many."""
    return [int(wildcards.shard), run_setting("shards")(wildcards)]


def table_settings(wildcards):
    """What the shards of a table of a run take, and how many they are."""
    taken = {
        "window_scores": score_settings,
        "gap_samples": lambda **more: gap_sampling_settings(sampling, **more),
        "completion_samples": lambda **more: gap_sampling_settings(completion_sampling, **more),
    }.get(wildcards.table, imputation_settings)
    return taken(shards=run_setting("shards"))(wildcards)


def shards_of_run(wildcards):
    """A table of all shards of a run, in order."""
    folder = f"results/csdi/{wildcards.run}/shards"
    return [f"{folder}/{i}/{wildcards.table}.parquet" for i in range(run_setting("shards")(wildcards))]
