"""The ground floor: Parquet tables, whole files, log files, random streams."""

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import platform
import struct
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoredag import streams
from scoredag.errors import InputError
from scoredag.job import logs
from scoredag.store import files, tables

TIMES = pd.to_datetime(["2020-01-01T00:00Z", "2020-01-01T00:00Z", "2020-06-01T12:30:00.000001Z"], format="ISO8601")
COLUMNS = {
    "component": [0, 1, 2],
    "weight": [0.1, 0.2, 0.7],
    **{name: np.array([0.1, -1e300, 5e-324]) for name in ("mean_x", "mean_y", "cov_xx", "cov_xy", "cov_yy", "x", "y")},
    "particle": [0, 1, 2**40],
    "step": [0, 5, 7],
    "variant": ["a", "b", "c"],
    "metric": ["mae", "crps", "\N{GREEK SMALL LETTER TAU}"],
    "value": [1.5, np.nan, -2.0],
    "lower": [0.5, np.nan, -3.0],
    "upper": [2.5, np.nan, np.inf],
    "imputed": [True, False, True],
    "quality": pd.Categorical(["short gap", "observed", "long gap"]),
    "time": TIMES,
    "start": TIMES,
    "feature": pd.Categorical(["wind", "temp", "wind"], categories=["wind", "temp"]),
    "role": pd.Categorical(["observed", "target", "missing"]),
    "split": ["train", "train", "valid"],
    "window": [0, 0, 1],
    "mean": [1.0, 2.0, 3.0],
    "std": [1.0, 2.0, 3.0],
    "missing_fraction": [0.0, 0.5, 1.0],
    "epoch": [0.0, 0.5, 1.0],
    "loss": [3.0, 2.0, np.nan],
    "learning_rate": [1e-3, 1e-4, 0.0],
    "held_out": pd.Categorical(["random-10", "blocks-6", "blocks-6"], categories=["random-10", "blocks-6"]),
    "method": ["csdi", "mean", "linear"],
    "n_targets": [1, 2, 3],
    "n_samples": [100, 1, 1],
    "n_draws": [16, 16, 16],
    "nll_bound": [-2.5, 0.5, 30.0],
    "nll_bound_std_error": [0.1, 0.2, 0.3],
    "gaussian_nll": [-0.5, 1.5, np.nan],
}
SCHEMAS = {
    name: getattr(tables, name)
    for name in (
        "GMM", "POINTS", "PARTICLES", "LANGEVIN_METRICS", "SERIES", "WINDOWS", "WINDOW_STARTS", "STATISTICS", "HISTORY",
        "CSDI_METRICS", "IMPUTED", "WINDOW_SCORES",
    )
}  # fmt: skip
POINTS = {"particle": [0, 1], "x": [0.5, 1.5], "y": [2.5, 3.5]}


def example(schema):
    return pd.DataFrame({name: COLUMNS[name] for name in schema.names})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "table.parquet"


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert str(word) in line


@pytest.mark.parametrize("name", SCHEMAS)
def test_table_round_trip_keeps_every_value(path, name):
    frame = example(SCHEMAS[name])
    tables.write(frame, path, SCHEMAS[name])
    found = tables.read(path, SCHEMAS[name])
    assert list(found.columns) == list(frame.columns)
    for column in frame:
        if isinstance(frame[column].iloc[0], float):
            np.testing.assert_array_equal(found[column], frame[column])
            assert found[column].dtype == np.float64
        else:
            assert found[column].tolist() == frame[column].tolist()


@pytest.mark.parametrize("name", SCHEMAS)
def test_file_has_exactly_the_schema(path, name):
    tables.write(example(SCHEMAS[name]).assign(extra=1), path, SCHEMAS[name])
    assert pq.read_schema(path).remove_metadata().equals(SCHEMAS[name])


def test_table_from_a_dict_of_columns_is_the_same(path):
    tables.write(example(tables.GMM), path, tables.GMM)
    expected = path.read_bytes()
    tables.write({name: COLUMNS[name] for name in reversed(tables.GMM.names)}, path, tables.GMM)
    assert path.read_bytes() == expected


def test_missing_values_of_a_series_are_null_in_the_file(path):
    tables.write(example(tables.SERIES), path, tables.SERIES)
    assert pq.read_table(path)["value"].null_count == 1


