"""The whole evaluation of a model: the content of `evaluation_metrics.json`, in JSON types."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.classes import NOTICE
from ..core.errors import UserError
from ..core.progress import working
from .calibration import MAX_TEMPERATURE, MIN_TEMPERATURE
from .groupings import Grouping
from .paired_comparison import compare_pair, in_order_of
from .post_processing import calibrate, decide_by_group, decide_by_rule
from .predictions import Predictions
from .results import Settings, all_results, bootstrapped, row_digests
from .thresholds import THRESHOLDS
from .weighted import Weighted

SCHEMA = 2
LESION = "lesion_id"
# with 50 clusters 95 % intervals still cover 91 to 93 %; with far fewer they mislead
FEW_CLUSTERS = 20


@dataclass(frozen=True)
class EvaluatedModel:
    """A model's predictions of a split, and of the validation rows where something is fitted.

    `kind`, `name`, `split` and `model` say what is evaluated, blank where a CSV does not tell;
    `clusters` int [N], from 0, are the patient, lesion or image of each row, `cluster` says which;
    `images` are files by the stem of their names, where they are known; `lesion_numbers` int [N]
    are equal for images of one lesion, `diagnoses` a text for each row, both where they are known;
    `tone_source` says where the tone groups come from; `by_angle` int [N] are those of angles,
    where people gave others, `uncertain` bool [N] which angles are so, both where it is known;
    `provenance` is what the model states of itself; `other` is the model that it was compared with,
    on the same rows, and `groupings` what its rows were evaluated by; `notes` are remarks on where
    the rows come from; `tta` is the test-time augmentation that probabilities are means over.
    """

    kind: str
    name: str
    split: str
    model: str
    predictions: Predictions
    clusters: np.ndarray
    cluster: str
    valid: Predictions | None = None
    images: dict[str, Path] = field(default_factory=dict)
    lesion_numbers: np.ndarray | None = None
    diagnoses: tuple[str, ...] = ()
    tone_source: str = ""
    uncertain: np.ndarray | None = None
    by_angle: np.ndarray | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    groupings: tuple[Grouping, ...] = ()
    other: "EvaluatedModel | None" = None
    notes: tuple[str, ...] = ()
    tta: str = "none"

    def source(self) -> dict:
        """What is evaluated, in JSON types."""
        predictions = self.predictions
        names = ("kind", "name", "split", "model", "cluster", "tone_source")
        own = {key: getattr(self, key) for key in names}
        positive = predictions.classes[predictions.positive]
        return own | {"classes": list(predictions.classes), "positive": positive}

    @property
    def lesions(self) -> np.ndarray:
        """int [N]: equal for images of one lesion, where lesions are known."""
        if self.lesion_numbers is not None:
            return self.lesion_numbers
        is_lesion = self.cluster == LESION
        return self.clusters if is_lesion else np.arange(len(self.clusters))


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


NOTHING_FITTED = Fits()


def fitted(model: EvaluatedModel, fits: Fits, settings: Settings) -> tuple[EvaluatedModel, dict]:
    """The model at the temperature and threshold of its validation rows, and what they are.

    Raises `UserError` where there are no such rows and some are needed.
    """
    predictions = model.predictions
    found: dict[str, dict | None] = {"temperature": None, "threshold": None}
    no_rows = predictions.at(np.zeros(0, int))
    valid = model.valid if fits.flag and model.valid else no_rows
    if fits.flag and not len(valid.labels):
        raise UserError(
            f"{fits.flag}: expected validation rows to fit on, apart from the evaluated ones; give "
            "--valid_predictions_csv FILE beside --predictions_csv, or data with a test split"
        )
    least = settings.min_group
    if fits.calibration:
        predictions, valid, found["temperature"] = calibrate(
            predictions, valid, fits.calibration, least, settings.n_bins
        )
    if fits.group_thresholds:
        predictions, found["threshold"] = decide_by_group(predictions, valid, fits.threshold, least)
    elif fits.threshold:
        predictions, found["threshold"] = decide_by_rule(predictions, valid, fits.threshold)
    return replace(model, predictions=predictions), found


def fit_notes(found: dict, evaluated: Predictions, min_group: int) -> list[str]:
    """What a reader must know of the fitted temperature and thresholds, a sentence for each."""
    temperature, threshold = found["temperature"], found["threshold"]
    notes = []
    if temperature:
        values = {"all images": temperature["value"]} | temperature["groups"]
        at_limit = {n: v for n, v in values.items() if v in (MIN_TEMPERATURE, MAX_TEMPERATURE)}
        if at_limit:
            told = ", ".join(f"{value:g} for {name}" for name, value in at_limit.items())
            notes.append(
                f"The fitted temperature is at its limit ({told}): the validation images do not "
                "determine it, and the calibrated probabilities should not be used."
            )
        before, after = (round(temperature[when]["ece"], 3) for when in ("before", "after"))
        if after > before:
            notes.append(
                f"Calibration made the calibration error larger: {before:.3f} before, {after:.3f} "
                "after."
            )
    counted = {
        "temperature": f"fewer than {min_group} validation images or only one class",
        "threshold": f"fewer than {min_group} positive or {min_group} negative validation images",
    }
    present = {evaluated.group_names[group] for group in evaluated.groups if group >= 0}
    for what, fit in (("temperature", temperature), ("threshold", threshold)):
        names = [name for name in (fit["not_fitted"] if fit else ()) if name in present]
        if names:
            notes.append(
                f"No {what} of its own was fitted for {', '.join(names)} ({counted[what]}): the "
                f"overall {what} is used."
            )
    return notes


@working("bootstrap intervals")
def evaluate_model(
    model: EvaluatedModel,
    groupings: Sequence[Grouping],
    settings: Settings,
    fits: Fits = NOTHING_FITTED,
    other: EvaluatedModel | None = None,
) -> tuple[EvaluatedModel, dict]:
    """(the model as it was evaluated, its evaluation), beside that of `other` where it is given.

    Both are fitted in the same way, each on its own validation rows.
    """
    model, found = fitted(model, fits, settings)
    if other is not None:  # what is wrong with it shows before the resamples take their time
        other, _ = fitted(other, fits, settings)
        theirs = in_order_of(other.predictions, model.predictions)
        other = replace(other, predictions=theirs)
    w = bootstrapped(model.predictions, model.clusters, settings)
    results = all_results(w, groupings, model.lesions, settings, model.diagnoses)
    results["calibration"]["temperature"] = found["temperature"]
    results["notes"] = [
        *model.notes,
        *_few_clusters(w, model.cluster),
        *results["notes"],
        *fit_notes(found, model.predictions, settings.min_group),
    ]
    comparison = None
    if other is not None:
        pair = compare_pair(w, other.predictions, groupings, settings)
        comparison = {"name": other.name} | pair
    return replace(model, other=other, groupings=tuple(groupings)), {
        "schema": SCHEMA,
        "notice": NOTICE,
        "source": model.source() | row_digests(model.predictions, model.split, settings.min_group),
        "settings": asdict(settings),
        **results,
        "threshold": found["threshold"],
        "comparison": comparison,
        "provenance": model.provenance,
    }


def _few_clusters(w: Weighted, cluster: str) -> list[str]:
    n_clusters = w.rows.count_clusters("all")
    if n_clusters >= FEW_CLUSTERS:
        return []
    return [
        f"Only {n_clusters:,} {'cluster' if n_clusters == 1 else 'clusters'} ({cluster}) to "
        f"resample: with fewer than {FEW_CLUSTERS} confidence intervals are too narrow, with one "
        "there are none."
    ]
