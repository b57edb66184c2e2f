"""Bad input: one clear line that names the file or key, a status that is not 0, no output. Tables: test_faults.py."""

import re
import socket
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from snakemake.utils import update_config

from scoredag.errors import InputError
from scoredag.job import checks
from scoredag.series import windows

CONFIG = "config/config.yaml"


def complaint(project, *targets, **options):
    """The line that says what is wrong, from a run that has to fail."""
    done = project.snakemake(*targets, **options)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    lines = [line for line in done.stdout.splitlines() if re.match(r"(error|config): ", line)]
    assert len(lines) == 1, done.stdout
    return lines[0]


def files_of(project):
    return {str(path.relative_to(project.folder)) for path in (project.folder / "results").rglob("*") if path.is_file()}


def held_out(patterns):
    return f"datasets: {{nyc-weather: {{windows: {{held_out: {patterns}}}}}}}"


def etth1(settings):
    return f"datasets: {{etth1: {{{settings}}}}}"


def nyc(settings):
    return f"datasets: {{nyc-weather: {{{settings}}}}}"


def run(settings):
    return f"csdi: {{runs: {{nyc-weather: {{{settings}}}}}}}"


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ("gmmm: {}", ["top level", "'gmmm'", "unexpected"]),
        ("langevin: {variants: {b: {stepsize: 1}}}", ["langevin.variants.b", "'stepsize'"]),
        ("langevin: {variants: {b: {step_size: -0.1}}}", ["langevin.variants.b.step_size", "-0.1"]),
        ("langevin: {variants: {b: {step_size: '0.1'}}}", ["langevin.variants.b.step_size", "number", "--configfile"]),
        ("langevin: {variants: {e: {n_steps: 5}}}", ["langevin.variants.e", "'step_size' is a required property"]),
        ("langevin: {variants: {'../e': {step_size: 1}}}", ["langevin.variants", "../e"]),
        (
            "langevin: {variants: {b: {noise_covariance: [1, 1]}}}",
            ["langevin.variants.b.noise_covariance", "two rows of two numbers"],
        ),
        (
            "csdi: {runs: {nyc-weather: {dataset: weather}}}",
            ["csdi.runs.nyc-weather.dataset", "weather", "nyc-weather"],
        ),
        ("csdi: {runs: {nyc-weather: {init: mine}}}", ["csdi.runs.nyc-weather.init", "'mine'", "scratch, base"]),
        ("csdi: {runs: {nyc-weather: {sampling: {sampler: euler}}}}", ["sampling.sampler", "euler", "ddim"]),
        (run("training: {masks: [random, stripes]}"), ["training.masks.1", "'stripes'", "outages"]),
        (run("training: {masks: []}"), ["csdi.runs.nyc-weather.training.masks"]),
        (run("training: {optimizer: sgd}"), ["csdi.runs.nyc-weather.training.optimizer", "'sgd'", "muon"]),
        (run("init: scratch, training: {n_steps: 0}"), ["training.n_steps", "'scratch' is none"]),
        (
            "datasets: {p: {reader: physionet-2012, file: data/gmm.csv, features: [HR]}}",
            ["datasets.p.features", "physionet-2012", "35 features"],
        ),
        ("datasets: {p: {reader: physionet-2012}}", ["datasets.p.file", "physionet-2012 reader needs a file"]),
        (run("training: {decay: linear}"), ["csdi.runs.nyc-weather.training.decay", "'linear'", "milestones"]),
        (run("training: {trainable: none}"), ["training.trainable", "'none'", "last-layers"]),
        (run("training: {learning_rate: 0}"), ["csdi.runs.nyc-weather.training.learning_rate"]),
        (run("completed: {draws: 1}"), ["csdi.runs.nyc-weather.completed.draws", "1", "minimum of 2"]),
        (run("aggregates: {period: fortnight}"), ["csdi.runs.nyc-weather.aggregates.period", "'fortnight'", "week"]),
        (run("device: tpu"), ["csdi.runs.nyc-weather.device", "'tpu'", "cuda"]),
        (run("training: {crop_features: [18, 9]}"), ["training.crop_features", "18, exceeds", "9; write [9, 18]"]),
        (run("training: {crop_steps: [24, 16]}"), ["csdi.runs.nyc-weather.training.crop_steps", "24", "16"]),
        (run("training: {crop_steps: [16]}"), ["csdi.runs.nyc-weather.training.crop_steps", "[16]"]),
        ("langevin: {variants: {b: {step_size: .inf}}}", ["langevin.variants.b.step_size", "finite"]),
        ("langevin: {variants: {b: {snapshots: [9999]}}}", ["langevin.variants.b.snapshots", "9999", "1000"]),
        ("langevin: {variants: {b: {noise_covariance: [[1, 2], [2, 1]]}}}", ["b.noise_covariance", "semidefinite"]),
        ("langevin: {variants: {1: {step_size: 1}}}", ["langevin.variants", "quotes"]),
        ("langevin: {variants: {b: {kernel: hmc}}}", ["langevin.variants.b.kernel", "'hmc'", "mala"]),
        ("langevin: {variants: {b: {kernel: mala}}}", ["b.noise_covariance", "'mala' takes none", "overdamped"]),
        ("langevin: {variants: {b: {preconditioner: [[1, 1], [1, 1]]}}}", ["b.preconditioner", "positive definite"]),
        ("langevin: {variants: {b: {temperatures: [1, 2]}}}", ["b.temperatures", "'overdamped' takes none"]),
        (
            "langevin: {variants: {e: {step_size: 0.1, kernel: annealed, noise_levels: [1, 2]}}}",
            ["langevin.variants.e.noise_levels", "[1, 2] do not fall"],
        ),
        (
            "langevin: {variants: {e: {step_size: 0.1, kernel: tempering, temperatures: [2, 4]}}}",
            ["langevin.variants.e.temperatures", "[2, 4] do not rise from 1"],
        ),
        ("likelihood: {sde: edm}", ["likelihood.sde", "'edm'", "sub-vp"]),
        ("likelihood: {beta: [20, 0.1]}", ["likelihood.beta", "[20, 0.1] does not rise"]),
        ("likelihood: {sigma: [0.01, .inf]}", ["likelihood.sigma", "does not rise"]),
        ("likelihood: {smallest_time: 0}", ["likelihood.smallest_time", "0"]),
        ("likelihood: {score_models: {mine: {factor: 2}}}", ["likelihood.score_models.mine", "'factor'"]),
        ("likelihood: {score_models: {mine: {scale: .nan}}}", ["likelihood.score_models.mine.scale", "finite"]),
        ("likelihood: {score_models: {mine: {weighting: mse}}}", ["mine.weighting", "'mse'", "noise-variance"]),
        (
            "likelihood: {score_models: {network-variance: {bias: [1, 0]}}}",
            ["likelihood.score_models.network-variance.bias", "leave it out"],
        ),
        (
            "likelihood: {dynamics: {score_model: mine}}",
            ["likelihood.dynamics.score_model", "'mine'", "network-variance"],
        ),
        ("likelihood: {dynamics: {times: [0, 2]}}", ["likelihood.dynamics.times", "2"]),
        ("langevin: {shard_size: 700}", ["langevin.shard_size", "700"]),
        ("langevin: 3", ["langevin", "object"]),
        ("gmm: {file: absent.csv}", ["gmm.file", "absent.csv"]),
        ("datasets: {nyc-weather: {file: null}}", ["datasets.nyc-weather.file"]),
        ("datasets: {mine: {reader: tidy}}", ["datasets.mine.file", "the tidy reader needs a file"]),
        ("datasets: {mine: {reader: excel}}", ["datasets.mine.reader", "'excel'", "tidy"]),
        (
            "datasets: {mine: {reader: tidy, file: data/gmm.csv, group: place}}",
            ["datasets.mine.group", "a tidy table has none"],
        ),
        ("datasets: {nyc-weather: {resample: max}}", ["datasets.nyc-weather.resample", "'max'", "median"]),
        ("datasets: {nyc-weather: {circular: {wind_dir: 0}}}", ["datasets.nyc-weather.circular.wind_dir", "0"]),
        (
            "datasets: {nyc-weather: {circular: {wind_dir: 360}, resample: sum}}",
            ["datasets.nyc-weather.resample", "sums of angles"],
        ),
        ("datasets: {nyc-weather: {windows: {shares: [0.5, 0.1, 0.1]}}}", ["windows.shares", "0.7, not 1"]),
        (
            "datasets: {nyc-weather: {url: 'http://example.org/x'}}",
            ["datasets.nyc-weather.url", "http://example.org/x"],
        ),
        ("csdi: {checkpoints: {x: {file: x.pth, url: 'https://example.org/x'}}}", ["csdi.checkpoints.x.sha256"]),
        (
            etth1("url: [https://example.org/x, 'http://example.org/x']"),
            ["datasets.etth1.url.1", "http://example.org/x"],
        ),
        (etth1("url: []"), ["datasets.etth1.url", "[]"]),
        (etth1("file: ../ETTh1.csv"), ["datasets.etth1.file", "'../ETTh1.csv'", "below the working directory"]),
        (etth1("file: /ETTh1.csv"), ["datasets.etth1.file", "'/ETTh1.csv'"]),
        (etth1("file: null, reader: simulated"), ["datasets.etth1.file", "a download needs a name"]),
        (
            f"datasets: {{again: {{reader: csv, file: ETTh1.csv, url: 'https://example.org', sha256: {'a' * 64}}}}}",
            ["datasets.etth1.sha256", "datasets.again", "'ETTh1.csv'"],
        ),
        ("seed: 1.5", ["seed", "1.5"]),
        (nyc("features: [NO, NO2]"), ["datasets.nyc-weather.features.0: ", "boolean false", 'quotes, as "NO"']),
        (nyc("features: NO"), ["datasets.nyc-weather.features: ", "boolean false", 'list, as ["NO"]']),
        (nyc("features: [2020-01-31]"), ["features.0: ", "the date 2020-01-31", 'quotes, as "2020-01-31"']),
        (nyc("plausible: {NO: [0, 500]}"), ["datasets.nyc-weather.plausible: ", "keys", 'quotes, as "NO"']),
        (nyc("round: {temp: 0}"), ["datasets.nyc-weather.round.temp: ", "0"]),
        (nyc("round: {temp: .inf}"), ["datasets.nyc-weather.round.temp: ", "inf is not a finite number"]),
        (nyc("round: {rain: 1}"), ["datasets.nyc-weather.round.rain: ", "not one of the features, temp, dewp"]),
        (nyc("circular: {temp: 9}, round: {temp: 1}"), ["datasets.nyc-weather.round.temp: ", "circular"]),
        (nyc("circular: {temp: 9}, round: {temp_cos: 1}"), ["datasets.nyc-weather.round.temp_cos: ", "circular"]),
        (nyc("transform: {temp: sqrt}"), ["datasets.nyc-weather.transform.temp: ", "'sqrt'"]),
        (nyc("transform: {rain: log1p}"), ["datasets.nyc-weather.transform.rain: ", "not one of the features, temp"]),
        (nyc("circular: {temp: 9}, transform: {temp: log}"), ["datasets.nyc-weather.transform.temp: ", "circular"]),
        (nyc("transform: {dewp: logit}"), ["datasets.nyc-weather.transform.dewp: ", "plausible: {dewp: [0, 100]}"]),
        (nyc("units: {NO: ppb}"), ["datasets.nyc-weather.units: ", "keys", "boolean false", 'quotes, as "NO"']),
        (nyc("circular: {2020: 360}"), ["datasets.nyc-weather.circular: ", "number 2020", 'quotes, as "2020"']),
        (nyc("missing: [-999]"), ["datasets.nyc-weather.missing.0: ", "number -999", 'quotes, as "-999"']),
        (nyc("missing: NaN"), ["datasets.nyc-weather.missing: ", "write a list, as [NaN]"]),
        (nyc("missing: -999"), ["datasets.nyc-weather.missing: ", 'list, as ["-999"]']),
        (nyc("time_zone: +10:00"), ["datasets.nyc-weather.time_zone: ", "number 600", 'quotes, as "+10:00"']),
        (nyc("time_zone: -9:30"), ["datasets.nyc-weather.time_zone: ", "number -570", 'quotes, as "-9:30"']),
        (nyc("time: null"), ["datasets.nyc-weather.time: ", "nothing", "leave it out", 'quotes, as "null"']),
        (nyc("time_format: 'null'"), ["datasets.nyc-weather.time_format: ", "without quotes, as null"]),
        (nyc("resample: 'null'"), ["datasets.nyc-weather.resample: ", "without quotes, as null"]),
        ("{NO: 1}", ["top level: ", "boolean false", 'quotes, as "NO"']),
        ("langevin: {variants: {b: {label: ON}}}", ["langevin.variants.b.label: ", "boolean true", 'quotes, as "ON"']),
        ("langevin: {variants: {a: 'null'}}", ["langevin.variants.a: ", "without quotes, as null", "--configfile"]),
        ("langevin: {variants: {b: {step_size: 1e-3}}}", ["b.step_size: ", "0.001 or 1.0e-3"]),
        ("langevin: {variants: {b: {preconditioner: 'null'}}}", ["b.preconditioner: ", "without quotes, as null"]),
        ("gmm: {normalise: 'true'}", ["gmm.normalise: ", "boolean", "without quotes, as true", "--configfile"]),
        ("gmm: {normalise: 'off'}", ["gmm.normalise: ", "boolean", "without quotes, as off"]),
        ("gmm: {figure: {half_width: 'null'}}", ["gmm.figure.half_width: ", "without quotes, as null"]),
        ("gmm: {file: ~/absent.csv}", ["gmm.file: there is no file '~/absent.csv'", "/absent.csv)"]),
        ("gmm: {file: $UNSET_HERE/a.csv}", ["gmm.file: ", "variable UNSET_HERE is not set"]),
        ("cache: '${UNSET_HERE}/a'", ["cache: ", "variable UNSET_HERE is not set"]),
        ("mirror: 'null'", ["mirror: ", "without quotes"]),
        (
            nyc("file: [data/nyc-weather.csv, data/no.csv]"),
            ["datasets.nyc-weather.file: there is no file 'data/no.csv'"],
        ),
        (nyc("file: data/no-*.csv"), ["datasets.nyc-weather.file: no file matches 'data/no-*.csv'"]),
        (nyc("file: 'data/*.csv'"), ["datasets.nyc-weather.sha256: ", "of one file"]),
        (etth1("file: [a.csv, b.csv]"), ["datasets.etth1.file: ", "a download is one file"]),
        (nyc("query: FROM a, skip: 2"), ["datasets.nyc-weather.skip: ", "read_csv('a.csv', skip = 2)"]),
        (nyc("reader: simulated, query: FROM a"), ["datasets.nyc-weather.query: ", "leave it out"]),
        (held_out("{}"), ["datasets.nyc-weather.windows.held_out", "no pattern", "random-10: {pattern: random"]),
        (held_out("{random-90: null}"), ["datasets.nyc-weather.windows.held_out", "no pattern"]),
        (held_out("0.1"), ["datasets.nyc-weather.windows.held_out", "0.1", "object"]),
        (held_out("{few: {share: 0.1}}"), ["windows.held_out.few", "'pattern' is a required property"]),
        (held_out("{few: {pattern: random}}"), ["windows.held_out.few", "'share' is a required property"]),
        (held_out("{few: {pattern: rows, share: 0.1}}"), ["held_out.few.pattern", "'rows'", "outages"]),
        (held_out("{few: {pattern: random, share: 1}}"), ["held_out.few.share", "1"]),
        (held_out("{'a b': {pattern: random, share: 0.1}}"), ["windows.held_out", "'a b' is not a name"]),
        (held_out("{few: {pattern: blocks, share: 0.1}}"), ["held_out.few.length", "blocks", "length: 6"]),
        (
            held_out("{few: {pattern: random, share: 0.1, length: 6}}"),
            ["held_out.few.length", "random", "leave it out"],
        ),
        (
            "datasets: {nyc-weather: {windows: {length: 24, "
            "held_out: {few: {pattern: blocks, share: 0.1, length: 25}}}}}",
            ["datasets.nyc-weather.windows.held_out.few.length", "25", "24 (windows.length)"],
        ),
        (
            "datasets: {nyc-weather: {windows: {length: 5}}}",
            ["held_out.blocks-6.length", "6 steps", "5 (windows.length)", "held_out of your own"],
        ),
        (
            "csdi: {runs: {nyc-weather: {figure: {held_out: random-20}}}}",
            ["csdi.runs.nyc-weather.figure.held_out", "'random-20'", "random-10, random-50, random-90, blocks-6"],
        ),
    ],
)
def test_a_bad_config_is_refused(root, tmp_path, monkeypatch, overlay, words):
    monkeypatch.chdir(tmp_path)
    config = {}  # as Snakemake lays one over the other
    for text in (overlay, (root / CONFIG).read_text(encoding="utf-8"), overlay):
        update_config(config, yaml.safe_load(text))
    with pytest.raises(InputError, match=r"^config: ") as refused:
        checks.check(config, root)
    line = str(refused.value)
    assert "\n" not in line and all(word in line for word in words), line


