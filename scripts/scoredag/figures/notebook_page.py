"""The page of an executed notebook: one file that asks no host for anything."""

import html

from pygments.formatters import HtmlFormatter

STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1rem 4rem; color: #222; background: #fff;
       font: 1rem/1.55 system-ui, sans-serif; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
a { color: #0b5cad; } a.anchor-link, div.prompt { display: none; }
img, svg { max-width: 100%; height: auto; }
div.highlight pre, div.output_text pre, div.output_stream pre { overflow-x: auto; margin: .4rem 0;
       font: .84rem/1.45 ui-monospace, Consolas, monospace; }
div.highlight { background: #f6f6f4; border-left: 3px solid #bbb; padding: .2rem .7rem; }
div.output_wrapper { margin: 0 0 1rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; margin: .6rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .22rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
details { border-left: 3px solid #0b5cad; padding: .1rem .8rem; margin: .5rem 0; background: #f3f7fb; }
summary { cursor: pointer; font-weight: 600; }
"""


def page(body: str, title: str) -> str:
    """A page of HTML, without scripts, out of what nbconvert's template `basic` makes of a notebook."""
    code = HtmlFormatter(style="default").get_style_defs(".highlight")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}\n{code}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
