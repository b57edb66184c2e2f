"""What is on disk is what the config says, and nothing is computed twice: job sets of dry runs."""

import compileall
import json
import os
import random
import re
import shutil
import subprocess
import time

import pandas as pd
import pytest

CONFIG = "config/config.yaml"
DOWNSTREAM_OF_LANGEVIN = {"measure_langevin", "measure_convergence", "plot_comparison", "plot_convergence"}
OF_ALL_VARIANTS = DOWNSTREAM_OF_LANGEVIN | {"plot_langevin_page"}  # of their settings and their order
OF_VARIANT = ("sample_langevin", "trace_langevin", "plot_scatter", "plot_trajectories")
SCORE_FIGURES = {"plot_calibration", "plot_metrics", "plot_joint_scores"}
CSDI_FIGURES = {"plot_loss", "plot_imputation", "plot_surprise", "plot_explore", *SCORE_FIGURES}
COLOURED = CSDI_FIGURES - {"plot_joint_scores"}
OF_VALIDATION = {"impute_validation", "evaluate_validation"}
AFTER_SCORES = {"write_card", *SCORE_FIGURES}
AFTER_TRAINING = {"choose_start", "impute_csdi", "score_windows", "evaluate_csdi", "write_card"}
AFTER_TRAINING |= OF_VALIDATION | CSDI_FIGURES
AFTER_ESTIMATE = {"estimate_bound", "gather_bounds", "plot_bounds", "plot_statements"}
OF_DYNAMICS = {"simulate_dynamics", "plot_dynamics", "animate_dynamics"}


def nothing_to_do(project, *arguments):
    done = project.snakemake(*arguments)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout, done.stdout


def test_nothing_is_to_be_done_after_a_run(finished):
    nothing_to_do(finished)


def test_nothing_is_to_be_done_after_touching_every_file(edited):
    later = time.time() + 100
    for path in edited.folder.rglob("*"):
        inside = path.relative_to(edited.folder).parts[0]
        if path.is_file() and inside not in ("results", ".snakemake"):
            os.utime(path, (later, later))
    nothing_to_do(edited)


def test_nothing_is_to_be_done_after_a_move_with_new_times_and_without_logs(finished, tmp_path):
    """Files in a random order, so that results are older than what they were made of."""
    for folder in (finished.folder, *(path for path in finished.folder.rglob("*") if path.is_dir())):
        (tmp_path / "moved" / folder.relative_to(finished.folder)).mkdir()
    files = [path for path in finished.folder.rglob("*") if path.is_file()]
    random.Random(0).shuffle(files)
    for i, path in enumerate(files):
        copy = tmp_path / "moved" / path.relative_to(finished.folder)
        shutil.copyfile(path, copy)
        os.utime(copy, (time.time(), time.time() - len(files) + i))
    shutil.rmtree(tmp_path / "moved/logs")
    moved = type(finished).at(tmp_path / "moved")
    nothing_to_do(moved)
    nothing_to_do(moved, "--cores", "1")


def git(project, *arguments):
    names = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *names, *arguments], cwd=project.folder, check=True, capture_output=True)


def test_nothing_is_to_be_done_after_another_branch_and_back(edited):
    (edited.folder / ".gitignore").write_text("results/\nlogs/\n.snakemake/\n", encoding="utf-8")
    git(edited, "init", "--initial-branch", "one")
    git(edited, "add", ".")
    git(edited, "commit", "--message", "one")
    git(edited, "checkout", "-b", "two")
    edited.edit("scripts/scoredag/gmm/langevin.py", "BLOCK = 500", "BLOCK = 400")
    edited.edit("data/gmm.csv", "0.", "1.")
    edited.edit("rules/csdi.smk", "mem_mb=4000", "mem_mb=5000")
    git(edited, "commit", "--all", "--message", "two")
    assert "read_mixture" in edited.jobs()
    git(edited, "checkout", "one")
    nothing_to_do(edited)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("data/csdi-base.safetensors", None, None, {"train_csdi"} | AFTER_TRAINING),
        ("scripts/scoredag/gmm/diagnostics.py", "np.pi", "3.14", {"measure_langevin", "measure_convergence"}),
        # tidy_series imports readers, and these features
        (
            "scripts/scoredag/series/features.py",
            None,
            None,
            {"tidy_series", "cut_windows", "train_csdi"} | AFTER_TRAINING,
        ),
    ],
    ids=["data", "code", "deep"],
)
def test_new_content_with_an_older_time_is_seen(edited, path, old, new, expected):
    """As `rsync --times` or an unpacked archive brings it."""
    file = edited.folder / path
    content = file.read_bytes()
    file.write_bytes(content.replace(old.encode(), new.encode()) if old else content + b"\n")
    os.utime(file, (0, 0))
    assert edited.jobs() >= expected


