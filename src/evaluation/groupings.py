"""Which group each row is in: by skin tone, by a column of any table, by both at once."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.cells import one_spelling, says_nothing, tidy, visible
from ..core.errors import UserError
from ..skin.tone import GROUP_NAMES
from .predictions import Predictions

SKIN_TONE = "skin tone"
BY_ANGLE = "skin tone by angle"  # beside tones that people gave
CERTAIN = "{}, certain only"
UNKNOWN = "unknown"
MAX_NUMBERS, MAX_LEVELS = 12, 30  # more numbers need bands; more names are no groups


@dataclass(frozen=True)
class Grouping:
    """`codes` int [N] are indices into `levels`, -1 where the group is unknown.

    `name` says what the groups are: a table's heading.
    """

    name: str
    codes: np.ndarray
    levels: tuple[str, ...]

    def rows(self) -> dict[str, np.ndarray]:
        """Bool [N] of each level that has rows, in order; of rows of none under `unknown`."""
        names = {**dict(enumerate(self.levels)), -1: UNKNOWN}
        found = {name: self.codes == code for code, name in names.items()}
        return {name: rows for name, rows in found.items() if rows.any()}


def tone_groups(predictions: Predictions) -> Grouping:
    """The grouping by the skin tones that the predictions have."""
    return Grouping(SKIN_TONE, predictions.groups, predictions.group_names)


def known_tones(
    predictions: Predictions,
    uncertain: np.ndarray | None = None,
    by_angle: np.ndarray | None = None,
) -> list[Grouping]:
    """The grouping by skin tones where some are known, else none.

    Where people gave them there is one more by the groups of angles, int [N], if these are known.
    Where angles of known groups are `uncertain` (bool [N]) there is one more, without these.
    """
    tones = angles = tone_groups(predictions)
    if tones.levels != GROUP_NAMES:
        codes = np.full(len(tones.codes), -1) if by_angle is None else by_angle
        angles = Grouping(BY_ANGLE, codes, GROUP_NAMES)
    both = [tones] if angles is tones else [tones, angles]
    found = [one for one in both if (one.codes >= 0).any()]
    if uncertain is not None and (uncertain & (angles.codes >= 0)).any():
        codes = np.where(uncertain, -1, angles.codes)
        found.append(Grouping(CERTAIN.format(angles.name), codes, angles.levels))
    return found


def grouping_of_column(name: str, values: pd.Series, edges: tuple[float, ...] = ()) -> Grouping:
    """The grouping by a column of texts [N]; what `cells.says_nothing` of is unknown.

    The levels are the texts that occur, in one spelling, sorted, or the numbers, by size; with
    ascending `edges`, all bands of numbers between them: an edge is the least number of the band
    above it. `-1` and the like are numbers only among other negative ones. Raises `UserError` for
    more than `MAX_NUMBERS` different numbers or `MAX_LEVELS` different texts, and with edges for
    texts that are no numbers.
    """
    texts = values.fillna("").astype(str)
    tidied = {text: tidy(text) for text in texts.unique()}
    silent = {text: says_nothing(text) for text in tidied}
    numbers = pd.to_numeric(
        texts.map(tidied).str.replace(",", ".", regex=False), errors="coerce"
    ).astype(float)
    is_silent = texts.map(silent).astype(bool)
    is_signed = bool(((numbers < 0) & ~is_silent).any())
    texts = texts.mask(is_silent & ~(is_signed & numbers.notna()), "")
    if edges:
        return _bands(name, texts, numbers.to_numpy(np.float64), edges)
    known = texts != ""
    is_numeric = bool(numbers[known].notna().all())
    texts = (
        numbers.map(_short).where(known, "") if is_numeric else texts.map(one_spelling(texts)[0])
    )
    levels = [*dict.fromkeys(texts[known])]
    if len(levels) > (MAX_NUMBERS if is_numeric else MAX_LEVELS):
        hint = f'give bands, as in --group_by "{name}:30,50,70"' if is_numeric else "take another"
        name = visible(name, 60)
        raise UserError(f"column '{name}' has {len(levels):,} different values, too many: {hint}")
    size = dict(zip(texts, numbers, strict=True)) if is_numeric else {}
    levels.sort(key=lambda level: (size.get(level, 0.0), level))
    codes = texts.map({level: code for code, level in enumerate(levels)} | {"": -1})
    return Grouping(name, codes.to_numpy(np.int64), tuple(levels))


def crossed(a: Grouping, b: Grouping) -> Grouping:
    """The intersections of two groupings of the same rows, unknown where either is.

    Levels without a row are left out.
    """
    known = (a.codes >= 0) & (b.codes >= 0)
    pairs, places = np.unique(
        np.column_stack([a.codes, b.codes])[known], axis=0, return_inverse=True
    )
    codes = np.full(len(known), -1, np.int64)
    codes[known] = places.ravel()
    levels = tuple(f"{a.levels[i]} × {b.levels[j]}" for i, j in pairs)
    return Grouping(f"{a.name} × {b.name}", codes, levels)


def _bands(name: str, texts: pd.Series, numbers: np.ndarray, edges: tuple[float, ...]) -> Grouping:
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise UserError(f"bands of '{name}': expected ascending numbers, found {_listed(edges)}")
    known = (texts != "").to_numpy()
    wrong = texts[known & ~np.isfinite(numbers)]
    if len(wrong):
        raise UserError(
            f"column '{name}' holds '{visible(wrong.iloc[0], 60)}': bands need numbers; leave out "
            f"the edges {_listed(edges)}"
        )
    values = numbers[known]
    codes = np.full(len(known), -1, np.int64)
    codes[known] = np.digitize(values, edges)
    is_whole = not np.any(np.mod([*edges, *values], 1))
    return Grouping(name, codes, _band_names(edges, is_whole))


def _band_names(edges: tuple[float, ...], is_whole: bool) -> tuple[str, ...]:
    """`<30`, `30–49`, ..., `≥70`; of numbers that are not whole `30 to <50`."""
    inner = []
    for low, high in itertools.pairwise(edges):
        last = f"–{_short(high - 1)}" if high - 1 > low else ""
        inner.append(_short(low) + (last if is_whole else f" to <{_short(high)}"))
    return (f"<{_short(edges[0])}", *inner, f"≥{_short(edges[-1])}")


def _short(number: float) -> str:
    return f"{number + 0.0:.12g}"  # 0 of -0


def _listed(edges: tuple[float, ...]) -> str:
    return ",".join(map(_short, edges))
