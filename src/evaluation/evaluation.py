"""The whole evaluation of a subject: the content of `evaluation_metrics.json`, in JSON types."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..core.classes import NOTICE
from .fairness import subset
from .groupings import Grouping
from .judge import judge
from .paired import compare_pair, in_order_of
from .post_processing import calibrate, decide_by_group, decide_by_rule
from .sample import Settings, draw
from .subject import Subject
from .thresholds import THRESHOLDS

SCHEMA = 1


@dataclass(frozen=True)
class Fits:
    """What is fitted on validation rows, as call strings, blank for nothing."""

    calibration: str = ""
    threshold: str = ""
    group_thresholds: bool = False

    @property
    def flag(self) -> str:
        """The flag that needs validation rows, blank where none does, as a fixed threshold."""
        if self.calibration:
            return "--calibration"
        finds = self.threshold and THRESHOLDS.context_names(self.threshold)
        return "--threshold" if finds or self.group_thresholds else ""


def fitted(subject: Subject, fits: Fits, settings: Settings) -> tuple[Subject, dict]:
    """The subject at the temperature and threshold of its validation rows, and what they are.

    Raises `UserError` where there are no such rows and some are needed.
    """
    predictions, found = subject.predictions, {"temperature": None, "threshold": None}
    no_rows = subset(predictions, np.zeros(len(predictions.labels), bool))
    valid = subject.validation(fits.flag) if fits.flag else no_rows
    least = settings.min_group
    if fits.calibration:
        predictions, valid, found["temperature"] = calibrate(
            predictions, valid, fits.calibration, least, settings.n_bins
        )
    if fits.group_thresholds:
        predictions, found["threshold"] = decide_by_group(predictions, valid, fits.threshold, least)
    elif fits.threshold:
        predictions, found["threshold"] = decide_by_rule(predictions, valid, fits.threshold)
    return subject.with_predictions(predictions), found


def evaluate_subject(
    subject: Subject,
    groupings: Sequence[Grouping],
    settings: Settings,
    fits: Fits,
    other: Subject | None = None,
) -> tuple[Subject, dict]:
    """(the subject as it was judged, its evaluation), beside that of `other` where it is given.

    Both are fitted in the same way, each on its own validation rows.
    """
    subject, found = fitted(subject, fits, settings)
    if other is not None:  # what is wrong with it shows before the draws take their time
        other, _ = fitted(other, fits, settings)
        other = other.with_predictions(in_order_of(other.predictions, subject.predictions))
    sample = draw(subject.predictions, subject.units, settings)
    judged = judge(sample, groupings, settings)
    judged["calibration"]["temperature"] = found["temperature"]
    comparison = None
    if other is not None:
        pair = compare_pair(sample, other.predictions, groupings, settings)
        comparison = {"name": other.name} | pair
    return subject, {
        "schema": SCHEMA,
        "notice": NOTICE,
        "source": subject.source(),
        "settings": asdict(settings),
        **judged,
        "threshold": found["threshold"],
        "comparison": comparison,
        "provenance": subject.provenance,
    }