def test_what_snakemake_cannot_see_and_what_helps(edited):
    """As the README says it; where this fails, a line there may go."""
    samples = edited.folder / "results/langevin/c/samples.parquet"
    samples.write_bytes((edited.folder / "results/langevin/b/samples.parquet").read_bytes())
    followers = {"plot_scatter:c", "measure_langevin", "plot_comparison"}
    assert edited.jobs() == followers
    os.utime(samples, (0, 0))
    assert edited.jobs() == set()
    assert edited.dry_run("--forcerun", "sample_langevin") >= followers | {"sample_langevin:c"}
    by_path = "results/langevin/c/animation.gif"
    done = edited.snakemake(by_path)
    assert done.returncode == 0, done.stdout
    edited.edit(CONFIG, "label: large step", "label: too large a step")
    assert "animate_langevin:c" not in edited.jobs() and "animate_langevin:c" in edited.jobs(by_path)
    shutil.rmtree(edited.folder / ".snakemake")
    edited.edit(CONFIG, "step_size: 1.0", "step_size: 0.9")
    assert "sample_langevin:c" not in edited.jobs()
    assert "sample_langevin:c" in edited.dry_run("--forceall")


def test_a_damaged_table_is_told_by_its_reader_and_comes_back_once_deleted(edited):
    windows = edited.folder / "results/datasets/nyc-weather/windows.parquet"
    content = windows.read_bytes()
    windows.write_bytes(content[: len(content) // 2])
    done = edited.snakemake()
    assert done.returncode != 0
    complaints = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert complaints and all(
        re.match(r"error: results/datasets/nyc-weather/windows.parquet: cannot be read as Parquet .*; delete it", line)
        for line in complaints
    )
    windows.unlink()
    assert "cut_windows" in edited.jobs()
    done = edited.snakemake("results/datasets/nyc-weather/windows.parquet")
    assert done.returncode == 0 and windows.read_bytes() == content, done.stdout


LANGEVIN, SWEEP = "scripts/scoredag/gmm/langevin.py", "results/langevin/sweep.parquet"


def edit_while(project, script):
    """Ask for the sweep, and edit what it imports as soon as the job of `script` waits; the run's status and output."""
    waiting = "from pathlib import Path; from time import sleep; Path('started').touch(); sleep(3)"
    project.edit(f"scripts/{script}.py", "    gmm = ", f"    {waiting}\n    gmm = ")
    run = project.start(SWEEP)
    while run.poll() is None and not (project.folder / "started").exists():
        time.sleep(0.05)
    project.edit(LANGEVIN, "BLOCK = 500", "BLOCK = 400")
    output, _ = run.communicate()
    return run.returncode, output


def test_an_edit_while_a_job_runs_is_not_lost(edited):
    """The job has read what was there before; the next run has to start it again."""
    status, output = edit_while(edited, "sweep_langevin")
    assert status == 0, output
    assert edited.jobs(SWEEP) == {"sweep_langevin"}


def test_an_edit_before_a_job_begins_stops_it(edited):
    """Snakemake records what it has planned with: were the edit taken back, it would never look again."""
    status, output = edit_while(edited, "read_mixture")
    assert status != 0 and "error: its code or data were edited after the run had been planned; run again" in output
    edited.edit(LANGEVIN, "BLOCK = 400", "BLOCK = 500")
    assert edited.jobs(SWEEP) == {"sweep_langevin"}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("gmm/kernels.py", "math.sqrt(2 * step_size) * square_root(\n", "math.sqrt(8 * step_size) * square_root(\n"),
        ("simd/random.py", "-2.0 * maths.log", "-9.0 * maths.log"),
    ],
    ids=["python", "numba"],
)
def test_code_that_was_compiled_before_an_edit_is_not_run(edited, module, old, new):
    """Both compilers take the size and time of a source for its content."""
    path = edited.folder / "scripts/scoredag" / module
    times = (0, 1_000_000_000)
    os.utime(path, times)
    target, environment = "results/langevin/c/samples.parquet", {"PYTHONDONTWRITEBYTECODE": ""}
    done = edited.snakemake(target, "--forcerun", "sample_langevin", **environment)
    assert done.returncode == 0, done.stdout
    compileall.compile_dir(edited.folder / "scripts", quiet=1)
    before = pd.read_parquet(edited.folder / target)
    edited.edit(path.relative_to(edited.folder), old, new)
    os.utime(path, times)
    done = edited.snakemake(target, **environment)
    assert done.returncode == 0, done.stdout
    after = pd.read_parquet(edited.folder / target)
    assert (after["x"] != before["x"])[before["step"] > 0].all()


