"""Images with people's Fitzpatrick types joined to their estimated angles."""

from pathlib import Path

import pandas as pd

from ..core.errors import require
from ..core.image_files import image_stem
from ..datasets.fitzpatrick import read_angles, read_types
from ..datasets.splits import UNIT_COLUMNS, unit_numbers
from ..evaluation.tone_agreement import TypedAngles
from .metadata import find_image_column


def join_types(csv: Path, column: str, ita_csv: Path) -> TypedAngles:
    """Images that have both, by name; with their patients, or else lesions, or else each its own.

    Raises `UserError` where no image has both, and for an image that is there twice.
    """
    table, places, scale = read_types(csv, column)
    image = find_image_column(table, csv, "", "the column 'image'")
    table = table.assign(key=table[image].fillna("").map(image_stem), type=places)
    angles = read_angles(ita_csv)
    angles = angles.assign(key=angles["image"].fillna("").map(image_stem))
    for rows, path in ((table, csv), (angles, ita_csv)):
        twice = rows["key"][rows["key"].duplicated() & (rows["key"] != "")]
        require(twice.empty, f"{path}: {len(twice)} images twice (first: {twice.min()!r})")
    columns = ["key", "image", "ita", "ita_picture", "ita_spread", "valid", "uncertain", "domain"]
    units = table[["key", "type"]].assign(**{c: table.get(c, "") for c in UNIT_COLUMNS}).fillna("")
    rows = pd.merge(angles[columns], units, on="key", validate="one_to_one")
    rows = rows[rows["type"] >= 0]
    n_typed = len(rows)
    rows = rows[rows["ita"].notna()].reset_index(drop=True)
    require(
        len(rows) > 1,
        f"{csv}: {len(rows)} of its images have a type and an angle in {ita_csv} (for example "
        f"{table['key'].iloc[0]!r} against {angles['key'].iloc[0]!r}): expected two at least",
    )
    clusters, unit = unit_numbers(rows[[*UNIT_COLUMNS]])
    return TypedAngles(rows.drop(columns=[*UNIT_COLUMNS]), clusters, unit, scale, n_typed)
