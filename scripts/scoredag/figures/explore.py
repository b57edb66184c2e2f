"""The page to explore a filled series: its gaps, medians and bands, and test windows, in one HTML file."""

import base64
import json
import zlib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import bokeh
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from scoredag.figures import explore_page, style, thinning

LIBRARY = ("bokeh.min.js", "bokeh-api.min.js")  # the plotting library, copied into the page
MOST_PANELS, FIRST_PANELS = 6, 3  # features that are shown at once, and at first
MOST_BYTES = 2_200_000  # of the values, a third less than as text; the library has 0.5 MB
MOST_DETAIL = 40_000  # values that are kept whole around gaps and windows of the lists
MOST_TARGETS = 20_000  # held-out values of the windows in the list
_QUANTILES = ("truth", "lower", "median", "upper")


class Series(NamedTuple):
    """A series: its name, if there are several, `times` (T,), and (T, K) each, NaN where there is no value."""

    name: str | None
    times: np.ndarray
    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    missing: np.ndarray  # boolean: steps without an observation


class Span(NamedTuple):
    """Steps `first` .. `stop` - 1 of a series, by its number, and what the list says of them."""

    series: int
    first: int
    stop: int
    features: Sequence[int]  # that are shown, the first of these first
    text: str
    said: str  # once it is shown
    # of a test window: series' step, feature (number), truth, lower, median, upper
    targets: pd.DataFrame | None = None


def page(
    title: str,
    note: str,
    features: Sequence[str],
    series: Sequence[Series],
    gaps: Sequence[Span],
    windows: Sequence[Span],
    colour: str,
    level: float,
) -> str:
    """The page as HTML, which needs nothing else: no other file, no other host.

    Of long series every bin of steps is drawn by its extremes; what is near the gaps and windows of the lists is whole.

    Args:
        title, note: plain text.
        features: names of the K features with their units.
        series: one or more, in the order of their list.
        gaps, windows: what the lists lead to, in their order.
        colour: of what is filled, to matplotlib.
        level: of the central interval that the band shows.
    """
    colours = {"filled": to_hex(colour), "observed": style.BLACK, "held_out": style.VERMILION, "shade": style.GREY}
    width, packed = _thinned(series, _detail(series, [*windows, *gaps], len(features)))
    if width > 1:
        note += f" Of every {width:,} steps the extremes are drawn, and all steps near the gaps and windows listed."
    data = {
        "features": list(features),
        "colours": colours,
        "most_panels": min(MOST_PANELS, len(features)),
        "shown": list(range(len(features)))[:FIRST_PANELS],
        "seconds": min(_spacing(entry.times) for entry in series) < np.timedelta64(1, "m"),
        "series": packed,
        "gaps": [_of_span(span, packed) for span in gaps],
        "windows": [_of_span(span, packed) for span in windows],
    }
    library = _library()
    parts = (*library, f"const page = {json.dumps(data, allow_nan=False, default=int)};", explore_page.SCRIPT)
    packed_parts = "\n".join(f'<script type="text/plain">{_deflated(part)}</script>' for part in parts)
    return f"""<!doctype html>
<!-- {_licence(library[0])} -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{explore_page.STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(note)}</p>
<main>
<section aria-label="what to show">
{_select(series)}<fieldset id="features"><legend>Features{_limit(len(features))}</legend><div class="entries">
{_boxes(features)}
</div></fieldset>
{_list("Longest gaps", "gap", gaps, "The series has no gaps.")}
{_list("Worst test windows (CRPS)", "window", windows, "")}
</section>
<section id="view" aria-label="the series">
<p><button id="whole">Whole series</button> <button id="in">Zoom in</button> <button id="out">Zoom out</button>
<button id="earlier">Earlier</button> <button id="later">Later</button></p>
<p class="looks">{_looks(colours, level)}</p>
<p id="said" role="status"></p>
<div id="panels"></div>
</section>
</main>
{packed_parts}
<script>{explore_page.START}</script>
</body>
</html>
"""


def _library():
    """The scripts of Bokeh as they come with it; its Python, which takes seconds to import, is not needed."""
    folder = Path(bokeh.__file__).parent / "server/static/js"
    return [(folder / name).read_text(encoding="utf-8") for name in LIBRARY]


def _licence(script):
    """The notice at the top of a script, which its copies have to show."""
    return script.partition("/*!")[2].partition("*/")[0].replace(" * ", "").strip()


