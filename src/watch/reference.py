"""What the images of later days are compared with: no image, but quantiles of their signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..core.errors import UserError, require
from ..core.progress import in_threads
from ..inference.batches import Work
from ..inference.predictor import OnnxPredictor, predict_together
from ..preprocess.image import ImageError, decode_scaled, file_bytes
from ..skin.shapes import at_longer_side
from ..skin.tone import GROUP_NAMES, estimate_tone
from ..skin.view import skin_in_view
from ..trust.as_json import from_json, to_json
from ..trust.quality import signs

SIDE = 256
N_QUANTILES = 201
LEAST_IMAGES = 100
SIGNS = ("sharpness", "glare", "lightness", "skin", "contrast", "red_green", "yellow_blue", "score")
DISTANCE = "feature_distance"


@dataclass(frozen=True)
class Sign:
    """A sign's evenly spaced quantiles among the reference images, the lowest first."""

    name: str
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Sensitivity:
    """Positive images of a group in the reference, and how many of them were found."""

    group: str
    hits: int
    n_positive: int


@dataclass(frozen=True)
class Reference:
    """`n` images: their `signs`, tone groups (`tones` counts by `GROUP_NAMES`, then unknown), and
    `sensitivities` where outcomes were known."""

    n: int
    signs: tuple[Sign, ...]
    tones: tuple[int, ...]
    sensitivities: tuple[Sensitivity, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON types that `reference_from_json` reads back."""
        return to_json(self)


def reference_from_json(content: dict[str, Any], source: str) -> Reference:
    """What a contract holds. Raises `UserError` where there is none, or a damaged one."""
    require(
        bool(content),
        f"{source}: holds no reference: write one with --reference FOLDER --write_model FILE",
    )
    found = from_json(Reference, content, f"{source}: reference")
    fits = (
        found.n >= LEAST_IMAGES
        and len(found.tones) == len(GROUP_NAMES) + 1
        and all(len(one.quantiles) == N_QUANTILES for one in found.signs)
        and all((np.diff(one.quantiles) >= 0).all() for one in found.signs)
        and all(0 <= one.hits <= one.n_positive for one in found.sensitivities)
    )
    require(fits, f"{source}: reference: numbers that fit each other")
    return found


@dataclass(frozen=True)
class Measured:
    """Of N images `signs` by name, float [N], tone `groups` int [N], `decisions` int [N], and what
    could not be read."""

    names: list[str]
    signs: dict[str, np.ndarray]
    groups: np.ndarray
    decisions: np.ndarray
    failed: list[str]


def measure(predictor: OnnxPredictor, paths: Sequence[Path]) -> Measured:
    """The signs of images, without labels; none of the images is kept."""
    contract = predictor.contract
    found = list(in_threads(_signs_or_fault, list(paths), "signs", "image"))
    answers = list(predict_together([predictor], list(paths), Work(16)))
    good: list[tuple[Path, Any, Any]] = []
    failed: list[str] = []
    for path, one, (answer,) in zip(paths, found, answers, strict=True):
        reason = one if isinstance(one, str) else answer.reason
        if reason:
            failed.append(f"{path.name}: {reason}")
        else:
            good.append((path, one, answer))
    columns = {name: np.array([one[name] for _, one, _ in good]) for name in SIGNS[:-1]}
    probabilities = np.array([answer.probabilities for *_, answer in good])
    probabilities = probabilities.reshape(len(good), len(contract.classes))
    score = np.clip(probabilities[:, contract.positive], 1e-6, 1 - 1e-6)
    columns["score"] = np.log(score / (1 - score))
    if contract.trust is not None and contract.trust.features is not None:
        columns[DISTANCE] = _distances(predictor, [path for path, *_ in good])
    return Measured(
        names=[path.name for path, *_ in good],
        signs=columns,
        groups=np.array([one["group"] for _, one, _ in good], np.int64),
        decisions=contract.decide(probabilities) if good else np.zeros(0, np.int64),
        failed=failed,
    )


def _signs_or_fault(path: Path) -> dict[str, float] | str:
    try:
        image = decode_scaled(file_bytes(path), SIDE)[0]
    except ImageError as error:
        return str(error)
    return signs_of(at_longer_side(image, SIDE))


def signs_of(image: np.ndarray) -> dict[str, float]:
    """The label-free signs of an RGB uint8 image, colours in CIELAB, and its tone `group`."""
    quality = signs(image)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 3)
    seen = skin_in_view(image, "dermoscopy")
    return {
        "sharpness": quality.sharpness,
        "glare": quality.glare,
        "lightness": float(np.median(lab[:, 0])),
        "skin": quality.skin,
        "contrast": float(lab[:, 0].std()),
        "red_green": float(np.median(lab[:, 1])),
        "yellow_blue": float(np.median(lab[:, 2])),
        "group": estimate_tone(seen.image, seen.skin).group,
    }


def _distances(predictor: OnnxPredictor, paths: list[Path]) -> np.ndarray:
    """[N]: how far the images are from the model's own, in the space of its `FEATURES`."""
    spec, parts = predictor.contract.preprocessing, []
    for start in range(0, len(paths), 16):
        images = [spec(spec.decode(file_bytes(p))[0]) for p in paths[start : start + 16]]
        parts.append(predictor.contract.trust.features(predictor.features(np.stack(images))))
    return np.concatenate(parts) if parts else np.zeros(0)


def tone_counts(groups: np.ndarray) -> tuple[int, ...]:
    """Images of each of `GROUP_NAMES`, then those of unknown tone."""
    codes = np.where(groups < 0, len(GROUP_NAMES), groups)
    return tuple(int(n) for n in np.bincount(codes, minlength=len(GROUP_NAMES) + 1))


def reference_of(found: Measured, sensitivities: Sequence[Sensitivity]) -> Reference:
    """The reference of measured images. Raises `UserError` for too few."""
    n = len(found.names)
    if n < LEAST_IMAGES:
        raise UserError(f"--reference: {n} images can be read; expected {LEAST_IMAGES} or more")
    shares = np.linspace(0, 1, N_QUANTILES)
    columns = tuple(
        Sign(name, tuple(float(f"{v:.7g}") for v in np.maximum.accumulate(np.quantile(c, shares))))
        for name, c in found.signs.items()
    )
    return Reference(n, columns, tone_counts(found.groups), tuple(sensitivities))
