"""A teacher for distillation: what an ensemble, or a CSV, says of each training row; no torch."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..artifact.contract import Contract
from ..core.cells import folded, visible
from ..core.errors import UserError, require
from ..core.files import make_folder, replacing
from ..core.image_files import image_keys
from ..datasets.csv_files import numbers, read_csv, refuse_cells
from ..datasets.overlap import (
    FILE,
    WAYS,
    TrainingRows,
    find_training_rows,
    overlap,
    read_training_rows,
    trained_on,
)
from ..datasets.table import Table
from ..evaluation.predictions import probability_columns
from .batches import Work
from .ensemble import predict_table
from .model import SkinLesionPredictor, model_files
from .predictor import OnnxPredictor

BATCH = 32
TOLERANCE = 1e-3  # of a sum of probabilities that were written with few digits
log = logging.getLogger(__name__)


def taught(table: Table, teacher: Path, cache: Path, allow_unknown: bool) -> np.ndarray:
    """float32 [training rows, classes]: the teacher's probabilities of the table's training rows.

    `teacher` is an ONNX file, a folder of these, or a CSV of predictions. A row is taught by the
    mean of those models whose weights were not fitted to it, where there are such, else of all;
    what models give is kept in the folder `cache`. Raises `UserError` for a teacher that was
    trained with a row on which the student is evaluated, and, unless `allow_unknown`, for one of
    which that cannot be told.
    """
    if teacher.suffix.lower() == ".csv":
        require_unseen(table, teacher, _rows_beside_csv(teacher), allow_unknown)
        return read_probabilities(teacher, table)
    model, files, train = SkinLesionPredictor(teacher), model_files(teacher), table.split("train")
    require_classes(model.contract.classes, table, teacher)
    seen = {
        file.name: _rows_of_model(file, predictor.contract)
        for file, predictor in zip(files, model.predictors, strict=True)
    }
    require_unseen(table, teacher, seen, allow_unknown)
    teaches = members_of_rows(train, list(seen.values()))
    order = [model.contract.classes.index(name) for name in table.classes]
    key = _key(train, files, teaches)
    return _kept(
        cache / f"teacher_{key}.npy",
        (len(train), len(table.classes)),
        lambda: predicted(model.predictors, train, teaches)[:, order],
    )


def require_unseen(
    table: Table, teacher: Path, seen: dict[str, TrainingRows | None], allow_unknown: bool
) -> None:
    """Raise `UserError` for a teacher that was trained with rows on which the student is evaluated.

    Test rows must not have chosen its epoch either; validation rows may, as they choose the
    student's. `seen` holds by model what it was trained with, None where that is unknown.
    """
    test, valid = table.split("test"), table.split("valid")
    unknown = [name for name, rows in seen.items() if rows is None]
    require(
        allow_unknown or not unknown or not len(test) + len(valid),
        f"--teacher {teacher}: it cannot be told whether {visible(', '.join(unknown[:3]), 200)} "
        f"saw the rows on which the student is evaluated: expected {FILE} beside it; if it did "
        "not, say so with --allow_leakage true",
    )
    for rows in filter(None, seen.values()):
        found = {"test": overlap(test, [rows]), "validation": overlap(valid, [rows])}
        found["validation"] = found["validation"][trained_on(valid, rows)]
        for (split, ways), part in zip(found.items(), (test, valid), strict=True):
            ways = ways[ways.any(axis=1)]
            if len(ways):
                by = ", ".join(what for way, what in WAYS.items() if ways[way].any())
                first = visible(Path(part.rows["image"][ways.index[0]]).name)
                raise UserError(
                    f"--teacher {teacher}: it was trained with {len(ways):,} of the {len(part):,} "
                    f"{split} rows on which the student is evaluated (known by {by}; first: "
                    f"{first}): expected a teacher of the student's training rows"
                )


def members_of_rows(train: Table, seen: Sequence[TrainingRows | None]) -> np.ndarray:
    """Bool [rows, members]: which models teach a row, those not fitted to it, else all; told."""
    fitted = [
        np.zeros(len(train), bool) if rows is None else trained_on(train, rows) for rows in seen
    ]
    teaches = ~np.stack(fitted, axis=1)
    alone = ~teaches.any(axis=1)
    log.info(
        "teacher: %d models; %d of %d training rows are taught by models that were not fitted to "
        "them, the others by all",
        len(seen),
        (~alone).sum(),
        len(train),
    )
    teaches[alone] = True
    return teaches


def predicted(predictors: Sequence[OnnxPredictor], train: Table, teaches: np.ndarray) -> np.ndarray:
    """float32 [rows, classes]: the mean probabilities of each row's models, for unknown groups."""
    found = np.empty((len(train), len(predictors[0].contract.classes)), np.float32)
    groups, group_of = np.unique(teaches, axis=0, return_inverse=True)
    for number, members in enumerate(groups):
        is_here = group_of.reshape(-1) == number
        rows = train.with_rows(train.rows[is_here].assign(group=-1))
        chosen = [predictors[place] for place in np.flatnonzero(members)]
        outputs = [member.probabilities for member in predict_table(chosen, rows, Work(BATCH))]
        found[is_here] = np.mean(outputs, axis=0)
    return found


