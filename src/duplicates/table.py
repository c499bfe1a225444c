"""The table of duplicate pairs: who they are, whether they agree, which belong together."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .search import ORIENTATIONS, Duplicates


def pair_table(rows: pd.DataFrame, found: Duplicates) -> pd.DataFrame:
    """A line for each pair; first those across splits, then of unequal labels, then the most alike.

    `rows` has `image`, `split`, `patient_id`, `lesion_id` and `label` as texts, empty where
    unknown. `same_split`, `same_patient`, `same_lesion` and `same_label` are yes, no or unknown.
    `orientation` is how image b is to be moved to look like image a; pairs of one `group` (from 1)
    share images, directly or over others.
    """
    a, b = (rows.iloc[index].reset_index(drop=True) for index in (found.first, found.second))
    shown = ["image", "split", "label"]
    facts = pd.DataFrame(
        {
            "distance": found.distance,
            "similarity": found.similarity.astype(float).round(4),
            "orientation": np.array(ORIENTATIONS, object)[found.orientation],
            "same_split": _same(a["split"], b["split"]),
            "same_patient": _same(a["patient_id"], b["patient_id"]),
            "same_lesion": _same(a["lesion_id"], b["lesion_id"]),
            "same_label": _same(a["label"], b["label"]),
            "group": _groups(found, len(rows)),
        }
    )
    pairs = pd.concat([a[shown].add_suffix("_a"), b[shown].add_suffix("_b"), facts], axis=1)
    urgency = np.lexsort(
        (-pairs["similarity"], pairs["same_label"] != "no", pairs["same_split"] != "no")
    )
    return pairs.iloc[urgency].reset_index(drop=True)


def _same(a: pd.Series, b: pd.Series) -> np.ndarray:
    """Text [pairs]: yes, no, or unknown where either is empty."""
    return np.where((a == "") | (b == ""), "unknown", np.where(a == b, "yes", "no"))


def _groups(found: Duplicates, n_images: int) -> np.ndarray:
    """int [pairs]: the number, from 1, of the images that a pair joins directly or over others."""
    joined = coo_array(
        (np.ones(len(found.first)), (found.first, found.second)), (n_images, n_images)
    )
    _, component = connected_components(joined, directed=False)
    _, numbers = np.unique(component[found.first], return_inverse=True)
    return numbers + 1


def describe(pairs: pd.DataFrame, n_images: int) -> str:
    """Lines of counts: pairs, groups, across splits, of unequal labels."""
    across = pairs["same_split"] == "no"
    hidden = across & (pairs["same_patient"] != "yes") & (pairs["same_lesion"] != "yes")
    return "\n".join(
        (
            f"{n_images:,} images: {len(pairs):,} near-duplicate pairs in "
            f"{pairs['group'].nunique():,} groups",
            f"  across splits: {across.sum():,}, {hidden.sum():,} of them of no common patient or "
            "lesion",
            f"  of contradicting labels: {(pairs['same_label'] == 'no').sum():,}",
        )
    )
