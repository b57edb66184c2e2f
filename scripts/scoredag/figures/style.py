"""One look for all figures, and how they reach the disk."""

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from PIL import Image

from scoredag.errors import InputError
from scoredag.store import files

# Okabe & Ito (2008): told apart by colour-blind readers, too
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
BLACK, GREY = "#000000", "#8c8c8c"
SEVERAL = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
DENSITY = "viridis"

matplotlib.rcParams.update(
    {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 11,
        "font.size": 10,
        "legend.frameon": False,
        "savefig.dpi": 150,
        "text.parse_math": False,  # a name with two dollars is no formula
    }
)


def colour(name):
    """`name`, if matplotlib knows it as a colour; InputError otherwise."""
    if not is_color_like(name):
        raise InputError(f"figure.colour: '{name}' is not a colour; write blue, or #0072b2")
    return name


def figure(width, height):
    """An empty figure of `width` x `height` inches; no pyplot, which costs a second to import."""
    return Figure(figsize=(width, height), layout="constrained")


def plain_numbers(axis):
    """Numbers on a logarithmic axis in place of powers of ten, which need the formulas that this style leaves out."""
    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(drawn, path):
    """Write a figure as PNG; without a version or a date inside, the same figure is the same bytes."""
    with files.replacing(path) as partial:
        drawn.savefig(partial, metadata={"Software": None})


def save_animation(figures, path, milliseconds):
    """Write figures of one size as GIF, shown for so long each, the last for five times as long; again and again."""
    images = []
    for drawn in figures:
        canvas = FigureCanvasAgg(drawn)
        drawn.set_dpi(100)
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        images.append(pixels.quantize(64, dither=Image.Dither.NONE))
    first, *others = images
    durations = [milliseconds] * len(others) + [5 * milliseconds]
    with files.replacing(path) as partial:
        first.save(partial, save_all=True, append_images=others, duration=durations, loop=0, optimize=False)
