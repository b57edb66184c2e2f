"""The page that answers questions one after the other: sentences, figures and tables in one file that asks no host."""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import NamedTuple

from scoredag.figures.document import document

SCALE = 1.8  # pixels of a figure for one of the page
MOST_BYTES = 10_000_000  # of figures within the page, which takes a third more; further ones are linked

Labels = Mapping[str, str]  # {what is told apart, as `variant`: the one that a block is about}
UNLABELLED: Labels = MappingProxyType({})


class Text(NamedTuple):
    """A paragraph; `code` in backquotes."""

    text: str
    labels: Labels = UNLABELLED


class Finding(NamedTuple):
    """A sentence that follows from the numbers of the run."""

    text: str
    labels: Labels = UNLABELLED


class Figure(NamedTuple):
    """A PNG: where it lies beside the page, its bytes, what it shows in this run, and how it is read."""

    path: str
    content: bytes
    findings: Sequence[str]
    reading: str
    labels: Labels = UNLABELLED


class Table(NamedTuple):
    """A table, its first column names; each row has labels of its own."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: Sequence[Labels]
    n_words: int = 1  # columns of words, from the left


class Links(NamedTuple):
    """Links to other files: pairs of an address, relative to the page, and what it is."""

    head: str
    links: Sequence[tuple[str, str]]


Block = Text | Finding | Figure | Table | Links


class Section(NamedTuple):
    """A question with its answer."""

    number: str  # 2c
    question: str
    blocks: Sequence[Block]
    labels: Labels = UNLABELLED


class Part(NamedTuple):
    """Questions about one thing, with buttons for what is told apart: {variant: {name: what its button says}}."""

    title: str
    buttons: Mapping[str, Mapping[str, str]]
    sections: Sequence[Section]


STYLE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1rem 4rem; color: #222; background: #fff;
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { line-height: 1.2; } h2, h3 { scroll-margin-top: 5rem; }
h2 { margin: 3rem 0 .5rem; border-bottom: 2px solid #0b5cad; } h3 { margin: 2rem 0 .5rem; }
h3 b { color: #0b5cad; margin-right: .3rem; }
p { max-width: 50rem; } a { color: #0b5cad; } [hidden] { display: none !important; }
code { font: .88em ui-monospace, Consolas, monospace; background: #f3f3f0; padding: 0 .2em; border-radius: 3px; }
nav ol { padding-left: 0; list-style: none; } nav li li { margin-left: 1.2rem; }
.finding { border-left: 4px solid #009e73; background: #f2faf6; padding: .45rem .8rem; margin: .5rem 0;
  max-width: 50rem; }
.figures { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 1rem; margin: 1rem 0; }
figure { margin: 0; border: 1px solid #ddd; border-radius: 4px; padding: .6rem; max-width: 100%; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption p { margin: .5rem 0; } figcaption details { color: #555; font-size: .9rem; }
summary { cursor: pointer; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: right; white-space: nowrap; }
th.words, td.words { text-align: left; white-space: normal; min-width: 7rem; }
.bar { display: none; position: sticky; top: 0; background: #fffffff2; padding: .4rem 0; z-index: 1;
  border-bottom: 1px solid #ddd; }
body[data-ready] .bar { display: block; }
.bar div { margin: .15rem 0; } .bar span { color: #555; margin-right: .3rem; }
button { font: inherit; font-size: .88rem; border: 1px solid #0b5cad; border-radius: 1rem; padding: .05rem .7rem;
  margin: .1rem .15rem .1rem 0; background: #fff; color: #0b5cad; cursor: pointer; }
button[aria-pressed=true] { background: #0b5cad; color: #fff; }
@media (max-width: 40rem) { .bar { position: static; } }
@media print { .bar { display: none !important; } figure { break-inside: avoid; } }
"""