def test_a_window_without_a_pattern_has_null(path):
    patterns = pd.Categorical([None, "random-10", None], categories=["random-10", "blocks-6"])
    tables.write(example(tables.WINDOW_STARTS).assign(held_out=patterns), path, tables.WINDOW_STARTS)
    found = tables.read(path, tables.WINDOW_STARTS)["held_out"]
    assert found.isna().tolist() == [True, False, True] and found[1] == "random-10"
    assert pq.read_table(path)["held_out"].null_count == 2


def test_table_without_rows_round_trips(path):
    tables.write(example(tables.GMM)[:0], path, tables.GMM)
    assert tables.read(path, tables.GMM).shape == (0, 7)


def test_parts_are_one_table(path):
    with tables.writing(path, tables.POINTS) as write_part:
        write_part(POINTS)
        write_part({"particle": [2], "x": [9.0], "y": [8.0]})
        assert not path.exists()
    assert tables.read(path, tables.POINTS)["x"].tolist() == [0.5, 1.5, 9.0]


def test_read_keeps_the_asked_columns_and_rows(path):
    tables.write(example(tables.WINDOWS), path, tables.WINDOWS)
    found = tables.read(path, tables.WINDOWS, columns=["window", "value"], filters=[("split", "==", "train")])
    assert list(found.columns) == ["window", "value"]
    assert found["window"].tolist() == [0, 0]


@pytest.mark.parametrize("name", SCHEMAS)
def test_two_writes_give_the_same_bytes(tmp_path, name):
    for copy in ("one.parquet", "two.parquet"):
        tables.write(example(SCHEMAS[name]), tmp_path / copy, SCHEMAS[name])
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.parametrize("kept", ["imputations", "series"])
def test_other_columns_are_refused_with_what_was_expected(path, kept):
    schema = {"imputations": tables.imputations(2), "series": tables.SERIES}[kept]
    tables.write(POINTS, path, tables.POINTS)
    read = {"imputations": lambda: tables.read_imputations(path), "series": lambda: tables.read(path, schema)}[kept]
    refused(read, path, "particle, x, y", ", ".join(schema.names))


def test_columns_of_another_type_are_refused(path):
    frame = pd.DataFrame({name: ["a", "b"] for name in tables.POINTS.names})
    path.parent.mkdir()
    frame.to_parquet(path, index=False)
    refused(lambda: tables.read(path, tables.POINTS), path)


