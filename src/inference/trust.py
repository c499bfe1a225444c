"""Predictions that say when not to be relied on, of a model with what `fit_trust` fitted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import require
from ..preprocess.image import ImageError, file_bytes
from ..trust.fitted import Answer, answers
from ..trust.quality import REASONS, problems
from .predictor import OnnxPredictor


@dataclass(frozen=True)
class TrustedPrediction:
    """What a model says of an image, and whether to rely on it.

    `answer` is None, and `reason` says why, for an image that cannot be read. `class_name` is what
    the decision rule says, also where the model abstains.
    """

    name: str
    class_name: str = ""
    probabilities: dict[str, float] | None = None
    answer: Answer | None = None
    reason: str = ""

    @property
    def is_ood(self) -> bool:
        """Whether the image is unlike those that the model knows."""
        return self.answer is not None and self.answer.category == "not_a_lesion"

    @property
    def abstain(self) -> bool:
        """Whether there is no answer."""
        return self.answer is None or self.answer.abstains

    @property
    def message(self) -> str:
        """What is said to a reader."""
        if self.answer is None:
            return self.reason
        said = self.answer.reason or self.answer.advice
        return f"{self.answer.category.replace('_', ' ')}: {said}"


def predict_with_trust(
    predictor: OnnxPredictor,
    images: Sequence[Path | np.ndarray],
    groups: Sequence[int] | None = None,
    batch_size: int = 32,
) -> Iterator[TrustedPrediction]:
    """A `TrustedPrediction` for each file or RGB uint8 [H, W, 3], in order.

    `groups` are the images' tone groups, -1 where unknown (default: all). Raises `UserError` for a
    model without fitted trust, or one that was changed since.
    """
    require(
        predictor.contract.trust is not None,
        "the model does not know when not to answer: run python -m src.scripts.fit_trust on it",
    )
    groups = np.full(len(images), -1) if groups is None else np.asarray(groups)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield from _predict(predictor, images[part], groups[part], start)


def _predict(
    predictor: OnnxPredictor, images: Sequence[Path | np.ndarray], groups: np.ndarray, start: int
) -> Iterator[TrustedPrediction]:
    contract = predictor.contract
    names = [i.name if isinstance(i, Path) else f"image {start + n}" for n, i in enumerate(images)]
    read = [_read(predictor, image) for image in images]
    good = [place for place, one in enumerate(read) if not isinstance(one, str)]
    found = {}
    if good:
        inputs = np.stack([contract.preprocessing(read[place]) for place in good])
        logits, probabilities = predictor.outputs(inputs)
        probabilities = contract.by_own_head(logits, probabilities, groups[good]).clip(0, 1)
        decisions = contract.decide(probabilities, groups[good])
        faults = ["; ".join(REASONS[key] for key in problems(read[place])) for place in good]
        said = answers(
            contract.trust,
            contract.conditions,
            contract.classes,
            contract.positive,
            contract.groups,
            probabilities,
            decisions,
            groups[good],
            predictor.features(inputs) if contract.trust.features else None,
            faults,
        )
        rows = zip(good, probabilities, decisions, said, strict=True)
        for place, row, decision, answer in rows:
            by_class = dict(zip(contract.classes, map(float, row), strict=True))
            found[place] = TrustedPrediction(
                names[place], contract.classes[decision], by_class, answer
            )
    for place, one in enumerate(read):
        yield found.get(place) or TrustedPrediction(names[place], reason=one)


def _read(predictor: OnnxPredictor, image: Path | np.ndarray) -> np.ndarray | str:
    """RGB uint8 [H, W, 3], or why the file cannot be read."""
    if not isinstance(image, Path):
        return image
    try:
        return predictor.contract.preprocessing.decode(file_bytes(image))[0]
    except ImageError as error:
        return str(error)
