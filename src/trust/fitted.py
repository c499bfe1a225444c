"""All that was fitted for knowing when not to answer, and the answer that it gives; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import UserError, require
from .as_json import from_json, to_json
from .certificate import Certificate
from .conformal import SCORES, ConformalSets
from .features import FeatureGate
from .out_of_distribution import msp
from .triage import CATEGORIES, Triage
from .uncertainty import entropy

_VERSION = 1


@dataclass(frozen=True)
class Conditions:
    """What a model must still be for what was fitted to hold: all three in its contract."""

    preprocessing: str  # the digest of its steps
    temperature: float
    rule: str  # how it decides


@dataclass(frozen=True)
class Trust:
    """What was fitted on a model's rows (`rows` names them), for a model under `conditions`.

    An answer is withheld above `most_unsure`, which kept the share `coverage` of those rows, of
    1 - the highest probability. `features`, where there are some, tells what is no such image.
    """

    version: int
    rows: str
    conditions: Conditions
    conformal: ConformalSets
    most_unsure: float
    coverage: float
    triage: Triage
    certificate: Certificate | None
    features: FeatureGate | None

    def to_json(self) -> dict[str, Any]:
        """JSON types that `trust_from_json` reads back."""
        return to_json(self)


@dataclass(frozen=True)
class Answer:
    """What is said of an image: one of `CATEGORIES`, and why where the model does not answer.

    `classes` are the conformal set. `certificate` says what is promised for the image's skin tone.
    `entropy` is in nats; `distance` that of its features, NaN without a gate.
    """

    category: str
    reason: str
    classes: tuple[str, ...]
    entropy: float
    distance: float
    certificate: str

    @property
    def abstains(self) -> bool:
        """Whether the model does not answer."""
        return self.category in ("review", "not_a_lesion")

    @property
    def advice(self) -> str:
        """What the category means."""
        return CATEGORIES[self.category]


def trust_from_json(content: Any, n_classes: int, n_groups: int) -> Trust | None:
    """What `to_json` wrote, None of an empty mapping. Raises `UserError` for anything else."""
    if content == {}:
        return None
    trust = from_json(Trust, content, "trust")
    require(trust.version == _VERSION, f"trust: version {trust.version}, expected {_VERSION}")
    require(trust.conformal.score in SCORES, "trust: conformal: unknown score")
    fits = len(trust.conformal.by_group) in (0, n_groups)
    require(fits, f"trust: conformal: expected the quantiles of {n_groups} groups")
    if trust.features:
        trust.features.check()
    return trust


def new_trust(**parts: Any) -> Trust:
    """A `Trust` of this version."""
    return Trust(version=_VERSION, **parts)


def answers(
    trust: Trust,
    found: Conditions,
    classes: Sequence[str],
    positive: int,
    group_names: Sequence[str],
    probabilities: np.ndarray,
    groups: np.ndarray,
    features: np.ndarray | None = None,
    faults: Sequence[str] = (),
) -> list[Answer]:
    """An `Answer` for each row of probabilities [N, classes] with groups int [N], -1 unknown.

    `found` are the conditions that the model has now: raises `UserError` where they are others.
    `features` [N, width] go to the gate; `faults` are the pictures' faults in words, or empty.
    """
    if found != trust.conditions:
        raise UserError(
            "what was fitted for --trust holds for another preprocessing, temperature or decision "
            "rule: run python -m src.scripts.fit_trust again on this model"
        )
    sets = trust.conformal.sets(probabilities, groups)
    doubts, entropies = msp(probabilities), entropy(probabilities)
    distances = np.full(len(probabilities), np.nan)
    if trust.features and features is not None:
        distances = trust.features(features)
    said = []
    for row, p in enumerate(probabilities):
        is_known = 0 <= groups[row] < len(group_names)
        group = group_names[groups[row]] if is_known else ""
        category, reason = trust.triage.category(p[positive]), ""
        if row < len(faults) and faults[row]:
            category, reason = "review", faults[row]
        elif trust.features and distances[row] > trust.features.threshold:
            category, reason = "not_a_lesion", CATEGORIES["not_a_lesion"]
        elif doubts[row] > trust.most_unsure:
            category = "review"
            reason = f"the model is unsure ({p.max():.0%} for its most probable class)"
        certificate = trust.certificate
        words = certificate.of(group, classes[positive]) if certificate else "not certified"
        names = tuple(name for name, is_in in zip(classes, sets[row], strict=True) if is_in)
        said.append(Answer(category, reason, names, entropies[row], float(distances[row]), words))
    return said
