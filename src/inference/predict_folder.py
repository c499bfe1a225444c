"""Predictions of images as a CSV: `image_name,target`, and probabilities of classes."""

import csv
from collections.abc import Iterable
from pathlib import Path

from ..artifact.contract import Contract
from ..core.files import replacing
from .predictor import Prediction


def write_predictions(
    predictions: Iterable[Prediction],
    contract: Contract,
    with_probability: tuple[str, ...],
    output: Path,
) -> list[Prediction]:
    """Those without a result, once `output` has the others, decided as the contract says.

    Classes in `with_probability` have a column `probability_<class>`.
    """
    failed = []
    places = [contract.classes.index(name) for name in with_probability]
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "target", *(f"probability_{n}" for n in with_probability)])
        for prediction in predictions:
            if prediction.probabilities is None:
                failed.append(prediction)
                continue
            target = contract.decide(prediction.probabilities[None])[0]
            values = [float(prediction.probabilities[place]) for place in places]
            writer.writerow([prediction.path.name, target, *values])
    return failed