def test_nothing_is_to_be_done_after_a_comment_or_reordered_keys(edited):
    edited.edit(CONFIG, "step_size: 1.0", "step_size: 1.00 # a large one")
    edited.edit(CONFIG, "step_size: 0.1\n", "step_size: 0.10\n")
    edited.edit("config/presets/tiny.yaml", "time: 1.0", "time: 1")
    edited.edit("config/presets/tiny.yaml", "length: 12\n", "length: 12.0\n")
    edited.edit(
        CONFIG,
        "    nyc-weather:\n      dataset: nyc-weather\n      figure:",
        "    # a run\n    nyc-weather:\n      dataset: 'nyc-weather'\n      figure:",
    )
    nothing_to_do(edited)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (
            CONFIG,
            "step_size: 1.0",
            "step_size: 0.9",
            {f"{rule}:c" for rule in OF_VARIANT} | OF_ALL_VARIANTS | {"predict_laws"},
        ),
        (
            CONFIG,
            "[[2.0, 0.0], [0.0, 0.2]]",
            "[[0.2, 0.0], [0.0, 2.0]]",
            {f"{rule}:d" for rule in OF_VARIANT} | OF_ALL_VARIANTS | {"predict_laws"},
        ),
        (
            CONFIG,
            "label: no noise",
            "label: gradient flow",
            {"plot_scatter:a", "plot_trajectories:a", "plot_comparison", "plot_convergence", "plot_langevin_page"},
        ),
        (CONFIG, "        features: [EWR", "        colour: black\n        features: [EWR", COLOURED),
        (
            "config/presets/tiny.yaml",
            "n_samples: 3",
            "n_samples: 4",
            AFTER_TRAINING - {"choose_start", "plot_loss", "score_windows"},
        ),
        (
            "config/presets/tiny.yaml",
            "n_draws: 4",
            "n_draws: 6",
            {"score_windows", "evaluate_csdi", "plot_surprise", *AFTER_SCORES} - {"plot_calibration"},
        ),
        (CONFIG, "temp: °F", "temp: F", {"plot_explore", "plot_imputation", "plot_surprise", "write_card"}),
        (
            "scripts/scoredag/series/absences.py",
            "MOST_BINS = 200",
            "MOST_BINS = 100",
            {"measure_missingness", "plot_missingness"},
        ),
        (
            CONFIG,
            "        features: [EWR",
            "        held_out: blocks-6\n        features: [EWR",
            {"plot_imputation", "plot_surprise"},
        ),
        (
            "config/presets/tiny.yaml",
            "length: 6}",
            "length: 5}",
            {"cut_windows", "fit_gaussian", "fit_structural", "impute_baselines", "train_csdi"} | AFTER_TRAINING,
        ),
        (
            "config/presets/tiny.yaml",
            "train_stride: 48",
            "train_stride: 36",
            {"cut_windows", "fit_gaussian", "fit_structural", "impute_baselines", "train_csdi"} | AFTER_TRAINING,
        ),
        (
            "scripts/scoredag/gmm/langevin.py",
            "BLOCK = 500",
            "BLOCK = 400",
            {f"{rule}:{variant}" for rule in OF_VARIANT for variant in "abcd"}
            | {"animate_langevin:b", "sweep_langevin", "plot_sweep", "count_modes:a"}
            | DOWNSTREAM_OF_LANGEVIN,
        ),
        (CONFIG, "variance: 2.0", "variance: 3.0", {"solve_likelihood"} | AFTER_ESTIMATE | {"plot_bound_gaps"}),
        ("config/presets/tiny.yaml", "n_mean_draws: 500", "n_mean_draws: 400", AFTER_ESTIMATE),
        (
            "config/presets/tiny.yaml",
            "training: {n_steps: 20}",
            "training: {n_steps: 21}",
            {"train_score", "solve_likelihood", "plot_bound_gaps"} | AFTER_ESTIMATE | OF_DYNAMICS,
        ),
        ("scripts/scoredag/csdi/network.py", "LAYERS = 4", "LAYERS = 3", {"train_csdi"} | AFTER_TRAINING),
        (
            "scripts/scoredag/series/baselines.py",
            '"mean": _as_it_is(mean),',
            "",
            {"impute_baselines", "evaluate_csdi", "evaluate_validation", *AFTER_SCORES},
        ),
        (
            "scripts/scoredag/gmm/diagnostics.py",
            "np.pi",
            "3.14",
            {"measure_langevin", "measure_convergence", "plot_convergence"} | OF_DYNAMICS,
        ),
    ],
    ids=lambda value: value.split("/")[-1] if isinstance(value, str) else None,
)
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(edited, path, old, new, expected):
    edited.edit(path, old, new)
    assert edited.jobs() == expected


