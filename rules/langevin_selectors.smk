"""What the Langevin rules ask of the config."""


def is_sharded(variant):
    """Whether a Langevin variant, an entry of the config, is moved in shards."""
    return variant["n_particles"] > config["langevin"]["shard_size"]


def variants(condition):
    """The names of the Langevin variants for which the function `condition` of their entries is true."""
    return [name for name, variant in config["langevin"]["variants"].items() if condition(variant)]


def has_noise(variant):
    """Whether particles of a Langevin variant get any noise."""
    matrices = [variant["noise_covariance"], variant["preconditioner"]]
    matrix = next((matrix for matrix in matrices if matrix is not None), [])
    return variant["kernel"] != "overdamped" or any(entry for row in matrix for entry in row)


def with_modes(file):
    """A function of the wildcards: a file, {variant} filled in, where the variant has no noise; else []."""

    def chosen(wildcards):
        variant = section("langevin", "variants", wildcards.variant)
        return [] if has_noise(variant) else file.format(variant=wildcards.variant)

    return chosen


def overdamped_settings(wildcards):
    """{variant: step size and matrices} of the overdamped Langevin variants, which theory is about."""
    keys = ("step_size", "noise_covariance", "preconditioner")
    names = variants(lambda variant: variant["kernel"] == "overdamped")
    return {name: {key: section("langevin", "variants", name, key) for key in keys} for name in names}


# of each shard of a variant, and of the table that joins them
shard_settings = settings(
    n_particles=lambda wildcards: section("langevin", "variants", wildcards.variant, "n_particles"),
    seed=config["seed"],
    shard_size=config["langevin"]["shard_size"],
    variant=settings("langevin", "variants", "{variant}", without=["animate", "label", "n_particles"]),
)


def shards(wildcards):
    """The tables of all shards of a variant, in order."""
    n_particles = section("langevin", "variants", wildcards.variant, "n_particles")
    n_shards = -(-n_particles // config["langevin"]["shard_size"])
    return [f"results/langevin/{wildcards.variant}/shards/{i}.parquet" for i in range(n_shards)]


def of_variants(file):
    """A file of each variant, in the config's order."""
    return [f"results/langevin/{variant}/{file}" for variant in config["langevin"]["variants"]]


def plane_settings(only, **more):
    """What a figure of one variant in the plane takes of langevin.figure, beside its title."""
    return settings(
        "langevin",
        "figure",
        only=only,
        half_width=config["gmm"]["figure"]["half_width"],
        title=lambda wildcards: title(wildcards.variant),
        **more,
    )


def moves_of_variants(wildcards):
    """[what it is called, how its particles move] of each variant, in the config's order."""
    without = ("animate", "divergence", "label", "snapshots", "temperatures")
    return [
        [title(name), {key: value for key, value in variant.items() if key not in without}]
        for name, variant in config["langevin"]["variants"].items()
    ]


def title(variant):
    """What a Langevin variant is called in figures: its name, and its label if it has one."""
    label = section("langevin", "variants", variant, "label")
    return f"{variant}: {label}" if label else variant


def description(variant):
    """The settings of a Langevin variant in a line, and the kernel's own, if it has any, in another."""
    entry = section("langevin", "variants", variant)
    counts = f"tau = {entry['step_size']:g}, {entry['n_steps']:,} steps, {entry['n_particles']:,} particles"
    if entry["kernel"] == "overdamped" and entry["preconditioner"] is None:
        return f"{counts}, {noise(entry['noise_covariance'])}"
    names = ["noise_covariance", "preconditioner", "noise_levels", "temperatures"]
    names += ["friction"] * (entry["kernel"] == "underdamped")
    own = [f"{name} {entry[name]}" for name in names if entry[name]]
    return "\n".join([counts, ", ".join([entry["kernel"], *own])])


def noise(covariance):
    """A covariance of noise in words."""
    if covariance is None:
        return "no noise"
    (xx, xy), (_, yy) = covariance
    if xy:
        return f"noise N(0, {covariance})"
    return "noise N(0, I)" if xx == yy == 1 else f"noise N(0, diag({xx:g}, {yy:g}))"
