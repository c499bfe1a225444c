"""Predictions of lesions: the mean probabilities of the images of each; needs pandas, no torch."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..artifact.contract import Contract
from ..core.cells import guarded, tidy, visible
from ..core.errors import require
from ..core.image_files import image_keys
from ..datasets.csv_files import read_csv
from ..datasets.splits import UNIT_COLUMNS, unit_keys
from ..datasets.table import IMAGE_COLUMNS
from ..evaluation.predictions import mean_of_each
from .finished import Row

HEADER = ["image_name", "patient_id", "lesion_id", "n_images"]


def read_lesions(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """`patient_id`, `lesion_id` and `key` of each image: equal keys for images of one lesion.

    An image without a lesion has a key of its own. Raises `UserError` for a table without a column
    of images or lesions, and for images without a row or with several that differ.
    """
    rows = read_csv(path, ("lesion_id",), (*UNIT_COLUMNS, *IMAGE_COLUMNS))
    column = next((name for name in IMAGE_COLUMNS if name in rows), None)
    require(
        column is not None,
        f"--metadata_csv {path}: no column of images: expected one of {', '.join(IMAGE_COLUMNS)}",
    )
    rows = rows.fillna("").astype(str)
    listed, wanted = image_keys(map(tidy, rows[column]), names)
    ids = rows.reindex(columns=[*UNIT_COLUMNS], fill_value="").set_axis(listed).map(tidy)
    ids = ids[~ids.assign(image=ids.index).duplicated()]
    absent = [name for name, key in zip(names, wanted, strict=True) if key not in ids.index]
    first = visible(absent[0], 80) if absent else ""
    require(not absent, f"--metadata_csv {path}: no row for {len(absent)} images (first: {first})")
    twice = sorted(set(ids.index[ids.index.duplicated()]) & set(wanted))
    told = visible(twice[0], 80) if twice else ""
    require(
        not twice,
        f"--metadata_csv {path}: {len(twice)} images have several lesions (first: {told})",
    )
    found = ids.loc[wanted].set_axis(list(names))
    keys = unit_keys(found)["lesion_id"]
    alone = pd.Series([f"\0{place}" for place in range(len(keys))], keys.index)
    return found.assign(key=keys.where(keys != "", alone))


def write_lesions(
    rows: Iterable[Row],
    ids: pd.DataFrame,
    contract: Contract,
    cells: Callable[[int, Sequence[float]], list],
    write: Callable[[list], None],
) -> int:
    """Write a line for each lesion of `HEADER` and of `cells`, by its first image; their number.

    `ids` are those of `read_lesions`, by the names of the rows.
    """
    rows = list(rows)
    if not rows:
        return 0
    of_rows = ids.loc[[row.name for row in rows]]
    numbers = pd.factorize(of_rows["key"])[0]
    means = mean_of_each(numbers, np.array([row.probabilities for row in rows]))
    firsts = np.unique(numbers, return_index=True)[1]
    counts, decisions = np.bincount(numbers), contract.decide(means)
    for place, first in enumerate(firsts):
        patient, lesion, _ = of_rows.iloc[first]
        told = [rows[first].name, patient, lesion]
        line = [*map(guarded, told), counts[place], *cells(int(decisions[place]), means[place])]
        write(line)
    return len(firsts)
