"""Splits by patient or lesion: the audit of a given one; grouped, stratified splits and folds."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..core.errors import UserError
from .table import SPLITS, Table

UNIT_COLUMNS = ("patient_id", "lesion_id")
NOTHING_KNOWN = ("", "unknown", "none", "na", "nan", "-1")


def crossings(rows: pd.DataFrame, unit: str) -> list[tuple[str, str, int, int]]:
    """Where units of the column `unit` (patient_id, lesion_id) stand in two splits.

    A list of (later split, earlier split, units in both, units in the later split), empty for a
    clean split. Rows without a unit or a split are left out.
    """
    known = rows[(rows[unit] != "") & (rows["split"] != "")]
    members = {split: set(known[unit][known["split"] == split]) for split in SPLITS}
    found = []
    for i, later in enumerate(SPLITS):
        for earlier in SPLITS[:i]:
            shared = len(members[later] & members[earlier])
            if shared:
                found.append((later, earlier, shared, len(members[later])))
    return found


def describe_crossings(rows: pd.DataFrame) -> str:
    """One sentence on patients and lesions that cross the splits, or `""` for a clean split."""
    parts = [
        f"{shared:,} of the {total:,} {later} {plural} are also in {earlier}"
        for unit, plural in (("patient_id", "patients"), ("lesion_id", "lesions"))
        for later, earlier, shared, total in crossings(rows, unit)
    ]
    return "; ".join(parts)


def audit(table: Table) -> None:
    """Raise `UserError` unless patients and lesions are whole within a split."""
    found = describe_crossings(table.rows)
    if found:
        raise UserError(
            f"the split leaks: {found}. Expected each patient and lesion in one split: make a "
            "clean one with preparer/prepare_split.py, or use this one with --allow_leakage"
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
    is_test = (table.rows["split"] == "test").to_numpy()
    rows = table.rows[~is_test]
    if rows.empty:
        raise UserError(f"--kfold {n_folds}: no rows but test rows, which folds leave out")
    homes = _homes(rows, [1 / n_folds] * n_folds, seed, f"--kfold {n_folds}")
    for label, name in enumerate(table.classes):
        found = len(np.unique(homes[rows["label"] == label]))
        wanted = n_folds if label == table.positive else 2
        if found < wanted:
            raise UserError(
                f"--kfold {n_folds}: {found} folds would have images of class {name}, of too few "
                f"patients or lesions: expected at least {wanted}; take fewer folds"
            )
    folds = np.full(len(is_test), -1)
    folds[~is_test] = homes
    split = np.where(folds == fold, "valid", "train")
    split = np.where(is_test, "test", split).astype(object)
    # the test rows, if there are any, are still the data set's own: a model is judged on them
    return replace(
        table, rows=table.rows.assign(fold=folds, split=split), is_split_drawn=not is_test.any()
    )


def join_valid_to_train(table: Table) -> Table:
    """The table with validation rows as training rows. Raises `UserError` where it has neither."""
    split = table.rows["split"].replace({"valid": "train"})
    if not (split == "train").any():
        raise UserError("--train_on_all: the data have no training and no validation rows")
    return replace(table, rows=table.rows.assign(split=split))


def _homes(rows: pd.DataFrame, shares: list[float], seed: int, what: str) -> np.ndarray:
    """int [rows]: which of the shares each row is in, by whole units, class and group.

    Raises `UserError` that names `what` where there are fewer units than shares.
    """
    order = np.argsort(rows["image"].to_numpy(), kind="stable")
    ordered = rows.iloc[order]
    _, units = np.unique(connected_units(ordered), return_inverse=True)
    if units.max() + 1 < len(shares):
        raise UserError(f"{units.max() + 1} patients or lesions: too few for {what}")
    strata = ordered["label"].astype(str) + "/" + ordered["group"].astype(str)
    counts = pd.crosstab(units, strata.to_numpy()).to_numpy(float)
    homes = np.empty(len(rows), int)
    homes[order] = _place(counts, np.array(shares), np.random.default_rng(seed))[units]
    return homes


def unit_numbers(rows: pd.DataFrame) -> tuple[np.ndarray, str]:
    """(int64 [rows], what): numbers from 0, equal within a unit, and what a unit is.

    A unit is what `connected_units` joins, by those of the columns `patient_id` and `lesion_id`
    that say something; else each row, an `image`. Ids such as `unknown` join no rows.
    """
    ids = rows[[*UNIT_COLUMNS]]
    ids = ids.where(ids.apply(says_something), "")
    known = [column for column in UNIT_COLUMNS if (ids[column] != "").any()]
    _, units = np.unique(connected_units(ids), return_inverse=True)
    return units.astype(np.int64), " and ".join(known) or "image"


def says_something(texts: pd.Series) -> pd.Series:
    """bool [rows]: whether a text is neither blank nor one that stands for an unknown value."""
    return ~texts.str.strip().str.casefold().isin(NOTHING_KNOWN)


def connected_units(rows: pd.DataFrame) -> np.ndarray:
    """int [rows]: equal for rows that share, directly or over others, a patient or a lesion."""
    parent = np.arange(len(rows))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for column in UNIT_COLUMNS:
        first: dict[str, int] = {}
        for i, name in enumerate(rows[column]):
            if name:
                a, b = root(first.setdefault(name, i)), root(i)
                parent[max(a, b)] = min(a, b)
    return np.array([root(i) for i in range(len(rows))])


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
