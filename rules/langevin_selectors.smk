"""What the Langevin rules ask of the config."""


def is_sharded(variant):
    """Whether a Langevin variant, an entry of the config, is moved in shards."""
    return variant["n_particles"] > config["langevin"]["shard_size"]


def variants(condition):
    """The names of the Langevin variants for which the function `condition` of their entries is true."""
    return [name for name, variant in config["langevin"]["variants"].items() if condition(variant)]


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


def plane_settings(only):
    """What a figure of one variant in the plane takes of langevin.figure, beside its title."""
    return settings(
        "langevin",
        "figure",
        only=only,
        half_width=config["gmm"]["figure"]["half_width"],
        title=lambda wildcards: title(wildcards.variant),
    )


def title(variant):
    """What a Langevin variant is called in figures: its name, and its label if it has one."""
    label = section("langevin", "variants", variant, "label")
    return f"{variant}: {label}" if label else variant