def _deflated(text):
    # packed, the page is small enough to be a frame of the report: browsers take up to 2 MB there
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _select(series):
    if len(series) == 1:
        return ""
    options = "".join(f'<option value="{i}">{escape(str(entry.name))}</option>' for i, entry in enumerate(series))
    return f'<p><label>Series <select id="series" autocomplete="off">{options}</select></label></p>\n'


def _limit(n_features):
    return f" (at most {MOST_PANELS} at once)" if n_features > MOST_PANELS else ""


def _boxes(features):
    return "\n".join(f'<label><input type="checkbox" autocomplete="off"> {escape(name)}</label>' for name in features)


def _list(title, kind, spans, none):
    if not spans:
        return f"<p>{none}</p>" if none else ""
    buttons = "\n".join(f'<button data-{kind}="{i}">{escape(span.text)}</button>' for i, span in enumerate(spans))
    return f'<h2>{title}</h2>\n<div class="entries">\n{buttons}\n</div>'


def _looks(colours, level):
    looks = [
        (colours["observed"], "●", "observed"),
        (colours["filled"], "■", "median"),
        (f"{colours['filled']}4d", "█", style.band_label(level)),
        (colours["held_out"], "◇", "held-out value"),
    ]
    return "".join(f'<span><b style="color: {colour}">{mark}</b>{name}</span>' for colour, mark, name in looks)


def _spacing(times):
    return np.diff(times).min() if len(times) > 1 else np.timedelta64(1, "D")


def _detail(series, spans, n_features):
    """Boolean (T,) of each series: the steps of and around the spans, as many as there is room for."""
    detail, room = [np.zeros(len(entry.times), bool) for entry in series], MOST_DETAIL
    for span in spans:
        around = span.stop - span.first
        part = detail[span.series][max(span.first - around, 0) : span.stop + around]
        n_more = n_features * int((~part).sum())
        if n_more <= room:
            part[:] = True
            room -= n_more
    return detail


def _thinned(series, detail):
    """Steps a bin, as few as there is room for, and the series as the page holds them."""
    n_values = sum(entry.value.size for entry in series)
    width = 1
    packed = _packed(series, detail, width)
    while _size(packed) > MOST_BYTES and width < n_values:
        # a bin keeps two values or more
        width = max(2 * width, 16 * n_values // MOST_BYTES)
        packed = _packed(series, detail, width)
    return width, packed


def _size(packed):
    return (
        sum(
            len(text)
            for entry in packed
            for part in entry["features"]
            for text in part.values()
            if isinstance(text, str)
        )
        * 3
        // 4
    )


def _packed(series, detail, width):
    return [
        {
            "name": entry.name,
            "grid": _grid(entry.times),
            "features": [_feature(entry, k, width, always) for k in range(entry.value.shape[1])],
        }
        for entry, always in zip(series, detail, strict=True)
    ]


def _grid(times):
    """Times in milliseconds since 1970: first and spacing where all are alike."""
    milliseconds = times.astype("datetime64[us]").astype(np.int64) / 1000
    spacings = np.unique(np.diff(milliseconds))
    if len(spacings) > 1:
        return {"values": _text(milliseconds, "<f8")}
    return {"start": milliseconds[0], "step": spacings[0] if len(spacings) else 0.0, "n": len(times)}


def _feature(series, k, width, always):
    """A feature of a series: z-scores of its values, as these take half the bytes at any scale."""
    value, lower, upper, missing = (column[:, k] for column in series[2:])
    steps = thinning.kept(value, lower, upper, missing, width, always)
    known = value[np.isfinite(value)]
    centre = known.mean() if len(known) else 0.0
    part = {"centre": centre, "scale": (known.std() if len(known) else 0.0) or 1.0}
    here = steps[missing[steps]]
    return part | {
        "value": _scaled(value[steps], part),
        "missing": _text(np.packbits(missing[steps], bitorder="little"), "u1"),
        "lower": _scaled(lower[here], part),
        "upper": _scaled(upper[here], part),
        "steps": _text(steps, "<u4") if len(steps) < len(value) else None,
    }


def _of_span(span, packed):
    """A span as the page holds it."""
    data = {key: value for key, value in span._asdict().items() if key not in ("text", "targets")}
    if span.targets is None:
        return data
    parts = packed[span.series]["features"]
    targets = {
        k: {"steps": _text(rows["step"], "<u4")} | {name: _scaled(rows[name], parts[k]) for name in _QUANTILES}
        for k, rows in span.targets.groupby("feature")
    }
    return data | {"targets": targets}


def _scaled(values, part):
    return _text((np.asarray(values) - part["centre"]) / part["scale"], "<f4")


def _text(values, kind):
    return base64.b64encode(np.asarray(values).astype(kind).tobytes()).decode()
