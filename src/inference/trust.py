"""Predictions that say when not to be relied on, of a model with what `fit_trust` fitted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..artifact.contract import Contract
from ..core.cells import guarded
from ..core.errors import require
from ..trust.features import FEATURES, dropout_mask
from ..trust.fitted import Answer, Seen, answers
from ..trust.quality import REASONS, problems
from .batches import Batch, Companion, Image, decoded_batches
from .predictor import OnnxPredictor
from .views import AUTO, NONE, VIEWS, fitted_views, mean_over_views

ANSWER = "answer"
COLUMNS = (ANSWER, "answer_reason", "conformal_set", "entropy")


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
    n_passes: int = 0,
) -> Iterator[TrustedPrediction]:
    """A `TrustedPrediction` for each file or RGB uint8 [H, W, 3], in order.

    `groups` are the images' tone groups, -1 where unknown (default: all). `n_passes` with dropout
    tell what the model itself disagrees about. Raises `UserError` for a model without fitted trust
    or without dropout for passes, and one that was changed since.
    """
    check_trust([predictor])
    masks = _masks(predictor, n_passes)
    groups = np.full(len(images), -1) if groups is None else np.asarray(groups)
    names = [i.name if isinstance(i, Path) else f"image {n}" for n, i in enumerate(images)]
    start = 0
    for read, inputs in decoded_batches(predictor.contract.preprocessing, images, batch_size):
        part = slice(start, start := start + len(read))
        yield from _predict(predictor, names[part], read, inputs, groups[part], masks)


def check_trust(predictors: Sequence[OnnxPredictor], tta: str = AUTO) -> None:
    """Raise `UserError` for models that are not one, alone and as it was when trust was fitted.

    `tta` is what they are to predict with; auto: what trust was fitted with.
    """
    require(len(predictors) == 1, "--trust: expected one model; it is not fitted for an ensemble")
    contract = predictors[0].contract
    require(
        contract.trust is not None,
        "the model does not know when not to answer: run python -m src.scripts.fit_trust on it",
    )
    contract.trust.check(contract)
    fitted = fitted_views(contract) or NONE
    require(tta in (AUTO, fitted), f"--trust: fitted with --tta {fitted}, not {tta}")


def answering(predictor: OnnxPredictor) -> Companion:
    """Answers to images, whose skin tones count as unknown, as the cells of `COLUMNS`.

    Raises `UserError` as `predict_with_trust`.
    """
    check_trust([predictor])
    contract = predictor.contract

    def tell(
        images: Sequence[Image], batch: Batch, notes: list[Any], found: list[np.ndarray]
    ) -> list[tuple[str, ...]]:
        good = [place for place, (one,) in enumerate(batch) if not one.reason]
        logits = np.stack([batch[place][0].logits for place in good])
        by_view = np.stack([batch[place][0].by_view for place in good])
        groups = np.full(len(good), -1)
        features = found[0][good] if found else None
        faults = [notes[place] for place in good]
        said = _answers(contract, logits, by_view, groups, features, faults)[2]
        told: list[tuple[str, ...]] = [()] * len(batch)
        for place, answer in zip(good, said, strict=True):
            names = guarded(" ".join(answer.classes))
            told[place] = (answer.category, answer.reason, names, f"{answer.entropy:.4f}")
        return told

    return Companion(COLUMNS, (FEATURES,) if contract.trust.features else (), _faults, tell)


def _answers(
    contract: Contract,
    logits: np.ndarray,
    by_view: np.ndarray,
    groups: np.ndarray,
    features: np.ndarray | None,
    faults: Sequence[str],
    passes: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, list[Answer]]:
    """(probabilities [N, classes], decisions int [N], answers) by what a model gives for images.

    That is `logits` [N, views, n_outputs] and `by_view` [N, views, classes].
    """
    views = zip(logits.swapaxes(0, 1), by_view.swapaxes(0, 1), strict=True)
    own = [contract.by_own_head(*view, groups).clip(0, 1) for view in views]
    probabilities = mean_over_views(np.stack(own, axis=1), contract.temperature)
    decisions = contract.decide(probabilities, groups)
    seen = Seen(probabilities, decisions, groups, features, faults, passes)
    return probabilities, decisions, answers(contract.trust, contract, seen)


def _faults(image: np.ndarray) -> str:
    """What is wrong with a picture, in words; empty where nothing is."""
    return "; ".join(REASONS[key] for key in problems(image))


def _masks(predictor: OnnxPredictor, n_passes: int) -> list[np.ndarray]:
    """Those of the passes, always the same, so that an image gets the same answer again."""
    if not n_passes:
        return []
    trust, rng = predictor.contract.trust, np.random.default_rng(0)
    require(
        trust.dropout > 0,
        "passes with dropout: the model was trained without dropout before its last layer "
        "(--dropout), or fitted without a feature gate",
    )
    width = len(trust.features.center)
    return [dropout_mask(width, trust.dropout, rng) for _ in range(n_passes)]


def _predict(
    predictor: OnnxPredictor,
    names: Sequence[str],
    read: Sequence[np.ndarray | str],
    inputs: np.ndarray,
    groups: np.ndarray,
    masks: list[np.ndarray],
) -> Iterator[TrustedPrediction]:
    """That of each image of a batch, of which `inputs` are those that could be `read`."""
    contract = predictor.contract
    good = [place for place, one in enumerate(read) if not isinstance(one, str)]
    found = {}
    if good:
        more = (FEATURES,) if contract.trust.features else ()
        first, *others = VIEWS[fitted_views(contract) or NONE]
        seen = [predictor.outputs(first(inputs), *more)]
        seen += [predictor.outputs(np.ascontiguousarray(view(inputs))) for view in others]
        logits, by_view = (np.stack([one[part] for one in seen], axis=1) for part in (0, 1))
        probabilities, decisions, said = _answers(
            contract,
            logits,
            by_view,
            groups[good],
            seen[0][2] if more else None,
            [_faults(read[place]) for place in good],
            predictor.passes(inputs, masks) if masks else None,
        )
        rows = zip(good, probabilities, decisions, said, strict=True)
        for place, row, decision, answer in rows:
            by_class = dict(zip(contract.classes, map(float, row), strict=True))
            found[place] = TrustedPrediction(
                names[place], contract.classes[decision], by_class, answer
            )
    for place, one in enumerate(read):
        yield found.get(place) or TrustedPrediction(names[place], reason=one)
