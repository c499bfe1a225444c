"""Images with people's skin tones joined to their estimated angles."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..core.errors import require
from ..core.image_files import image_stem
from ..datasets.fitzpatrick import read_angles, read_tones
from ..datasets.splits import UNIT_COLUMNS, unit_numbers
from ..evaluation.tone_agreement import ESTIMATE, PICTURE, TypedAngles
from .metadata import find_image_column


def join_types(
    csv: Path, column: str, scale: str, ita_csv: Path, others: Sequence[Path] = ()
) -> TypedAngles:
    """Images that have both, by name; with their patients, or else lesions, or else each its own.

    `others` hold angles of the same images by other methods, each named by its file; images that
    one of them has no angle for are left out. `scale` is as in `read_tones`. Raises `UserError`
    where no image has both, and for an image that is there twice.
    """
    names = [ESTIMATE, PICTURE, *(path.stem for path in others)]
    require(
        len(set(names)) == len(names),
        f"--ita_csv {' '.join(map(str, others))}: expected files of different names, as methods "
        f"are called by them, and not {ESTIMATE} or {PICTURE}",
    )
    table, places, scale, tones = read_tones(csv, column, scale)
    image = find_image_column(table, csv, "", "the column 'image'")
    table = table.assign(key=table[image].fillna("").map(image_stem), type=places)
    angles = read_angles(ita_csv)
    angles = _keyed(read_angles(ita_csv), ita_csv)
    _refuse_repeats(table, csv)
    columns = ["key", "image", "ita", "ita_picture", "ita_spread", "valid", "uncertain", "domain"]
    units = table[["key", "type"]].assign(**{c: table.get(c, "") for c in UNIT_COLUMNS}).fillna("")
    rows = pd.merge(angles[columns], units, on="key", validate="one_to_one")
    rows = rows[rows["type"] >= 0]
    n_typed = len(rows)
    for path in others:
        more = _keyed(read_angles(path), path).set_index("key")["ita"]
        rows = rows.assign(**{f"ita {path.stem}": rows["key"].map(more)})
    methods = {ESTIMATE: "ita", **{path.stem: f"ita {path.stem}" for path in others}}
    rows = rows[rows[[*methods.values()]].notna().all(axis=1)].reset_index(drop=True)
    require(
        len(rows) > 1,
        f"{csv}: {len(rows)} of its images have a type and an angle in {ita_csv} (for example "
        f"{table['key'].iloc[0]!r} against {angles['key'].iloc[0]!r}): expected two at least",
    )
    clusters, unit = unit_numbers(rows[[*UNIT_COLUMNS]])
    rows = rows.drop(columns=[*UNIT_COLUMNS])
    return TypedAngles(rows, clusters, unit, scale, tones, methods, n_typed)


def _keyed(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    rows = rows.assign(key=rows["image"].fillna("").map(image_stem))
    _refuse_repeats(rows, path)
    return rows


def _refuse_repeats(rows: pd.DataFrame, path: Path) -> None:
    twice = rows["key"][rows["key"].duplicated() & (rows["key"] != "")]
    require(twice.empty, f"{path}: {len(twice)} images twice (first: {twice.min()!r})")
