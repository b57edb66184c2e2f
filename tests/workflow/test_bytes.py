"""The same config gives the same bytes: in another folder, with another number of cores, from the cache."""

import pytest

from scoredag.job import record


@pytest.mark.slow
def test_one_core_elsewhere_gives_the_bytes_of_two(finished, project, tmp_path):
    done = project.snakemake("--cores", "1", "--directory", str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stdout
    first, second = finished.sums(), type(finished).at(tmp_path / "elsewhere").sums()
    assert len(first) > 40 and {path.rpartition(".")[2] for path in first} == {
        "parquet",
        "png",
        "gif",
        "safetensors",
        "md",
        "html",
    }
    assert second == first


def log(project):
    return (project.folder / "logs/langevin/c/sample_langevin.log").read_text(encoding="utf-8")


def test_an_edit_that_is_taken_back_is_answered_by_the_cache(edited):
    """On by one line of the profile; an edit of an imported module is never answered by an old result."""
    with (edited.folder / "profiles/default/config.yaml").open("a", encoding="utf-8") as profile:
        profile.write("config: [cache=kept]\n")
    target = "results/langevin/c/samples.parquet"

    def run():
        done = edited.snakemake(target)
        assert done.returncode == 0, done.stdout
        return (edited.folder / target).read_bytes(), "taken from" in log(edited)

    tau = ("config/config.yaml", "step_size: 1.0", "step_size: 0.9")
    first = (edited.folder / target).read_bytes()
    edited.edit(*tau)
    other, taken = run()
    assert not taken and other != first
    edited.edit(tau[0], tau[2], tau[1])
    assert run() == (first, False)  # as it was made before there was a cache
    edited.edit(*tau)
    assert run() == (other, True)
    edited.edit(tau[0], tau[2], tau[1])
    assert run() == (first, True)
    # what sample_langevin imports imports fields
    module = "scripts/scoredag/gmm/fields.py"
    text = (edited.folder / module).read_text(encoding="utf-8")
    (edited.folder / module).write_text(f"{text}\nEDITED = True\n", encoding="utf-8")
    again, taken = run()
    assert not taken and again != first  # its record tells of other code
    (edited.folder / module).write_text(text, encoding="utf-8")
    assert run() == (first, True)


@pytest.mark.parametrize(
    "path", ["gmm/exact.parquet", "langevin/b/samples.parquet", "csdi/nyc-weather/model.safetensors"]
)
def test_results_say_what_they_were_made_of(finished, path):
    found = record.read(finished.folder / "results" / path)
    assert found["rule"] in ("draw_exact", "sample_langevin", "train_csdi") and found["settings"]["seed"] == 1
    of_inputs = record.digest(finished.folder / "results/gmm/parameters.parquet")
    assert path.startswith("csdi") or found["inputs"]["parameters"] == of_inputs


def test_every_table_and_model_carries_its_record(finished):
    paths = [path for path in finished.folder.glob("results/**/*") if path.suffix in (".parquet", ".safetensors")]
    assert len(paths) > 25
    rules = {record.read(path)["rule"] for path in paths}
    assert len(rules) > 10
    assert not [path for path in paths if str(finished.folder) in str(record.read(path))]