def truncated(content):
    return content[: len(content) // 2]


def without_its_end(content):
    return content[:-6]


def overwritten_at_the_start(content):
    return content[:4] + b"\xff" * 40 + content[44:]


@pytest.mark.parametrize(
    "damage",
    [truncated, without_its_end, overwritten_at_the_start, lambda _: b"", lambda _: b"particle,x,y\n0,1,2\n"],
    ids=["truncated", "without its end", "overwritten", "empty", "text"],
)
def test_damaged_file_is_refused(path, damage):
    tables.write(POINTS, path, tables.POINTS)
    path.write_bytes(damage(path.read_bytes()))
    refused(lambda: tables.read(path, tables.POINTS), path, "delete it and rerun")


def test_missing_file_is_refused(path):
    refused(lambda: tables.read(path, tables.POINTS), path)


def write_half(path):
    with tables.writing(path, tables.POINTS) as write_part:
        write_part(POINTS)
        raise RuntimeError("in the middle")


def write_without_y(path):
    tables.write({"particle": [1], "x": [2.0]}, path, tables.POINTS)


def write_text(path):
    tables.write(POINTS | {"x": ["a", "b"]}, path, tables.POINTS)


def replace_half(path):
    with files.replacing(path) as partial:
        partial.write_bytes(b"half of")
        raise RuntimeError("in the middle")


FAILING_WRITES = pytest.mark.parametrize(
    ("write", "error"),
    [(write_half, RuntimeError), (write_without_y, KeyError), (write_text, ValueError), (replace_half, RuntimeError)],
)


@FAILING_WRITES
def test_failed_write_leaves_nothing_behind(path, write, error):
    with pytest.raises(error):
        write(path)
    assert list(path.parent.iterdir()) == []


@FAILING_WRITES
def test_failed_write_leaves_the_old_file_untouched(path, write, error):
    path.parent.mkdir()
    path.write_bytes(b"the old one")
    with pytest.raises(error):
        write(path)
    assert path.read_bytes() == b"the old one"
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_write_leaves_nothing_behind(path):
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as partial:
        partial.write_bytes(b"half of")
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_replacing_gives_a_path_beside_with_the_same_suffix(path):
    with files.replacing(path) as partial:
        assert partial.parent == path.parent
        assert partial.suffix == ".parquet"
        assert partial != path
        partial.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def imputed(n, first_window=0):
    rng = np.random.default_rng(first_window)
    return pd.DataFrame(
        {
            "window": np.arange(first_window, first_window + n),
            "step": np.arange(n),
            "feature": pd.Categorical(["wind", "temp"] * (n // 2), categories=["temp", "wind"]),
            "truth": rng.normal(size=n),
            "samples": list(rng.normal(size=(n, 5)).astype(np.float32)),
        }
    )


def test_imputations_round_trip_as_targets_and_a_matrix(path):
    parts = [imputed(4), imputed(6, 10)]
    with tables.writing(path, tables.imputations(5)) as write_part:
        for part in parts:
            write_part(part)
    targets, samples = tables.read_imputations(path)
    frame = pd.concat(parts, ignore_index=True)
    assert list(targets.columns) == ["window", "step", "feature", "truth"]
    for name in targets:
        assert targets[name].tolist() == frame[name].tolist()
    assert samples.shape == (5, 10)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, np.stack(frame["samples"].tolist(), axis=1))


def test_imputations_without_targets_round_trip(path):
    tables.write(imputed(4)[:0], path, tables.imputations(5))
    targets, samples = tables.read_imputations(path)
    assert len(targets) == 0
    assert samples.shape[1] == 0


def test_a_part_without_targets_is_no_row(path):
    frame = imputed(4)
    with tables.writing(path, tables.imputations(5)) as write_part:
        write_part(frame[:0].drop(columns="samples").assign(samples=[]))
        write_part(frame)
    assert len(tables.read_imputations(path)[0]) == 4


def test_imputations_with_another_number_of_samples_are_not_written(path):
    with pytest.raises(ValueError):
        tables.write(imputed(4), path, tables.imputations(6))
    assert not path.exists()


def test_file_with_the_right_sha256_passes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    files.check_sha256(path, hashlib.sha256(b"abc" * 100_000).hexdigest())


def test_file_with_another_sha256_is_refused_with_both(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    refused(
        lambda: files.check_sha256(path, "0" * 64),
        path,
        "0" * 64,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )


def test_without_a_sha256_anything_goes(tmp_path):
    files.check_sha256(tmp_path / "there is none", None)


def test_a_flipped_bit_is_reported_wherever_it_is_in_a_page(path):
    tables.write({"particle": [1, 2], "x": [2.0, 3.0], "y": [0.0, 1.0]}, path, tables.POINTS)
    content = path.read_bytes()
    (footer,) = struct.unpack("<I4x", content[-8:])
    end_of_pages = len(content) - 8 - footer
    n_told = 0
    for place in range(end_of_pages):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            table = tables.read(path, tables.POINTS, filters=[("particle", ">", 1)])
        except InputError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            n_told += 1
        else:
            assert table["x"].tolist() == [3.0]
    assert n_told > 0.6 * end_of_pages  # headers of pages, most of so small a file, hold statistics too


def test_remains_of_killed_processes_are_removed_and_those_of_others_stay(path):
    path.parent.mkdir()
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    owners = [(platform.node(), int(ended.stdout)), (platform.node(), os.getppid()), ("n2", int(ended.stdout))]
    remains, anothers, elsewhere = (path.with_name(f".{path.stem}.{host}.{id}.part.parquet") for host, id in owners)
    for partial in (remains, anothers, elsewhere):
        partial.write_bytes(b"half of")
    with files.replacing(path) as partial:
        partial.write_bytes(b"new")
    assert set(path.parent.iterdir()) == {path, anothers, elsewhere}


def test_a_job_that_was_started_again_writes_nothing_any_more(path, log_path):
    with pytest.raises(SystemExit), logs.to_file(log_path):
        log_path.unlink()
        with files.replacing(path) as partial:
            partial.write_bytes(b"a deleted log is nobody's")
        log_path.write_text("the later one's")
        with files.replacing(path) as partial:
            partial.write_bytes(b"too late")
    assert path.read_bytes() == b"a deleted log is nobody's"
    assert log_path.read_text() == "the later one's"


def test_a_later_job_is_told_by_what_its_log_says(path, log_path):
    """Over NFS a new file may have the number of the one before, and times that are as old."""
    with pytest.raises(SystemExit), logs.to_file(log_path):
        line = log_path.read_bytes()
        log_path.write_bytes(line.replace(b"job", b"JOB"))  # the same file, as long as before
        with files.replacing(path) as partial:
            partial.write_bytes(b"too late")
    assert not path.exists()
    assert said(log_path).endswith("a later run has started this job again; this one wrote nothing\n")


FULL = """
import resource, sys
from scoredag.job import logs
from scoredag.store import tables
from scoredag.csdi import resume
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
with logs.to_file(sys.argv[1]):
    if sys.argv[3] == "table":
        tables.write({"particle": range(5000), "x": [0.1] * 5000, "y": [0.2] * 5000}, sys.argv[2], tables.POINTS)
    else:
        resume.Store(sys.argv[2], "key").save({"x": list(range(5000))})
"""


@pytest.mark.parametrize("what", ["table", "state"])
def test_no_room_is_one_line(root, path, log_path, what):
    command = [sys.executable, "-c", FULL, log_path, path, what]
    # or Python would cut the bytecode of what it imports late, for good
    environment = {"PYTHONPATH": str(root / "scripts"), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, env=environment, check=False)
    assert ended.returncode == 1
    assert said(log_path) == f"error: {path}: cannot be written (File too large)\n"
    assert list(path.parent.iterdir()) == []


def test_missing_file_has_no_sha256(tmp_path):
    refused(lambda: files.check_sha256(tmp_path / "none", "0" * 64), tmp_path / "none")


@pytest.fixture
def log_path(tmp_path):
    """A log file's path; the handlers that `logs.to_file` leaves to the process are put back."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    with warnings.catch_warnings():
        yield tmp_path / "logs" / "job.log"
        logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def said(log):
    """What a log says after the line by which the job claims its outputs."""
    return log.read_text().partition("\n")[2]


def test_what_a_job_says_goes_to_its_log(log_path, capfd):
    with logs.to_file(log_path):
        print("printed")
        logging.getLogger("scoredag.x").info("logged %d", 5)
        warnings.warn("careful", stacklevel=1)
        print("to stderr", file=sys.stderr)
    text = log_path.read_text()
    for words in ("printed\n", "logged 5\n", "careful", "to stderr\n"):
        assert words in text
    assert capfd.readouterr() == ("", "")


def test_log_of_an_earlier_run_is_replaced(log_path):
    for words in ("first", "second"):
        with logs.to_file(log_path):
            print(words)
    assert said(log_path) == "second\n"


def test_input_error_ends_in_one_line(log_path):
    with pytest.raises(SystemExit) as ended, logs.to_file(log_path):
        raise InputError("x.csv: has no time")
    assert ended.value.code == 1
    assert said(log_path) == "error: x.csv: has no time\n"


def test_input_error_from_another_error_shows_no_traceback(log_path):
    with pytest.raises(SystemExit), logs.to_file(log_path):
        logging.info("reading")
        try:
            float("abc")
        except ValueError as error:
            raise InputError("x.csv: 'abc' is not a number") from error
    assert said(log_path) == "reading\nerror: x.csv: 'abc' is not a number\n"


def test_another_exception_leaves_its_traceback(log_path):
    with pytest.raises(SystemExit) as ended, logs.to_file(log_path):
        {}["no such key"]
    assert ended.value.code == 1
    text = log_path.read_text()
    assert "Traceback" in text
    assert "KeyError: 'no such key'" in text
    assert "in test_another_exception" in text


def test_output_is_given_back_after_an_error(log_path, capsys):
    with contextlib.suppress(SystemExit), logs.to_file(log_path):
        raise InputError("x")
    print("afterwards")
    assert capsys.readouterr().out == "afterwards\n"


def test_progress_says_nothing_without_a_terminal(capfd):
    with logs.progress("moving", 3, "step") as bar:
        for _ in range(3):
            bar.set_postfix_str("loss 0.1")
            bar.update()
    assert capfd.readouterr() == ("", "")


def test_row_groups_do_not_tell_how_the_table_came(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    whole = pd.DataFrame({"particle": range(34), "x": np.arange(34.0), "y": np.zeros(34)})
    for name, size in (("a", 34), ("b", 3), ("c", 10)):
        with tables.writing(tmp_path / name, tables.POINTS) as write:
            for first in range(0, 34, size):
                write(whole[first : first + size])
    contents = {(tmp_path / name).read_bytes() for name in "abc"}
    assert len(contents) == 1
    pd.testing.assert_frame_equal(tables.read(tmp_path / "a", tables.POINTS), whole)


def test_joined_tables_have_the_bytes_of_one_that_was_written_whole(tmp_path, monkeypatch):
    """Also where a table is empty, or lacks some names of a column."""
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    rows = imputed(34)
    rows.loc[:12, "feature"] = "wind"
    for schema, frame in ((tables.imputations(5), rows), (tables.PARTICLES, rows.assign(particle=1, x=0.5, y=np.nan))):
        tables.write(frame, tmp_path / "whole", schema)
        ends = [0, 12, 12, 19, 34]
        for number, part in enumerate(frame[first:last] for first, last in itertools.pairwise(ends)):
            tables.write(part, tmp_path / str(number), schema)
        tables.join([tmp_path / str(number) for number in range(4)], tmp_path / "joined")
        assert (tmp_path / "joined").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("by", [False, True])
def test_a_full_disk_is_no_fault_of_the_tables_that_are_joined(tmp_path, monkeypatch, by):
    monkeypatch.setattr(tables, "ROW_GROUP", 10)  # so that rows are written while the next are read
    schema, parts = tables.imputations(5), [tmp_path / "0", tmp_path / "1"]
    for part in parts:
        tables.write(imputed(34), part, schema)

    def full(self, *rows):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(InputError, match=r"joined: cannot be written \(No space left on device\)$"):
        if by:
            tables.join_by(parts, tmp_path / "joined", schema, [{"feature": "wind"}, {"feature": "temp"}])
        else:
            tables.join(parts, tmp_path / "joined")
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}


def test_ranges_are_those_of_a_column_and_of_names(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    path = tmp_path / "imputed.parquet"
    frame = imputed(34).assign(window=np.arange(34) // 3)
    tables.write(frame, path, tables.imputations(5))
    ends = [(0, 2), (5, 5), (5, 40), (50, 60)]
    found = list(tables.ranges(path, tables.imputations(5), "window", ends, columns=["truth"], feature="wind"))
    for (first, last), part in zip(ends, found, strict=True):
        expected = frame[frame["window"].between(first, last) & (frame["feature"] == "wind")]
        assert list(part.columns) == ["truth"] and part["truth"].tolist() == expected["truth"].tolist()
    for (first, last), (targets, samples) in zip(ends, tables.imputation_ranges(path, ends), strict=True):
        which = frame["window"].between(first, last)
        assert targets["step"].tolist() == frame.loc[which, "step"].tolist()
        assert samples.T.tolist() == [list(row) for row in frame.loc[which, "samples"]]
    targets, samples = tables.read_imputations(path, [1, 7])
    assert targets["window"].tolist() == [1, 1, 1, 7, 7, 7] and samples.shape == (5, 6)


def test_targets_are_counted_by_window(tmp_path, monkeypatch):
    """Also where a window's rows are in two row groups."""
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    path = tmp_path / "imputed.parquet"
    tables.write(imputed(34).assign(window=np.repeat([3, 4, 9], [4, 25, 5])), path, tables.imputations(5))
    assert [part.tolist() for part in tables.n_targets(path)] == [[3, 4, 9], [4, 25, 5]]
    tables.write(imputed(4)[:0], path, tables.imputations(5))
    assert [part.tolist() for part in tables.n_targets(path)] == [[], []]


KEYS = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), ("a", 1, 2), ("a", 12), (1,), (2,)]


def test_columns_are_those_of_the_whole():
    whole = streams.generator(3, "a").random((5, 40))
    np.testing.assert_array_equal(streams.columns((5, 40), 7, 20, 3, "a"), whole[:, 7:27])


def test_seeds_of_other_keys_differ():
    assert len({streams.seed(root, *key) for root in (0, 1, 2**70) for key in KEYS}) == 3 * len(KEYS)


def test_seeds_fit_in_63_bits():
    seeds = [streams.seed(1, "block", i) for i in range(500)]
    assert all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


def test_seed_of_a_key_never_changes():
    """What is on disk comes from these numbers: another one would change every result."""
    assert streams.seed(1, "block", 0) == 2475841605317698880
    assert streams.seed(0) == 5254295370254170289


def test_same_key_gives_the_same_numbers():
    one, same, other = (streams.generator(7, "block", i).normal(size=100) for i in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.isin(one, other).any()
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("total", "size", "told"),
    [(10, 5, [5, 10]), (25, 1, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]), (3, 1, [1, 2, 3])],
)
def test_the_log_tells_of_every_tenth(caplog, total, size, told):
    with caplog.at_level(logging.INFO):
        for first in range(0, total, size):
            logs.tenths(slice(first, min(first + size, total)), total, "windows")
    assert caplog.messages == [f"{done} of {total} windows" for done in told]


