"""The evidence of a folder's predictions: overlays, and how much of it lies in the lesion."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..artifact.contract import Contract
from ..core.cells import guarded
from ..core.errors import UserError, require
from ..core.files import csv_lines, make_folder
from ..core.progress import in_threads
from ..inference.predictor import OnnxPredictor
from ..preprocess.image import ImageError, file_bytes, write_png
from ..preprocess.spec import Preprocessing
from ..preprocess.steps import Kind
from ..skin.masks import lesion_mask
from .maps import Explained, explain, share_inside
from .options import Explanations
from .overlay import overlay

COLUMN = "evidence_in_lesion"


@dataclass(frozen=True)
class _Wanted:
    """An image, the class that was decided for it, and its overlay's file if one is wanted."""

    path: Path
    decision: int
    overlay: Path | None


def check_explainable(predictors: Sequence[Any], flag: str) -> OnnxPredictor:
    """The model that explains itself. Raises `UserError`, which names the flag, for others."""
    require(len(predictors) == 1, f"{flag}: expected one ONNX file, found {len(predictors)} models")
    require(
        predictors[0].contract.evidence is not None,
        f"{flag}: this model has no evidence output: it was exported without one, or its logits "
        "are not an exact sum over cells of the image (export_model says which)",
    )
    return predictors[0]


def explain_predictions(
    predictor: OnnxPredictor,
    output: Path,
    images: dict[str, Path],
    decision: Callable[[str], int],
    asked: Explanations,
) -> None:
    """Explain the predictions in the CSV `output`, as `asked`.

    `images` are files by their names in it, `decision` reads its `target`. An overlay is called
    `<its image's name>.png`. The column `evidence_in_lesion` is blank where no lesion was found or
    nothing speaks for the class.
    """
    with output.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    target = header.index("target")
    named = {guarded(name): (name, path) for name, path in images.items()}
    wanted = []
    for row in rows:
        name, path = named[row[0]]
        drawn = asked.explain / f"{name}.png" if asked.explain else None
        wanted.append(_Wanted(path, decision(row[target]), drawn))
    for parent in {one.overlay.parent for one in wanted if one.overlay}:
        make_folder(parent)
    shares = list(in_threads(lambda one: _explain(predictor, one), wanted, "explaining", "image"))
    if asked.evidence_in_lesion:
        with csv_lines(output, [*header, COLUMN]) as line:
            for row, share in zip(rows, shares, strict=True):
                line([*row, "" if share is None else round(share, 6)])


def _explain(predictor: OnnxPredictor, wanted: _Wanted) -> float | None:
    """The share of positive evidence inside the lesion, once the overlay is written."""
    try:
        image = predictor.contract.preprocessing.decode(file_bytes(wanted.path))[0]
        share, drawn = explained(predictor, image, wanted.decision)
    except (ImageError, UserError) as error:  # the file changed since it was predicted
        raise UserError(f"{wanted.path}: {error}") from None
    if wanted.overlay:
        write_png(wanted.overlay, drawn)
    return share


def explained(
    predictor: OnnxPredictor, image: np.ndarray, decision: int
) -> tuple[float | None, np.ndarray]:
    """(share of positive evidence inside the lesion, `overlay`) of an RGB uint8 image.

    `decision` is the place of the class that is explained. Raises `UserError` for evidence that is
    not finite.
    """
    contract, spec = predictor.contract, predictor.contract.preprocessing
    logits, cells = predictor.evidence(spec(image)[None])
    require(np.isfinite(cells).all(), "the model's evidence is not finite")
    why = explain(contract, logits[0], cells[0], decision)
    seen = as_seen(spec)
    mask = lesion_mask(image)
    lesion = seen.prepare_mask(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2))
    share = share_inside(why.cells, lesion)
    lines = caption(contract, why, share)
    return share, overlay(seen.prepare(image), lesion, [why.cells], lines)


def as_seen(spec: Preprocessing) -> Preprocessing:
    """The steps that move pixels, and before the augmentation point all: RGB as the cells lie."""
    steps = tuple(
        step
        for place, step in enumerate(spec.steps)
        if place < spec.augmentation_point or step.kind is Kind.MOVES
    )
    return Preprocessing(steps, len(steps))


def caption(contract: Contract, why: Explained, share: float | None) -> list[str]:
    """The lines below an overlay; `share` is that of `share_inside`."""
    decided = f"; decided by the head of group {why.head}" if why.head else ""
    inside = "" if share is None else f", {share:.0%} of it in the lesion (outline)"
    return [
        f"{why.class_name}{decided}",
        f"turquoise: evidence for it{inside}; violet: against it",
        contract.notice,
    ]
