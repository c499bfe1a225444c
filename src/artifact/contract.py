"""The contract: all that a trained model's users must know, as JSON inside every artifact."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.classes import NOTICE, require_class_names
from ..core.errors import UserError, first_line
from ..preprocess.spec import Preprocessing, preprocessing_from_json
from ..skin.tone import present_names
from ..trust.fitted import Conditions, Trust, trust_from_json
from .decisions import DecisionRule, make_rule
from .evidence import Evidence, evidence_from_json, is_evidence

CONTRACT_KEY = "melanoma_contract"
VERSION = 2
MAX_CONTRACT_BYTES = 10_000_000
MAX_OUTPUTS = 100_000
# the fields of the JSON and the type of each
FIELDS = {
    "version": (int,),
    "notice": (str,),
    "model": (str,),
    "head": (str,),
    "n_outputs": (int,),
    "input": (dict,),
    "classes": (list,),
    "positive": (int,),
    "groups": (list,),
    "preprocessing": (dict,),
    "reduction": (str,),
    "own_head": (bool,),
    "priors": (list,),
    "temperature": (int, float),
    "rule": (str,),
    "rules": (dict,),
    "provenance": (dict,),
    "metrics": (dict,),
    "evidence": (dict,),
    "trust": (dict,),
    "reference": (dict,),
}
NOT_IN_ALL: dict[str, dict] = {
    "evidence": {},
    "trust": {},
    "reference": {},
}  # fields that older files of this version lack
AS_WRITTEN = (
    *("model", "head", "n_outputs", "positive", "reduction", "own_head", "temperature"),
    *("provenance", "metrics", "reference"),
)


@dataclass(frozen=True)
class Contract:
    """What the weights mean.

    `head` is the head's call string; `reduction` names what makes class probabilities of logits,
    with `own_head` only for rows of unknown tone group (see `by_own_head`); `priors` [groups of the
    head][classes] are the shares of the training rows, which some reductions take (empty: equal
    ones). Class probabilities p are calibrated to softmax(log p / `temperature`). `rule` decides;
    `other_rules` were fitted beside it. `provenance` holds configuration, data and versions.
    `evidence` says what the output of that name is, where an ONNX file has one;
    `trust` holds what was fitted for knowing when not to answer; `reference` the images that those
    of later days are compared with (`src/watch`).
    """

    model: str
    n_outputs: int
    classes: tuple[str, ...]
    positive: int
    groups: tuple[str, ...]
    reduction: str
    preprocessing: Preprocessing
    rule: DecisionRule
    head: str = "linear"
    own_head: bool = False
    priors: tuple[tuple[float, ...], ...] = ()
    temperature: float = 1.0
    other_rules: tuple[DecisionRule, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    trust: Trust | None = None
    reference: dict[str, Any] = field(default_factory=dict)

    @property
    def num_groups(self) -> int:
        """Tone groups in the head's outputs: 1 for a head that ignores the group."""
        return max(1, self.n_outputs // len(self.classes))

    @property
    def decides_by_group(self) -> bool:
        """Whether a row's tone group, where it is known, changes what is decided."""
        return self.own_head or self.rule.name == "thresholds_by_group"

    @property
    def conditions(self) -> Conditions:
        """What must be as it was for `trust` to hold."""
        return Conditions(self.preprocessing.digest, self.temperature, str(self.rule))

    @property
    def notice(self) -> str:
        """What is said beside every result."""
        return NOTICE

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

    def decide(self, probabilities: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
        """Class indices [N] of probabilities [N, classes], by the active rule.

        `groups` int [N], -1 where unknown; without them none is known.
        """
        return self.rule(probabilities, self.positive, groups)

    def to_json(self) -> dict[str, Any]:
        """JSON types that `contract_from_json` reads back."""
        height, width = self.preprocessing.output_size
        content = {name: getattr(self, name, None) for name in FIELDS} | {
            "version": VERSION,
            "input": {"name": "input", "shape": ["batch", 3, height, width], "type": "float32"},
            "preprocessing": self.preprocessing.to_json(),
            "rule": self.rule.name,
            "rules": {rule.name: rule.options for rule in (self.rule, *self.other_rules)},
            "evidence": self.evidence.to_json() if self.evidence else {},
            "trust": self.trust.to_json() if self.trust else {},
        }
        return json.loads(json.dumps(content))


def contract_from_json(content: Any, source: str) -> Contract:
    """The contract that `to_json` wrote. Raises `UserError` where `content` is no such thing."""
    try:
        content = _read(content)
        for problem in _problems(content):
            raise UserError(f"invalid contract: field {problem}")
        rules = {name: make_rule(name, constants) for name, constants in content["rules"].items()}
        return Contract(
            classes=tuple(content["classes"]),
            groups=present_names(content["groups"]),
            priors=tuple(map(tuple, content["priors"])),
            preprocessing=preprocessing_from_json(content["preprocessing"]),
            rule=rules.pop(content["rule"]),
            other_rules=tuple(rules.values()),
            evidence=evidence_from_json(content["evidence"]),
            trust=trust_from_json(content["trust"], len(content["groups"])),
            **{name: content[name] for name in AS_WRITTEN},
        )
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _read(content: Any) -> dict[str, Any]:
    """The mapping in a text or already read, of this version."""
    if isinstance(content, str):
        try:
            if len(content) > MAX_CONTRACT_BYTES:
                raise ValueError("too long")
            content = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"unreadable contract ({first_line(error)})") from None
    if not isinstance(content, dict) or "version" not in content:
        raise UserError("unreadable contract: expected fields and their version")
    if content["version"] != VERSION or type(content["version"]) is not int:
        raise UserError(
            f"contract version {content['version']!r:.20}, expected {VERSION}: export it again, or "
            "train it again, with this version of the software"
        )
    return NOT_IN_ALL | content


def _problems(content: dict[str, Any]) -> Iterator[str]:
    """What is wrong, field by field; after the first one the others may make no sense."""
    for name in [*FIELDS, *map(str, content)]:
        if name not in FIELDS:
            yield f"{name[:40]!r} is unknown"
        elif type(content.get(name)) not in FIELDS[name]:
            kinds = " or ".join(kind.__name__ for kind in FIELDS[name])
            yield f"{name}: expected {kinds}, found {type(content.get(name)).__name__}"
    n_classes, n_outputs = len(content["classes"]), content["n_outputs"]
    for name, most in (("classes", 1000), ("groups", MAX_OUTPUTS)):
        if len(content[name]) > most or not all(type(text) is str for text in content[name]):
            yield f"{name}: expected at most {most} names"
    yield from _bad_names(content["classes"])
    if n_classes < 2:
        yield "classes: expected two or more"
    if not 0 <= content["positive"] < n_classes:
        yield "positive: expected the index of a class"
    if not 0 < n_outputs <= MAX_OUTPUTS or n_outputs % n_classes:
        yield f"n_outputs: expected a multiple of the classes, up to {MAX_OUTPUTS}"
    if content["reduction"] == "softmax" and n_outputs != n_classes:
        yield "reduction: softmax takes as many outputs as classes"
    if content["priors"] and not _are_priors(content["priors"], n_outputs // n_classes, n_classes):
        yield "priors: expected shares by group and class that sum to 1"
    # beyond these bounds probabilities would be all alike, or no numbers
    if not 1e-3 <= content["temperature"] <= 1e3:
        yield "temperature: expected 0.001 to 1000"
    if content["rule"] not in content["rules"]:
        yield "rule: expected one of rules"
    for name, constants in content["rules"].items():
        if not isinstance(constants, dict):
            yield f"rules: expected constants of {name[:40]!r}"
    if not _is_provenance(content["provenance"], n_classes):
        yield "provenance: expected the configuration and counts of training rows"
    if not is_evidence(content["evidence"], n_outputs):
        yield "evidence: expected its method, grid and a bias for each output"


def _bad_names(names: list[str]) -> Iterator[str]:
    try:
        require_class_names(names, "classes")
    except UserError as error:
        yield str(error)


def _is_provenance(content: dict[str, Any], n_classes: int) -> bool:
    """Whether its parts, where there are any, are settings and counts of training rows."""
    by_class = content.get("label_counts", [1] * n_classes)
    by_group = content.get("group_counts", [by_class])
    return (
        isinstance(content.get("config", {}), dict)
        and _are_counts(by_class, n_classes)
        and any(by_class)
        and isinstance(by_group, list)
        and 0 < len(by_group) <= MAX_OUTPUTS
        and all(_are_counts(row, n_classes) for row in by_group)
    )


def _are_counts(row: Any, n_classes: int) -> bool:
    """Numbers of rows of each class."""
    is_row = isinstance(row, list) and len(row) == n_classes
    return is_row and all(type(count) is int and 0 <= count < 2**40 for count in row)


def _are_priors(rows: list, n_groups: int, n_classes: int) -> bool:
    """Shares of the head's combinations of group and class that sum to 1."""
    are_rows = all(isinstance(row, list) and len(row) == n_classes for row in rows)
    if not are_rows or len(rows) != n_groups:
        return False
    shares = [share for row in rows for share in row]
    are_shares = all(type(share) in (int, float) and 0 <= share <= 1 for share in shares)
    return are_shares and abs(sum(shares) - 1) < 1e-6
