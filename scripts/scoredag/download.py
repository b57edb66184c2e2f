"""Files from elsewhere: a mirror folder or a url, and only with the right checksum."""

import logging
import os
import shutil

import pooch
import requests

from scoredag import archives, files
from scoredag.errors import InputError

log = logging.getLogger(__name__)


def fetch(path, *, url, sha256, contents_sha256=None, mirror=None):
    """Bring the file with this `sha256` to `path`, from `mirror` if it is there, else from `url`.

    Args:
        path: where the file goes; it appears there whole and checked, or not at all.
        url: https address.
        sha256: hexadecimal; None leaves it to `contents_sha256`.
        contents_sha256: of an archive, see `archives.check_contents`; None leaves it unchecked.
        mirror: folder that may hold a file of the same name; None for none.

    Raises:
        InputError: no source has the file, or what it has is another file.
    """
    local = os.path.join(mirror, os.path.basename(path)) if mirror else None
    with files.replacing(path) as partial:
        if local and os.path.exists(local):
            log.info("%s: copied from %s", path, local)
            files.check_sha256(local, sha256)
            archives.check_contents(local, contents_sha256)
            shutil.copyfile(local, partial)
            return
        log.info("%s: fetched from %s", path, url)
        store = pooch.create(
            partial.parent,
            base_url="",
            registry={partial.name: sha256 and f"sha256:{sha256}"},
            urls={partial.name: url},
            retry_if_failed=3,
        )
        try:
            store.fetch(partial.name, downloader=pooch.HTTPDownloader(timeout=30))
            partial.chmod(0o644)  # pooch's temporary files are for the owner alone
        except ValueError as error:  # pooch's word for a wrong checksum
            raise InputError(f"{url}: what came is not the file with sha256 {sha256}") from error
        except (requests.RequestException, OSError) as error:
            raise InputError(f"{url}: cannot be fetched ({error}); put the file into the mirror folder") from error
        archives.check_contents(partial, contents_sha256)
