"""Which rows a model has seen in training, as salted hashes beside it, and which others are they.

The file holds no name: only who has an image, a patient's id or a file can tell that it was used.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.cells import known_id
from ..core.errors import UserError
from ..core.files import copy_whole, write_text
from ..core.image_files import image_stem
from .load import table_hash
from .table import Table

FILE = "training_rows.json"
VERSION = 1
MAX_BYTES = 1_000_000_000
# what rows are known by, and what a report calls it
WAYS = {"name": "image name", "patient": "patient", "lesion": "lesion", "content": "image file"}
_LATER = ("lesion", "held_out")  # that earlier files do not have


@dataclass(frozen=True)
class TrainingRows:
    """Salted hashes of the training and validation rows of a model, by each of `WAYS`.

    `table` is the digest of the whole table, which the model's contract has too. `held_out` are
    the image files of its validation rows, on which no gradient was computed.
    """

    table: str
    salt: str
    name: frozenset[str]
    patient: frozenset[str]
    content: frozenset[str]
    lesion: frozenset[str] = frozenset()
    held_out: frozenset[str] = frozenset()


def training_rows(table: Table) -> TrainingRows:
    """Those of a table in its splits, under a new salt."""
    seen = table.rows[table.rows["split"].isin(("train", "valid"))]
    salt = secrets.token_hex(16)
    of_split = {split: table.split(split).rows["content"] for split in ("train", "valid")}
    only_valid = of_split["valid"][~of_split["valid"].isin(of_split["train"])]
    ids = ids_of(seen) | {"held_out": only_valid}
    hashes = {way: frozenset(hashed(of_way, salt)) - {""} for way, of_way in ids.items()}
    return TrainingRows(table_hash(table), salt, **hashes)


def write_training_rows(table: Table, folder: Path) -> None:
    """Write `training_rows.json` into a run's folder."""
    found = asdict(training_rows(table))
    content = {"version": VERSION} | {
        name: value if isinstance(value, str) else sorted(value) for name, value in found.items()
    }
    write_text(folder / FILE, json.dumps(content))


def find_training_rows(model: Path, table: str | None) -> Path | None:
    """The file beside a model that tells of the table with this digest; None where none does."""
    named = model.parent / f"{model.stem}_{FILE}"
    others = sorted(path for path in model.parent.glob(f"*{FILE}") if path != named)
    for path in (named, *others):
        if table and path.is_file() and _content(path).get("table") == table:
            return path
    return None


def read_training_rows(path: Path) -> TrainingRows:
    """The hashes in a file. Raises `UserError` where it is not of `write_training_rows`."""
    content = {key: [] for key in _LATER} | _content(path)
    texts = [content.get("table"), content.get("salt")]
    kinds = (*WAYS, "held_out")
    lists = [content.get(kind) for kind in kinds]
    are_lists = all(isinstance(items, list) for items in lists)
    texts += [item for items in lists for item in items] if are_lists else [None]
    if content.get("version") != VERSION or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{path}: unreadable; expected the hashes of a model's training rows")
    hashes = {kind: frozenset(content[kind]) for kind in kinds}
    return TrainingRows(content["table"], content["salt"], **hashes)


def copy_training_rows(model: Path, table: str | None, copy: Path) -> None:
    """Where a model is written to another folder, put the file beside it there too, if any."""
    found = find_training_rows(model, table)
    if found and copy.parent.resolve() != model.parent.resolve():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy_whole(found, copy.with_name(f"{copy.stem}_{FILE}"))


def overlap(table: Table, seen: Sequence[TrainingRows]) -> pd.DataFrame:
    """Bool [rows, WAYS]: whether any of the models has seen the row's image, patient or file."""
    ids = ids_of(table.rows)
    found = {way: pd.Series(False, table.rows.index) for way in WAYS}
    for rows in seen:
        for way in WAYS:
            found[way] |= pd.Series(hashed(ids[way], rows.salt), ids[way].index).isin(
                getattr(rows, way)
            )
    return pd.DataFrame(found)


def trained_on(table: Table, seen: TrainingRows) -> np.ndarray:
    """Bool [rows]: whether a model's weights were fitted to a row, its patient or its lesion.

    Unlike `overlap` it leaves out what only validated the model.
    """
    held_out = pd.Series(hashed(table.rows["content"], seen.salt)).isin(seen.held_out)
    return (overlap(table, [seen]).any(axis=1).to_numpy()) & ~held_out.to_numpy()


def ids_of(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What rows are known by in each of `WAYS`, blank where they are not."""
    return {
        "name": rows["image"].map(lambda path: known_id(image_stem(Path(path).name))),
        "patient": rows["patient_id"].map(known_id),
        "lesion": rows["lesion_id"].map(known_id),
        "content": rows["content"],
    }


def hashed(ids: pd.Series, salt: str) -> list[str]:
    """The salted hash of each id, blank where there is none."""
    key = salt.encode()[:64]
    return [
        text and hashlib.blake2b(text.encode(), digest_size=12, key=key).hexdigest() for text in ids
    ]


def _content(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{path}: unreadable; expected the hashes of training rows") from None
    return content if isinstance(content, dict) else {}
