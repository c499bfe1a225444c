"""Splits by patient or lesion: the audit of a given one; grouped, stratified splits and folds."""

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..core.cells import known_id, visible
from ..core.errors import UserError, require
from .table import SPLITS, Table

UNIT_NAMES = {"patient_id": "patients", "lesion_id": "lesions"}
UNIT_COLUMNS = tuple(UNIT_NAMES)
EVEN = 0.01  # difference of a class's share from that in all rows
_LEADING_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")


def crossings(keys: pd.Series, splits: pd.Series) -> list[tuple[str, str, int, int]]:
    """Where units, a column of `unit_keys`, stand in two splits.

    A list of (later split, earlier split, units in both, units in the later split), empty for a
    clean split. Rows without a unit or a split are left out.
    """
    members = {split: set(keys[splits == split]) - {""} for split in SPLITS}
    found = []
    for i, later in enumerate(SPLITS):
        for earlier in SPLITS[:i]:
            shared = len(members[later] & members[earlier])
            if shared:
                found.append((later, earlier, shared, len(members[later])))
    return found


def describe_crossings(rows: pd.DataFrame) -> str:
    """One sentence on patients and lesions that cross the splits, or `""` for a clean split."""
    return _describe_crossings(unit_keys(rows), rows["split"])


def _describe_crossings(keys: pd.DataFrame, splits: pd.Series) -> str:
    parts = [
        f"{shared:,} of the {total:,} {later} {plural} are also in {earlier}"
        for unit, plural in UNIT_NAMES.items()
        for later, earlier, shared, total in crossings(keys[unit], splits)
    ]
    return "; ".join(parts)


def describe_leaks(table: Table, n_folds: int = 0) -> str:
    """What crosses the splits and, with `n_folds`, the folds; `""` where nothing does."""
    keys = unit_keys(table.rows)
    in_folds = keys.assign(fold=table.rows["fold"])
    in_folds = in_folds[in_folds["fold"] >= 0] if n_folds else in_folds[:0]
    parts = []
    for unit, plural in UNIT_NAMES.items():
        folds = in_folds[in_folds[unit] != ""].groupby(unit)["fold"].nunique()
        if (folds > 1).any():
            parts.append(f"{(folds > 1).sum():,} of {len(folds):,} {plural} are in several folds")
    return "; ".join(filter(None, [*parts, _describe_crossings(keys, table.rows["split"])]))


def describe_doubts(rows: pd.DataFrame) -> list[str]:
    """A sentence on each kind of ids that may mean other patients or lesions than they name.

    These are ids of two splits that are equal but for leading zeros, and a patient with over a
    quarter of the rows where others have few: it may stand for nobody.
    """
    keys, found = unit_keys(rows), []
    for unit, plural in UNIT_NAMES.items():
        by_id = pd.DataFrame({"id": _known_ids(rows[unit]), "split": rows["split"].to_numpy()})
        by_id = by_id[(by_id["id"] != "") & (by_id["split"] != "")].drop_duplicates()
        by_id["plain"] = [_LEADING_ZEROS.sub("", text) for text in by_id["id"]]
        by_plain = by_id.groupby("plain")
        alike = by_plain["id"].agg(lambda ids: sorted(set(ids)))
        alike = alike[(alike.map(len) > 1) & (by_plain["split"].nunique() > 1)]
        if len(alike):
            two = " and ".join(visible(text, 40) for text in alike.iloc[0][:2])
            found.append(
                f"{len(alike):,} {plural} of different splits differ only in leading zeros (first: "
                f"{two}): they count as different; write them alike if they are the same"
            )
    counts = keys["patient_id"][keys["patient_id"] != ""].value_counts()
    if len(counts) >= 10 and counts.iloc[0] > max(len(rows) / 4, 10 * counts.median()):
        name = visible(counts.index[0], 40)
        found.append(
            f"patient {name} has {counts.iloc[0]:,} of {len(rows):,} rows: if this stands for "
            "unknown patients, leave their cells empty"
        )
    return found


def audit(table: Table, n_folds: int = 0) -> None:
    """Raise `UserError` unless patients and lesions are whole within splits and folds."""
    found = describe_leaks(table, n_folds)
    require(
        not found,
        f"data leakage between splits: {found}. Expected each patient and lesion in one split: "
        "make a clean split with preparer/prepare_split.py, or use this one with "
        "--allow_leakage",
    )


