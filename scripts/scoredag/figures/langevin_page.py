"""The page on which particles of each Langevin variant move live over the mixture, in one HTML file."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from scoredag.figures import langevin_numerics, langevin_view, plane, style

MOST_COMPONENTS = 10_000  # of a mixture that particles move on: 64 bytes each in the page
MOST_EXACT = 5000  # exact samples that the page holds
MOST_MODES = 20  # modes that are numbered
MOST_PARTICLES, FEW_PARTICLES = 20_000, 2000  # at once, and where there are many components
MANY_COMPONENTS = 1000
LEVELS = (4.0, 2.0, 1.0, 0.5, 0.25)  # of noise, for variants that have none
_STILL_MARKERS = 2000
_STILL_COLOURS = 32


class Mixture(plane.Mixture, Protocol):
    """What is shown of a `gmm.mixture.GaussianMixture`."""

    weights: np.ndarray


class Process(NamedTuple):
    """A forward SDE as the page needs it, y = (z - centre) / unit on its clock (see `likelihood.sde`)."""

    centre: np.ndarray  # (2,)
    unit: float
    clocks: np.ndarray  # (n_between * S + 1,), rising, at even times from `smallest_time` to 1
    n_between: int  # steps of the reverse SDE from one of the S + 1 times that are shown to the next
    smallest_time: float


class Variant(NamedTuple):
    """A Langevin variant: what its button says, and its settings as those of `gmm.langevin.run`."""

    title: str
    settings: Mapping[str, Any]


def page(
    gmm: Mixture,
    exact: np.ndarray,
    modes: np.ndarray,
    view: plane.View,
    process: Process,
    variants: Sequence[Variant],
    colour: str,
) -> str:
    """The page as HTML, which needs nothing else: no other file, no other host.

    A mixture of more than `MOST_COMPONENTS` components is shown as a figure alone.

    Args:
        gmm: the mixture of K components.
        exact: exact samples (N, 2), of which the first ones are kept.
        modes: its modes (M, 2), the highest first.
        view: the square of the plane that is drawn.
        process: the forward SDE.
        variants: one button each, in this order.
        colour: of the particles, to matplotlib.
    """
    still = _still(gmm, exact, view, colour)
    if gmm.n_components > MOST_COMPONENTS:
        words = f"The mixture has {gmm.n_components:,} components; particles move on {MOST_COMPONENTS:,} at most."
        return _html(f'<p class="warning">{words}</p>\n{_figure(still)}')
    most_particles = MOST_PARTICLES if gmm.n_components <= MANY_COMPONENTS else FEW_PARTICLES
    shown = [(variant.title, controls(variant.settings, most_particles)) for variant in variants]
    able = [found for _, found in shown if found]
    data = {
        "weights": _text(gmm.weights, "<f8"),
        "means": _text(gmm.means, "<f8"),
        "covariances": _text(np.asarray(gmm.covariances)[:, [0, 0, 1], [0, 1, 1]], "<f8"),
        "exact": _text(exact[:MOST_EXACT], "<f4"),
        "modes": _text(modes[:MOST_MODES], "<f8"),
        "view": [*map(float, view.centre), float(view.half_width)],
        "process": {
            "centre": [*map(float, process.centre)],
            "unit": float(process.unit),
            "clocks": _text(process.clocks, "<f8"),
            "between": process.n_between,
            "first": float(process.smallest_time),
        },
        "variants": [{"title": title, "controls": found} for title, found in shown],
        "start": able[0] if able else controls({"step_size": 0.1}, most_particles),
        "most_particles": most_particles,
        "colours": {"particles": to_hex(colour), "exact": style.ORANGE, "ellipse": style.VERMILION},
        "paths": [style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.BLACK, style.SKY],
    }
    packed = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    body = _body(gmm.n_components, shown, len(modes), data["colours"])
    scripts = f"<script>{langevin_numerics.SCRIPT}</script>\n<script>{langevin_view.SCRIPT}</script>"
    return _html(f"""<p id="off" class="warning">Particles move here where JavaScript is on; it is off.</p>