def test_a_file_that_matches_the_pattern_of_a_dataset_is_seen_when_it_comes_and_when_it_changes(project):
    """Jobs for its series alone, which are few and quick: names are read from the pattern at each parse."""
    target = "results/datasets/years/series.parquet"
    overlay = "datasets: {years: {reader: csv, file: 'mine/*.csv'}}\n"
    (project.folder / "years.yaml").write_text(overlay, encoding="utf-8")
    options = {"configfiles": (CONFIG, "years.yaml")}
    (project.folder / "mine").mkdir()
    for year in (2019, 2020):
        (project.folder / f"mine/{year}.csv").write_text(f"time,x\n{year}-12-31T23:00,1\n{year}-12-31T22:00,2\n")
        done = project.snakemake(target, **options)
        assert done.returncode == 0 and "1 of 1 steps" in done.stdout, done.stdout
        assert not project.jobs(target, **options)
    series = pd.read_parquet(project.folder / target)
    assert series["time"].dt.year.unique().tolist() == [2019, 2020] and series["value"].sum() == 6
    project.edit("mine/2019.csv", "22:00,2", "22:00,3")
    assert project.jobs(target, **options) == {"tidy_series"}
    (project.folder / "mine/2019.csv").unlink()
    assert project.jobs(target, **options) == {"tidy_series"}


def test_a_deleted_output_comes_back_alone(edited):
    (edited.folder / "results/langevin/c/scatter.png").unlink()
    assert edited.jobs() == {"plot_scatter:c"}


def test_one_figure_asks_for_its_own_jobs(project):
    expected = {"read_mixture", "sample_langevin:b", "plot_scatter:b"}
    assert project.jobs("results/langevin/b/scatter.png") == expected


