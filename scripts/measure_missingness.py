"""Count what is missing in a series: by feature, by time, by length of the gaps, together with what."""

import logging

from scoredag import job
from scoredag.series import absences, gaps, grids, tidy
from scoredag.store import tables

TOLD = 6  # features of a group, and groups, that the log names


def measure_missingness(series_path: str, missingness_path: str, dataset: str) -> None:
    """Write the table that `absences.count` gives, and say in the log what stands out."""
    wide = tidy.read(series_path)
    _, lengths = tidy.series_of(wide)
    spans = gaps.find(wide.isna().to_numpy(), lengths)
    table = absences.count(wide, lengths, spans)
    _tell(table, spans, dataset)
    tables.write(table, missingness_path, tables.MISSINGNESS)


def _tell(table, spans, dataset):
    """Say how much is missing, how long gaps are, and which features are always missing together."""
    if spans.empty:
        logging.info("%s: no value is missing", dataset)
        return
    shares = table[table["kind"] == "feature"].set_index("feature")["share"]
    most = shares.drop(grids.TOTAL).idxmax()
    logging.info(
        "%s: %.3g %% of the values are missing, most of '%s' (%.3g %%)",
        dataset, 100 * shares[grids.TOTAL], most, 100 * shares[most],
    )  # fmt: skip
    lengths = spans["stop"] - spans["first"]
    whose = table["feature"].cat.categories[spans["feature"][lengths.idxmax()]]
    logging.info(
        "%s: %d gaps; their lengths in steps: median %g, longest %d (of '%s')",
        dataset, len(lengths), lengths.median(), lengths.max(), whose,
    )  # fmt: skip
    groups = [_listed(group) for group in absences.together(table)]
    if groups:
        more = f"; and {len(groups) - TOLD} more groups" if len(groups) > TOLD else ""
        logging.info("%s: always missing together: %s%s", dataset, "; ".join(groups[:TOLD]), more)


def _listed(names):
    """Names in quotes, not too many of them."""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(f"'{name}'" for name in names[:TOLD]) + more


if __name__ == "__main__":
    job.run(measure_missingness)
