"""Splits by patient or lesion: the audit of a given one, and a grouped, stratified new one."""

from dataclasses import replace

import numpy as np
import pandas as pd

from src.core.errors import UserError
from src.datasets.table import SPLITS, Table


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
    rows = table.rows.sort_values("image", kind="stable")
    _, units = np.unique(connected_units(rows), return_inverse=True)
    strata = rows["label"].astype(str) + "/" + rows["group"].astype(str)
    shares = {"train": 1 - valid_size - test_size, "valid": valid_size, "test": test_size}
    shares = {name: share for name, share in shares.items() if share > 0}
    if units.max() + 1 < len(shares):
        raise UserError(
            f"{units.max() + 1} patients or lesions: too few for {' and '.join(shares)}"
        )
    counts = pd.crosstab(units, strata.to_numpy()).to_numpy(float)
    homes = _place(counts, np.array([*shares.values()]), np.random.default_rng(seed))
    split = np.array([*shares], dtype=object)[homes[units]]
    return replace(table, rows=rows.assign(split=split).loc[table.rows.index], is_split_drawn=True)


def connected_units(rows: pd.DataFrame) -> np.ndarray:
    """int [rows]: equal for rows that share, directly or over others, a patient or a lesion."""
    parent = np.arange(len(rows))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for column in ("patient_id", "lesion_id"):
        first: dict[str, int] = {}
        for i, name in enumerate(rows[column]):
            if name:
                a, b = root(first.setdefault(name, i)), root(i)
                parent[max(a, b)] = min(a, b)
    return np.array([root(i) for i in range(len(rows))])


def _place(counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int [units]: the split of each unit, from its `counts` [units, strata] and the `shares`.

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
