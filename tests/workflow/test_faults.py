"""What is wrong with a series or its download, all in one run: a line each, word for word, and nothing half-written."""

import errno
import gzip
import hashlib
import http.server
import os
import shutil
import socket
import ssl
import subprocess
import threading
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

HOURS = [f"2020-01-0{1 + i // 24}T{i % 24:02d}:00" for i in range(60)]
GOOD = "time,x,y\n" + "".join(f"{time}Z,{i},{i % 7}\n" for i, time in enumerate(HOURS))
WIDE = 10_000
EXPECTED = {
    "twice.csv": "column 'time', line 12: the time 2020-01-01 09:00:00+00:00 occurs twice; "
    "remove one, or name the column that tells the rows apart as 'group' or 'series'; "
    "or say which row counts, as duplicates: first (or last, or mean)",
    "zones.csv": "column 'time', line 12: '2020-01-01T10:00' has no offset from UTC, "
    "'2020-01-01T00:00Z' before it has one; write all alike",
    "text.csv": "column 'y', line 30: 'calm' is not a finite number; "
    """if it stands for a missing value, write missing: ["calm"]""",
    "blank.csv": "the feature 'y' has no value at all; leave its column or its rows out",
    "row.csv": "1 row; a series needs at least two",
    "short.csv": "20 steps in blocks of 8 (datasets.short.windows.block) give 1 train, 1 valid, 0 test windows; "
    "each split needs one: the series is too short; write length and block so small that the series is six times as "
    "long and a held_out whose runs fit",
    "broad.csv": "10000 features take about 0.002 GB of memory to read, and CSDI 7264 times as long as 18 features; "
    "name those that you need in 'features'",
    "latin.csv": "line 1 is not UTF-8 text; save it as UTF-8 (or say in the dataset what it is, as encoding: cp1252)",
    "empty.csv": "cannot be read as CSV (there is nothing on its first line); name the columns there",
    "bomb.csv.gz": "unpacks to more than 100 times its size, as a zip bomb does",
    "bomb.parquet": "unpacks to 8,388,608 rows of 2 columns, more than 100 times its size, as a zip bomb does",
    "bomb.zip": "unpacks to more than 100 times its size, as a zip bomb does",
}


def write_faults(folder):
    """A file for each of EXPECTED, and two that are well: one with its rows upside down, one with several offsets."""
    rows = GOOD.splitlines(keepends=True)
    texts = {
        "twice.csv": GOOD.replace("01T10:00Z", "01T09:00Z"),
        "zones.csv": GOOD.replace("01T10:00Z", "01T10:00"),
        "text.csv": "".join([*rows[:29], rows[29].replace(",0\n", ",calm\n"), *rows[30:]]),
        "blank.csv": "".join(row.rpartition(",")[0] + ",\n" for row in rows).replace("x,", "x,y", 1),
        "row.csv": "".join(rows[:2]),
        "short.csv": "".join(rows[:21]),
        "broad.csv": "".join(
            f"{key},{','.join(f'{letter}{i}' for i in range(WIDE))}\n"
            for key, letter in (("time", "x"), ("2020-01-01", ""), ("2020-01-02", ""))
        ),
        "latin.csv": GOOD.replace("y", "\N{DEGREE SIGN}F", 1),
        "empty.csv": "",
        "turned.csv": "".join([rows[0], *rows[:0:-1]]),
        "offsets.csv": GOOD.replace("01T10:00Z", "01T12:00+02:00"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="latin-1")
    (folder / "bomb.csv.gz").write_bytes(gzip.compress(GOOD.encode()) + gzip.compress(bytes(1 << 24)) * 9)
    zeros = pa.array(np.zeros(1 << 23))
    pq.write_table(
        pa.table({"time": zeros.cast(pa.int64()).cast(pa.timestamp("us")), "x": zeros}), folder / "bomb.parquet"
    )
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set-a/1.txt", bytes(1 << 27))
    return [*EXPECTED, "turned.csv", "offsets.csv"]


def run(project, entries, targets, **environment):
    """Ask for targets, going on whatever fails; the lines of errors, sorted, and the files below results/."""
    (project.folder / "mine.yaml").write_text(yaml.safe_dump({"datasets": entries}), encoding="utf-8")
    done = project.snakemake("--keep-going", *targets, configfiles=("mine.yaml",), **environment)
    assert done.returncode != 0 and "Traceback" not in done.stdout, done.stdout
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith(("error: ", "config: "))]
    results = project.folder / "results"
    return sorted(lines), {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}