def test_a_config_that_lacks_the_default_one_is_refused(root):
    with pytest.raises(InputError, match=r"^config: top level: 'seed' is a required .* config/config.yaml$"):
        checks.check({}, root)


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (["-n", "--configfile", "a", "--configfile", "b", "--cores", "2"], "--configfile a b"),
        (["--configfile=a", "--configfiles", "b", "c"], "--configfile a b c"),
        (["--config", "seed=1", "-C", "cache=x"], "--config seed=1 cache=x"),
    ],
)
def test_an_option_of_which_the_last_alone_counts_is_refused_if_it_is_given_twice(words, form):
    with pytest.raises(InputError, match=rf"^config: --config.*, as {form}$"):
        checks.check_command(["snakemake", *words])
    checks.check_command(["snakemake", "-n", *form.split(), "--config-file-of-another"])


def test_a_bad_config_is_refused_before_anything_runs(project):
    (project.folder / "overlay.yaml").write_text("gmm: {file: absent.csv}", encoding="utf-8")
    line = complaint(project, "--dry-run", configfiles=("overlay.yaml",))
    assert line == "config: gmm.file: there is no file 'absent.csv'"


def rows(n=3, **columns):
    """A small mixture as CSV text, with some columns replaced."""
    table = {
        "weight": [1 / n] * n,
        "mean_x": range(n),
        "mean_y": range(n),
        "cov_xx": [1] * n,
        "cov_xy": [0] * n,
        "cov_yy": [1] * n,
    } | columns
    return "\n".join([",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (rows(cov_xy=[0, 2, 0]), ["covariance of component 1", "positive definite"]),
        (rows(weight=[0.5, -0.5, 1]), ["weight of component 1", "-0.5"]),
        (rows(weight=[0.5, "nan", 0.5]), ["line 3", "nan"]),
        (rows(weight=[0.5, 0.5, 0.5]), ["sum to 1.5"]),
        (rows(150, mean_x=[*range(149), ""]), ["149", "mean_x", "150 components"]),
        (rows(weight=["a", 0, 0]), ["'weight', line 2", "'a'"]),
        ("weight,mean_x\n1,0\n", ["mean_y", "no column"]),
        ("", ["cannot be read"]),
    ],
    ids=["not positive definite", "negative", "nan", "sum", "149 means", "text", "columns", "empty"],
)
def test_a_bad_mixture_is_refused(python, root, tmp_path, text, words):
    """By its job alone, in a quarter of the time of a run; the next test shows what a run makes of it."""
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    arguments = ["file_path=mine.csv", "parameters_path=parameters.parquet", "settings={normalise: false}"]
    done = subprocess.run(
        [python, root / "scripts/read_mixture.py", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("error: mine.csv: ") and done.stderr.count("\n") == 1, done
    assert all(word in done.stderr for word in words), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_bad_mixture_stops_a_run(project):
    (project.folder / "mine.csv").write_text(rows(weight=[0.5, 0.5, 0.5]), encoding="utf-8")
    (project.folder / "overlay.yaml").write_text("gmm: {file: mine.csv}", encoding="utf-8")
    line = complaint(project, "results/gmm/parameters.parquet", configfiles=("overlay.yaml",))
    assert "mine.csv" in line and "sum to 1.5" in line
    assert files_of(project) == set()


def test_what_is_wrong_is_the_very_last_line(project):
    (project.folder / "mine.csv").write_text(rows(weight=[0.5, 0.5, 0.5]), encoding="utf-8")
    for name, text in {"bad.yaml": "gmm: {file: mine.csv}", "worse.yaml": "gmm: {file: absent.csv}"}.items():
        (project.folder / name).write_text(text, encoding="utf-8")
        done = project.snakemake("results/gmm/parameters.parquet", configfiles=(name,))
        (line,) = re.findall(r"^(?:error|config): .*", done.stdout, re.MULTILINE)
        assert done.stdout.endswith(f"\nscoredag: {line}\n"), done.stdout


SERIES = "results/datasets/{}/series.parquet"


def test_a_shipped_file_that_was_changed_is_refused(project):
    with open(project.folder / "data/nyc-weather.csv", "a", encoding="utf-8") as stream:
        stream.write("\n")
    line = complaint(project, SERIES.format("nyc-weather"), configfiles=())
    assert "nyc-weather.csv" in line and "sha256" in line
    assert files_of(project) == set()


def test_a_dataset_without_its_time_column_is_refused(project):
    (project.folder / "mine.csv").write_text("hour,x\n2020-01-01,1\n", encoding="utf-8")
    overlay = "datasets: {mine: {reader: csv, file: mine.csv, time: when}}"
    (project.folder / "overlay.yaml").write_text(overlay, encoding="utf-8")
    line = complaint(project, SERIES.format("mine"), configfiles=("overlay.yaml",))
    assert "mine.csv" in line and "'when'" in line and "hour, x" in line
    assert files_of(project) == set()


def test_a_series_too_short_for_its_blocks_is_told_which_would_do(project):
    rows = "".join(f"2020-01-{1 + i // 24:02d}T{i % 24:02d}:00,{i % 7}\n" for i in range(200))
    (project.folder / "mine.csv").write_text("time,x\n" + rows, encoding="utf-8")
    overlay = "datasets: {mine: {reader: csv, file: mine.csv, windows: {block: %d}}}"
    target = "results/datasets/mine/windows.parquet"
    (project.folder / "overlay.yaml").write_text(overlay % 240, encoding="utf-8")
    line = complaint(project, target, configfiles=("overlay.yaml",))
    assert "mine.csv: 200 steps" in line and "32 train, 0 valid, 0 test" in line and line.endswith("write block: 62")
    (project.folder / "overlay.yaml").write_text(overlay % 62, encoding="utf-8")
    done = project.snakemake(target, configfiles=("overlay.yaml",))
    assert done.returncode == 0, done.stdout


def test_each_bad_feature_is_one_line_and_leaves_no_windows(project):
    splits = windows.assign_splits(720, 24, (0.6, 0.2, 0.2))
    times = pd.date_range("2020-01-01", periods=720, freq="1h")
    good = pd.DataFrame({"x": np.arange(720.0) % 7, "y": np.arange(720) % 5 + 0.25}, times)
    bad = {
        "unseen": good.assign(y=good["y"].where(splits != windows.SPLITS.index("train"))),
        "constant": good.assign(y=3.5),
        "absurd": good.assign(x=good["x"].where(np.arange(720) != 100, 1e30)),
    }
    for name, table in bad.items():
        table.to_csv(project.folder / f"{name}.csv", index_label="time")
    entries = (f"{name}: {{reader: csv, file: {name}.csv, windows: {{length: 12, block: 24}}}}" for name in bad)
    (project.folder / "overlay.yaml").write_text(f"datasets: {{{', '.join(entries)}}}", encoding="utf-8")
    targets = (f"results/datasets/{name}/windows.parquet" for name in bad)
    done = project.snakemake("--keep-going", *targets, configfiles=("overlay.yaml",))
    assert done.returncode != 0 and "Traceback" not in done.stdout, done.stdout
    lines = sorted(line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert len(lines) == 3, lines
    for line, words in zip(
        lines,
        (
            ("absurd.csv: ", "feature 'x': 1e+30 at 2020-01-05 04:00:00", "plausible"),
            ("constant.csv: ", "feature 'y'", "constant in the training split"),
            ("unseen.csv: ", "feature 'y'", "no value is observed in the training split"),
        ),
        strict=True,
    ):
        assert all(word in line for word in words), line
    assert files_of(project) == {SERIES.format(name) for name in bad}


DOWNLOADED = "results/downloads/ETTh1.csv"


def test_a_download_without_a_source_says_what_each_one_gave(project, tmp_path):
    (tmp_path / "ETTh1.csv").write_bytes(b"something else")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"https://127.0.0.1:{closed.getsockname()[1]}/ETTh1.csv"
    (project.folder / "closed.yaml").write_text(etth1(f"url: {url}"), encoding="utf-8")
    environment = {"SCOREDAG_MIRROR": str(tmp_path), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    line = complaint(project, DOWNLOADED, configfiles=("closed.yaml",), **environment)
    for words in (f"{tmp_path / 'ETTh1.csv'}: another file", f"{url}: no connection", "sha256 f18de3ad", "mirror"):
        assert words in line
    assert files_of(project) == set()


TRAINED = {"results/csdi/nyc-weather/model.safetensors", "results/csdi/nyc-weather/history.parquet"}


def training_is_refused(finished, edited, overlay, *words):
    (edited.folder / "overlay.yaml").write_text(overlay, encoding="utf-8")
    configfiles = ("config/presets/tiny.yaml", "overlay.yaml")
    line = complaint(edited, "results/csdi/nyc-weather/model.safetensors", configfiles=configfiles)
    assert all(word in line for word in words), line
    assert files_of(finished) - files_of(edited) <= TRAINED


def checkpoint_is_refused(finished, edited, *words, overlay="csdi: {checkpoints: {base: {sha256: null}}}"):
    training_is_refused(finished, edited, overlay, "csdi-base.safetensors", *words)


def test_a_checkpoint_of_the_other_kind_is_refused(finished, edited):
    checkpoint_is_refused(finished, edited, "'conditional: true'", overlay=run("conditional: false"))
    assert not TRAINED & files_of(edited)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(finished, edited):
    training_is_refused(finished, edited, run("device: cuda"), "device: cuda", "no GPU", "auto or cpu")
    assert not TRAINED & files_of(edited)


def test_a_checkpoint_of_any_features_is_taken_as_it_is(edited):
    (edited.folder / "overlay.yaml").write_text(run("training: {n_steps: 0}"), encoding="utf-8")
    model = "results/csdi/nyc-weather/model.safetensors"
    done = edited.snakemake(model, configfiles=("config/presets/tiny.yaml", "overlay.yaml"))
    assert not done.returncode, done.stdout
    shipped = load_file(edited.folder / "data/csdi-base.safetensors")
    trained = load_file(edited.folder / model)
    rows = trained.pop("embed_layer.weight")
    assert len(rows) == 6 and (rows == rows[0]).all()
    assert all((weight == shipped[name]).all() for name, weight in trained.items())


def test_a_training_that_diverges_says_so_and_leaves_what_was_there(finished, edited):
    diverging = "{learning_rate: 300.0, optimizer: adam, warm_up: 0, n_steps: 20, validate_every: 1}"
    training_is_refused(finished, edited, run(f"training: {diverging}"), "the loss is", "lower training.learning_rate")
    assert files_of(edited) == files_of(finished) - TRAINED  # no weights were better than those that came


def test_a_truncated_checkpoint_is_refused(finished, edited):
    path = edited.folder / "data/csdi-base.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    checkpoint_is_refused(finished, edited, "truncated")
    checkpoint_is_refused(finished, edited, "sha256", overlay="{}")


def test_a_checkpoint_with_wrong_shapes_is_refused(finished, edited):
    path = edited.folder / "data/csdi-base.safetensors"
    tensors = load_file(path)
    tensors["diffmodel.input_projection.weight"] = torch.zeros(64, 3, 1)
    save_file(tensors, path)
    checkpoint_is_refused(finished, edited, "diffmodel.input_projection.weight", "(64, 3, 1)")
