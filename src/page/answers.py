"""What is said of one picture, and what is drawn on it: all that the page shows of it."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..core.errors import UserError
from ..explanation.folder import explained
from ..inference.batches import Work
from ..inference.model import SkinLesionPredictor
from ..inference.predictor import OnnxPredictor, predict_together
from ..inference.trust import TrustedPrediction, predict_with_trust
from ..preprocess.image import ImageError, decode_scaled, jpeg_bytes
from ..skin.masks import lesion_mask
from ..skin.shapes import at_longer_side
from ..skin.tone import GROUP_NAMES, ToneEstimate, estimate_tone
from ..skin.view import skin_in_view
from ..trust.fitted import Answer as Trusted
from ..trust.quality import REASONS, problems
from .records import ALL, Record
from .upload import why_refused

FOUND = "The lesion that was found (white line) and the skin around it (tinted green)"
EVIDENCE = "The model's evidence for its answer (turquoise) and against it (violet)"
SIDE = 512  # pixels of the longer side of what is drawn
_LESION, _SKIN = (255, 255, 255), (40, 160, 120)  # RGB
_TINT = 0.12
QUALITY = 90  # of the JPEGs: a visit keeps them, in a tenth of the memory of their pixels


@dataclass(frozen=True)
class Model:
    """The model behind the page, by the `names` of its files, and how well it did by skin tone."""

    names: tuple[str, ...]
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

    `pictures` are JPEG files by their captions, `votes` the positive class's probability by member.
    `record` is that of the picture's skin tone, None where the tone or its record is unknown,
    `record_of_all` that of all rows. `trust` is there where it was fitted for the model, `faults`
    are what is wrong with the picture itself.
    """

    name: str
    refusal: str = ""
    predicted: str = ""
    is_positive: bool = False
    probabilities: dict[str, float] = field(default_factory=dict)
    votes: dict[str, float] = field(default_factory=dict)
    tone: Tone | None = None
    record: Record | None = None
    record_of_all: Record | None = None
    trust: Trusted | None = None
    faults: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)


def examine(model: Model, name: str, data: bytes) -> Answer:
    """The answer for an image file's bytes. Nothing of them is kept but what is drawn."""
    if refusal := why_refused(data):
        return Answer(name, refusal)
    contract, predictors = model.predictor.contract, model.predictor.predictors
    try:
        picture = at_longer_side(decode_scaled(data, SIDE)[0], SIDE)
        (members,) = predict_together(predictors, [data], Work(1, 1))
        ((found, decision),) = model.predictor.decided([members])
        if decision < 0:
            return Answer(name, f"The picture cannot be classified ({found.reason}).")
        tone, pictures = _skin(picture)
        image = predictors[0].contract.preprocessing.decode(data)[0]
        trusted = _trusted(predictors, image, tone)
        if trusted:
            decision = contract.classes.index(trusted.class_name)
        pictures |= _evidence(predictors[0], image, decision)
    except (ImageError, UserError) as error:
        return Answer(name, f"The picture cannot be classified ({error}).")
    values = dict(zip(contract.classes, map(float, found.probabilities), strict=True))
    members_say = [float(one.probabilities[contract.positive]) for one in members]
    return Answer(
        name,
        predicted=contract.classes[decision],
        is_positive=decision == contract.positive,
        probabilities=trusted.probabilities if trusted else values,
        votes=dict(zip(model.names, members_say, strict=True)) if len(model.names) > 1 else {},
        tone=tone,
        record=model.records.get(tone.group),
        record_of_all=model.records.get(ALL),
        trust=trusted.answer if trusted else None,
        faults=[REASONS[key] for key in problems(picture)],
        pictures=pictures,
    )


def _trusted(predictors: list, image: np.ndarray, tone: Tone) -> TrustedPrediction | None:
    """What a single model says with what was fitted for knowing when not to answer."""
    contract = predictors[0].contract
    if len(predictors) > 1 or contract.trust is None:
        return None
    group = contract.groups.index(tone.group) if tone.group in contract.groups else -1
    (found,) = predict_with_trust(predictors[0], [image], [group])
    return found


def _skin(picture: np.ndarray) -> tuple[Tone, dict[str, bytes]]:
    seen = skin_in_view(picture)
    estimate = estimate_tone(seen.image, seen.skin, domain=seen.domain)
    lesion = lesion_mask(picture, domain=seen.domain)
    drawn = picture.copy()
    tint = np.array(_SKIN, np.float32)
    drawn[seen.skin] = np.rint(drawn[seen.skin] * (1 - _TINT) + tint * _TINT)
    edges, _ = cv2.findContours(lesion.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, edges, -1, _LESION, 2)
    group = GROUP_NAMES[estimate.group] if estimate.valid else ""
    return Tone(group, estimate, seen.domain), {FOUND: jpeg_bytes(drawn, QUALITY)}


def _evidence(first: OnnxPredictor, image: np.ndarray, decision: int) -> dict[str, bytes]:
    """The first model's evidence, where its logits are an exact sum over the picture's cells."""
    if first.contract.evidence is None:
        return {}
    return {EVIDENCE: jpeg_bytes(explained(first, image, decision), QUALITY)}