def assign_splits(table: Table, valid_size: float, test_size: float, seed: int) -> Table:
    """The table with a new `split` column; units are whole, class x group shares are kept.

    A unit is all that shares a patient or a lesion, else a single image. The order of the rows
    does not matter. Sizes are shares of all rows, met to within what whole units allow.
    """
    shares = {"train": 1 - valid_size - test_size, "valid": valid_size, "test": test_size}
    shares = {name: share for name, share in shares.items() if share > 0}
    homes = _homes(table.rows, [*shares.values()], seed, " and ".join(shares))
    split = np.array([*shares], dtype=object)[homes]
    return replace(table, rows=table.rows.assign(split=split), is_split_drawn=True)


def assign_folds(table: Table, n_folds: int, fold: int, seed: int) -> Table:
    """The table with a new `fold` column, 0 to n_folds - 1, and `fold` for its validation rows.

    Test rows stay as they are, in fold -1; all others are training rows where they are not of
    `fold` (-1: no fold validates). Units and strata are those of `assign_splits`. Raises
    `UserError` where a fold would lack the positive class, or all images of another would be in
    one fold.
    """
    rows = _rows_to_fold(table, n_folds)
    homes = _homes(rows, [1 / n_folds] * n_folds, seed, f"--kfold {n_folds}")
    # test rows, if there are any, are still the data set's own: a model is evaluated on them
    folded = _in_folds(table, homes, n_folds, fold)
    return replace(folded, is_split_drawn=len(rows) == len(table))


def published_folds(table: Table, n_folds: int, fold: int) -> Table:
    """As `assign_folds`, with the folds that the data have in their column `fold`.

    Raises `UserError` unless these are 0 to n_folds - 1, in each row that is no test row.
    """
    homes = _rows_to_fold(table, n_folds)["fold"].to_numpy()
    found, counts = np.unique(homes, return_counts=True)
    if found[0] == -1:
        raise UserError(f"{counts[0]} rows have no fold; either all rows or none must have one")
    if not np.array_equal(found, np.arange(n_folds)):
        shown = ", ".join(map(str, found[:12])) + (", ..." if len(found) > 12 else "")
        raise UserError(
            f"--kfold {n_folds}: expected 0 to {n_folds - 1} in the data's column fold, found "
            f"{shown}: give another --kfold, or remove the column to have folds assigned"
        )
    return _in_folds(table, homes, n_folds, fold)


def _rows_to_fold(table: Table, n_folds: int) -> pd.DataFrame:
    rows = table.rows[table.rows["split"] != "test"]
    told = f"--kfold {n_folds}: all rows are test rows, which cross-validation excludes"
    require(not rows.empty, told)
    return rows


def _in_folds(table: Table, homes: np.ndarray, n_folds: int, fold: int) -> Table:
    """The table with `homes` as the folds of all rows but test rows, checked by class."""
    is_test = (table.rows["split"] == "test").to_numpy()
    for label, name in enumerate(table.classes):
        found = len(np.unique(homes[table.labels[~is_test] == label]))
        wanted = n_folds if label == table.positive else 2
        require(
            found >= wanted,
            f"--kfold {n_folds}: class {name} is in {found} folds, expected at least {wanted}: "
            "it has too few patients or lesions; use fewer folds",
        )
    folds = np.full(len(table), -1)
    folds[~is_test] = homes
    return table_of_fold(replace(table, rows=table.rows.assign(fold=folds)), fold)


def table_of_fold(table: Table, fold: int) -> Table:
    """The table in which the rows of `fold` validate and all others but test rows train."""
    rows = table.rows
    split = np.where(rows["fold"] == fold, "valid", "train")
    split = np.where(rows["split"] == "test", "test", split).astype(object)
    return replace(table, rows=rows.assign(split=split))


def join_valid_to_train(table: Table) -> Table:
    """The table with validation rows as training rows. Raises `UserError` where it has neither."""
    split = table.rows["split"].replace({"valid": "train"})
    told = "--train_on_all: the data have no training and no validation rows"
    require((split == "train").any(), told)
    return replace(table, rows=table.rows.assign(split=split))


def _homes(rows: pd.DataFrame, shares: list[float], seed: int, what: str) -> np.ndarray:
    """int [rows]: which of the shares each row is in, by whole units, class and group.

    Raises `UserError` that names `what` where there are fewer units than shares.
    """
    order = np.argsort(rows["image"].to_numpy(), kind="stable")
    ordered = rows.iloc[order]
    units = connected_units(ordered)
    told = f"{units.max() + 1} patients or lesions are too few for {what}"
    require(units.max() + 1 >= len(shares), told)
    labels = ordered["label"].to_numpy()
    strata = ordered["label"].astype(str) + "/" + ordered["group"].astype(str)
    by_stratum = pd.crosstab(units, strata.to_numpy()).to_numpy(float)
    by_class = pd.crosstab(units, labels).to_numpy(float)
    found: list[np.ndarray] = []
    # many small strata may all be rounded to one side, and the class with them
    for counts in (by_stratum, np.hstack([by_stratum, by_class]), by_class):
        homes = _place(counts, np.array(shares), np.random.default_rng(seed))[units]
        found.append((_unevenness(labels, units, homes), len(found), homes))
        if found[-1][0] <= EVEN:
            break
    placed = np.empty(len(rows), int)
    placed[order] = min(found)[-1]
    return placed


