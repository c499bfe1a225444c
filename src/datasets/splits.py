"""Splits by patient or lesion: the audit of a given one, and a grouped, stratified new one."""

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

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
    does not matter. Sizes are shares of all rows, met in steps of a twentieth of the rows.
    """
    rows = table.rows.sort_values("image", kind="stable")
    units = connected_units(rows)
    strata = (rows["label"].astype(str) + "/" + rows["group"].astype(str)).to_numpy()
    split = np.full(len(rows), "train", dtype=object)
    rest = np.arange(len(rows))
    for name, share in (("test", test_size), ("valid", valid_size)):
        if share > 0:
            part = _take(units[rest], strata[rest], share * len(rows) / len(rest), seed)
            split[rest[part]] = name
            rest = np.delete(rest, part)
    return table.with_rows(rows.assign(split=split).loc[table.rows.index])


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


def _take(units: np.ndarray, strata: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Indices of about `share` of the rows, in whole units with all strata in proportion."""
    n_units = len(np.unique(units))
    if n_units < 3:
        raise UserError(f"{n_units} patients or lesions: too few to split them whole")
    _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    if counts.max() < 3:  # every stratum is too rare to be spread
        codes, counts = np.zeros_like(codes), np.array([len(codes)])
    # Folds of 1/20 each, as many of them as the share asks for; fewer where units are few or
    # every stratum is rare. One fold at least is left to the other side.
    n_folds = int(min(20, n_units, counts.max()))
    wanted = min(max(1, round(share * n_folds)), n_folds - 1)
    # Folds are about the strata's shares: the splitter's warning on rare ones is no news.
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    parts = [part for _, part in _quiet_split(folds, codes, units)]
    return np.sort(np.concatenate(parts[:wanted]))


def _quiet_split(folds: StratifiedGroupKFold, codes: np.ndarray, units: np.ndarray):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return list(folds.split(codes, codes, units))
