"""Read a dataset into one tidy series on a regular time grid."""

from scoredag import job, streams
from scoredag.intake import archives
from scoredag.series import physionet, readers, simulated, tidy
from scoredag.store import files, tables

TABLES = {"csv": readers.read_wide, "tidy": readers.read_tidy}
COMMON = (
    *("time", "time_format", "time_zone", "missing", "decimal", "encoding", "series"),
    *("features", "interval", "resample", "plausible", "circular"),
)


def tidy_series(file_path: str | None, series_path: str, settings: dict, dataset: str) -> None:
    """Write the tidy series of a file, or of a simulation."""
    if settings["reader"] == "simulated":
        seed = streams.seed(settings["seed"], "dataset", dataset)
        wide = simulated.simulate(seed=seed, interval=settings["interval"], **settings["simulation"])
    else:
        files.check_sha256(file_path, settings["sha256"])
        archives.check_contents(file_path, settings["contents_sha256"])
        if settings["reader"] == "physionet-2012":
            wide = physionet.read(file_path)
        else:
            own = settings["tidy"] if settings["reader"] == "tidy" else {"group": settings["group"]}
            wide = TABLES[settings["reader"]](file_path, **{key: settings[key] for key in COMMON}, **own)
    tables.write(tidy.to_tidy(wide), series_path, tables.SERIES)


if __name__ == "__main__":
    job.run(tidy_series)