def _unevenness(labels: np.ndarray, units: np.ndarray, homes: np.ndarray) -> float:
    """The largest difference of a class's share in one home from that in all rows, less what half
    of a unit makes there."""
    counts = pd.crosstab(homes, labels).to_numpy(float)
    sizes = counts.sum(axis=1)
    off = np.abs(counts / sizes[:, None] - counts.sum(axis=0) / sizes.sum()).max(axis=1)
    return float((off - pd.crosstab(homes, units).max(axis=1).to_numpy() / sizes / 2).max())


def unit_numbers(rows: pd.DataFrame) -> tuple[np.ndarray, str]:
    """(int64 [rows], what): numbers from 0, equal within a unit, and what a unit is.

    A unit is what `connected_units` joins, by those of the columns `patient_id` and `lesion_id`
    that name somebody; else each row, an `image`.
    """
    keys = unit_keys(rows)
    known = [column for column in UNIT_COLUMNS if (keys[column] != "").any()]
    return _connected(keys), " and ".join(known) or "image"


def unit_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns `patient_id` and `lesion_id` as units are compared, `""` for nobody.

    Some number lesions throughout, others within each patient: the key of a lesion is its id with
    that of its patient. Where its patient is unknown, it is that of the only patient with a lesion
    of this id; where several have one, whose it is cannot be told, so that it is nobody's.
    """
    keys = pd.DataFrame({column: _known_ids(rows[column]) for column in UNIT_COLUMNS}, rows.index)
    patient, lesion = keys["patient_id"], keys["lesion_id"]
    owners = patient.mask(patient == "").groupby(lesion).agg(["nunique", "first"])
    only = lesion.map(owners["first"].where(owners["nunique"] == 1)).fillna("")
    is_anybodys = (patient == "") & (lesion.map(owners["nunique"]) > 1)
    key = patient.where(patient != "", only) + "\n" + lesion
    return keys.assign(lesion_id=key.mask((lesion == "") | is_anybodys, ""))


_known_id = lru_cache(1 << 18)(known_id)  # a table is asked for its units several times


def _known_ids(texts: pd.Series) -> np.ndarray:
    codes, found = pd.factorize(texts.fillna("").astype(str))
    return np.array([_known_id(text) for text in found], dtype=object)[codes]


def connected_units(rows: pd.DataFrame) -> np.ndarray:
    """int64 [rows]: equal for rows that share, directly or over others, a patient or a lesion.

    Units are those of `unit_keys`, numbered from 0 in the order of their first rows.
    """
    return _connected(unit_keys(rows))


def _connected(keys: pd.DataFrame) -> np.ndarray:
    n_nodes, links = len(keys), []  # a node for each row and one for each patient or lesion
    for column in UNIT_COLUMNS:
        codes, names = pd.factorize(keys[column].where(keys[column] != ""))
        named = np.flatnonzero(codes >= 0)
        links.append((named, codes[named] + n_nodes))
        n_nodes += len(names)
    ends = np.hstack(links)
    graph = coo_array((np.ones(ends.shape[1], bool), tuple(ends)), shape=(n_nodes, n_nodes))
    return connected_components(graph, directed=False)[1][: len(keys)].astype(np.int64)


def _place(counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int [units]: the share of each unit, from its `counts` [units, strata] and the `shares`.

    One after the other, those first that hold most of a stratum, units go where they reduce the
    squared lack of rows most, relative to what is wanted: that of all rows as much as those of
    all strata together.
    """
    counts = np.column_stack([counts, counts.sum(axis=1)])
    wanted = np.outer(shares, counts.sum(axis=0))
    lack = wanted.copy()
    homes = np.empty(len(counts), int)
    order = rng.permutation(len(counts))
    largest = (counts / counts.sum(axis=0)).max(axis=1)
    for unit in order[np.argsort(-largest[order], kind="stable")]:
        change = ((lack - counts[unit]) ** 2 - lack**2) / wanted
        change[:, -1] *= counts.shape[1] - 1
        homes[unit] = np.argmin(change.sum(axis=1))
        lack[homes[unit]] -= counts[unit]
    return homes
