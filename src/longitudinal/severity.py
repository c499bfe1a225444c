"""Daily severities of patients under treatments: read from a CSV, or simulated."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..core.cells import known_id, one_spelling, tidy
from ..core.errors import require
from ..core.files import write_text
from ..datasets.csv_files import numbers, read_csv, refuse_cells

COLUMNS = ("patient", "day", "treatment", "severity")
BASELINE, WORST = "Baseline", 3.0
# what the simulator adds to the baseline's mean severity
EFFECTS = {"Antibiotics": -0.6, "Cream": -0.4}
MEAN, PATIENT_SD, DAY_SD = 1.8, 0.25, 0.3
N_PATIENTS, DAYS_EACH = 10, 14


def simulate(seed: int) -> pd.DataFrame:
    """10 patients, 14 days each of Baseline, Antibiotics and Cream: 420 rows of `COLUMNS`.

    severity = 1.8 + patient + treatment + day, where patients differ by N(0, 0.25²), days by
    N(0, 0.3²), Antibiotics add -0.6 and Cream -0.4; rounded to 0.1 and kept within 0 to 3, which
    moves one value in 500. Days are independent of each other and all patients respond alike,
    which real ones do not.
    """
    rng = np.random.default_rng(seed)
    means = [MEAN, *(MEAN + effect for effect in EFFECTS.values())]
    patients = rng.normal(0, PATIENT_SD, N_PATIENTS)[:, None]
    by_day = patients + np.repeat(means, DAYS_EACH)
    severity = by_day + rng.normal(0, DAY_SD, by_day.shape)
    n_days = by_day.shape[1]
    return pd.DataFrame(
        {
            "patient": np.repeat([f"P{number + 1:02}" for number in range(N_PATIENTS)], n_days),
            "day": np.tile(np.arange(1, n_days + 1), N_PATIENTS),
            "treatment": np.tile(np.repeat([BASELINE, *EFFECTS], DAYS_EACH), N_PATIENTS),
            "severity": severity.round(1).clip(0, WORST).ravel(),
        }
    )


def write_simulated(path: Path, seed: int) -> None:
    """Write a simulated study. Raises `UserError` where `path` exists."""
    require(not path.exists(), f"--simulate: {path} exists; give the name of a new file")
    write_text(path, simulate(seed).to_csv(index=False))


def read_severities(path: Path, baseline: str) -> pd.DataFrame:
    """`COLUMNS` of a CSV, one row a patient and day, by patient and day.

    Treatments are in one spelling, the baseline's as given. Raises `UserError` that names the line
    of an empty or impossible value, and for a study in which nothing can be compared.
    """
    rows = read_csv(path, COLUMNS)[[*COLUMNS]]
    texts = {name: rows[name].fillna("").map(tidy) for name in ("patient", "treatment")}
    spelling, _ = one_spelling(texts["treatment"])
    named = {text: baseline if known_id(text) == known_id(baseline) else text for text in spelling}
    rows = rows.assign(
        patient=texts["patient"].map(known_id),
        treatment=texts["treatment"].map(spelling).map(lambda text: named.get(text, text)),
        day=numbers(rows, "day", path),
        severity=numbers(rows, "severity", path),
    )
    for name in ("patient", "treatment"):
        refuse_cells(path, rows, name, rows[name].map(known_id) == "", "a name")
    refuse_cells(path, rows.astype(str), "day", ~np.isfinite(rows["day"]), "a number")
    outside = ~rows["severity"].between(0, WORST)
    refuse_cells(path, rows.astype(str), "severity", outside, f"0 to {WORST:g}")
    twice = rows.duplicated(["patient", "day"])
    refuse_cells(path, rows.astype(str), "day", twice, "one row for each patient and day")
    _require_comparison(rows, path, baseline)
    return rows.sort_values(["patient", "day"], ignore_index=True)


def _require_comparison(rows: pd.DataFrame, path: Path, baseline: str) -> None:
    treatments = sorted(rows["treatment"].unique())
    found = ", ".join(treatments)[:200]
    require(baseline in treatments, f"{path}: no treatment '{baseline}' (found: {found}): name "
            "the one to compare with --baseline")  # fmt: skip
    require(len(treatments) > 1, f"{path}: only the treatment '{baseline}': expected two or more")
    n_patients = rows["patient"].nunique()
    require(n_patients > 1, f"{path}: {n_patients} patient: expected two or more")
    least = len(treatments) + n_patients
    require(len(rows) > least, f"{path}: {len(rows)} rows: expected more than {least}, the number "
            "of patients and treatments")  # fmt: skip
    require(rows["severity"].nunique() > 1, f"{path}: every severity is the same: nothing to model")
