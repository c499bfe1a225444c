"""`--aggregate lesion`: the mean probabilities of a lesion's images, in place of the images."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from ..artifact.decisions import DecisionRule
from ..core.cells import visible
from ..core.errors import UserError, require
from ..core.image_files import image_stem
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.predictions import Predictions, mean_of_each
from .case_details import lesion_numbers


def first_images(names: list[str], numbers: np.ndarray) -> np.ndarray:
    """int [lesions]: the row that stands for each lesion, of the first of its images by name."""
    order = np.argsort([image_stem(name) for name in names], kind="stable")
    return order[np.unique(numbers[order], return_index=True)[1]]


def pooled(predictions: Predictions, numbers: np.ndarray, decide: Callable) -> Predictions:
    """A row for each lesion, whose images have equal `numbers` [N], from 0.

    It has the name of its first image by name and the tone group of all its images, -1 where they
    differ. `decide(probabilities, groups=groups)` gives its class. Raises `UserError` for
    predictions without probabilities, and for a lesion whose images are of different classes.
    """
    require(
        not np.isnan(predictions.probabilities).any(),
        "--aggregate lesion: the CSV has decisions alone: expected columns of probabilities",
    )
    firsts = first_images(predictions.names, numbers)
    rows = predictions.at(firsts)
    is_other = rows.labels[numbers] != predictions.labels
    if is_other.any():
        name = visible(predictions.names[int(is_other.argmax())], 80)
        raise UserError(
            f"--aggregate lesion: {len(set(numbers[is_other]))} lesions have images of different "
            f"classes (first: that of {name})"
        )
    groups = _shared(predictions.groups, firsts, numbers)
    probabilities = mean_of_each(numbers, predictions.probabilities)
    decisions = decide(probabilities, groups=groups)
    return replace(rows, groups=groups, probabilities=probabilities, decisions=decisions)


def _shared(groups: np.ndarray, firsts: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """int [lesions]: the tone group of all images of each lesion, -1 where they differ."""
    of_first = groups[firsts]
    is_mixed = np.bincount(numbers, of_first[numbers] != groups) > 0
    return np.where(is_mixed, -1, of_first)


def of_lesions(
    model: EvaluatedModel,
    raw: dict[str, tuple[Predictions, pd.DataFrame]],
    rule: DecisionRule,
    in_question: Callable[[Predictions], Predictions],
) -> EvaluatedModel:
    """The model of images as one of lesions, which the `rule` decides by their probabilities.

    `raw` are its predictions in all classes, with what is known of their images: of the evaluated
    split, `""`, and of the rows that something is fitted on, `valid`, if any. `in_question` makes
    of the lesions' predictions those that are evaluated. Raises `UserError` where no lesion has
    several images.
    """
    found, numbers = {}, {name: lesion_numbers(rows) for name, (_, rows) in raw.items()}
    for name, (rows, _) in raw.items():
        decide = partial(rule, positive=rows.positive)
        found[name] = in_question(pooled(rows, numbers[name], decide))
    firsts = first_images(model.predictions.names, numbers[""])
    n_lesions, n_images = len(firsts), len(numbers[""])
    require(
        n_lesions < n_images,
        "--aggregate lesion: no lesion has several images: expected their lesion_id in the data, "
        "the CSV or --metadata_csv",
    )
    note = (
        f"Evaluated by lesion: {n_lesions:,} lesions of {n_images:,} images, by the mean "
        "probabilities of each lesion's images. The evaluation of the images is in per_image."
    )
    return replace(
        model,
        predictions=found[""],
        valid=found.get("valid"),
        clusters=model.clusters[firsts],
        cluster="lesion_id" if model.cluster == "image" else model.cluster,
        lesion_numbers=np.arange(n_lesions),
        uncertain=None if model.uncertain is None else model.uncertain[firsts],
        by_angle=None if model.by_angle is None else _shared(model.by_angle, firsts, numbers[""]),
        notes=(note, *model.notes),
    )
