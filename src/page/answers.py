"""What is said of one picture, and what is drawn on it: all that the page shows of it."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..core.errors import UserError
from ..explanation.folder import explained
from ..inference.batches import Work
from ..inference.model import SkinLesionPredictor
from ..inference.predictor import OnnxPredictor, predict_together
from ..preprocess.image import ImageError, decode_scaled
from ..skin.masks import lesion_mask
from ..skin.shapes import at_longer_side
from ..skin.tone import GROUP_NAMES, ToneEstimate, estimate_tone
from ..skin.view import skin_in_view
from .records import ALL, Record
from .upload import why_refused

SIDE = 512  # pixels of the longer side of what is drawn
_LESION, _SKIN = (255, 255, 255), (40, 160, 120)  # RGB
_TINT = 0.25


@dataclass(frozen=True)
class Model:
    """The model, or the models that vote, behind the page, and how well it did by skin tone."""

    source: Path
    predictor: SkinLesionPredictor
    records: dict[str, Record]


@dataclass(frozen=True)
class Tone:
    """The skin tone of a picture: its group's name ("" where it is not valid) and estimate."""

    group: str
    estimate: ToneEstimate
    domain: str


@dataclass(frozen=True)
class Answer:
    """All that is said of a picture; of one that was refused the reason alone.

    `pictures` are RGB uint8 by their captions, `votes` the positive class's probability by member.
    `record` is that of the picture's skin tone, None where the tone or its record is unknown;
    `record_of_all` that of all rows.
    """

    name: str
    refusal: str = ""
    predicted: str = ""
    description: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    votes: dict[str, float] = field(default_factory=dict)
    tone: Tone | None = None
    record: Record | None = None
    record_of_all: Record | None = None
    pictures: dict[str, np.ndarray] = field(default_factory=dict)


def examine(model: Model, name: str, data: bytes) -> Answer:
    """The answer for an image file's bytes. Nothing of them is kept but what is drawn."""
    if reason := why_refused(data):
        return Answer(name, reason)
    try:
        picture = at_longer_side(decode_scaled(data, SIDE)[0], SIDE)
        (members,) = predict_together(model.predictor.predictors, [data], Work(1, 1))
        ((found, decision),) = model.predictor.decided([members])
    except (ImageError, UserError) as error:
        return Answer(name, f"The picture cannot be judged ({error}).")
    if decision < 0:
        return Answer(name, f"The picture cannot be judged ({found.reason}).")
    contract = model.predictor.contract
    result = model.predictor.described(name, found, decision)
    tone, pictures = _skin(picture)
    pictures |= _evidence(model.predictor.predictors, picture, decision)
    files = [predictor.name for predictor in model.predictor.predictors]
    positive = [float(one.probabilities[contract.positive]) for one in members]
    return Answer(
        name,
        predicted=result["predicted_class"],
        description=result["predicted_class_description"],
        probabilities=result["probabilities"],
        votes=dict(zip(files, positive, strict=True)) if len(files) > 1 else {},
        tone=tone,
        record=model.records.get(tone.group),
        record_of_all=model.records.get(ALL),
        pictures=pictures,
    )


def _skin(picture: np.ndarray) -> tuple[Tone, dict[str, np.ndarray]]:
    seen = skin_in_view(picture)
    estimate = estimate_tone(seen.image, seen.skin, domain=seen.domain)
    lesion = lesion_mask(picture, domain=seen.domain)
    drawn = picture.copy()
    tint = np.array(_SKIN, np.float32)
    drawn[seen.skin] = np.rint(drawn[seen.skin] * (1 - _TINT) + tint * _TINT)
    edges, _ = cv2.findContours(lesion.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, edges, -1, _LESION, 2)
    group = GROUP_NAMES[estimate.group] if estimate.valid else ""
    caption = "What was found: the lesion (white line) and the skin around it (tinted green)."
    return Tone(group, estimate, seen.domain), {caption: drawn}


def _evidence(predictors: list, picture: np.ndarray, decision: int) -> dict[str, np.ndarray]:
    """The first model's evidence, where its logits are an exact sum over the picture's cells."""
    first = predictors[0]
    if not isinstance(first, OnnxPredictor) or first.contract.evidence is None:
        return {}
    drawn = explained(first, picture, decision)[1]
    return {"Where the model's evidence for its answer lies (orange) and against it (blue).": drawn}
