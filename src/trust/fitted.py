"""All that was fitted for knowing when not to answer, and the answer that it gives; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..core.errors import UserError, require
from .as_json import from_json, to_json
from .certificate import Certificate
from .conformal import SCORES, ConformalSets
from .features import FeatureGate
from .out_of_distribution import msp
from .triage import CATEGORIES, Triage
from .uncertainty import entropy, mutual_information

_VERSION = 2  # features of length 1


@dataclass(frozen=True)
class Conditions:
    """What a model must still be for what was fitted to hold: all three in its contract."""

    preprocessing: str  # the digest of its steps
    temperature: float
    rule: str  # how it decides


class Described(Protocol):
    """What a model's contract says that an answer needs."""

    @property
    def conditions(self) -> Conditions: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def positive(self) -> int: ...
    @property
    def groups(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Trust:
    """What was fitted on a model's rows (`rows` names them), for a model under `conditions`.

    An answer is withheld above `most_unsure`, which kept the share `coverage` of those rows, of
    1 - the highest probability. `features`, where there are some, tells what is no such image.
    `dropout` is the rate that the model was trained with, for passes with dropout.
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
    dropout: float

    def to_json(self) -> dict[str, Any]:
        """JSON types that `trust_from_json` reads back."""
        return to_json(self)

    def check(self, contract: Described) -> None:
        """Raise `UserError` for a model that has changed since this was fitted."""
        if contract.conditions != self.conditions:
            raise UserError(
                "what was fitted for --trust holds for another preprocessing, temperature or "
                "decision rule: run python -m src.scripts.fit_trust again on this model"
            )


@dataclass(frozen=True)
class Answer:
    """What is said of an image: one of `CATEGORIES`, and why where the model does not answer.

    `classes` are the conformal set. `certificate` says what is promised for the image's skin tone.
    `entropy` and `mutual_information`, NaN without passes, are in nats; `distance` is that of the
    image's features, NaN without a gate.
    """

    category: str
    reason: str
    classes: tuple[str, ...]
    entropy: float
    mutual_information: float
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


def trust_from_json(content: Any, n_groups: int) -> Trust | None:
    """What `to_json` wrote, None of an empty mapping. Raises `UserError` for anything else."""
    if content == {}:
        return None
    trust = from_json(Trust, content, "trust")
    require(trust.version == _VERSION, f"trust: version {trust.version}, expected {_VERSION}")
    require(trust.conformal.score in SCORES, "trust: conformal: unknown score")
    fits = len(trust.conformal.by_group) in (0, n_groups)
    require(fits, f"trust: conformal: expected the quantiles of {n_groups} groups")
    require(0 <= trust.dropout < 1, "trust: dropout: expected 0 <= dropout < 1")
    if trust.features:
        trust.features.check()
    return trust


def new_trust(**parts: Any) -> Trust:
    """A `Trust` of this version."""
    return Trust(version=_VERSION, **parts)


@dataclass(frozen=True)
class Seen:
    """What a model says of N images, and what else is known of them.

    `probabilities` [N, classes], `decisions` int [N], `groups` int [N], -1 unknown; `features`
    [N, width] go to the gate; `faults` are the pictures' faults in words, or empty; `passes`
    [passes, N, classes] are probabilities with dropout.
    """

    probabilities: np.ndarray
    decisions: np.ndarray
    groups: np.ndarray
    features: np.ndarray | None = None
    faults: Sequence[str] = ()
    passes: np.ndarray | None = None

    def uncertainty(self) -> tuple[np.ndarray, np.ndarray]:
        """(entropy, mutual information) [N]; of the passes' mean where there are some, else NaN."""
        if self.passes is None:
            return entropy(self.probabilities), np.full(len(self.probabilities), np.nan)
        return entropy(self.passes.mean(axis=0)), mutual_information(self.passes)


def answers(trust: Trust, contract: Described, seen: Seen) -> list[Answer]:
    """An `Answer` for each image.

    Raises `UserError` for a model that has changed since its trust was fitted.
    """
    trust.check(contract)
    sets = trust.conformal.sets(seen.probabilities, seen.groups)
    distances = np.full(len(sets), np.nan)
    if trust.features and seen.features is not None:
        distances = trust.features(seen.features)
    numbers = zip(*seen.uncertainty(), distances, strict=True)
    positive = contract.classes[contract.positive]
    said = []
    for row, values in enumerate(numbers):
        group = int(seen.groups[row])
        name = contract.groups[group] if 0 <= group < len(contract.groups) else ""
        category, reason = _category(trust, contract, seen, row, distances[row])
        entropy, information, distance = map(float, values)
        said.append(
            Answer(
                category,
                reason,
                tuple(n for n, is_in in zip(contract.classes, sets[row], strict=True) if is_in),
                entropy,
                information,
                distance,
                trust.certificate.of(name, positive) if trust.certificate else "not certified",
            )
        )
    return said


def _category(
    trust: Trust, contract: Described, seen: Seen, row: int, distance: float
) -> tuple[str, str]:
    """(one of `CATEGORIES`, why the model does not answer or nothing)"""
    p = seen.probabilities[row]
    if row < len(seen.faults) and seen.faults[row]:
        return "review", seen.faults[row]
    if trust.features and distance > trust.features.threshold:
        return "not_a_lesion", CATEGORIES["not_a_lesion"]
    if msp(p[None])[0] > trust.most_unsure:
        return "review", f"the model is unsure ({p.max():.0%} for its most probable class)"
    is_flagged = seen.decisions[row] == contract.positive
    return trust.triage.category(p[contract.positive], is_flagged), ""
