"""Figures of skin tones: angles, skin colours, masks on images, the skin-former's pairs."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..skin.tone import (
    GROUP_NAMES,
    TONE_CATEGORIES,
    lab_from_rgb,
    rgb_from_lab,
    tone_category,
    tone_group,
)
from .style import GROUP_COLORS, SMALL, SOFT_INK, WRONG, saved_figure, short

# Far from every skin colour, and apart for the colour-blind (Okabe & Ito 2008).
LESION_COLOR, HAIR_COLOR = "#f0e442", "#0072b2"
_HAIR_RGB = (0, 114, 178)
_VEIL_GREY, _VEIL_SHARE = 120, 0.65
_BOUND_COLOR = "#9a9a9a"
_ASIDE = {"fontsize": SMALL, "color": SOFT_INK}
_CAPTION = {"fontsize": 7, "color": SOFT_INK}
_LONGEST = 30  # letters of a name
_MOST_REASONS = 4
_MOST_COLUMNS = 4


class MaskPanel(NamedTuple):
    """An image RGB uint8 [H, W, 3], its masks bool [H, W] and what is known of its tone."""

    name: str
    image: np.ndarray
    lesion: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    ita: float
    ita_spread: float
    reason: str


class TonePair(NamedTuple):
    """An image RGB uint8 [H, W, 3] before and after its skin was darkened, with both angles."""

    name: str
    before: np.ndarray
    after: np.ndarray
    ita_before: float
    ita_after: float


def plot_histogram(ita: np.ndarray, left_out: dict[str, int], path: Path) -> None:
    """Save a PNG: how many images have which angle (degrees, -90 to 90), by tone group.

    `left_out` counts the images without a valid angle by their reason.
    """
    with saved_figure((10, 4.2), path) as figure:
        import seaborn  # takes a second, which no other figure has to wait for

        axes = figure.subplots()
        low, high = min(-45, np.floor(ita.min())), max(75, np.ceil(ita.max()))
        groups = tone_group(ita)
        names = [
            f"{name} (n={np.sum(groups == group):,})" for group, name in enumerate(_group_labels())
        ]
        seaborn.histplot(
            x=ita,
            hue=np.array(names)[groups],
            hue_order=names[::-1],
            palette=GROUP_COLORS[::-1],
            multiple="stack",
            binwidth=1,
            binrange=(low, high),
            alpha=1,
            linewidth=0,
            ax=axes,
        )
        _mark_chardon(axes, low, high)
        axes.set(xlim=(low, high), xlabel="individual typology angle (ITA), degrees")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set(ylabel="images per degree", ylim=(0, 1.15 * axes.get_ylim()[1]))
        axes.set_title(f"Skin tone of {len(ita):,} images", pad=22)
        axes.text(0, 1.02, _left_out_text(left_out), transform=axes.transAxes, **_ASIDE)
        axes.get_legend().remove()
        keys = [Patch(color=c, label=n) for c, n in zip(GROUP_COLORS, names, strict=True)]
        look = {"ncols": 4, "fontsize": SMALL, "frameon": False}
        figure.legend(handles=keys, loc="outside lower center", **look)


def _group_labels() -> list[str]:
    groups = range(len(GROUP_NAMES))
    names = [dict.fromkeys(c.chardon for c in TONE_CATEGORIES if c.group == g) for g in groups]
    return [", ".join(chardon) for chardon in names]


def _left_out_text(left_out: dict[str, int]) -> str:
    """Counts by reason, of the first reasons: every other file may bring its own."""
    if not left_out:
        return "every image has a valid tone"
    texts = [f"{count:,} {short(reason, _LONGEST)}" for reason, count in left_out.items()]
    n_others = sum([*left_out.values()][_MOST_REASONS:])
    others = [f"{n_others:,} of other reasons"] if n_others else []
    total = sum(left_out.values())
    return f"{total:,} others not shown: {', '.join([*texts[:_MOST_REASONS], *others])}"


def _mark_chardon(axes, low: float, high: float) -> None:
    """Lines and ticks at the bounds of Chardon's categories, whose names stand between them."""
    bounds = {category.chardon: category.above for category in TONE_CATEGORIES}
    edges = [high, *(max(low, bound) for bound in bounds.values())]
    for name, (upper, lower) in zip(bounds, pairwise(edges), strict=True):
        place = (upper + lower) / 2
        at_top = axes.get_xaxis_transform()
        axes.text(place, 0.96, name, ha="center", va="center", fontsize=9, transform=at_top)
    inner = edges[1:-1]
    axes.vlines(inner, 0, 1, _BOUND_COLOR, "dashed", linewidth=1, transform=at_top, zorder=0)
    axes.set_xticks(inner, [f"{bound:g}°" for bound in inner])


def plot_strips(ita: np.ndarray, colors: np.ndarray, path: Path) -> None:
    """Save a PNG: for each tone category the skin colours found and the colour of their median.

    `ita` [N] is in degrees; `colors` [N, 3] are RGB, 0..255. Lightest first, within a strip too.
    The median is that of L*, a* and b*.
    """
    with saved_figure((10, 5.6), path) as figure:
        axes = figure.subplots()
        categories = tone_category(ita)
        for row, category in enumerate(TONE_CATEGORIES):
            inside = np.flatnonzero(categories == row)
            _strip(axes, row, colors[inside[np.argsort(-ita[inside], kind="stable")]])
            upper = TONE_CATEGORIES[row - 1].above if row else np.inf
            label = f"{category.name}, {_range_text(category.above, upper)}"
            axes.text(-0.02, row - 0.17, label, ha="right", va="center")
            count = f"n={len(inside):,}"
            axes.text(-0.02, row + 0.2, count, ha="right", va="center", **_ASIDE)
        axes.text(0.5, -0.62, "skin colours found, lightest first", ha="center", va="center")
        axes.text(1.11, -0.62, "median", ha="center", va="center")
        axes.set(xlim=(-0.32, 1.42), ylim=(len(TONE_CATEGORIES) - 0.5, -0.8))
        axes.axis("off")


