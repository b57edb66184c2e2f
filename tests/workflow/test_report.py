"""Snakemake's report holds every figure with its caption; the report of answers says what the tables say."""

import re

import pandas as pd

from scoredag import findings
from scoredag.gmm import drift

REPORT = "results/report.html"


def test_the_report_says_what_ran_and_holds_every_figure(edited):
    done = edited.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout
    page = (edited.folder / "report.html").read_text(encoding="utf-8")
    assert "System Message" not in page  # of what is no proper reStructuredText
    assert re.search(r"<li>\s*<p><strong>b</strong>: noise N\(0, I\)</p>|<li><strong>b</strong>: noise N\(0, I\)", page)
    assert re.search(r"<strong>nyc-weather</strong>: on nyc-weather, from the checkpoint base", page)
    for path in edited.folder.glob("results/**/*.png"):
        assert str(path.relative_to(edited.folder)) in page


def said(html):
    """The text of the sentences of a page that follow from its numbers."""
    found = re.findall(r'<p class="finding"[^>]*>(.*?)</p>', html)
    return {re.sub("<code>|</code>", "`", text).replace("&#x27;", "'") for text in found}


def test_the_report_of_answers_is_made_of_what_is_there_and_says_what_it_says(edited):
    results = edited.folder / "results"
    assert edited.jobs(REPORT) == {"render_texts", "write_report"}
    done = edited.snakemake(REPORT)
    assert done.returncode == 0, done.stdout
    html = (edited.folder / REPORT).read_text(encoding="utf-8")
    assert len(html) < 15_000_000 and not re.search(r"\b(nan|None|inf)\b", re.sub('src="[^"]*"', "", html))

    def table(path):
        return pd.read_parquet(results / path)

    bounds = table("likelihood/bounds.parquet")
    flows = {name: table(f"likelihood/{name}/likelihoods.parquet") for name in bounds["score_model"].unique()}
    langevin, scores = table("langevin/metrics.parquet"), table("csdi/nyc-weather/metrics.parquet")
    d = langevin[langevin["variant"] == "d"].set_index("metric")["value"].to_dict()
    expected = {
        findings.flow_is_not_bounded(flows, bounds),
        findings.training_helps(table("csdi/nyc-weather/history.parquet")),
        findings.ranking(scores),
        findings.pattern_score(scores, "blocks-6"),
        findings.ends_in_modes(table("langevin/a/modes.parquet"), langevin, "a"),
        findings.law_of_variant(
            langevin, "d", drift.clearest(d), {"n_steps": 50, "n_particles": 400, "has_noise": True}
        ),
    }
    assert expected <= said(html)
    for path in re.findall(r'(?:href)="([^"#]+)', html):
        assert (results / path).exists(), path
    for name, title in (("langevin", "Langevin dynamics"), ("langevin-kernels", "Choose a Langevin kernel")):
        assert f"<title>{title}" in (results / f"docs/{name}.html").read_text(encoding="utf-8")
    for name in ("comparison", "scatter", "imputation", "statements"):
        assert html.count(f'/{name}.png"') == (4 if name == "scatter" else 1)
    (edited.folder / REPORT).unlink()
    assert edited.snakemake(REPORT).returncode == 0
    assert (edited.folder / REPORT).read_text(encoding="utf-8") == html


def test_the_report_of_answers_says_which_parts_the_config_has_not(edited):
    none = "{likelihood: {score_models: null}, datasets: {nyc-weather: null, etth1: null}, "
    none += "csdi: {runs: {nyc-weather: null}}, langevin: {variants: {c: null}}}"
    (edited.folder / "none.yaml").write_text(none, encoding="utf-8")
    files = ("config/presets/tiny.yaml", "none.yaml")
    done = edited.snakemake(REPORT, configfiles=files)
    assert done.returncode == 0, done.stdout
    html = (edited.folder / REPORT).read_text(encoding="utf-8")
    assert "This config has no score models" in html and "This config has no runs of CSDI" in html
    assert re.findall(r"<b>2 (\w)</b>", html) == ["a", "b", "d"]