<p id="lack" class="warning" role="alert" hidden></p>
{_figure(still)}
{body}
<script>{langevin_view.GUARD}</script>
<script type="application/json" id="data">{packed}</script>
{scripts}""")


def controls(settings: Mapping[str, Any], most_particles: int = MOST_PARTICLES) -> dict[str, Any] | None:
    """The page's controls for the settings of a variant; None where it has no such controls.

    That is for parallel tempering, and where noise covariance and preconditioner differ.
    """
    kernel = settings.get("kernel", "overdamped")
    noise, preconditioner = (_triple(settings.get(name)) for name in ("noise_covariance", "preconditioner"))
    noisy, matrix = True, [1.0, 0.0, 1.0]
    if kernel == "overdamped" and preconditioner is None:
        noisy = noise is not None and any(noise)
        matrix = noise if noise is not None and noisy else matrix
    elif kernel == "overdamped":
        kernel, matrix = "preconditioned", preconditioner
        noisy = noise is None or any(noise)
        if noise is not None and noisy and noise != preconditioner:
            return None
    elif kernel == "mala":
        matrix = preconditioner or matrix
    elif kernel not in ("underdamped", "annealed"):
        return None
    return {
        "kernel": kernel,
        "tau": float(settings["step_size"]),
        "noise": noisy,
        "covariance": matrix,
        "friction": float(settings.get("friction", 1.0)),
        "levels": [*map(float, settings.get("noise_levels") or LEVELS)],
        "particles": min(settings.get("n_particles", most_particles), most_particles),
        "steps": settings.get("n_steps", 1000),
    }


def _triple(matrix):
    """xx, xy, yy of a symmetric (2, 2) matrix, or None."""
    return None if matrix is None else [float(matrix[0][0]), float(matrix[0][1]), float(matrix[1][1])]


def _still(gmm, exact, view, colour):
    """The figure for browsers that cannot run the page, as PNG with few colours, without version or date."""
    drawn = plane.scatter(gmm, exact[:_STILL_MARKERS], view, colour, f"Mixture of {gmm.n_components:,} Gaussians")
    canvas = FigureCanvasAgg(drawn)
    drawn.set_dpi(100)
    canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    stream = io.BytesIO()
    pixels.quantize(_STILL_COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _figure(still):
    words = f"Contours of the mixture's density, and {_STILL_MARKERS:,} exact samples at most."
    source = base64.b64encode(still).decode()
    return (
        f'<figure id="still"><img src="data:image/png;base64,{source}" alt="{words}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _html(body):
    title = "Langevin dynamics on the mixture, live"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{langevin_view.STYLE}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def _body(n_components, shown, n_modes, colours):
    """What is there once the page runs."""
    slow = ""
    if n_components > MANY_COMPONENTS:
        slow = f"<p>The mixture has {n_components:,} components, so that steps are slow.</p>\n"
    return f"""<div id="live" hidden>
{slow}<div role="tablist" aria-label="what moves the particles">
<button role="tab" id="tab-langevin" aria-controls="langevin" aria-selected="true">Langevin dynamics</button>
<button role="tab" id="tab-diffusion" aria-controls="diffusion" aria-selected="false" tabindex="-1">Forward SDE,
reverse SDE, probability flow</button>
</div>
<main>
<section id="langevin" role="tabpanel" aria-labelledby="tab-langevin" class="columns">
<div>
<p>Particles start as draws from N(0, I) and move by the score s = ∇ log p of the mixture. A button has the settings of
a variant of the config; all can be changed while particles move.</p>
<div class="row" role="group" aria-label="variants of the config">
{_buttons(shown)}
</div>
<div class="stage"><canvas id="plane" role="img" aria-label="particles over the density of the mixture"></canvas></div>
<p class="looks">{_looks(colours, n_modes)}</p>
<div class="row">
<button id="run">Run</button> <button id="once">One step</button> <button id="anew">Start again</button>
<label>Steps a second <select id="speed" autocomplete="off"><option value="2">2</option><option value="10">10</option>
<option value="60">60</option><option value="most">as many as possible</option></select></label>
<label class="looks"><input type="checkbox" id="exact" autocomplete="off"> show exact samples
<i style="width: 8px; height: 8px; background: {colours["exact"]}"></i></label>
</div>
</div>
<div>
{_numbers()}
{_settings()}
<table id="modes"><caption>Particles nearest to each mode</caption>
<tr><th scope="col">mode</th><th scope="col">particles</th><th scope="col">bar: particles, line: exact samples</th>
<th scope="col">exact</th></tr>
</table>
</div>
</section>
{_dynamics()}
</main>
</div>"""


def _buttons(shown):
    buttons, others = [], []
    for i, (title, found) in enumerate(shown):
        if found:
            buttons.append(f'<button data-variant="{i}" aria-pressed="false">{escape(title)}</button>')
        else:
            others.append(escape(title))
    more = f"<span>Not on this page, which has no such kernel: {'; '.join(others)}</span>" if others else ""
    return "\n".join([*buttons, more])


def _looks(colours, n_modes):
    marks = [
        (f"width: 8px; height: 8px; background: {colours['particles']}", "particles"),
        ("width: 20px; height: 12px; background: linear-gradient(90deg, #9fb8d3, #fff)", "log-density"),
        ("width: 20px; border-top: 1px solid #8c8c8c", "0.7, 2, 4, 6 nats below the peak"),
    ]
    numbered = "modes" if n_modes <= MOST_MODES else f"the {MOST_MODES} highest modes"
    looks = "".join(f'<span><i style="{look}"></i>{words}</span>' for look, words in marks)
    return f"{looks}<span><b>0</b>, <b>1</b>, .. {numbered}</span>"


def _numbers():
    entries = [
        ("step", "step"),
        ("rate", "steps a second"),
        ("distance", "sliced W2 from exact samples (noise floor), in the unit of x"),
        ("variation", "total variation of the modes' shares (noise floor)"),
        ("acceptance", "steps accepted (MALA)"),
        ("lost", "particles outside"),
    ]
    rows = "".join(f'<div><dt>{words}</dt><dd id="{name}">-</dd></div>' for name, words in entries)
    return f'<dl class="numbers">{rows}</dl>'


def _slider(name, words, unit):
    return f"""<div class="setting" id="{name}-row"><label for="{name}">{words}</label>