def test_each_bad_table_is_one_line_and_leaves_nothing(project):
    names = {name.split(".")[0] + name.split(".")[-1]: name for name in write_faults(project.folder)}
    names["short"] = names.pop("shortcsv")
    readers = {key: "physionet-2012" if name.endswith("zip") else "csv" for key, name in names.items()}
    entries = {key: {"reader": readers[key], "file": name} for key, name in names.items()}
    targets = [f"results/datasets/{key}/series.parquet" for key in entries] + ["results/datasets/short/windows.parquet"]
    lines, files = run(project, entries, targets)
    assert lines == sorted(f"error: {name}: {line}" for name, line in EXPECTED.items())
    read = ("short", "turnedcsv", "offsetscsv")
    assert files == {f"datasets/{key}/series.parquet" for key in read}
    one, two = (pd.read_parquet(project.folder / f"results/datasets/{key}/series.parquet") for key in read[1:])
    pd.testing.assert_frame_equal(one, two)
    assert one["value"].tolist() == [value for i in range(60) for value in (i, i % 7)]
    log = (project.folder / "logs/datasets/turnedcsv/tidy_series.log").read_text(encoding="utf-8")
    assert "turned.csv: line 3 is earlier than the one before; sorted by time" in log


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves GOOD, or half of it, or another file, or nothing."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/absent.csv":
            self.send_error(404)
            return
        content = {"/other.csv": b"<html>Please log in</html>"}.get(self.path, GOOD.encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path == "/half.csv" else content)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    """An https server on this machine, and the file of its certificate."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not there")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    server.asked = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server, certificate
    server.shutdown()
    server.server_close()


def test_each_bad_download_is_one_line_and_leaves_nothing(project, server):
    server, certificate = server
    sha256 = hashlib.sha256(GOOD.encode()).hexdigest()
    another = hashlib.sha256(b"<html>Please log in</html>").hexdigest()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    refused = f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
    own, none = (f"https://127.0.0.1:{port}" for port in (server.server_port, closed_port))
    gave = {
        "absent.csv": (own, "404 Not Found"),
        "half.csv": (own, "the connection broke off (5 attempts)"),
        "other.csv": (own, f"another file, with sha256 {another}"),
        "none.csv": (
            none,
            f"no connection: Failed to establish a new connection: {refused} (5 attempts)",
        ),
    }
    urls = {name: f"{host}/{name}" for name, (host, _) in gave.items()} | {"good.csv": f"{own}/good.csv"}
    entries = {
        name.split(".")[0]: {"reader": "csv", "file": name, "url": url, "sha256": sha256} for name, url in urls.items()
    }
    targets = [f"results/datasets/{key}/series.parquet" for key in entries]
    environment = {"REQUESTS_CA_BUNDLE": str(certificate), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    lines, files = run(project, entries, targets, SCOREDAG_MIRROR="", **environment)
    cure = "put the file into the mirror folder"
    assert lines == sorted(
        f"error: results/downloads/{name}: no source has the file with sha256 {sha256}; {urls[name]}: {reason}; {cure}"
        for name, (_, reason) in gave.items()
    )
    assert files == {"downloads/good.csv", "datasets/good/series.parquet"}
    assert (project.folder / "results/downloads/good.csv").read_bytes() == GOOD.encode()
    assert server.asked.count("/half.csv") == 5 and server.asked.count("/absent.csv") == 1