def read_probabilities(path: Path, table: Table) -> np.ndarray:
    """float32 [training rows, classes] from a CSV `image_name,probability_<class>...`.

    As predict.py --probabilities and the trainer write it. Raises `UserError` for a training image
    that is not in it or in it twice, and for what are no probabilities of the table's classes.
    """
    columns = [f"probability_{name}" for name in table.classes]
    rows = read_csv(path, ("image_name", *columns))
    named = [column.removeprefix("probability_") for column in probability_columns(rows)]
    require_classes(named, table, path)
    values = np.column_stack([numbers(rows, column, path).to_numpy(float) for column in columns])
    for place, column in enumerate(columns):
        is_wrong = ~((values[:, place] >= 0) & (values[:, place] <= 1))
        refuse_cells(path, rows, column, is_wrong, "a probability, 0 to 1")
    is_wrong = np.abs(values.sum(axis=1) - 1) > TOLERANCE
    refuse_cells(path, rows, columns[0], is_wrong, "probabilities that sum to 1")
    keys = image_keys(rows["image_name"].fillna(""), table.split("train").rows["image"])
    ids, wanted = ([folded(key) for key in part] for part in keys)
    places = {name: place for place, name in enumerate(ids)}
    absent = [name for name in wanted if name not in places]
    twice = len(places) < len(ids) and [name for name in wanted if ids.count(name) > 1]
    for what, names in (("not in it", absent), ("in it more than once", twice)):
        require(
            not names,
            f"--teacher {path}: {len(names or ()):,} of {len(wanted):,} training images are {what} "
            f"(first: {visible(names[0]) if names else ''})",
        )
    found = values[[places[name] for name in wanted]]
    return (found / found.sum(axis=1, keepdims=True)).astype(np.float32)


def require_classes(classes: Sequence[str], table: Table, teacher: Path) -> None:
    """Raise `UserError` unless a teacher knows the table's classes and no others."""
    require(
        set(classes) == set(table.classes),
        f"--teacher {teacher}: knows the classes {visible(', '.join(classes), 200)}; the data have "
        f"{', '.join(table.classes)}",
    )


def _rows_of_model(file: Path, contract: Contract) -> TrainingRows | None:
    path = find_training_rows(file, contract.provenance.get("table"))
    return read_training_rows(path) if path else None


def _rows_beside_csv(csv: Path) -> dict[str, TrainingRows | None]:
    """Those of the run, or of each fold of the cross-validation, whose folder a CSV lies in."""
    files = [csv.parent / FILE, *sorted(csv.parent.glob(f"fold_*/{FILE}"))]
    known = {str(file): read_training_rows(file) for file in files if file.is_file()}
    return known or {csv.name: None}


def _key(train: Table, files: Sequence[Path], teaches: np.ndarray) -> str:
    """A digest of all that the probabilities depend on."""
    digest = hashlib.sha256("\n".join(train.rows["content"]).encode())
    for path in files:
        for part in (path, path.with_name(f"{path.name}.data")):  # tensors that are kept apart
            if part.is_file():
                with part.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(repr(train.classes).encode() + teaches.tobytes())
    return digest.hexdigest()[:32]


def _kept(path: Path, shape: tuple[int, int], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """What an earlier run has kept in a file, else what `compute` gives, which is kept."""
    with suppress(OSError, ValueError, EOFError):
        found = np.load(path, allow_pickle=False)
        if found.shape == shape and found.dtype == np.float32 and np.isfinite(found).all():
            log.info("teacher: probabilities of %s", path)
            return found
    found = compute()
    make_folder(path.parent)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, found)
    return found
