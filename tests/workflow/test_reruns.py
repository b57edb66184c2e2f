"""What is on disk is what the config says, and nothing is computed twice: job sets of dry runs."""

import os
import time

import pytest

CONFIG = "config/config.yaml"
DOWNSTREAM_OF_LANGEVIN = {"measure_langevin", "measure_convergence", "plot_comparison", "plot_convergence"}
OF_VARIANT = ("sample_langevin", "trace_langevin", "plot_scatter", "plot_trajectories")
CSDI_FIGURES = {"plot_loss", "plot_imputation", "plot_calibration", "plot_metrics"}
AFTER_ESTIMATE = {"estimate_bound", "gather_bounds", "plot_bounds", "plot_statements"}
AFTER_TRAINING = {"impute_csdi", "evaluate_csdi", *CSDI_FIGURES}


def nothing_to_do(project):
    done = project.snakemake()
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


def test_nothing_is_to_be_done_after_a_comment_or_reordered_keys(edited):
    edited.edit(CONFIG, "step_size: 1.0", "step_size: 1.00 # a large one")
    edited.edit(
        CONFIG, "      dataset: nyc-weather\n      init: base\n", "      init: base\n      dataset: nyc-weather\n"
    )
    nothing_to_do(edited)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (
            CONFIG,
            "step_size: 1.0",
            "step_size: 0.9",
            {f"{rule}:c" for rule in OF_VARIANT} | DOWNSTREAM_OF_LANGEVIN,
        ),
        (
            CONFIG,
            "[[2.0, 0.0], [0.0, 0.2]]",
            "[[0.2, 0.0], [0.0, 2.0]]",
            {f"{rule}:d" for rule in OF_VARIANT} | DOWNSTREAM_OF_LANGEVIN,
        ),
        (
            CONFIG,
            "label: no noise",
            "label: gradient flow",
            {"plot_scatter:a", "plot_trajectories:a", "plot_comparison", "plot_convergence"},
        ),
        (CONFIG, "        features: [EWR", "        colour: black\n        features: [EWR", CSDI_FIGURES),
        (
            "config/presets/tiny.yaml",
            "n_samples: 3",
            "n_samples: 4",
            AFTER_TRAINING - {"plot_loss"},
        ),
        (CONFIG, "temp: °F", "temp: F", {"plot_imputation"}),
        (CONFIG, "        features: [EWR", "        held_out: blocks-6\n        features: [EWR", {"plot_imputation"}),
        (
            "config/presets/tiny.yaml",
            "length: 6}",
            "length: 5}",
            {"cut_windows", "train_csdi"} | AFTER_TRAINING,
        ),
        (
            "config/presets/tiny.yaml",
            "train_stride: 48",
            "train_stride: 36",
            {"cut_windows", "train_csdi"} | AFTER_TRAINING,
        ),
        (
            "scripts/scoredag/gmm/langevin.py",
            "BLOCK = 500",
            "BLOCK = 400",
            {f"{rule}:{variant}" for rule in OF_VARIANT for variant in "abcd"}
            | {"animate_langevin:b", "sweep_langevin", "plot_sweep"}
            | DOWNSTREAM_OF_LANGEVIN,
        ),
        (CONFIG, "variance: 2.0", "variance: 3.0", {"solve_likelihood"} | AFTER_ESTIMATE | {"plot_bound_gaps"}),
        ("config/presets/tiny.yaml", "n_mean_draws: 500", "n_mean_draws: 400", AFTER_ESTIMATE),
        (
            "config/presets/tiny.yaml",
            "training: {n_steps: 20}",
            "training: {n_steps: 21}",
            {"train_score", "solve_likelihood", "plot_bound_gaps"} | AFTER_ESTIMATE,
        ),
        ("scripts/scoredag/csdi/network.py", "LAYERS = 4", "LAYERS = 3", {"train_csdi"} | AFTER_TRAINING),
        ("scripts/scoredag/series/baselines.py", '"mean": _as_it_is(mean),', "", {"evaluate_csdi", "plot_metrics"}),
        (
            "scripts/scoredag/gmm/diagnostics.py",
            "np.pi",
            "3.14",
            {"measure_langevin", "measure_convergence", "plot_convergence"},
        ),
    ],
    ids=lambda value: value.split("/")[-1] if isinstance(value, str) else None,
)
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(edited, path, old, new, expected):
    edited.edit(path, old, new)
    assert edited.jobs() == expected


def test_a_deleted_output_comes_back_alone(edited):
    (edited.folder / "results/langevin/c/scatter.png").unlink()
    assert edited.jobs() == {"plot_scatter:c"}


def test_one_figure_asks_for_its_own_jobs(project):
    expected = {"read_mixture", "sample_langevin:b", "plot_scatter:b"}
    assert project.jobs("results/langevin/b/scatter.png") == expected


def test_a_fifth_variant_needs_no_rule(edited):
    (edited.folder / "more.yaml").write_text("langevin: {variants: {e: {step_size: 0.01}}}\n", encoding="utf-8")
    jobs = edited.jobs(configfiles=("config/presets/tiny.yaml", "more.yaml"))
    assert jobs == {f"{rule}:e" for rule in OF_VARIANT} | DOWNSTREAM_OF_LANGEVIN


def test_another_score_model_needs_no_rule(edited):
    overlay = "likelihood: {score_models: {both: {scale: 0.9, bias: [0.1, 0.1]}}}\n"
    (edited.folder / "more.yaml").write_text(overlay, encoding="utf-8")
    jobs = edited.jobs(configfiles=("config/presets/tiny.yaml", "more.yaml"))
    assert jobs == {"solve_likelihood", "plot_bound_gaps"} | AFTER_ESTIMATE


def test_without_score_models_nothing_is_made_of_likelihoods(project):
    names = ("exact", "scaled", "biased", "widened", "network-likelihood", "network-variance")
    none = ", ".join(f"{name}: null" for name in names)
    (project.folder / "none.yaml").write_text(f"likelihood: {{score_models: {{{none}}}}}\n", encoding="utf-8")
    jobs = project.jobs(configfiles=("config/presets/tiny.yaml", "none.yaml"))
    assert "read_mixture" in jobs and not jobs & ({"solve_likelihood", "sweep_score_error"} | AFTER_ESTIMATE)


def test_null_leaves_an_entry_out(edited):
    (edited.folder / "less.yaml").write_text("langevin: {variants: {d: null}}\n", encoding="utf-8")
    assert edited.jobs(configfiles=("config/presets/tiny.yaml", "less.yaml")) == DOWNSTREAM_OF_LANGEVIN


def test_patterns_of_missing_entries_are_merged_by_name_and_null_leaves_one_out(edited):
    tiny, more, same = "config/presets/tiny.yaml", "more.yaml", "same.yaml"
    overlay = "datasets: {nyc-weather: {windows: {held_out: %s}}}\n"
    (edited.folder / more).write_text(overlay % "{out: {pattern: outages, share: 0.2}}", encoding="utf-8")
    (edited.folder / same).write_text(overlay % "{out: null}", encoding="utf-8")
    rerun = {"cut_windows", "train_csdi"} | AFTER_TRAINING
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
