"""Texts as pages: every formula and image of docs/ is within its page, which asks nobody, and no link leads nowhere."""

import os
import re
from pathlib import Path

import pytest

from scoredag.figures import text_page

DOCS = Path(__file__).parents[2] / "docs"
NAMES = sorted(path.stem for path in DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def pages():
    return {
        name: text_page.page((DOCS / f"{name}.md").read_text(encoding="utf-8"), str(DOCS), NAMES, "../../docs")
        for name in NAMES
    }


def test_every_text_is_a_page_of_its_own(pages):
    for name, page in pages.items():
        outside = re.findall(r'(?:src|srcset|data)="(?!data:)[^"]*"|<link|<script|@import', page)
        assert not outside and "default-src 'none'" in page, name
        assert "$$" not in page, name
        assert re.search(r"<title>[^<]+</title>", page) and '<h1 id="' in page, name
    assert pages["likelihood-bound"].count("<svg") > 300 and "data:image/png;base64," in pages["langevin"]
    assert "<th" in pages["how-csdi-works"] and "<details>" in pages["how-csdi-works"]


def test_links_between_texts_find_their_headings(pages):
    n_anchors = 0
    for name, page in pages.items():
        for address in re.findall(r'href="([^"]+)"', page):
            path, _, anchor = address.partition("#")
            if ":" in path:
                continue
            if path.endswith(".html"):
                assert path.removesuffix(".html") in pages, (name, address)
            elif path:  # elsewhere in the project, as seen from results/docs
                assert (DOCS.parent / os.path.relpath(f"results/docs/{path}")).exists(), (name, address)
                continue
            target = pages[path.removesuffix(".html") or name]
            if anchor:
                n_anchors += 1
                assert f'id="{anchor}"' in target, (name, address)
    assert n_anchors > 30


def test_a_page_is_the_same_each_time_and_code_is_no_html():
    text = "# A & B\n\n`<b>` and $x_1 < 2$ and `$y$`\n\n```\n<script>\n```\n\n## Twice\n\n## Twice\n"
    page = text_page.page(text, ".", [], "..")
    assert page == text_page.page(text, ".", [], "..")
    assert "<code>&lt;b&gt;</code>" in page and "<code>$y$</code>" in page and "&lt;script&gt;" in page
    assert page.count("<svg") == 1 and 'aria-label="x_1 &lt; 2"' in page
    assert 'id="twice"' in page and 'id="twice-1"' in page


@pytest.mark.parametrize("tex", [r"\frac12 + \tfrac{a}{b} + \frac n2", r"\left\lVert x\right\rVert \le \sqrt n", "x'"])
def test_formulas_have_a_size_and_an_outline(tex):
    drawn = text_page.formula(tex)
    width, height = map(float, re.search(r"width: ([\d.]+)em; height: ([\d.]+)em", drawn).groups())
    assert width > 0.3 and height > 0.3 and re.search(r'<path d="M[-\d. MLQCZ]+"/>', drawn)


def test_a_formula_that_cannot_be_drawn_is_an_error():
    with pytest.raises(ValueError, match="nosuchword"):
        text_page.formula(r"\nosuchword{x}")
