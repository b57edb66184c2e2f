"""A text in Markdown as a page of HTML: one file that asks no host for anything, images and formulas within it."""

import base64
import os
import re
from collections.abc import Collection
from functools import cache
from html import escape
from pathlib import Path

import mistune
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath

from scoredag.figures.document import document

_SIZE = 10  # of formulas as they are drawn
_LETTER = 9  # of that size one that the page's letters, of another font, have next to it
_FONT = FontProperties(size=_SIZE, math_fontfamily="stix")
_COMMANDS = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}
# what Matplotlib's mathtext has no word for, or another one
_DIALECT = (
    (r"\\([lr])Vert(?![a-zA-Z])", r"\\Vert "),
    (r"\\([lr])vert(?![a-zA-Z])", r"|"),
    (r"\\([lg])e(?![a-zA-Z])", r"\\\1eq "),
    (r"\\tfrac(?![a-zA-Z])", r"\\frac"),
    (r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),
    (r"\\frac\s*(\w)\s*\{", r"\\frac{\1}{"),
    (r"\\[bB]igg?[lr]?(?![a-zA-Z])", r""),
    (r"\\sqrt\s*(\w)", r"\\sqrt{\1}"),
    (r"\\tag\{(\w+)\}", r"\\qquad (\1)"),
    (r"\\texttt(?![a-zA-Z])", r"\\mathrm"),
    (r"\s+", " "),
)
STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1rem 4rem; color: #222; background: #fff;
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
a { color: #0b5cad; } img { max-width: 100%; height: auto; }
code { font: .88em ui-monospace, Consolas, monospace; background: #f3f3f0; padding: 0 .2em; border-radius: 3px; }
pre { overflow-x: auto; background: #f6f6f4; border-left: 3px solid #bbb; padding: .3rem .7rem; }
pre code { background: none; padding: 0; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: left; vertical-align: top; }
svg.formula { max-width: 100%; overflow: visible; fill: currentColor; }
.display { display: block; overflow-x: auto; padding: .6rem 0; } .display svg.formula { max-width: none; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(text: str, folder: str, pages: Collection[str], elsewhere: str) -> str:
    """The page of a text.

    Args:
        text: Markdown as GitHub has it, with formulas between `$` or `$$`.
        folder: of the text; images lie below it.
        pages: names of the texts that have a page in the page's own folder, `NAME.html` of `NAME.md`.
        elsewhere: address of `folder` as seen from the page, for links to other files.

    Raises:
        ValueError: where a formula cannot be drawn.
    """
    renderer = _Renderer(folder, pages, elsewhere)
    body = mistune.create_markdown(renderer=renderer, plugins=["math", "table"])(text)
    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
    return document(title, STYLE, str(body), POLICY)


@cache
def formula(tex: str) -> str:
    """A formula of TeX as SVG, as large as the letters around it and on their line.

    Raises:
        ValueError: it holds what Matplotlib's mathtext does not know.
    """
    words = tex.strip()
    for pattern, other in _DIALECT:
        words = re.sub(pattern, other, words)
    drawn = TextPath((0, 0), f"${words}$", prop=_FONT)
    width, height, depth, *_ = MathTextParser("path").parse(f"${words}$", 72, _FONT)
    # y goes up in it, and down in SVG
    path = "".join(
        "Z" if code == Outline.CLOSEPOLY else _COMMANDS[code] + _numbers(points.reshape(-1, 2) * (1, -1))
        for points, code in drawn.iter_segments(simplify=False)
    )
    size = f"width: {width / _LETTER:.3f}em; height: {height / _LETTER:.3f}em; vertical-align: {-depth / _LETTER:.3f}em"
    box = f"0 {depth - height:.2f} {width:.2f} {height:.2f}"
    return (
        f'<svg class="formula" role="img" aria-label="{escape(tex.strip())}" style="{size}" viewBox="{box}">'
        f'<path d="{path}"/></svg>'
    )


def slug(heading: str) -> str:
    """The anchor of a heading of plain text, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _numbers(points):
    return " ".join(f"{value:.2f}" for value in points.ravel())


class _Renderer(mistune.HTMLRenderer):
    """HTML whose links lead from page to page, and whose images are within it."""

    def __init__(self, folder, pages, elsewhere):
        super().__init__(escape=False)
        self._folder, self._pages, self._elsewhere = Path(folder), pages, elsewhere
        self._slugs: dict[str, int] = {}

    def heading(self, text, level, **attrs):
        name = slug(re.sub(r"<[^>]*>", "", text))
        count = self._slugs[name] = self._slugs.get(name, -1) + 1
        return f'<h{level} id="{name}{f"-{count}" if count else ""}">{text}</h{level}>\n'

    def link(self, text, url, title=None):
        address, mark, anchor = url.partition("#")
        name = address.removesuffix(".md")
        if address and ":" not in address:
            address = f"{name}.html" if name in self._pages else os.path.normpath(f"{self._elsewhere}/{address}")
        return super().link(text, address + mark + anchor, title)

    def image(self, text, url, title=None):
        data = base64.b64encode((self._folder / url).read_bytes()).decode()
        return f'<img alt="{escape(text)}" src="data:image/{Path(url).suffix[1:]};base64,{data}">'

    def block_code(self, code, info=None):
        return f"<pre><code>{escape(code, quote=False)}</code></pre>\n"

    def table(self, text):
        return f'<div class="scroll"><table>\n{text}</table></div>\n'

    def inline_math(self, text):
        return formula(text)

    def block_math(self, text):
        return f'<div class="display">{formula(text)}</div>\n'
