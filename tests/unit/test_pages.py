"""Numbers of pages that are made by a snippet on them."""

import re


def test_the_scores_of_six_distributions_are_those_that_the_snippet_prints(root, capsys):
    page = (root / "docs/how-csdi-works.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(snippet, {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    table = page.partition(snippet)[2]
    rows = [row for row in re.findall(r"^\| (.*) \|$", table, re.MULTILINE) if "--:" not in row]
    assert rows[: len(lines)] == lines


def test_the_divergence_of_the_widened_mixture_is_what_the_snippet_prints(root, capsys, monkeypatch):
    page = (root / "docs/likelihood-bound.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(root)
    exec(snippet, {})
    assert f"This prints {capsys.readouterr().out.strip()}:" in page