<input type="range" id="{name}" aria-label="{words}, logarithmic" autocomplete="off">
<input type="number" id="{name}-number" aria-label="{words}{unit}" step="any" autocomplete="off"></div>"""


def _entry(name, words):
    return (
        f'<div class="setting"><label for="{name}">{words}</label>'
        f'<input type="number" id="{name}" step="any" autocomplete="off"></div>'
    )


def _settings():
    how = "Left and right arrow keys turn the ellipse, up and down change its first axis, with Shift the second."
    return f"""<div class="setting" id="kernel-row"><label for="kernel">Kernel</label>
<select id="kernel" class="wide" autocomplete="off"><option value="overdamped">overdamped (ULA, gradient flow)</option>
<option value="preconditioned">preconditioned</option><option value="mala">MALA</option>
<option value="underdamped">underdamped (BAOAB)</option><option value="annealed">annealed</option></select></div>
<p id="formula"></p>
<p id="warning" class="warning" role="status" hidden></p>
{_slider("tau", "Step size τ", ", time")}
<div class="setting"><label for="noise">Noise</label>
<span class="wide"><input type="checkbox" id="noise" autocomplete="off"> off: gradient flow</span></div>
{_slider("friction", "Friction", ", 1 / time")}
<div class="setting" id="levels-row"><label for="levels">Noise levels s</label>
<input type="text" id="levels" class="wide" autocomplete="off"></div>
<fieldset id="matrix"><legend id="matrix-name">Covariance</legend>
<div class="ellipse"><canvas id="ellipse" tabindex="0" role="application" aria-roledescription="ellipse to drag"
aria-labelledby="matrix-name" aria-describedby="ellipse-help"></canvas>
<div>{_entry("xx", "xx")}{_entry("xy", "xy")}{_entry("yy", "yy")}<p>dashed: I</p></div></div>
<p id="ellipse-help">Drag the marks: one deviation of ζ. {how}</p></fieldset>
{_slider("particles", "Particles", "")}
{_entry("steps", "Pause at step")}
{_entry("seed", "Seed")}
<p>The space bar runs and pauses. The address of this page has all settings.</p>"""


def _dynamics():
    names = {"forward": "Forward SDE", "reverse": "Reverse SDE", "flow": "Probability flow ODE"}
    panels = "\n".join(
        f'<div><h2>{words}</h2><div><canvas id="{name}" role="img" aria-label="particles by the {words}">'
        f'</canvas></div><p id="{name}-distance"></p></div>'
        for name, words in names.items()
    )
    return f"""<section id="diffusion" role="tabpanel" aria-labelledby="tab-diffusion" hidden>
<p>The forward SDE turns data at t = 0 to noise at t = 1. From there the same particles go back: by the reverse SDE with
noise of its own, by the probability flow without any. At each t all three have the law p<sub>t</sub>, which is shaded,
and the score is that of p<sub>t</sub>. Paths differ: six particles have the
same colours in all panels, with the last part of their paths.</p>
<div class="setting"><label for="time">Time t</label><input type="range" id="time" min="0" step="1" autocomplete="off">
<span></span></div>
<div class="row"><button id="to-noise">To noise (t → 1)</button> <button id="to-data">To data (t → 0)</button>
<button id="halt" disabled>Pause</button> <output id="when" for="time"></output>
<span id="progress" role="status"></span></div>
<div class="panels">
{panels}
</div>
<p>In the plane, in units in which p<sub>t</sub> has the variance of the mixture. In brackets: the noise floor, which is
that of an exact sample of p<sub>t</sub>.</p>
</section>"""


def _text(values, kind):
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()