def test_root_gives_other_numbers():
    assert not np.isin(streams.generator(7, "a").normal(size=100), streams.generator(8, "a").normal(size=100)).any()


@pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8])
def test_an_integer_of_numpy_is_the_same_key(integer):
    assert streams.seed(integer(5), "block", integer(3)) == streams.seed(5, "block", 3)


@pytest.mark.parametrize("name", ["SERIES", "WINDOW_STARTS"])
def test_tables_of_series_may_name_the_series(path, name):
    schema = SCHEMAS[name]
    frame = example(schema)
    frame.insert(0, "series", pd.Categorical(["p2", "p2", "p1"], categories=["p2", "p1"]))
    tables.write(frame, path, schema)
    found = tables.read(path, schema)
    assert list(found.columns) == ["series", *schema.names]
    assert found["series"].tolist() == ["p2", "p2", "p1"] and list(found["series"].cat.categories) == ["p2", "p1"]
    refused(lambda: tables.read(path, tables.STATISTICS), path, "series, ")


def test_other_tables_take_no_series(path):
    tables.write(POINTS | {"series": ["a", "b"]}, path, tables.POINTS)
    assert pq.read_schema(path).names == tables.POINTS.names


def test_batches_give_the_table_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 100)
    table = pd.DataFrame({"particle": np.arange(250), "step": 7, "x": np.arange(250.0), "y": -1.0})
    path = tmp_path / "particles.parquet"
    tables.write(table, path, tables.PARTICLES)
    parts = list(tables.batches(path, tables.PARTICLES))
    assert [len(part) for part in parts] == [100, 100, 50]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), table)
    assert [list(part.columns) for part in tables.batches(path, tables.PARTICLES, ["x"])] == [["x"]] * 3
    with pytest.raises(InputError, match="columns are"):
        next(tables.batches(path, tables.POINTS))


