"""Records in tables and weights, and digests that leave them out."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.numpy
import torch

from scoredag.csdi import checkpoint
from scoredag.errors import InputError
from scoredag.job import record
from scoredag.store import stamp, tables, weights

SCRIPT = Path("/a/clone/scripts/draw_exact.py")
CODE = "c" * 64
POINTS = {"particle": [1, 2], "x": [2.0, 3.0], "y": [0.0, 1.0]}


def a_job(folder, **settings):
    """What a script is handed, as far as it matters here."""
    (folder / "in.csv").write_text("in.csv")
    return SimpleNamespace(
        rule="draw_exact",
        wildcards={"variant": "b"},
        params={"settings": {"seed": 1} | settings, "code": "planned", "sources": {"mirror": "/anywhere"}},
        input={"file": str(folder / "in.csv"), "parts": [str(folder / "in.csv")] * 2},
        output={"exact": str(folder / "out.parquet")},
    )


def a_table(folder, name="out.parquet", **settings):
    with stamp.job(record=record.build(a_job(folder, **settings), SCRIPT, CODE)):
        tables.write(POINTS, folder / name, tables.POINTS)
    return folder / name


def test_a_table_carries_the_record_of_its_job(tmp_path):
    found = record.read(a_table(tmp_path, x=[0.1, None]))
    assert found["rule"] == "draw_exact" and found["wildcards"] == {"variant": "b"}
    assert found["settings"] == {"seed": 1, "x": [0.1, None]}
    of_file = record.digest(tmp_path / "in.csv")
    assert found["inputs"] == {"file": of_file, "parts": [of_file, of_file]} and found["code"] == CODE
    assert {"python", "numpy", "pyarrow", "torch"} <= set(found["versions"])
    assert str(tmp_path) not in json.dumps(found) and "/anywhere" not in json.dumps(found)
    assert tables.read(tmp_path / "out.parquet", tables.POINTS)["x"].tolist() == [2.0, 3.0]


def test_the_same_job_elsewhere_writes_the_same_bytes_and_another_one_others(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (a_table(tmp_path / name).read_bytes() for name in "ab")
    assert one == two != a_table(tmp_path / "b", x=1).read_bytes()


def test_rules_of_one_script_have_other_records_and_a_rule_by_another_name_the_same(tmp_path):
    test, valid, renamed = (a_job(tmp_path) for _ in range(3))
    test.params["split"], valid.params["split"], renamed.rule = "test", "valid", "another"
    one, two, three = (record.build(job, SCRIPT, CODE) for job in (test, valid, renamed))
    assert one != two and one["split"] == "test"
    assert three == record.build(a_job(tmp_path), SCRIPT, CODE)


def test_weights_carry_it_beside_their_own_metadata(tmp_path):
    model, path = torch.nn.Linear(2, 2), tmp_path / "model.safetensors"
    with stamp.job(record=record.build(a_job(tmp_path), SCRIPT, CODE)):
        checkpoint.save(model, path, {"features": ["a"]})
    assert record.read(path)["rule"] == "draw_exact"
    assert weights.metadata(path)["features"] == ["a"]
    assert set(safetensors.numpy.load_file(path)) == {"weight", "bias"}


def test_without_a_job_there_is_no_record(tmp_path):
    tables.write(POINTS, tmp_path / "points.parquet", tables.POINTS)
    checkpoint.save(torch.nn.Linear(2, 2), tmp_path / "model.safetensors", {"features": ["a"]})
    (tmp_path / "figure.png").write_bytes(b"\x89PNG")
    for name in ("points.parquet", "model.safetensors", "figure.png"):
        with pytest.raises(InputError, match=f"{name}: carries no record"):
            record.read(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        record.read(tmp_path / "none.parquet")


def test_digests_tell_contents_and_not_records(tmp_path):
    one, two = a_table(tmp_path, "one.parquet"), a_table(tmp_path, "two.parquet", x=1)
    assert one.read_bytes() != two.read_bytes() and record.digest(one) == record.digest(two)
    with stamp.job(record=record.build(a_job(tmp_path), SCRIPT, CODE)):
        tables.write(POINTS | {"x": [2.0, 3.5]}, two, tables.POINTS)
        tables.write({"kernel": [], "step_size": [], "n_steps": [], "bias": [], "std_error": []}, one, tables.SWEEP)
    empty = tmp_path / "empty.parquet"
    with stamp.job(record=record.build(a_job(tmp_path), SCRIPT, CODE)):
        tables.write({"variant": [], "metric": [], "value": []}, empty, tables.LANGEVIN_METRICS)
    found = {record.digest(path) for path in (one, two, empty, a_table(tmp_path))}
    assert len(found) == 4  # columns without a row are told apart, too


def test_digests_of_weights_tell_tensors_and_features(tmp_path):
    torch.manual_seed(0)
    model, digests = torch.nn.Linear(2, 2), []
    for i, (features, settings, network) in enumerate(
        [(["a"], {}, model), (["a"], {"x": 1}, model), (["b"], {}, model), (["a"], {}, torch.nn.Linear(2, 2))]
    ):
        with stamp.job(record=record.build(a_job(tmp_path, **settings), SCRIPT, CODE)):
            checkpoint.save(network, tmp_path / f"{i}.safetensors", {"features": features})
        digests.append(record.digest(tmp_path / f"{i}.safetensors"))
    assert digests[0] == digests[1] and len(set(digests)) == 3


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff" * 40, b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
@pytest.mark.parametrize("suffix", ["parquet", "safetensors"])
def test_digests_of_broken_files_are_of_their_bytes(tmp_path, suffix, content):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    assert len(record.digest(path)) == 64


def test_a_record_is_printed_for_people(root, tmp_path):
    def explain(*arguments):
        command = [sys.executable, "-m", "scoredag.job.record", *arguments]
        return subprocess.run(command, cwd=root / "scripts", capture_output=True, text=True, check=False)

    shown = explain(a_table(tmp_path))
    assert shown.returncode == 0 and json.loads(shown.stdout)["rule"] == "draw_exact"
    for arguments in ([], [tmp_path / "in.csv"], [tmp_path / "none"]):
        refused = explain(*arguments)
        assert refused.returncode == 1 and refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
