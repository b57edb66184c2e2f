"""The HTML report: it is made, its first page is in order, and every figure is there with its caption."""

import re


def test_the_report_says_what_ran_and_holds_every_figure(edited):
    done = edited.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout
    page = (edited.folder / "report.html").read_text(encoding="utf-8")
    assert "System Message" not in page  # of what is no proper reStructuredText
    assert re.search(r"<li>\s*<p><strong>b</strong>: noise N\(0, I\)</p>|<li><strong>b</strong>: noise N\(0, I\)", page)
    assert re.search(r"<strong>nyc-weather</strong>: on nyc-weather, from the checkpoint base", page)
    for path in edited.folder.glob("results/**/*.png"):
        assert str(path.relative_to(edited.folder)) in page