@pytest.mark.parametrize("read", ["batches", "ranges"])
def test_no_more_than_a_part_of_a_table_is_in_memory(tmp_path, monkeypatch, read):
    monkeypatch.setattr(tables, "ROW_GROUP", 5000)
    n, path = 300_000, tmp_path / "particles.parquet"
    table = {
        "particle": np.arange(n),
        "step": np.zeros(n, int),
        "x": np.random.default_rng(0).random(n),
        "y": np.zeros(n),
    }
    tables.write(table, path, tables.PARTICLES)
    size, before = path.stat().st_size, pa.total_allocated_bytes()
    ends = [(first, first + 999) for first in range(0, n, 1000)]
    parts = {
        "batches": lambda: tables.batches(path, tables.PARTICLES),
        "ranges": lambda: tables.ranges(path, tables.PARTICLES, "particle", ends),
    }
    most = [pa.total_allocated_bytes() - before for _ in parts[read]()]
    assert size > 2_000_000 and max(most) < size / 4


def test_the_greatest_value_comes_from_all_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 10)
    path = tmp_path / "particles.parquet"
    step = np.concatenate([np.arange(15), np.arange(15)])
    tables.write({"particle": step, "step": step, "x": step * 1.0, "y": step * 1.0}, path, tables.PARTICLES)
    assert tables.greatest(path, "step") == 14


@pytest.mark.parametrize("rows", [[("a", "m", 1.0), ("b", "m", 2.0)], []])
def test_rows_are_written_as_columns(tmp_path, rows):
    path = tmp_path / "metrics.parquet"
    tables.write_rows(rows, path, tables.LANGEVIN_METRICS)
    assert list(tables.read(path, tables.LANGEVIN_METRICS).itertuples(index=False, name=None)) == rows
