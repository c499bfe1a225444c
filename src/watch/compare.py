"""A day's images and outcomes against the reference, and what is told of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..artifact.contract import Contract
from ..core.cells import visible
from ..core.errors import require
from ..core.image_files import image_stem
from ..datasets.csv_files import read_csv
from ..evaluation.bootstrap import wilson_interval
from ..skin.tone import FORMER_NAMES, GROUP_NAMES
from .reference import Measured, Reference, Sensitivity, tone_counts
from .sequential import ALPHA, SensitivityBets, ks_p_value, level_of_day, mix_p_value
from .state import Counts, Day, State, name_hash

LEAST_OF_DAY = 20
LEAST_BOUND = 0.02
TONES = "tone mix"
ALL = "all"
TITLES = {
    "sharpness": "sharpness",
    "glare": "glare",
    "lightness": "lightness (L*)",
    "skin": "share of skin",
    "contrast": "contrast (L*)",
    "red_green": "colour, red to green (a*)",
    "yellow_blue": "colour, yellow to blue (b*)",
    "score": "score of the positive class (logit)",
    "feature_distance": "distance in feature space",
    TONES: TONES,
}


def compare_day(reference: Reference, state: State, found: Measured) -> tuple[State, list[str]]:
    """(the state with one more day, what is told of it): is any sign distributed otherwise?

    Each sign is tested by Kolmogorov and Smirnov, the mix of tones by Fisher; the level is
    divided by the number of tests (Bonferroni) and spent over the days.
    """
    n = len(found.names)
    require(n >= LEAST_OF_DAY, f"{n} images can be read; expected {LEAST_OF_DAY} or more for a day")
    values = {
        one.name: ks_p_value(found.signs[one.name], np.array(one.quantiles), reference.n)
        for one in reference.signs
        if one.name in found.signs
    }
    values[TONES] = mix_p_value(tone_counts(found.groups), reference.tones)
    day = state.n_days + 1
    level = level_of_day(day) / len(values)
    first = min(values, key=values.get)
    alarms = [name for name, p in values.items() if p <= level]
    lines = [f"day {day}: {n} images compared with {reference.n} of the reference"]
    lines += [
        f"  changed: {TITLES.get(name, name)} (p = {values[name]:.1g}, level {level:.1g})"
        + _shift(reference, found, name)
        for name in alarms
    ]
    lines += [] if alarms else ["  no change found in any sign, nor in the mix of tones"]
    kept = Day(n, first, values[first], bool(alarms))
    return replace(state, n_days=day, days=(*state.days, kept)), lines


def _shift(reference: Reference, found: Measured, name: str) -> str:
    quantiles = {one.name: one.quantiles for one in reference.signs}
    if name not in quantiles:
        return ""
    before, now = quantiles[name][len(quantiles[name]) // 2], float(np.median(found.signs[name]))
    return f": median {now:.3g}, was {before:.3g}"


@dataclass(frozen=True)
class Outcomes:
    """Positive images with a known outcome: names, tone groups (or empty), found or not."""

    names: list[str]
    groups: list[str]
    found: np.ndarray


def read_outcomes(path: Path, contract: Contract) -> Outcomes:
    """The positive rows of a CSV `image_name,target,label[,group]`, indices or names of classes.

    Raises `UserError` for cells that are no class.
    """
    rows = read_csv(path, ("image_name", "target", "label"), ("group",))
    known = {name: place for place, name in enumerate(contract.classes)}
    known |= {str(place): place for place in range(len(contract.classes))}
    codes = {}
    for column in ("target", "label"):
        cells = rows[column].fillna("").astype(str).str.strip()
        wrong = sorted(set(cells) - known.keys())
        expected = ", ".join(map(visible, contract.classes))
        require(
            not wrong,
            f"{path}: column '{column}': '{visible(wrong[0] if wrong else '', 40)}': expected one "
            f"of {expected}, or its index",
        )
        codes[column] = cells.map(known).to_numpy()
    positive = codes["label"] == contract.positive
    groups = rows["group"] if "group" in rows else rows["image_name"].map(lambda _: "")
    return Outcomes(
        names=[_name(str(name)) for name in rows["image_name"][positive]],
        groups=[_group(cell) for cell in groups[positive].fillna("")],
        found=(codes["target"] == contract.positive)[positive],
    )


def _name(cell: str) -> str:
    folder = cell.strip().replace("\\", "/").rpartition("/")[0]
    return f"{folder}/{image_stem(cell)}" if folder else image_stem(cell)


def _group(cell: object) -> str:
    text = str(cell).strip()
    if text in (codes := [str(code) for code in range(len(GROUP_NAMES))]):
        return GROUP_NAMES[codes.index(text)]
    return "" if text == "-1" else FORMER_NAMES.get(text, text)[:100]


def sensitivities_of(outcomes: Outcomes) -> list[Sensitivity]:
    """Hits and positive images of all rows and of each group: what a reference holds."""
    names = [ALL, *sorted({group for group in outcomes.groups if group})]
    found = []
    for name in names:
        own = np.array([name in (ALL, group) for group in outcomes.groups], bool)
        found.append(Sensitivity(name, int(outcomes.found[own].sum()), int(own.sum())))
    return found


def _bounds(reference: Reference, least: float | None) -> dict[str, float]:
    """What each group must not fall below; none so low that a fall could not be told."""
    expected = {
        one.group: wilson_interval(one.hits, one.n_positive)[0] if least is None else least
        for one in reference.sensitivities
        if one.n_positive
    }
    if least is not None:
        expected.setdefault(ALL, least)
    expected = {group: bound for group, bound in expected.items() if bound >= LEAST_BOUND}
    require(
        bool(expected),
        "--outcomes: the reference holds no outcomes to compare with: write it with more, or give "
        "--least_sensitivity",
    )
    return expected


def count_outcomes(
    reference: Reference, state: State, outcomes: Outcomes, least: float | None
) -> tuple[State, list[str], bool]:
    """(the state with these outcomes, what is told of each group's sensitivity, any alarm?).

    Images that were counted before are passed over. What a group's sensitivity must not fall below
    is `least`, else the lower end of the reference's 95 % interval. An alarm needs a capital of the
    number of groups / 0.05.
    """
    expected = _bounds(reference, least)
    seen, new = set(state.seen), []
    for place, name in enumerate(outcomes.names):
        key = name_hash(name, state)
        if key not in seen:
            seen.add(key)
            new.append((place, key))
    counts = {one.group: one for one in state.counts}
    lines, is_alarm = [], False
    for group, bound in expected.items():
        own = [outcomes.found[i] for i, _ in new if group in (ALL, outcomes.groups[i])]
        now = _counted(counts.get(group, Counts(group, 0, 0, 1.0, bound)), own, bound)
        counts[group] = now
        needed = len(expected) / ALPHA
        n, told = now.hits + now.misses, "no fall found"
        if now.highest >= needed:
            is_alarm = True
            told = f"FALLEN below {bound:.3f} (capital reached {now.highest:.3g}, needs {needed:g})"
        lines.append(f"  sensitivity, {visible(group, 60)}: {now.hits} of {n} found: {told}")
    state = replace(
        state, counts=tuple(counts.values()), seen=(*state.seen, *(key for _, key in new))
    )
    return state, [f"{len(new)} new positive images with an outcome", *lines], is_alarm


def _counted(before: Counts, found: list, expected: float) -> Counts:
    """The counts with these outcomes, in their order; the capital is looked at after each."""
    require(
        before.bound == expected,
        f"--least_sensitivity: {visible(before.group, 60)}: this watch began with "
        f"{before.bound:.3f}, not {expected:.3f}; give the same, or another --state",
    )
    hits = before.hits + np.cumsum(np.array(found, int))
    misses = before.misses + np.cumsum(1 - np.array(found, int))
    if not len(found):
        return before
    highest = float(SensitivityBets(expected).capital(hits, misses).max())
    highest = max(before.highest, min(highest, 1e15))
    return Counts(before.group, int(hits[-1]), int(misses[-1]), highest, expected)
