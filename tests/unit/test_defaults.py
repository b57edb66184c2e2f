"""The library's defaults and choices are the schema's, but for those that are listed here with their reason."""

import inspect

import pytest
import yaml

from scoredag import metrics
from scoredag.csdi import checkpoint, devices, diffusion, imputation, masks, optimizers, training, variational_bound
from scoredag.csdi.network import CSDI


@pytest.fixture(scope="module")
def run(root):
    """Keys of a run of CSDI, as the schema has them."""
    schema = yaml.safe_load((root / "config/schema.yaml").read_text(encoding="utf-8"))
    return schema["$defs"]["run"]["properties"]


def defaults_of(function):
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def defaults_in(keys):
    """The schema's defaults, with lists as the library's tuples."""
    defaults = {name: key["default"] for name, key in keys.items() if "default" in key}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in defaults.items()}


def differing(function, keys):
    """Names that have one default in the library and another one in the schema."""
    library, schema = defaults_of(function), defaults_in(keys)
    assert set(library) & set(schema)
    return {name for name in set(library) & set(schema) if library[name] != schema[name]}


def test_settings_of_training_are_the_keys_of_training_but_dropout_which_is_the_networks(run):
    keys = run["training"]["properties"]
    assert [*training.Settings._fields] == [name for name in keys if name != "dropout"]
    assert training.Settings()._asdict() == {
        name: value for name, value in defaults_in(keys).items() if name != "dropout"
    }


def test_imputation_takes_all_keys_of_sampling(run):
    keys = run["sampling"]["properties"] | {"device": run["device"]}
    assert set(keys) <= set(defaults_of(imputation.impute))
    assert differing(imputation.impute, keys) == {"start"}  # "auto" takes a table, and a Gaussian
    assert defaults_of(imputation.impute)["start"] is None


def test_the_bound_takes_all_keys_of_likelihood(run):
    keys = run["likelihood"]["properties"] | {"device": run["device"]}
    keys |= {name: run["sampling"]["properties"][name] for name in ("chunk", "threads")}
    assert set(keys) <= set(defaults_of(variational_bound.bounds))
    assert not differing(variational_bound.bounds, keys)
    assert not differing(variational_bound.terms, keys)


def test_training_takes_the_device_and_metrics_the_level_of_the_schema(run):
    assert not differing(training.train, run)
    assert not differing(metrics.coverage, run)


def test_one_call_of_a_sampler_is_the_papers(run):
    """`diffusion.sample`, which notebooks call, has DDPM in 50 steps, deterministic solvers, and no limit of noise."""
    differ = {"sampler": "ddpm", "n_steps": 50, "eta": 0.0, "noise_above": 0.0, "start": None}
    assert differing(diffusion.sample, run["sampling"]["properties"]) == set(differ)
    assert differ.items() <= defaults_of(diffusion.sample).items()


def test_a_network_is_the_papers(run):
    """With its dropout, though the workflow trains without: `train_csdi` passes the key."""
    keys = run["training"]["properties"] | {"conditional": run["conditional"]}
    for function in (CSDI.__init__, checkpoint.load):
        assert defaults_of(function)["dropout"] == 0.1 != keys["dropout"]["default"]
    assert differing(CSDI.__init__, keys) == {"dropout"}


def test_the_schema_lists_the_choices_of_each_table_in_order(run):
    def choices(part, name):
        key = run[part]["properties"][name]
        return key["enum"] if "enum" in key else key["items"]["enum"]

    assert choices("training", "masks") == [*masks.MASKS]
    assert choices("training", "optimizer") == [*optimizers.OPTIMIZERS]
    assert choices("training", "trainable") == [*optimizers.TRAINABLE]
    assert choices("training", "decay") == [*optimizers.DECAYS]
    assert choices("sampling", "sampler") == [*diffusion.SAMPLERS]
    assert choices("likelihood", "variance") == [*variational_bound.VARIANCES]
    assert run["device"]["enum"] == [*devices.DEVICES]


def test_the_schema_says_what_null_stands_for(run):
    """In words, for the optimizers and samplers have one each."""
    decays = [optimizer.weight_decay for optimizer in optimizers.OPTIMIZERS.values()]
    assert decays == [0.000001, 0.01, 0.1]
    assert "Null takes 0.000001, 0.01 and 0.1" in run["training"]["properties"]["weight_decay"]["description"]
    rates = {name: optimizer.embedding_rate for name, optimizer in optimizers.OPTIMIZERS.items()}
    assert rates == {"adam": 1.0, "adamw": 1.0, "muon": 20.0}
    assert "Null takes 20 with `muon`, else 1" in run["training"]["properties"]["embedding_rate"]["description"]
    suited = {name: sampler[1:] for name, sampler in diffusion.SAMPLERS.items()}
    assert suited.items() >= {"ddpm": (50, 50, 1.0), "ddim": (50, 50, 0.0), "dpm-solver++": (6, 4, 1.0)}.items()
    sampling = run["sampling"]["properties"]
    assert (
        "Null takes 4 with `dpm-solver++` after a `start` by the Gaussian and 6 from noise"
        in sampling["n_steps"]["description"]
    )
    assert "Null takes 1 with `dpm-solver++`, else 0" in sampling["eta"]["description"]
