"""Windows imputed and scored in shards, end to end."""

from scoredag.job import record

SHARDED = "{datasets: {nyc-weather: {shards: 2}}, csdi: {runs: {nyc-weather: {shards: %d}}}}"
FOLDER = "results/csdi/nyc-weather"
TABLES = [f"{FOLDER}/{name}.parquet" for name in ("samples", "validation_samples", "window_scores")]
TABLES.append("results/datasets/nyc-weather/baselines.parquet")
OVERLAYS = ("config/presets/tiny.yaml", "sharded.yaml")


def test_shards_are_planned_where_they_are_asked_for(project):
    (project.folder / "sharded.yaml").write_text(SHARDED % 3, encoding="utf-8")
    targets = [f"{FOLDER}/{name}.parquet" for name in ("metrics", "imputed", "completed")]
    targets.append("results/datasets/nyc-weather/baselines.parquet")
    of_one, of_three = project.jobs(*targets), project.jobs(*targets, configfiles=OVERLAYS)
    whole = {"impute_baselines", "impute_csdi", "impute_validation", "score_windows"}
    assert of_one - of_three == whole
    shards = {"impute_baselines_shard", "impute_shard", "impute_validation_shard", "score_shard"}
    shards |= {"draw_gaps", "draw_completion"}
    assert of_three - of_one == shards | {"gather_baselines", "gather_windows", "gather_gaps"}


def test_shards_give_the_bytes_of_one_job(edited):
    """Tables but for their records, and what follows from them with its record."""
    (edited.folder / "sharded.yaml").write_text(SHARDED % 3, encoding="utf-8")
    before = {path: record.digest(edited.folder / path) for path in TABLES}
    metrics = edited.folder / FOLDER / "metrics.parquet"
    whole = metrics.read_bytes()
    done = edited.snakemake(*TABLES, str(metrics.relative_to(edited.folder)), configfiles=OVERLAYS)
    assert done.returncode == 0, done.stdout
    assert {path: record.digest(edited.folder / path) for path in TABLES} == before
    assert metrics.read_bytes() == whole
    found = record.read(edited.folder / TABLES[0])
    assert found["rule"] == "gather_windows" and found["settings"]["shards"] == 3 and found["settings"]["sampling"]
    for folder in (FOLDER, "results/datasets/nyc-weather"):
        assert not list((edited.folder / folder / "shards").rglob("*.parquet"))
    log = (edited.folder / "logs/csdi/nyc-weather/1/impute_shard.log").read_text(encoding="utf-8")
    assert "shard 1 of 0 to 2: " in log and ", batches of 21" in log  # 64 // 3
    assert not edited.jobs(*TABLES, configfiles=OVERLAYS)
    assert edited.jobs(*TABLES) >= {"impute_baselines", "impute_csdi", "impute_validation", "score_windows"}
