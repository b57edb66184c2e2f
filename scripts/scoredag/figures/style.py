"""One look for all figures, and how they are written."""

import contextlib
import functools
import logging
import os
import warnings
from collections.abc import Iterable

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from PIL import Image

from scoredag.errors import InputError
from scoredag.store import files

# Okabe & Ito (2008): colour-blind readers can distinguish them, too
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
BLACK, GREY = "#000000", "#8c8c8c"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
DENSITY = "viridis"
FONTS = (  # with the letters of many languages, the first that is installed and has all that are needed
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Hiragino Sans", "Yu Gothic", "Malgun Gothic"),
    *("AppleGothic", "Arial Unicode MS", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Arabic", "Unifont"),
)
log = logging.getLogger(__name__)

matplotlib.rcParams.update(
    {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 11,
        "font.size": 10,
        "legend.frameon": False,
        "savefig.dpi": 150,
        "text.parse_math": False,  # a name with two dollar signs is no formula
    }
)


def colour(name: str) -> str:
    """`name`, if it is a colour to matplotlib; InputError otherwise."""
    if not is_color_like(name):
        raise InputError(f"figure.colour: '{name}' is not a colour; write blue, or #0072b2")
    return name


def figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches; without pyplot, which takes a second to import."""
    return Figure(figsize=(width, height), layout="constrained")


def plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis with numbers: powers of ten are formulas, which this style turns off."""
    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(drawn: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, without version or date, so that the same figure is the same bytes.

    Letters that the usual font lacks are of another one; where none has them, the log says so.
    """
    with files.replacing(path) as partial, _lettered(drawn):
        drawn.savefig(partial, metadata={"Software": None})


@contextlib.contextmanager
def _lettered(drawn):
    """Draw within the block: texts with letters that the usual font lacks have a second font, which has them."""
    texts = [text for text in drawn.findobj(Text) if not text.get_text().isascii()]
    letters = {letter for text in texts for letter in text.get_text() if letter.isprintable()}
    lacking = frozenset(letters - _letters(font_manager.findfont("DejaVu Sans"))) if letters else frozenset()
    if lacking and (font := _font_with(lacking)):
        for text in texts:
            text.set_fontfamily(["DejaVu Sans", font])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the log has said so in one line
        yield


@functools.cache
def _font_with(letters):
    """The first installed one of FONTS that has all `letters`; None, which the log tells once, where none has."""
    installed = {entry.name: entry.fname for entry in font_manager.fontManager.ttflist}
    for name in FONTS:
        if name in installed and letters <= _letters(installed[name]):
            return name
    shown = "".join(sorted(letters)[:10])
    log.warning("no font here has the letters %s, which figures show as boxes; install one, as Noto Sans CJK", shown)
    return None


@functools.cache
def _letters(path):
    return set(map(chr, font_manager.get_font(path).get_charmap()))


def save_animation(
    figures: Iterable[Figure], path: str | os.PathLike[str], milliseconds: int, n_colours: int = 64
) -> None:
    """Write figures of one size as an endless GIF, each shown for `milliseconds`, the last five times as long.

    Colours of few pixels need a larger `n_colours`, at most 256, to be kept.
    """
    images = []
    for drawn in figures:
        canvas = FigureCanvasAgg(drawn)
        drawn.set_dpi(100)
        with _lettered(drawn):
            canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        images.append(pixels.quantize(n_colours, dither=Image.Dither.NONE))
    durations = [milliseconds] * (len(images) - 1) + [5 * milliseconds]
    with files.replacing(path) as partial:
        images[0].save(partial, save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False)


def band_label(level: float) -> str:
    """The band of a central interval in a legend: 5-95 % band for 0.9."""
    return f"{50 * (1 - level):.3g}-{50 * (1 + level):.3g} % band"
