"""The reader of PhysioNet 2012: hours, last values, records left out, and the one line for each bad file."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest

from scoredag.errors import InputError
from scoredag.intake import archives
from scoredag.series import physionet, windows

HEADER = "Time,Parameter,Value\n"
DESCRIPTORS = "00:00,RecordID,1\n00:00,Age,54\n00:00,Weight,-1\n"
ONE = HEADER + DESCRIPTORS + "00:07,HR,73\n00:37,HR,77\n01:59,Temp,35.1\n47:59,HR,60\n48:00,HR,1000\n"
TWO = HEADER + DESCRIPTORS + "00:00,ALP,-1\n05:00,MechVent,1\n05:00,Urine,0\n"
EMPTY = HEADER + DESCRIPTORS
COLUMN = {name: k for k, name in enumerate(physionet.FEATURES)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set-a.tar.gz"


@pytest.fixture
def read(path):
    """Read records, {name: text}, as if they were the archive's."""

    def read(records):
        with tarfile.open(path, "w:gz") as archive:
            for name, text in records.items():
                content = text if isinstance(text, bytes) else text.encode()
                header = tarfile.TarInfo(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        return physionet.read(path)

    return read


def test_series_are_48_hours_of_35_features_by_record_number(read):
    wide = read({"set-a/132540.txt": TWO, "set-a/132539.txt": ONE})
    assert wide.shape == (96, 35) and wide.columns.tolist() == list(physionet.FEATURES)
    assert wide.index.names == ["series", "time"]
    assert wide.index.get_level_values("series").tolist() == ["132539"] * 48 + ["132540"] * 48
    times = wide.loc["132540"].index
    assert len(times) == 48 and (np.diff(times) == pd.Timedelta("1h")).all()
    assert str(times.tz) == "UTC" and times.equals(wide.loc["132539"].index)


def test_the_last_value_of_an_hour_counts_and_nothing_from_hour_48_on(read):
    wide = read({"132539.txt": ONE})
    values = wide.to_numpy()
    assert values[0, COLUMN["HR"]] == 77 and values[1, COLUMN["Temp"]] == 35.1 and values[47, COLUMN["HR"]] == 60
    assert np.isfinite(values).sum() == 3


def test_other_parameters_are_left_out_and_odd_values_kept(read):
    values = read({"132540.txt": TWO}).to_numpy()
    assert values[0, COLUMN["ALP"]] == -1 and values[5, COLUMN["Urine"]] == 0
    assert np.isfinite(values).sum() == 2


def test_records_without_a_value_are_left_out_and_named(read, caplog):
    caplog.set_level("INFO")
    late = HEADER + "48:30,HR,80\n"
    wide = read({"132539.txt": ONE, "140501.txt": EMPTY, "141264.txt": late, "RECORDS": "132539\n"})
    assert set(wide.index.get_level_values("series")) == {"132539"}
    assert "2 of 3 records have no value, left out: 140501, 141264" in caplog.text
    assert "RECORDS is no record" in caplog.text


def test_lines_may_end_as_on_windows(read, path):
    one = read({"132539.txt": ONE})
    pd.testing.assert_frame_equal(read({"132539.txt": ONE.replace("\n", "\r\n")}), one)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({"a/132539.txt": ONE, "b/132539.txt": TWO}, ["b/132539.txt", "132539", "twice"]),
        ({"132539.txt": ONE.replace("77", "calm")}, ["132539.txt, line 6", "'calm'", "HR", "finite number"]),
        ({"132539.txt": ONE.replace("77", "inf")}, ["line 6", "'inf'"]),
        ({"132539.txt": ONE.replace("77", "")}, ["line 6", "''"]),
        ({"132539.txt": ONE.replace("77", "7,7")}, ["line 6", "'7,7'"]),
        ({"132539.txt": ONE.replace("00:37", "noon")}, ["line 6", "'noon,HR,77'", "time"]),
        ({"132539.txt": ONE + "\n"}, ["line 10", "''", "time"]),
        ({"132539.txt": ONE.removeprefix(HEADER)}, ["line 1", "'00:00,RecordID,1'", "Time,Parameter,Value"]),
        ({"132539.txt": ""}, ["line 1", "Time,Parameter,Value"]),
        ({"132539.txt": ONE.encode() + b"\xff"}, ["132539.txt", "UTF-8"]),
        ({"132539.txt": EMPTY}, ["1 records hold no value"]),
        ({"readme.md": ONE}, ["0 records", "132539.txt"]),
    ],
    ids=[
        "twice",
        "text",
        "inf",
        "empty",
        "comma",
        "time",
        "blank",
        "header",
        "nothing",
        "latin",
        "no value",
        "no record",
    ],
)
def test_a_bad_archive_is_refused_in_one_line(read, path, records, words):
    with pytest.raises(InputError) as caught:
        read(records)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    assert all(word in line for word in words), line


def test_an_archive_that_unpacks_to_too_much_is_refused(read, monkeypatch):
    monkeypatch.setattr(physionet, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="limit"):
        read({"132539.txt": ONE})


def test_contents_have_one_checksum_however_they_are_packed(read, path):
    read({"a/1.txt": ONE, "a/2.txt": TWO})
    one = archives.contents_sha256(path)
    read({"a/2.txt": TWO, "a/1.txt": ONE})
    assert archives.contents_sha256(path) == one
    archives.check_contents(path, one)
    archives.check_contents(path, None)
    read({"a/2.txt": ONE, "a/1.txt": TWO})
    with pytest.raises(InputError, match=rf"\A{path}: .*{one}"):
        archives.check_contents(path, one)


def test_set_a_is_what_the_paper_scored(mirror):
    """3,997 patients; with the first fold's 799 to test on, 25,718 targets at 10 % (rounded down, as there)."""
    path = mirror / "set-a.tar.gz"
    assert archives.contents_sha256(path) == "998cdda0813ade746f87a52bf195dea3e045de92a008fe921db65578f6df2848"
    wide = physionet.read(path)
    values = wide.to_numpy().reshape(-1, 48, 35)
    assert len(values) == 3997
    n_values = np.isfinite(values).sum((1, 2))
    tests = windows.deal_series(3997, (0.7, 0.1, 0.2), 1) == windows.SPLITS.index("test")
    assert tests.sum() == 799 and (n_values[tests] // 10).sum() == 25_718
    assert windows.statistics(wide, np.zeros(len(wide)), "all")["std"].gt(0).all()
