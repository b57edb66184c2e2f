"""Read a dataset into one tidy series on a regular time grid."""

from scoredag import job, streams
from scoredag.intake import archives
from scoredag.series import readers, tidy
from scoredag.store import files, tables


def tidy_series(file_paths: list[str], series_path: str, settings: dict, dataset: str) -> None:
    """Write the tidy series of files, or of a simulation."""
    for path in file_paths:
        files.check_sha256(path, settings["sha256"])
        archives.check_contents(path, settings["contents_sha256"])
    seed = streams.seed(settings["seed"], "dataset", dataset)
    tables.write(tidy.to_tidy(readers.read(settings["reader"], file_paths, settings, seed)), series_path, tables.SERIES)


if __name__ == "__main__":
    job.run(tidy_series)
