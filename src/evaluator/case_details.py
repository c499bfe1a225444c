"""What else is known of images that are shown as hard cases: their diagnosis and their lesion."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..core.cells import says_nothing, tidy
from ..datasets.splits import UNIT_COLUMNS, unit_keys
from ..evaluation.evaluate import EvaluatedModel
from .metadata import Metadata

# of published tables: ISIC, HAM10000, PAD-UFES-20, DDI
DIAGNOSIS_COLUMNS = ("diagnosis", "dx", "diagnostic", "disease")


def with_case_details(model: EvaluatedModel, known: Metadata | None) -> EvaluatedModel:
    """The model with `diagnoses` and `lesion_numbers` of its images, where the metadata tell."""
    if known is None:
        return model
    keys = [known.key(name) for name in model.predictions.names]
    rows = known.rows[~known.rows.index.duplicated()].reindex(keys).fillna("")
    column = next((name for name in DIAGNOSIS_COLUMNS if name in rows), None)
    if column:
        told = ("" if says_nothing(text) else tidy(text) for text in rows[column])
        model = replace(model, diagnoses=tuple(told))
    if "lesion_id" in rows and model.lesion_numbers is None:
        model = replace(model, lesion_numbers=lesion_numbers(rows))
    return model


def lesion_numbers(rows: pd.DataFrame) -> np.ndarray:
    """int64 [rows]: equal for images of one lesion, see `unit_keys`; unknown lesions are apart."""
    ids = rows.reset_index(drop=True).reindex(columns=[*UNIT_COLUMNS], fill_value="")
    keys = unit_keys(ids)["lesion_id"]
    alone = pd.Series(range(len(keys)), keys.index).astype(str)
    return pd.factorize(keys.where(keys != "", alone))[0].astype(np.int64)
