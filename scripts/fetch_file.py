"""Fetch a file from the first source that has it and check its sha256."""

from scoredag import job
from scoredag.intake import downloads


def fetch_file(file_path: str, settings: dict, sources: dict) -> None:
    """See `downloads.fetch`."""
    downloads.fetch(file_path, **settings, **sources)


if __name__ == "__main__":
    job.run(fetch_file)
