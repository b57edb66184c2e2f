"""What the benchmarks compare is the same but for what they are about."""

import yaml


def runs(path):
    """The runs of a config file, without their figures."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["csdi"]["runs"]
    return {name: {key: value for key, value in run.items() if key != "figure"} for name, run in found.items()}


def test_the_run_from_scratch_differs_from_the_default_run_in_its_start_alone(root):
    default = runs(root / "config/config.yaml")["nyc-weather"]
    scratch = runs(root / "benchmarks/scratch.yaml")["nyc-weather-scratch"]
    assert scratch == default | {"init": "scratch"}
