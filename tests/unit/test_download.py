"""Files from this machine or a server on it: the right one, or nothing and one line."""

import hashlib
import http.server
import io
import logging
import os
import socket
import threading
import time
import zipfile

import pytest

from scoredag.errors import InputError
from scoredag.intake import downloads

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HOST = "127.0.0.1"
ATTEMPTS = 1 + downloads.RETRIES


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /right.bin, and trouble elsewhere."""

    def do_GET(self):
        self.server.asked.append(self.path)
        times = self.server.asked.count(self.path)
        match self.path.strip("/").removesuffix(".bin"):
            case "absent":
                self.send_error(404)
            case "busy" if times < 3:
                self.send_error(503)
            case "down":
                self.send_error(500)
            case "wrong":
                self.answer(b"something else")
            case "broken":
                self.answer(CONTENT, n_sent=100_000)
            case "dropped" if times == 1:
                self.answer(CONTENT, n_sent=100_000)
            case "unsized":
                self.answer(CONTENT, n_sent=100_000, length=None)
            case "silent":
                self.server.released.wait(20)
            case "stalled":
                self.answer(CONTENT, n_sent=100_000)
                self.server.released.wait(20)
            case "closed":
                self.close_connection = True
            case "moved":
                self.redirect(f"http://{HOST}:{self.server.server_port}/right.bin")
            case "elsewhere":
                self.redirect(f"http://localhost:{self.server.server_port}/right.bin")
            case "round":
                self.redirect("/round.bin")
            case _:
                self.answer(CONTENT)

    def answer(self, body, n_sent=None, length=""):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:n_sent])

    def redirect(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def running():
    server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def waits(monkeypatch):
    """The seconds between attempts, which nobody waits."""
    waits = []
    monkeypatch.setattr("pooch.core.time.sleep", waits.append)
    return waits


@pytest.fixture
def server(running, waits, monkeypatch):
    """The server, with no waiting between attempts and no proxy before it."""
    monkeypatch.setenv("NO_PROXY", f"{HOST},localhost")
    monkeypatch.setenv("no_proxy", f"{HOST},localhost")
    running.asked = []
    running.released = threading.Event()
    yield running
    running.released.set()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "file.bin"


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


def address(server, name):
    return f"http://{HOST}:{server.server_port}/{name}.bin"


def fetch(path, **options):
    downloads.fetch(path, sha256=SHA256, insecure_hosts=(HOST,), **options)


def came(path):
    """The right file is there, and nothing beside it."""
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def refused(path, *words, **options):
    """One line that holds the words, and a folder as it was."""
    before = {entry: entry.read_bytes() for entry in path.parent.iterdir()} if path.parent.exists() else {}
    with pytest.raises(InputError) as caught:
        fetch(path, **options)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    for word in (SHA256, *words):
        assert str(word) in line
    assert {entry: entry.read_bytes() for entry in path.parent.iterdir()} == before
    return line


def test_file_in_the_mirror_is_copied_and_nothing_is_asked(path, mirror, server):
    (mirror / "file.bin").write_bytes(CONTENT)
    fetch(path, url=address(server, "right"), mirror=mirror)
    came(path)
    assert (mirror / "file.bin").read_bytes() == CONTENT
    assert server.asked == []


def test_the_file_at_hand_goes_before_the_mirror(path, mirror, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for folder in (mirror, tmp_path):
        (folder / "file.bin").write_bytes(CONTENT)
    fetch(path, local=tmp_path / "file.bin", mirror=mirror)
    came(path)
    assert f"from {tmp_path / 'file.bin'}" in caplog.text and str(mirror) not in caplog.text


def test_the_sha256_counts_and_not_the_source(path, mirror, tmp_path, server, caplog):
    """Two other files and a missing one are told in the log; the right one comes last."""
    (tmp_path / "file.bin").write_bytes(b"by hand")
    (mirror / "file.bin").write_bytes(CONTENT[:-1])
    urls = [address(server, name) for name in ("absent", "wrong", "right", "down")]
    fetch(path, local=tmp_path / "file.bin", mirror=mirror, url=urls)
    came(path)
    assert server.asked == ["/absent.bin", "/wrong.bin", "/right.bin"]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.split(": ")[0] for line in told] == [
        str(tmp_path / "file.bin"),
        str(mirror / "file.bin"),
        *urls[:2],
    ]
    assert hashlib.sha256(CONTENT[:-1]).hexdigest() in told[1] and "404" in told[2]


def test_when_no_source_is_left_the_line_says_what_each_gave(path, mirror, server):
    (mirror / "file.bin").write_bytes(CONTENT[:-1])
    urls = [address(server, name) for name in ("absent", "wrong")]
    found = [hashlib.sha256(content).hexdigest() for content in (CONTENT[:-1], b"something else")]
    line = refused(
        path,
        f"{mirror / 'file.bin'}: another file, with sha256 {found[0]}",
        f"{urls[0]}: 404 Not Found",
        f"{urls[1]}: another file, with sha256 {found[1]}",
        url=urls,
        mirror=mirror,
    )
    assert line.endswith("put the file into the mirror folder")


@pytest.mark.parametrize("folder", ["mirror", "none"])
def test_file_not_in_the_mirror_comes_from_the_server(path, mirror, server, folder):
    (mirror / "another.bin").write_bytes(CONTENT)
    fetch(path, url=address(server, "right"), mirror=mirror.with_name(folder))
    came(path)
    assert server.asked == ["/right.bin"]


def test_file_from_the_server_arrives_alone_and_replaces_an_old_one(path, server):
    path.parent.mkdir()
    path.write_bytes(b"old")
    fetch(path, url=address(server, "right"))
    came(path)


def test_file_from_the_server_can_be_read_by_those_who_can_read_other_files(path, tmp_path, server):
    (tmp_path / "other").write_bytes(b"")
    fetch(path, url=address(server, "right"))
    assert oct(os.stat(path).st_mode) == oct(os.stat(tmp_path / "other").st_mode)


def test_a_server_that_fails_twice_is_asked_again_with_growing_waits(path, server, waits):
    fetch(path, url=address(server, "busy"))
    came(path)
    assert len(server.asked) == 3
    assert waits == [1, 2]


def test_a_download_that_drops_starts_afresh(path, server):
    fetch(path, url=address(server, "dropped"))
    came(path)
    assert len(server.asked) == 2


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(
    ("name", "words", "attempts"),
    [
        ("wrong", "another file", 1),
        ("absent", "404 Not Found", 1),
        ("down", f"500 Internal Server Error ({ATTEMPTS} attempts)", ATTEMPTS),
        ("broken", f"the connection broke off ({ATTEMPTS} attempts)", ATTEMPTS),
        ("unsized", f"({ATTEMPTS} attempts)", ATTEMPTS),
        ("closed", "the connection broke off", ATTEMPTS),
        ("silent", "no answer for 0.2 s", ATTEMPTS),
        ("stalled", "no answer for 0.2 s", ATTEMPTS),
        ("round", "redirects", 31),
    ],
)
def test_failed_download_leaves_the_folder_as_it_was(path, server, name, words, attempts, old):
    if old:
        path.parent.mkdir()
        path.write_bytes(old)
    url = address(server, name)
    start = time.monotonic()
    refused(path, f"{url}: ", words, url=url, timeout=0.2)
    assert time.monotonic() - start < 10
    assert len(server.asked) == attempts


def test_redirects_are_followed(path, server):
    fetch(path, url=address(server, "moved"))
    came(path)
    assert server.asked == ["/moved.bin", "/right.bin"]


def test_a_redirect_to_plain_http_is_not_followed(path, server):
    """Not even to ask; the host that tests may ask is no exception under another name."""
    refused(path, f"leads to http://localhost:{server.server_port}/", "not https", url=address(server, "elsewhere"))
    assert server.asked == ["/elsewhere.bin"]


@pytest.mark.parametrize("url", ["http://localhost:1/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "x", "https://"])
def test_what_is_not_https_is_not_asked(path, url):
    refused(path, url, "https", url=url)


def test_no_network_is_refused_and_the_mirror_is_offered(path, server):
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://{HOST}:{port}/right.bin"
    refused(path, f"{url}: no connection: ", "refused", "mirror folder", url=url)


def test_a_name_that_nobody_knows_is_refused(path, waits):
    refused(path, "no connection: ", "unknown.invalid", url="https://unknown.invalid/file.bin")


def test_a_full_disk_is_one_line(path, server, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pooch.downloaders.HTTPDownloader.__call__", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        fetch(path, url=[address(server, "right"), address(server, "busy")])
    assert list(path.parent.iterdir()) == []


def test_attempts_are_told_in_the_log_and_not_on_the_terminal(path, server, caplog, capfd):
    caplog.set_level(logging.INFO)
    fetch(path, url=address(server, "busy"))
    assert [record.getMessage() for record in caplog.records] == [
        f"{address(server, 'busy')}: attempt 1: 503 Service Unavailable",
        f"{address(server, 'busy')}: attempt 2: 503 Service Unavailable",
        f"{path}: from {address(server, 'busy')}",
    ]
    assert capfd.readouterr() == ("", "")


def an_archive(*records):
    """Bytes of a zip file of (name, text)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in records:
            archive.writestr(name, text)
    return packed.getvalue()


def test_an_archive_packed_anew_is_the_same_by_its_contents(path, mirror):
    one, two = an_archive(("a", "1"), ("b", "2")), an_archive(("b", "2"), ("a", "1"))
    assert one != two
    sha256 = hashlib.sha256(b"12").hexdigest()
    for content in (one, two):
        (mirror / path.name).write_bytes(content)
        downloads.fetch(path, sha256=sha256, contents=True, mirror=mirror)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "words"),
    [(an_archive(("a", "2")), "another file, with sha256"), (CONTENT, "is not an archive")],
    ids=["another", "none"],
)
def test_an_archive_with_other_contents_is_refused(path, mirror, content, words):
    (mirror / path.name).write_bytes(content)
    sha256 = hashlib.sha256(b"1").hexdigest()
    with pytest.raises(InputError, match=words) as caught:
        downloads.fetch(path, sha256=sha256, contents=True, mirror=mirror)
    assert sha256 in str(caught.value) and "\n" not in str(caught.value)
    assert list(path.parent.iterdir()) == []
