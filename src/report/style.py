"""The look that all figures share, and saving one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from ..core.files import replacing

# tone groups from very light to dark
GROUP_COLORS = ("#e8b894", "#c98e62", "#9c6239", "#553018")
UNKNOWN_COLOR = "#8a8f98"
INK, SOFT_INK, RULE, BAND = "#1f2933", "#5b6673", "#c9d0d8", "#f4f6f8"
MAIN, WRONG, OTHER = "#1f4e79", "#b5403a", "#7b3294"
# apart for the colour-blind (Okabe & Ito 2008), darkest first; then again with other dashes
CLASS_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4d4d4d")
DASHES = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)))
SMALL = 8.5
_SIGNS = "…≥≤–—"

_LOOK = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT_INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "text.parse_math": False,  # a name may hold $
}


@contextmanager
def saved_figure(size: tuple[float, float], path: Path) -> Iterator[Figure]:
    """A figure of this size in inches, a PNG at `path` when the block ends."""
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150, format="png")


def short(text: str, longest: int = 28) -> str:
    """Text of a stranger's file on one line, in letters that the font has."""
    return printable(text if len(text) <= longest else text[: longest - 1] + "…")


def printable(text: str) -> str:
    """The text in letters that the font has, others as `?`."""
    known = (c if c in _SIGNS or (c.isprintable() and c < "\u0250") else "?" for c in text)
    return "".join(known)


def line_style(place: int) -> dict:
    """Colour and dashes of the class at this place; 21 classes are apart."""
    dashes, color = divmod(place, len(CLASS_COLORS))
    return {"color": CLASS_COLORS[color], "linestyle": DASHES[dashes % len(DASHES)]}


def tone_color(place: int, n_tones: int = len(GROUP_COLORS)) -> str:
    """Colour of the tone at this place of `n_tones`, light to dark; grey beyond them and for -1."""
    if not 0 <= place < n_tones:
        return UNKNOWN_COLOR
    shades = LinearSegmentedColormap.from_list("tones", GROUP_COLORS)
    return to_hex(shades(place / max(1, n_tones - 1)))


def interval_text(figure: dict, digits: int = 2) -> str:
    """`0.72 (0.64–0.80)`, or `not defined`."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value != value:
        return "not defined"
    bounds = f" ({low:.{digits}f}–{high:.{digits}f})" if low == low and high == high else ""
    return f"{value:.{digits}f}{bounds}"