def test_a_fifth_variant_needs_no_rule(edited):
    (edited.folder / "more.yaml").write_text("langevin: {variants: {e: {step_size: 0.01}}}\n", encoding="utf-8")
    jobs = edited.jobs(configfiles=("config/presets/tiny.yaml", "more.yaml"))
    assert jobs == {f"{rule}:e" for rule in OF_VARIANT} | OF_ALL_VARIANTS | {"count_modes:e", "predict_laws"}


def test_another_score_model_needs_no_rule(edited):
    overlay = "likelihood: {score_models: {both: {scale: 0.9, bias: [0.1, 0.1]}}}\n"
    (edited.folder / "more.yaml").write_text(overlay, encoding="utf-8")
    jobs = edited.jobs(configfiles=("config/presets/tiny.yaml", "more.yaml"))
    assert jobs == {"solve_likelihood", "plot_bound_gaps"} | AFTER_ESTIMATE


@pytest.mark.parametrize("each", [True, False])
def test_without_score_models_nothing_is_made_of_likelihoods(project, each):
    names = ("exact", "scaled", "biased", "widened", "network-likelihood", "network-variance")
    none = {"likelihood": {"score_models": dict.fromkeys(names) if each else None}}
    (project.folder / "none.yaml").write_text(json.dumps(none), encoding="utf-8")
    jobs = project.jobs(configfiles=("config/presets/tiny.yaml", "none.yaml"))
    assert "read_mixture" in jobs and not jobs & (
        {"solve_likelihood", "sweep_score_error"} | AFTER_ESTIMATE | OF_DYNAMICS
    )


def test_the_order_of_variants_is_that_of_figures(edited):
    line = "    a: {n_particles: 400, n_steps: 50}\n"
    edited.edit("config/presets/tiny.yaml", line, "")
    edited.edit("config/presets/tiny.yaml", "  metrics:", f"{line}  metrics:")
    assert edited.jobs() == OF_ALL_VARIANTS


def test_null_leaves_an_entry_out(edited):
    (edited.folder / "less.yaml").write_text("langevin: {variants: {d: null}}\n", encoding="utf-8")
    jobs = edited.jobs(configfiles=("config/presets/tiny.yaml", "less.yaml"))
    assert jobs == OF_ALL_VARIANTS | {"predict_laws"}


def test_patterns_of_missing_entries_are_merged_by_name_and_null_leaves_one_out(edited):
    tiny, more, same = "config/presets/tiny.yaml", "more.yaml", "same.yaml"
    overlay = "datasets: {nyc-weather: {windows: {held_out: %s}}}\n"
    (edited.folder / more).write_text(overlay % "{out: {pattern: outages, share: 0.2}}", encoding="utf-8")
    (edited.folder / same).write_text(overlay % "{out: null}", encoding="utf-8")
    rerun = {"cut_windows", "fit_gaussian", "fit_structural", "impute_baselines", "train_csdi"} | AFTER_TRAINING
    assert edited.jobs(configfiles=(tiny, more)) == rerun
    assert edited.jobs(configfiles=(tiny, more, same)) == set()


def test_another_working_directory_gets_the_results(project, tmp_path):
    done = project.snakemake("--directory", str(tmp_path / "elsewhere"), "results/gmm/exact.parquet")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "elsewhere/results/gmm/exact.parquet").exists()
    assert not (project.folder / "results").exists()


def test_a_job_that_failed_is_asked_for_again(edited):
    """Its old output is gone; what was made from it must not count as up to date."""
    (edited.folder / "mine.csv").write_text("weight\n1\n", encoding="utf-8")
    (edited.folder / "bad.yaml").write_text("gmm: {file: mine.csv}\n", encoding="utf-8")
    for _ in range(2):
        done = edited.snakemake(configfiles=("config/presets/tiny.yaml", "bad.yaml"))
        assert done.returncode != 0 and "error: mine.csv" in done.stdout, done.stdout