# a block is shown if none of its labels is switched off
SCRIPT = """
const buttons = [...document.querySelectorAll("button[data-label]")];
const blocks = [...document.querySelectorAll("[data-labels]")];
const press = (button, on) => button.setAttribute("aria-pressed", on);
const isOn = button => button.getAttribute("aria-pressed") === "true";
function show() {
  const off = new Set(buttons.filter(button => !isOn(button)).map(button => button.dataset.label));
  for (const block of blocks) block.hidden = block.dataset.labels.split(" ").some(label => off.has(label));
}
for (const button of buttons) button.onclick = () => { press(button, !isOn(button)); show(); };
for (const button of document.querySelectorAll("button[data-all]")) button.onclick = () => {
  const own = [...button.parentNode.querySelectorAll("button[data-label]")], on = !own.every(isOn);
  for (const one of own) press(one, on);
  show();
};
document.body.dataset.ready = "";
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, lead: Sequence[str], parts: Sequence[Part]) -> str:
    """The page as HTML. Figures are within it up to `MOST_BYTES`; without JavaScript all is shown."""
    left = MOST_BYTES
    bodies = []
    for i, part in enumerate(parts, 1):
        ids = _ids(part, i)
        inner = []
        for number, section in enumerate(part.sections):
            html, left = _section(section, f"question-{i}-{number}", ids, left)
            inner.append(html)
        bodies.append(f'<h2 id="part-{i}">{_inline(part.title)}</h2>\n{_bar(part, ids)}{"".join(inner)}')
    body = (
        f"<h1>{_inline(title)}</h1>\n"
        + "".join(f"<p>{_inline(text)}</p>\n" for text in lead)
        + _contents(parts)
        + "".join(f"<section>\n{body}</section>\n" for body in bodies)
        + f"<script>{SCRIPT}</script>\n"
    )
    return document(title, STYLE, body, POLICY)


def _ids(part, i):
    """{(what is told apart, name): the mark of what is about it} of the i-th part."""
    return {
        (group, name): f"{i}-{j}-{k}"
        for j, (group, names) in enumerate(part.buttons.items())
        for k, name in enumerate(names)
    }


def _contents(parts):
    items = []
    for i, part in enumerate(parts, 1):
        lines = []
        for number, section in enumerate(part.sections):
            link = f'<a href="#question-{i}-{number}">{escape(section.number)}</a>'
            lines.append(f"<li{_marks(section.labels, _ids(part, i))}>{link} {_inline(section.question)}</li>\n")
        items.append(f'<li><a href="#part-{i}">{_inline(part.title)}</a>\n<ol>{"".join(lines)}</ol></li>\n')
    return f'<nav aria-label="Contents"><ol>{"".join(items)}</ol></nav>\n'


def _bar(part, ids):
    """The buttons of a part: one that switches all, and one for each name; of a single name none."""
    rows = []
    for group, names in part.buttons.items():
        if len(names) > 1:
            buttons = "".join(
                f'<button type="button" aria-pressed="true" data-label="{ids[group, name]}">{escape(said)}</button>'
                for name, said in names.items()
            )
            every = '<button type="button" data-all>all or none</button>'
            rows.append(f"<div><span>{escape(group)}:</span>{buttons}{every}</div>\n")
    return f'<div class="bar" role="group" aria-label="what is shown">\n{"".join(rows)}</div>\n' if rows else ""


def _section(section, place, ids, left):
    """The HTML of a section, and how many bytes of figures are left for others. Small figures stand side by side."""
    heading = f'<h3 id="{place}"><b>{escape(section.number)}</b> {_inline(section.question)}</h3>\n'
    html = [f"<div{_marks(section.labels, ids)}>\n{heading}"]
    row: list[str] = []
    for block in section.blocks:
        if isinstance(block, Figure):
            fits = len(block.content) <= left
            left -= len(block.content) * fits
            row.append(_figure(block, ids, fits))
            continue
        html += _row(row)
        row = []
        html.append(_block(block, ids))
    return "".join([*html, *_row(row), "</div>\n"]), left


def _row(figures):
    return [f'<div class="figures">\n{"".join(figures)}</div>\n'] if figures else []


def _figure(figure, ids, fits):
    address, width = escape(figure.path), _width(figure.content)
    alt = escape(" ".join(figure.findings) or figure.reading).replace("`", "")
    data = base64.b64encode(figure.content).decode() if fits else ""
    image = f'<img alt="{alt}" width="{width}" src="data:image/png;base64,{data}">'
    shown = image if fits else f"{address} (too large for this page)"
    found = "".join(f'<p class="finding">{_inline(text)}</p>\n' for text in figure.findings)
    return (
        f'<figure style="width: calc({width}px + 1.4rem)"{_marks(figure.labels, ids)}>'
        f'<a href="{address}">{shown}</a>\n<figcaption>{found}'
        f"<details><summary>How to read it</summary>{_inline(figure.reading)}</details></figcaption></figure>\n"
    )


def _width(content):
    """Pixels on the page of a PNG: its letters as large as those of the text; half of a page if it is no PNG."""
    is_png = content.startswith(b"\x89PNG")
    return round(int.from_bytes(content[16:20], "big") / SCALE) if is_png else 500


def _table(table, ids):
    def row(cells, tag, marks=""):
        words = [' class="words"' if i < table.n_words else "" for i in range(len(cells))]
        inner = (f"<{tag}{word}>{_inline(cell)}</{tag}>" for word, cell in zip(words, cells, strict=True))
        return f"<tr{marks}>{''.join(inner)}</tr>\n"

    rows = [row(cells, "td", _marks(labels, ids)) for cells, labels in zip(table.rows, table.labels, strict=True)]
    return f'<div class="scroll"><table>\n{row(table.head, "th")}{"".join(rows)}</table></div>\n'


def _block(block, ids):
    if isinstance(block, Table):
        return _table(block, ids)
    if isinstance(block, Links):
        links = ", ".join(f'<a href="{escape(address)}">{_inline(said)}</a>' for address, said in block.links)
        return f"<p>{_inline(block.head)} {links}.</p>\n"
    kind = ' class="finding"' if isinstance(block, Finding) else ""
    return f"<p{kind}{_marks(block.labels, ids)}>{_inline(block.text)}</p>\n"


def _marks(labels, ids):
    """The attribute by which the buttons find an element."""
    marks = [ids[label] for label in labels.items() if label in ids]
    return f' data-labels="{" ".join(marks)}"' if marks else ""


def _inline(text):
    """HTML of a text: what stands in backquotes is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
