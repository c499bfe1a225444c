"""A model's answers to a folder of pictures, as they are and after every edit."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..batch.mask_files import read_lesion
from ..core.image_files import evenly
from ..core.progress import in_threads
from ..inference.batches import Work
from ..inference.predictor import OnnxPredictor, predict_together
from ..preprocess.image import ImageError, decode_scaled, file_bytes
from ..skin.masks import lesion_mask
from ..skin.shapes import at_longer_side
from ..skin.tone import GROUP_NAMES
from .corruptions import CORRUPTIONS, N_SEVERITIES, corrupted
from .edits import EDITS, Picture, lesion_ellipse, picture_of
from .effects import Effect, effect_of

SIDE = 448  # pixels of the longer side at which pictures are edited
_AT_A_TIME = 32  # pictures
N_EXAMPLES = 3
ALL = "all"


@dataclass
class Answers:
    """`probability` of the positive class and `is_positive` by edit, [N]; NaN where none was made.

    The edit "" is the picture as it is. `groups` are indices in `GROUP_NAMES`, -1 unknown.
    `examples` are pictures by edit; `failed` are the names of those that cannot be read, and why.
    """

    names: list[str] = field(default_factory=list)
    groups: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    probability: dict[str, np.ndarray] = field(default_factory=dict)
    is_positive: dict[str, np.ndarray] = field(default_factory=dict)
    examples: list[dict[str, np.ndarray]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def examine(
    predictor: OnnxPredictor, paths: list[Path], masks: dict[str, Path], n_corrupted: int
) -> Answers:
    """The answers to all edits of the images, and to all corruptions of `n_corrupted` of them.

    These are spread evenly over the paths, and come first: folders are often sorted by class.

    Lesions are those of `masks` by the stem of the image, else found. Memory is that of the edits
    of a few dozen pictures.
    """
    answers = Answers()
    parts: list[tuple[dict, Any]] = []
    first = set(evenly(paths, n_corrupted)) if n_corrupted else set()
    paths = sorted(paths, key=lambda path: path not in first)
    variants = ["", *EDITS, *_corruption_names()]
    for start in range(0, len(paths), _AT_A_TIME):
        chunk = paths[start : start + _AT_A_TIME]
        loaded = list(in_threads(lambda path: _load(path, masks), chunk, "editing", "image"))
        pictures = []
        for path, one in zip(chunk, loaded, strict=True):
            if isinstance(one, str):
                answers.failed.append(f"{path.name}: {one}")
                continue
            pictures.append(one)
            answers.names.append(path.name)
        left = max(0, n_corrupted - sum(len(part[""]) for part, _ in parts))
        parts.append(_answered(predictor, pictures, left, answers.examples))
    for name in variants:
        for place, target in enumerate((answers.probability, answers.is_positive)):
            target[name] = np.concatenate([part[place][name] for part in parts])
    groups = [part[0]["groups"] for part in parts]
    answers.groups = np.concatenate(groups).astype(np.int64)
    return answers


def _load(path: Path, masks: dict[str, Path]) -> Picture | str:
    """The picture of a file, or why it cannot be read."""
    try:
        image, size = decode_scaled(file_bytes(path), SIDE)
        small = at_longer_side(image, SIDE) if max(image.shape[:2]) > SIDE else image
        if masks:
            lesion = read_lesion(masks[path.stem], size, small.shape[:2])
        else:
            lesion = lesion_mask(small)
            lesion = lesion if lesion.any() else lesion_ellipse(small.shape[:2])
    except ImageError as error:
        return str(error)
    return picture_of(small, lesion, zlib.crc32(path.name.encode()))


def _corruption_names() -> list[str]:
    return [f"{name} {severity + 1}" for name in CORRUPTIONS for severity in range(N_SEVERITIES)]


def _variants(picture: Picture, is_corrupted: bool) -> Iterator[tuple[str, np.ndarray | None]]:
    yield "", picture.image
    for name, edit in EDITS.items():
        yield name, edit.make(picture)
    if is_corrupted:
        for name in CORRUPTIONS:
            for severity in range(N_SEVERITIES):
                made = corrupted(picture.image, name, severity, picture.seed)
                yield f"{name} {severity + 1}", made


def _answered(
    predictor: OnnxPredictor, pictures: list[Picture], n_corrupted: int, examples: list
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(probabilities, decisions) by variant [pictures], the former with `groups`."""
    made = [dict(_variants(picture, place < n_corrupted)) for place, picture in enumerate(pictures)]
    for one in made[: max(0, N_EXAMPLES - len(examples))]:
        examples.append({name: one[name] for name in ("", *EDITS)})
    names = ["", *EDITS, *_corruption_names()]
    probability = {name: np.full(len(pictures), np.nan) for name in names}
    is_positive = {name: np.zeros(len(pictures), bool) for name in names}
    places = [
        (row, name, image)
        for row, one in enumerate(made)
        for name, image in one.items()
        if image is not None
    ]
    contract = predictor.contract
    rows = predict_together([predictor], [image for *_, image in places], Work(32))
    for (row, name, _), (found,) in zip(places, rows, strict=True):
        if found.probabilities is None:
            continue
        probability[name][row] = found.probabilities[contract.positive]
        decision = contract.decide(found.probabilities[None])[0]
        is_positive[name][row] = decision == contract.positive
    probability["groups"] = np.array([picture.tone.group for picture in pictures])
    return probability, is_positive


def effects(answers: Answers, tolerance: float) -> dict[str, dict[str, Effect]]:
    """group -> edit or corruption -> effect; all images are the group `all`."""
    codes = {ALL: np.full(len(answers.names), True)}
    codes |= {name: answers.groups == code for code, name in enumerate(GROUP_NAMES)}
    codes["unknown"] = answers.groups < 0
    n_tests = sum(edit.is_artefact for edit in EDITS.values())
    before, was_positive = answers.probability[""], answers.is_positive[""]
    found: dict[str, dict[str, Effect]] = {}
    for group, is_in in codes.items():
        if not is_in.any():
            continue
        found[group] = {}
        for name, after in answers.probability.items():
            if name:
                rows = is_in & np.isfinite(after) & np.isfinite(before)
                pairs = (before[rows], after[rows])
                decided = (was_positive[rows], answers.is_positive[name][rows])
                found[group][name] = effect_of(*pairs, *decided, tolerance, n_tests)
    return found
