"""The evidence of a folder's predictions: overlays, and how much of it lies in the lesion."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..artifact.contract import Contract
from ..artifact.evidence import EVIDENCE
from ..core.cells import is_text
from ..core.errors import require
from ..core.files import make_folder
from ..inference.batches import Batch, Companion, Prediction
from ..inference.predictor import OnnxPredictor
from ..preprocess.image import write_png
from ..preprocess.spec import Preprocessing
from ..preprocess.steps import Kind
from ..skin.masks import lesion_mask
from .maps import Explained, explain, share_inside
from .options import Explanations
from .overlay import overlay

COLUMN = "evidence_in_lesion"
Decided = Callable[[Batch], Iterable[tuple[Prediction, int]]]


class _Seen(NamedTuple):
    """An image as the network sees it, RGB uint8 [H, W, 3], and the lesion in it, bool [H, W]."""

    image: np.ndarray
    lesion: np.ndarray


def check_explainable(predictors: Sequence[Any], flag: str) -> OnnxPredictor:
    """The model that explains itself. Raises `UserError`, which names the flag, for others."""
    require(len(predictors) == 1, f"{flag}: expected one ONNX file, found {len(predictors)} models")
    require(
        predictors[0].contract.evidence is not None,
        f"{flag}: this model has no evidence output: it was exported without one, or its logits "
        "are not an exact sum over cells of the image (export_model says which)",
    )
    return predictors[0]


def explaining(
    predictor: OnnxPredictor, folder: Path, decided: Decided, asked: Explanations
) -> Companion:
    """Explains the classes that `decided` gives to images of a folder, as `asked`.

    An overlay is called `<its image's name in the folder>.png`. The column `evidence_in_lesion` is
    blank where no lesion was found or nothing speaks for the class.
    """
    contract = predictor.contract

    def tell(
        images: Sequence[Any], batch: Batch, notes: list[Any], found: list[np.ndarray]
    ) -> list[tuple[str, ...]]:
        cells = predictor.evidence_cells(found[0])
        told: list[tuple[str, ...]] = []
        rows = zip(images, batch, decided(batch), notes, cells, strict=True)
        for path, (one,), (_, decision), seen, of_image in rows:
            share = None
            if decision >= 0:
                why = explain(contract, one.logits[0], of_image, decision)
                share, drawn = _drawn(contract, why, seen, bool(asked.explain))
                if drawn is not None and is_text(str(path)):  # else it is no row of the CSV
                    target = asked.explain / f"{path.relative_to(folder)}.png"
                    make_folder(target.parent)
                    write_png(target, drawn)
            told.append(("" if share is None else str(round(share, 6)),))
        return told if asked.evidence_in_lesion else [()] * len(told)

    columns = (COLUMN,) if asked.evidence_in_lesion else ()
    return Companion(columns, (EVIDENCE,), lambda image: _seen(contract.preprocessing, image), tell)


def explained(predictor: OnnxPredictor, image: np.ndarray, decision: int) -> np.ndarray:
    """The `overlay` of an RGB uint8 image, without text.

    `decision` is the place of the class that is explained. Raises `UserError` for evidence that is
    not finite.
    """
    contract = predictor.contract
    logits, cells = predictor.evidence(contract.preprocessing(image)[None])
    why = explain(contract, logits[0], cells[0], decision)
    return overlay(*_seen(contract.preprocessing, image), [why.cells], [])


def _seen(spec: Preprocessing, image: np.ndarray) -> _Seen:
    seen, mask = as_seen(spec), lesion_mask(image)
    lesion = seen.prepare_mask(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2))
    return _Seen(seen.prepare(image), lesion)


def _drawn(
    contract: Contract, why: Explained, seen: _Seen, is_wanted: bool
) -> tuple[float | None, np.ndarray | None]:
    """(share of positive evidence inside the lesion, `overlay` if it is wanted)."""
    share = share_inside(why.cells, seen.lesion)
    if not is_wanted:
        return share, None
    return share, overlay(seen.image, seen.lesion, [why.cells], caption(contract, why, share))


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
