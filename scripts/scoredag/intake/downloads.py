"""Files from elsewhere: from this machine, a mirror folder or https, and only with the right checksum."""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

import pooch
import requests

from scoredag.errors import InputError
from scoredag.intake import archives
from scoredag.job import logs
from scoredag.store import files

log = logging.getLogger(__name__)

RETRIES = 4  # pooch waits 1, 2, 3 and 4 s before them
PASSING = (408, 429)  # of the 4xx answers, those that may change: too slow, too many requests
CHUNK = 1 << 16  # bytes


class _FinalError(Exception):
    """An answer that another attempt would not change."""


def fetch(
    path: str,
    *,
    sha256: str,
    contents: bool = False,
    url: str | Sequence[str] = (),
    local: str | None = None,
    mirror: str | None = None,
    timeout: float = 30,
    insecure_hosts: Sequence[str] = (),
) -> None:
    """Bring the file with this `sha256` to `path`, from the first source that has it.

    Sources are `local`, the file of the same name in `mirror`, then each url. One that fails or
    holds another file is told in the log and the next one is tried. An attempt at a url that breaks
    off is followed by up to four others, each from the start; 4xx answers and whole files with
    another sha256 by none.

    Args:
        path: where the file goes; it appears there whole and checked, or not at all.
        sha256: hexadecimal.
        contents: whether it is that of what is in the archive, see `archives.contents_sha256`.
        url: https address, or several in the order in which they are tried.
        local: a file on this machine; None for none.
        mirror: folder that may hold a file of the same name; None for none.
        timeout: seconds without a connection, or without a byte, after which an attempt ends.
        insecure_hosts: hosts that may be asked by plain http, for tests; https can redirect to
            no other plain address.

    Raises:
        InputError: no source has the file; the line says what each one gave.
    """
    urls = [url] if isinstance(url, str) else list(url)
    folders = [os.path.join(mirror, os.path.basename(path))] if mirror else []
    copies = [*([local] if local else []), *folders]
    gave = []
    digest = archives.contents_sha256 if contents else files.sha256

    def check(partial):
        return _other(partial, sha256, digest)

    with files.replacing(path) as partial:
        for source in [*copies, *urls]:
            if source in urls:
                reason = _download(source, partial, check, timeout, insecure_hosts)
            else:
                reason = _copy(source, partial, check)
            if reason is None:
                log.info("%s: from %s", path, source)
                return
            log.warning("%s: %s", source, reason)
            gave.append(f"{source}: {reason}")
            partial.unlink(missing_ok=True)
        reasons = "; ".join(gave)
        raise InputError(
            f"{path}: no source has the file with sha256 {sha256}; {reasons}; put the file into the mirror folder"
        )


def _copy(source, target, check):
    """Copy the file `source`; None, or why it is not the one."""
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        return error.strerror or str(error)
    return check(target)


def _other(path, sha256, digest):
    """None where the file at `path` has this `sha256` by the function `digest`, else what it is."""
    try:
        actual = digest(path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    return None if actual == sha256 else f"another file, with sha256 {actual}"


def _download(url, target, check, timeout, insecure_hosts):
    """Download from `url`; None, or why what came is not the file."""
    attempt = _Attempt(check, timeout, insecure_hosts)
    pooch.get_logger().setLevel(logging.CRITICAL)  # it writes to the terminal, and says less than our log
    store = pooch.create(target.parent, base_url="", registry={target.name: None}, urls={target.name: url})
    store.retry_if_failed = RETRIES
    try:
        store.fetch(target.name, downloader=attempt)
        target.chmod(0o644)  # pooch's temporary files are for the owner alone
    except (_FinalError, ValueError, requests.RequestException) as error:
        attempts = f" ({attempt.number} attempts)" if attempt.number > 1 else ""
        return _reason(error, timeout) + attempts
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be written ({error.strerror or error})") from error
    return None


class _Attempt:
    """One attempt at a download, called by pooch until it ends well or in a _FinalError."""

    def __init__(self, check, timeout, insecure_hosts):
        self.check = check
        self.timeout = timeout
        self.insecure_hosts = insecure_hosts
        self.number = 0
        self.sized = False

    def __call__(self, url, output_file, store):
        """Write what `url` gives to the path `output_file`, and check it."""
        self.number += 1
        self._check_address(url)
        try:
            self._get(url, output_file, store)
        except (requests.TooManyRedirects, requests.exceptions.InvalidURL) as error:
            raise _FinalError(_reason(error, self.timeout)) from error
        except requests.RequestException as error:
            log.info("%s: attempt %d: %s", url, self.number, _reason(error, self.timeout))
            raise
        reason = self.check(output_file)
        if reason:
            # without a size, it may be the right file cut short
            raise _FinalError(reason) if self.sized else ValueError(reason)

    def _get(self, url, output_file, store):
        with logs.progress(os.path.basename(urlsplit(url).path), 1, "B", unit_scale=True) as bar:
            get = pooch.HTTPDownloader(
                progressbar=bar,
                chunk_size=CHUNK,
                timeout=self.timeout,
                headers={"Accept-Encoding": "identity"},  # so that sizes are those of the file
                hooks={"response": self._look_at},
            )
            get(url, output_file, store)

    def _look_at(self, response, **_):
        """Before the body is read, and before a redirect is followed."""
        if response.is_redirect:
            self._check_address(urljoin(response.url, response.headers["Location"]))
        elif 400 <= response.status_code < 500 and response.status_code not in PASSING:
            raise _FinalError(f"{response.status_code} {response.reason}")
        self.sized = "Content-Length" in response.headers

    def _check_address(self, url):
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in self.insecure_hosts):
            raise _FinalError(f"leads to {url}, which is not https")


def _reason(error, timeout):
    """What went wrong with a request, in one line."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer for {timeout:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "Connection aborted" in str(error):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError) and error.args:
        cause = getattr(error.args[0], "reason", error.args[0])
        return "no connection: " + re.sub(r"^HTTPS?Connection\(.*?\): ", "", str(cause))
    return " ".join(str(error).split())