def _strip(axes, row: int, colors: np.ndarray) -> None:
    """A row of colours [n, 3] from x = 0 to 1 and, beside it, the colour of their median."""
    if not len(colors):
        grey = {"va": "center", "color": "#777777", "style": "italic"}
        axes.text(0.5, row, "no image", ha="center", **grey)
        return
    median = rgb_from_lab(np.median(lab_from_rgb(colors), axis=0))
    for found, left, right in ((colors, 0.0, 1.0), (median[None], 1.04, 1.18)):
        image, extent = np.rint(found).astype(np.uint8)[None], (left, right, row + 0.4, row - 0.4)
        axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest")
    text = "RGB {:.0f} {:.0f} {:.0f}".format(*median)
    axes.text(1.2, row, text, va="center", fontsize=9)


def _range_text(above: float, upper: float) -> str:
    if np.isinf(upper):
        return f"above {above:g}°"
    return f"{above:g}° to {upper:g}°" if np.isfinite(above) else f"{upper:g}° and below"


def plot_overlays(panels: Sequence[MaskPanel], path: Path) -> None:
    """Save a PNG: images with their lesion outlined, hair painted and other non-skin veiled."""
    n_columns, n_rows = _grid_shape(len(panels), _MOST_COLUMNS)
    with saved_figure((max(5.5, 2.6 * n_columns), 0.5 + 2.6 * n_rows), path) as figure:
        for axes, panel in zip(_grid(figure, len(panels), _MOST_COLUMNS), panels, strict=True):
            axes.imshow(marked(panel.image, panel.hair, panel.skin))
            has_edge = panel.lesion.any() and not panel.lesion.all()
            if has_edge and min(panel.lesion.shape) > 1:  # fewer pixels have no contour
                for color, width in (("black", 2.6), (LESION_COLOR, 1.3)):
                    axes.contour(panel.lesion, [0.5], colors=[color], linewidths=[width])
            known = f"{panel.ita:.0f}° ± {panel.ita_spread:.0f}°"
            angle = known if np.isfinite(panel.ita) else "no angle"
            verdict = short(f"not valid: {panel.reason}", _LONGEST) if panel.reason else "valid"
            color = WRONG if panel.reason else "black"
            axes.set_title(f"{angle}\n{verdict}", fontsize=10, color=color)
            axes.set_xlabel(short(panel.name, _LONGEST), **_CAPTION)
        veil = [_VEIL_GREY / 255] * 3
        keys = [
            Line2D([], [], color=LESION_COLOR, linewidth=2, label="lesion"),
            Patch(color=HAIR_COLOR, label="hair"),
            Patch(color=veil, label="not measured as skin"),
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)


def marked(image: np.ndarray, hair: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """RGB uint8 [H, W, 3]: pixels of `skin` as they are, `hair` in blue, the rest under grey."""
    veiled = np.rint(_VEIL_SHARE * _VEIL_GREY + (1 - _VEIL_SHARE) * image).astype(np.uint8)
    seen = np.where(skin[..., None], image, veiled)
    seen[hair & ~skin] = _HAIR_RGB
    return seen


def plot_pairs(pairs: Sequence[TonePair], target: float, path: Path) -> None:
    """Save a PNG: each image beside itself with skin darkened to `target` degrees."""
    n_columns, n_rows = _grid_shape(len(pairs), 2)
    with saved_figure((4.8 * n_columns, 0.4 + 2.2 * n_rows), path) as figure:
        for axes, pair in zip(_grid(figure, len(pairs), 2), pairs, strict=True):
            height, width = pair.before.shape[:2]
            gap = np.full((height, max(1, width // 40), 3), 255, np.uint8)
            axes.imshow(np.hstack([pair.before, gap, pair.after]))
            right = 1.5 * width + gap.shape[1]
            above = {"ha": "center", "va": "bottom", "transform": axes.get_xaxis_transform()}
            axes.text(0.5 * width, 1.02, f"before: {pair.ita_before:.0f}°", **above)
            axes.text(right, 1.02, f"after: {pair.ita_after:.0f}°", **above)
            axes.set_xlabel(short(pair.name, _LONGEST), **_CAPTION)
        figure.suptitle(f"Skin darkened to {target:g}°, lesions as they were", fontsize=11)
        figure.get_layout_engine().set(wspace=0.04)


def _grid_shape(n_panels: int, most_columns: int) -> tuple[int, int]:
    """Columns and rows: as few rows as can be, and then as few columns."""
    n_rows = -(-n_panels // most_columns)
    return -(-n_panels // n_rows), n_rows


def _grid(figure: Figure, n_panels: int, most_columns: int) -> list:
    """Axes without ticks or frame, row by row; a place left over in the last row has none."""
    columns, rows = _grid_shape(n_panels, most_columns)
    grid = figure.add_gridspec(rows, columns)
    found = [figure.add_subplot(grid[divmod(place, columns)]) for place in range(n_panels)]
    for axes in found:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return found
