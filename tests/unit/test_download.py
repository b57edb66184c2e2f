"""Files from a mirror or a server on this machine: the right one, or nothing and one line."""

import hashlib
import http.server
import os
import threading

import pytest

from scoredag import download
from scoredag.errors import InputError

CONTENT = bytes(range(256)) * 300
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /right.bin, and trouble elsewhere."""

    def do_GET(self):
        self.server.asked.append(self.path)
        name = self.path.strip("/")
        if name == "absent.bin" or (name == "busy.bin" and len(self.server.asked) < 3):
            self.send_error(404 if name == "absent.bin" else 503)
            return
        body = b"something else" if name == "wrong.bin" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:1000] if name == "broken.bin" else body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def running():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(running, monkeypatch):
    """The server, with no waiting between attempts and no proxy before it."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running.asked = []
    return running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "file.bin"


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


def address(server, name):
    return f"http://127.0.0.1:{server.server_port}/{name}"


def refused(path, *words, **options):
    """One line that holds the words, and a folder as it was."""
    before = sorted(path.parent.iterdir()) if path.parent.exists() else []
    with pytest.raises(InputError) as caught:
        download.fetch(path, sha256=SHA256, **options)
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert str(word) in line
    assert sorted(path.parent.iterdir()) == before


def test_file_in_the_mirror_is_copied_and_nothing_is_asked(path, mirror, server):
    (mirror / "file.bin").write_bytes(CONTENT)
    download.fetch(path, url=address(server, "right.bin"), sha256=SHA256, mirror=mirror)
    assert path.read_bytes() == CONTENT
    assert (mirror / "file.bin").read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert server.asked == []


def test_other_content_in_the_mirror_is_refused(path, mirror, server):
    (mirror / "file.bin").write_bytes(CONTENT[:-1])
    refused(path, mirror / "file.bin", SHA256, url=address(server, "right.bin"), mirror=mirror)


@pytest.mark.parametrize("exists", [True, False])
def test_file_not_in_the_mirror_comes_from_the_server(path, mirror, server, exists):
    (mirror / "another.bin").write_bytes(CONTENT)
    folder = mirror if exists else mirror / "none"
    download.fetch(path, url=address(server, "right.bin"), sha256=SHA256, mirror=folder)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["/right.bin"]


def test_file_from_the_server_arrives_alone_and_replaces_an_old_one(path, server):
    path.parent.mkdir()
    path.write_bytes(b"old")
    download.fetch(path, url=address(server, "right.bin"), sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_file_from_the_server_can_be_read_by_those_who_can_read_other_files(path, tmp_path, server):
    (tmp_path / "other").write_bytes(b"")
    download.fetch(path, url=address(server, "right.bin"), sha256=SHA256)
    assert oct(os.stat(path).st_mode) == oct(os.stat(tmp_path / "other").st_mode)


def test_a_busy_server_is_asked_again(path, server):
    download.fetch(path, url=address(server, "busy.bin"), sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 3


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize(
    ("name", "word"),
    [("wrong.bin", SHA256), ("absent.bin", "404"), ("broken.bin", "cannot be fetched")],
)
def test_failed_download_leaves_the_folder_as_it_was(path, server, name, word, old):
    if old:
        path.parent.mkdir()
        path.write_bytes(old)
    url = address(server, name)
    refused(path, url, word, url=url)
    assert not old or path.read_bytes() == old
    assert len(server.asked) == 4


def test_no_server_is_refused_and_the_mirror_is_offered(path, server):
    closed = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    port = closed.server_port
    closed.server_close()
    url = f"http://127.0.0.1:{port}/right.bin"
    refused(path, url, "mirror", url=url)
