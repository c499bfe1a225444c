"""The row of a metric, and the registry of all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .weighted import Weighted


@dataclass(frozen=True)
class Metric:
    """A metric's row.

    `label` is its name in tables; `unit` `%` for shares, which a report tells in percent;
    `higher_is_better` None where neither is; `counts` the rows that it counts (`all`, `positive`,
    `negative`; `both` where it needs positive and negative ones); `needs` `decisions` or
    `probabilities`. `of_classes` is one for more than two classes alone, `per_class` also told of
    each class, `compares_groups` a rate that groups are compared by. One without `has_interval`
    grows under resampling, so that resamples lie above the truth.
    """

    measure: Callable[[Weighted], np.ndarray]
    label: str
    unit: str = ""
    higher_is_better: bool | None = True
    counts: str = "both"
    needs: str = "decisions"
    of_classes: bool = False
    per_class: bool = False
    compares_groups: bool = False
    has_interval: bool = True

    @property
    def is_proportion(self) -> bool:
        """Whether it is a share of rows of one kind, so that it has an exact interval."""
        return self.unit == "%" and self.counts != "both"


METRICS: dict[str, Metric] = {}


def metric(**row) -> Callable:
    """Decorator that adds a function to `METRICS` under its own name, with its row."""

    def register(measure: Callable[[Weighted], np.ndarray]) -> Callable:
        METRICS[measure.__name__] = Metric(measure, **row)
        return measure

    return register
