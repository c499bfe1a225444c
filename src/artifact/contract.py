"""The contract: all that a trained model's users must know, as JSON inside every artifact."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..core.classes import NOTICE
from ..core.errors import UserError
from ..preprocess.spec import Preprocessing, preprocessing_from_json

CONTRACT_KEY = "melanoma_contract"
VERSION = 1
MAX_CONTRACT_BYTES = 10_000_000
MAX_OUTPUTS = 100_000


@dataclass(frozen=True)
class Contract:
    """What the weights mean.

    `preprocessing` is the spec with constants, digest and probe; `reduction` the rule from
    logits to class probabilities, with `own_head` only for rows of unknown tone group (see
    `by_own_head`); `priors` [groups of the head][classes] the shares of the training rows, which
    some rules take (empty: equal ones); `threshold` decides for the positive class of a binary
    model (probability >= threshold); `provenance` holds configuration, data and versions.
    """

    model: str
    n_outputs: int
    classes: tuple[str, ...]
    positive: int
    groups: tuple[str, ...]
    reduction: str
    preprocessing: dict[str, Any]
    own_head: bool = False
    priors: tuple[tuple[float, ...], ...] = ()
    temperature: float = 1.0
    threshold: float = 0.5
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    version: int = VERSION
    notice: str = NOTICE

    @property
    def num_groups(self) -> int:
        """Tone groups in the head's outputs: 1 for a head that ignores the group."""
        return max(1, self.n_outputs // len(self.classes))

    def spec(self) -> Preprocessing:
        """The preprocessing, after its digest and probe were checked."""
        return preprocessing_from_json(self.preprocessing)

    def equal_or_given_priors(self) -> np.ndarray:
        """float64 [groups of the head, classes], summing to 1."""
        shape = self.num_groups, len(self.classes)
        return np.array(self.priors) if self.priors else np.full(shape, 1 / np.prod(shape))

    def by_own_head(
        self, logits: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
    ) -> np.ndarray:
        """Probabilities [N, classes], of rows of known group by that group's outputs alone.

        Without `own_head` they are `probabilities`. `logits` are raw [N, n_outputs], `groups` int
        [N], -1 where unknown. Groups beyond the head's, and those that had no training row, count
        as unknown.
        """
        trained = np.flatnonzero(self.equal_or_given_priors().sum(axis=1))
        rows = np.flatnonzero(np.isin(groups, trained))
        if not self.own_head or not len(rows):
            return probabilities
        by_group = logits.reshape(len(logits), self.num_groups, len(self.classes))
        own = by_group[rows, groups[rows]].astype(np.float64) / self.temperature
        odds = np.exp(own - own.max(axis=1, keepdims=True))
        result = probabilities.copy()
        result[rows] = odds / odds.sum(axis=1, keepdims=True)
        return result

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Class indices [N] of probabilities [N, classes].

        Of two classes the positive one at `threshold` or more; else the most probable.
        """
        if probabilities.shape[1] == 2:
            positive = probabilities[:, self.positive] >= self.threshold
            return np.where(positive, self.positive, 1 - self.positive)
        return probabilities.argmax(axis=1)

    def to_json(self) -> dict[str, Any]:
        """JSON types that `contract_from_json` reads back."""
        return json.loads(json.dumps({**asdict(self), "input": self._input()}))

    def _input(self) -> dict[str, Any]:
        height, width = self.spec().output_size
        return {"name": "input", "shape": ["batch", 3, height, width], "type": "float32"}


def contract_from_json(content: Any, source: str) -> Contract:
    """The contract that `to_json` wrote. Raises `UserError` where `content` is no such thing."""
    try:
        if isinstance(content, str):
            if len(content) > MAX_CONTRACT_BYTES:
                raise ValueError("too long")
            content = json.loads(content)
        values = {k: v for k, v in content.items() if k in Contract.__dataclass_fields__}
        values |= {key: tuple(map(str, values[key])) for key in ("classes", "groups")}
        values["priors"] = tuple(tuple(map(float, row)) for row in values.get("priors", ()))
        contract = Contract(**values)
    except (
        TypeError,
        ValueError,
        AttributeError,
        KeyError,
        RecursionError,
        OverflowError,
    ) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise UserError(f"{source}: its contract is unreadable ({reason})") from None
    _check(contract, source)
    return contract


def _check(contract: Contract, source: str) -> None:
    for problem in _problems(contract):
        raise UserError(f"{source}: its contract does not hold together: {problem}")


def _problems(contract: Contract) -> Iterator[str]:
    """What does not hold together; after the first one the others may make no sense."""
    n_classes, n_outputs = len(contract.classes), contract.n_outputs
    if contract.version != VERSION:
        yield f"version {contract.version} (this software reads {VERSION})"
    if not 2 <= n_classes <= 1000:
        yield "classes"
    if type(contract.positive) is not int or not 0 <= contract.positive < n_classes:
        yield "positive"
    if type(n_outputs) is not int or not 0 < n_outputs <= MAX_OUTPUTS or n_outputs % n_classes:
        yield "n_outputs"
    if not isinstance(contract.model, str) or not isinstance(contract.reduction, str):
        yield "model"
    if contract.reduction == "softmax" and n_outputs != n_classes:
        yield "reduction"
    if type(contract.own_head) is not bool:
        yield "own_head"
    if contract.priors and not _are_priors(contract):
        yield "priors"
    # beyond these bounds logits divided by it would be all alike, or no numbers
    if not _is_number(contract.temperature) or not 1e-3 <= contract.temperature <= 1e3:
        yield "temperature"
    if not _is_number(contract.threshold) or not 0 <= contract.threshold <= 1:
        yield "threshold"
    if not isinstance(contract.provenance, dict) or not _is_provenance(contract):
        yield "provenance"


def _is_provenance(contract: Contract) -> bool:
    """Whether its parts, where there are any, are settings and counts of training rows."""
    content = contract.provenance
    by_class = content.get("label_counts", [1] * len(contract.classes))
    by_group = content.get("group_counts", [by_class])
    return (
        isinstance(content.get("config", {}), dict)
        and _are_counts(by_class, contract)
        and any(by_class)
        and isinstance(by_group, list)
        and 0 < len(by_group) <= MAX_OUTPUTS
        and all(_are_counts(row, contract) for row in by_group)
    )


def _are_counts(row: Any, contract: Contract) -> bool:
    """Numbers of rows of each class."""
    if not isinstance(row, list) or len(row) != len(contract.classes):
        return False
    return all(type(count) is int and 0 <= count < 2**40 for count in row)


def _are_priors(contract: Contract) -> bool:
    """Shares of the head's combinations of group and class that sum to 1."""
    if [len(row) for row in contract.priors] != [len(contract.classes)] * contract.num_groups:
        return False
    shares = [share for row in contract.priors for share in row]
    return all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-6


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
