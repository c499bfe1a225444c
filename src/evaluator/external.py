"""`--external`: data that a model was not trained with, in its classes, and what it has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..artifact.contract import Contract
from ..core.config import Config, Data, settings_with
from ..core.errors import UserError
from ..core.options import Role
from ..core.registry import Call, parse_call
from ..datasets.overlap import WAYS, find_training_rows, overlap, read_training_rows
from ..datasets.table import Table
from ..evaluation.predictions import Predictions
from .class_map import ClassMap
from .csv_cells import listed
from .flags import EvaluationOptions

SHOWN = 3


@dataclass(frozen=True)
class ExternalRows:
    """Rows to evaluate in a model's classes; `notes` say what is known of their origin.

    `lists` holds by file name the images that the model has seen, by which of `WAYS` and whether
    they are evaluated, and those without a class.
    """

    table: Table
    notes: tuple[str, ...]
    lists: dict[str, pd.DataFrame]


def settings_apart_from_data(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A model's settings without those that say which rows it was trained with."""
    of_rows = settings_with(Role.DATA) | {"fold", "allow_leakage", "max_bad_images"}
    return {name: value for name, value in settings.items() if name not in of_rows}


def check_external(given: Mapping[str, Any], options: EvaluationOptions) -> None:
    """Raise `UserError` for flags, as text, that contradict `--external` or lack it."""
    if not options.external:
        if options.skip_overlap:
            raise UserError("--skip_overlap: expected with --external, for data of other origin")
        return
    if "config" not in given and not {"dataset", "data_path"} <= set(given):
        raise UserError(
            "--external: expected the data to evaluate on, --dataset NAME and --data_path FOLDER"
        )
    for name in sorted(settings_with(Role.MODEL) & set(given)):
        raise UserError(f"--{name}: has no effect with --external, where all rows are test rows")
    if options.needs_valid:
        raise UserError(
            "--external: expected neither --calibration nor a --threshold to fit: all rows are "
            "test rows; fit it on the model's own data first, with --write_model"
        )


def external_rows(
    table: Table, models: Sequence[tuple[Path, Contract]], options: EvaluationOptions, cfg: Config
) -> ExternalRows:
    """The labelled rows of a data set, all of them test rows of the models.

    Raises `UserError` for classes that the models do not know, and for rows that they were
    trained with unless `--allow_leakage` keeps them or `--skip_overlap` leaves them out.
    """
    contract = models[0][1]
    rows = in_classes_of(table, contract, options)
    found = [(path, find_training_rows(path, c.provenance.get("table"))) for path, c in models]
    known = [read_training_rows(path) for _, path in found if path]
    seen = overlap(rows, known)
    is_seen = seen.any(axis=1).to_numpy()
    notes = []
    unknown = [model.name for model, path in found if not path]
    if unknown:
        notes.append(
            f"Overlap with the training data cannot be checked: no hashes of its rows "
            f"(training_rows.json) beside {listed(unknown)}."
        )
    elif not is_seen.any():
        notes.append("No image, patient or image file of these data was used in training.")
    has_patients = all(model.patient for model in known) and (rows.rows["patient_id"] != "").all()
    if known and not has_patients:
        notes.append("Patients are not known of all images: their overlap cannot be ruled out.")
    listing = pd.DataFrame({"image": rows.rows["image"]}).join(seen)[is_seen]
    if is_seen.any():
        told = described(listing, len(rows))
        if not (options.skip_overlap or cfg.data.allow_leakage):
            raise UserError(
                f"--external: {told}. Leave them out with --skip_overlap, or evaluate them all "
                "the same with --allow_leakage"
            )
        if options.skip_overlap and is_seen.all():
            raise UserError(f"--skip_overlap: {told}, so that none is left to evaluate")
        fate = "left out" if options.skip_overlap else "evaluated too: results are optimistic"
        notes.append(f"{told}; they are {fate} (overlap.csv).")
    if options.skip_overlap:
        rows = rows.with_rows(rows.rows[~is_seen])
    listing = listing.assign(evaluated=not options.skip_overlap)
    lists = {"overlap.csv": listing} | unlabelled_list(table.unlabelled)
    notes += unlabelled_notes(table.unlabelled)
    return ExternalRows(rows, tuple(notes), {n: rows for n, rows in lists.items() if len(rows)})


def with_unlabelled_left_out(data: Data) -> Data:
    """The settings of a data set whose rows without a class are left out."""
    call = parse_call(data.dataset)
    if call.name != "table":
        raise UserError(
            f"--skip_unlabelled: expected --dataset table(...), found {call.name}, which has a "
            "class for each image"
        )
    return replace(data, dataset=str(Call("table", call.options | {"skip_unlabelled": True})))


def unlabelled_notes(names: Sequence[str]) -> tuple[str, ...]:
    """A remark on images that are left out since their true class is unknown, where there are."""
    first = listed(names[:SHOWN])
    told = f"{len(names):,} images without a true class are left out (first: {first}; "
    return (f"{told}unlabelled.csv).",) if names else ()


def unlabelled_list(names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """These images as a list to write, by its file's name."""
    return {"unlabelled.csv": pd.DataFrame({"image_name": names})} if names else {}


def described(listing: pd.DataFrame, n_rows: int) -> str:
    """How many images the model has seen in training, by which way, and the first of them."""
    ways = [f"{listing[way].sum():,} by {what}" for way, what in WAYS.items() if listing[way].any()]
    first = listed(Path(image).name for image in listing["image"][:SHOWN])
    return (
        f"{len(listing):,} of {n_rows:,} images were used to train the model "
        f"({', '.join(ways)}; first: {first})"
    )


def in_classes_of(table: Table, contract: Contract, options: EvaluationOptions) -> Table:
    """All rows of a table as test rows, with the classes of a model."""
    mapping = ClassMap(options.class_map, contract.classes, options.positive)
    names = mapping.classes_of(table.classes)
    places = np.array([contract.classes.index(name) for name in names])
    rows = table.rows.assign(label=places[table.labels], split="test", fold=-1)
    return replace(table, rows=rows, classes=contract.classes, positive=contract.positive)


def against_rest(predictions: Predictions, positive: str) -> Predictions:
    """The class `positive` against all others together: probabilities of these are added.

    A decision for another class is one for the rest. Of two classes both keep their names.
    """
    place = ClassMap("", predictions.classes, positive).positive
    if len(predictions.classes) == 2:
        return replace(predictions, positive=place)
    score = predictions.probabilities[:, place]
    return replace(
        predictions,
        labels=(predictions.labels == place).astype(np.int64),
        decisions=(predictions.decisions == place).astype(np.int64),
        probabilities=np.column_stack([1 - score, score]),
        classes=("rest", predictions.classes[place]),
        positive=1,
    )
