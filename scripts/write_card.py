"""Write the model card of a run from its tables."""

from scoredag import job
from scoredag.errors import InputError
from scoredag.series import cards, gaps, grids, tidy
from scoredag.store import files, tables, weights

KEYS = {"dataset", "init", "n_windows", "window_length"}  # of the weights' metadata


def write_card(
    model_path: str,
    history_path: str,
    choice_path: str | None,
    metrics_path: str,
    series_path: str,
    starts_path: str,
    statistics_path: str,
    card_path: str,
    settings: dict,
    run: str,
) -> None:
    """Write what the model is, how it is used, its scores on test windows, and its limits, in Markdown."""
    metadata = weights.metadata(model_path)
    if missing := sorted(KEYS - metadata.keys()):
        raise InputError(f"{model_path}: its metadata lack {', '.join(missing)}; delete it and rerun")
    wide = tidy.read(series_path)
    model = cards.Model(
        run,
        metadata,
        tables.read(history_path, tables.HISTORY),
        tables.read(starts_path, tables.WINDOW_STARTS),
        tables.read(statistics_path, tables.STATISTICS),
        grids.spacing(series_path, wide.index.to_frame(index=False), settings["interval"], None),
        settings["units"],
    )
    choice = tables.read(choice_path, tables.START_CHOICE) if choice_path else None
    use = cards.Use(**settings["sampling"], choice=choice, method=settings["method"], level=settings["level"])
    spans = gaps.find(wide.isna().to_numpy(), tidy.series_of(wide)[1])
    scores = tables.read(metrics_path, tables.CSDI_METRICS)
    text = cards.write(model, use, scores, dict(settings["held_out"]), spans)
    with files.replacing(card_path) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    job.run(write_card)
