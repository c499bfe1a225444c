"""What an evaluation is of: predictions of the rows to judge, and what is known beside them."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UserError
from ..core.image_files import image_stem
from .predictions import Predictions


@dataclass(frozen=True)
class Subject:
    """A model's predictions of a split, and of the validation rows where something is fitted.

    `kind`, `name`, `split` and `model` say what was judged, blank where a CSV does not tell;
    `units` int [N], from 0, are the patient, lesion or image of each row, `unit` says which;
    `images` are files by the stem of their names, where they are known; `provenance` is what the
    model states of itself.
    """

    kind: str
    name: str
    split: str
    model: str
    predictions: Predictions
    units: np.ndarray
    unit: str
    valid: Predictions | None = None
    images: dict[str, Path] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def source(self) -> dict:
        """What was judged, in JSON types."""
        return {
            "kind": self.kind,
            "name": self.name,
            "split": self.split,
            "model": self.model,
            "classes": list(self.predictions.classes),
            "positive": self.predictions.classes[self.predictions.positive],
            "unit": self.unit,
        }

    def image(self, name: str) -> Path | None:
        """The file of a judged image, by its name with or without folders and suffix."""
        return self.images.get(image_stem(name))

    def with_predictions(self, predictions: Predictions) -> "Subject":
        """The same model, judged or decided in another way."""
        return replace(self, predictions=predictions)

    def validation(self, what: str) -> Predictions:
        """The rows to fit on. Raises `UserError` that begins with `what` where there are none."""
        if self.valid is None or not len(self.valid.labels):
            raise UserError(
                f"{what}: expected validation rows to fit on, which are not those judged: "
                "--valid_predictions_csv FILE beside --predictions_csv, or data with a test split"
            )
        return self.valid
