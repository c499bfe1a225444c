"""Decision rules by name: from class probabilities to one class per row; needs no torch.

A rule is one function of `probabilities` [N, classes], the index of the `positive` class and
`groups` (int [N], -1 where unknown), with its constants as options; it gives class indices [N].
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import UserError
from ..core.registry import Call, Registry
from ..evaluation.thresholds import decide

RULES = Registry("decision rule")
MOST = float(np.nextafter(1, 2))  # the threshold that no probability reaches


class DecisionRule(Call):
    """A rule's name and its constants, which are all of its options."""

    def __call__(
        self, probabilities: np.ndarray, positive: int, groups: np.ndarray | None = None
    ) -> np.ndarray:
        """Class indices [N]; without `groups` none is known."""
        groups = np.full(len(probabilities), -1) if groups is None else groups
        return RULES[self.name](probabilities, positive, groups, **self.options)


def make_rule(name: str, constants: dict[str, Any]) -> DecisionRule:
    """The rule with every constant written out. Raises `UserError` for what is none."""
    call = RULES.resolve(str(Call(name, constants)))
    rule = DecisionRule(call.name, call.options)
    rule(np.full((1, 2), 0.5), 1)  # refuses constants that no row could be decided by
    return rule


def usual_rule(n_classes: int) -> DecisionRule:
    """Of two classes the positive one at 0.5 or more, of more classes the most probable."""
    return make_rule("threshold" if n_classes == 2 else "argmax", {})


def mean_rule(
    rules: Sequence[DecisionRule], source: str, weights: np.ndarray | None = None
) -> DecisionRule:
    """The rule of several models together: theirs, at the mean of their constants.

    `weights` [rules] are those of the mean (default: equal ones).
    Raises `UserError`, which begins with `source`, for rules of different kinds.
    """
    if len({(rule.name, *map(np.size, rule.options.values())) for rule in rules}) > 1:
        names = ", ".join(sorted({rule.name for rule in rules}))
        raise UserError(f"{source}: its models decide by different rules ({names}): expected one")
    constants = {
        name: np.average([rule.options[name] for rule in rules], axis=0, weights=weights).tolist()
        for name in rules[0].options
    }
    return make_rule(rules[0].name, constants)


@RULES.register
def argmax(probabilities, positive, groups) -> np.ndarray:
    """The most probable class, the first of equal ones."""
    return probabilities.argmax(axis=1)


@RULES.register
def threshold(probabilities, positive, groups, *, value: float = 0.5) -> np.ndarray:
    """The positive class where it has `value` or more, else the most probable other class."""
    _require_thresholds("threshold", [value])
    return decide(probabilities, positive, value)


@RULES.register
def thresholds_by_group(
    probabilities, positive, groups, *, values: list, overall: float
) -> np.ndarray:
    """As `threshold`: one of `values` for each tone group, `overall` where it is unknown."""
    _require_thresholds("thresholds_by_group", [*values, overall])
    by_group = np.array([*values, overall])
    known = (groups >= 0) & (groups < len(values))
    return decide(probabilities, positive, by_group[np.where(known, groups, -1)])


def _require_thresholds(rule: str, values: Sequence[Any]) -> None:
    for value in values:
        if type(value) not in (int, float) or not 0 <= value <= MOST:
            raise UserError(f"{rule}: a threshold is {value!r:.40}: expected 0 to 1")
