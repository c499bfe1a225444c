"""Predictions that say when not to be relied on, of a model with what `fit_trust` fitted."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.cells import guarded, unguarded
from ..core.errors import require
from ..core.files import csv_lines
from ..trust.features import dropout_mask
from ..trust.fitted import Answer, Seen, answers
from ..trust.quality import REASONS, problems
from .batches import decoded_batches
from .predictor import OnnxPredictor
from .views import AUTO, NONE, VIEWS, fitted_views, mean_over_views

COLUMNS = ("answer", "answer_reason", "conformal_set", "entropy")


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


def add_answers(predictor: OnnxPredictor, path: Path, images: Mapping[str, Path]) -> Counter[str]:
    """How often each answer was given; the CSV of predictions at `path` gets `COLUMNS` of it.

    `images` are the files by their names in the column `image_name`. Their skin tones count as
    unknown. Raises `UserError` as `predict_with_trust`.
    """
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    place = header.index("image_name")
    files = [images[unguarded(row[place])] for row in rows]
    counts: Counter[str] = Counter()
    with csv_lines(path, [*header, *COLUMNS]) as line:
        for row, found in zip(rows, predict_with_trust(predictor, files), strict=True):
            answer = found.answer
            said = ["review", found.reason, "", ""]
            if answer is not None:
                names = " ".join(answer.classes)
                said = [answer.category, answer.reason, guarded(names), f"{answer.entropy:.4f}"]
            counts[said[0]] += 1
            line([*row, *said])
    return counts


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
        probabilities = _probabilities(predictor, inputs, groups[good])
        decisions = contract.decide(probabilities, groups[good])
        seen = Seen(
            probabilities,
            decisions,
            groups[good],
            predictor.features(inputs) if contract.trust.features else None,
            ["; ".join(REASONS[key] for key in problems(read[place])) for place in good],
            predictor.passes(inputs, masks) if masks else None,
        )
        said = answers(contract.trust, contract, seen)
        rows = zip(good, probabilities, decisions, said, strict=True)
        for place, row, decision, answer in rows:
            by_class = dict(zip(contract.classes, map(float, row), strict=True))
            found[place] = TrustedPrediction(
                names[place], contract.classes[decision], by_class, answer
            )
    for place, one in enumerate(read):
        yield found.get(place) or TrustedPrediction(names[place], reason=one)


def _probabilities(predictor: OnnxPredictor, inputs: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[N, classes]: the mean over the views that trust was fitted with."""
    contract = predictor.contract
    by_view = []
    for view in VIEWS[fitted_views(contract) or NONE]:
        outputs = predictor.outputs(np.ascontiguousarray(view(inputs)))
        by_view.append(contract.by_own_head(*outputs, groups).clip(0, 1))
    return mean_over_views(np.stack(by_view, axis=1), contract.temperature)
