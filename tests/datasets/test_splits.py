"""Splits: the audit finds every crossing, and new splits keep units whole and shares even."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.splits import (
    assign_folds,
    assign_splits,
    audit,
    connected_units,
    crossings,
    describe_crossings,
    describe_doubts,
    describe_leaks,
    unit_keys,
    unit_numbers,
)
from src.datasets.table import SPLITS, make_table

UNITS = ("patient_id", "lesion_id")


def make(n_rows, **columns):
    names = [f"{i:05}.jpg" for i in range(n_rows)]
    rows = pd.DataFrame({"image": names, "label": 0, **columns})
    return make_table(rows, ("benign", "malignant"), 1)


def cohort(n_patients=300, seed=0):
    """A table with 1 to 6 images of each patient, lesions within patients, 8 uneven strata."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 7, n_patients))
    n_rows = len(patient)
    return make(
        n_rows,
        label=rng.random(n_rows) < 0.25,
        group=rng.choice(4, n_patients, p=[0.1, 0.5, 0.25, 0.15])[patient],
        patient_id=[f"p{i}" for i in patient],
        lesion_id=[f"l{i}_{rng.integers(2)}" for i in patient],
    )


@pytest.mark.parametrize("column", UNITS)
def test_ids_that_name_nobody_join_no_rows(column):
    unknown = ["unknown", "Unknown", "NONE", "na", "NaN", "nan", "-1", "-1.0", " unknown ", ""] * 2
    count, splits = len(unknown), ["train", "valid"] * 10
    columns = {column: [*unknown, "nano", "nano"], "split": [*splits, "train", "train"]}
    raw = pd.DataFrame({"patient_id": "", "lesion_id": ""} | columns)
    for rows in (make(count + 2, **columns).rows, raw):  # of a table, and as others read them
        units, what = unit_numbers(rows)
        assert what == column
        assert units.tolist() == [*range(count), count, count]
        assert connected_units(rows).tolist() == units.tolist()
        assert describe_crossings(rows) == ""
    units, what = unit_numbers(make(count, **{column: unknown}).rows)
    assert (units.tolist(), what) == ([*range(count)], "image")


@pytest.mark.parametrize("column", UNITS)
def test_spellings_of_an_id_are_one(column):
    ids = ["1", "1.0", " 1", "1 ", "IP_7", "ip_7", "IP_7\u200b", "10"]
    split = ["train", "valid"] * 4
    table = make(8, **{column: ids, "split": split})
    assert unit_numbers(table.rows)[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    raw = pd.DataFrame({"patient_id": "", "lesion_id": "", column: ids, "split": split})
    assert connected_units(raw).tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert table.rows[column].tolist() == ["1"] * 4 + ["IP_7"] * 3 + ["10"]
    noun = column.removesuffix("_id") + "s"
    assert describe_crossings(raw) == f"2 of the 3 valid {noun} are also in train"


def test_lesions_are_numbered_within_patients_or_throughout():
    split = ["train", "valid", "train", "valid"]
    within = make(4, patient_id=[*"pqpq"], lesion_id=["1", "1", "2", "2"], split=split)
    assert describe_crossings(within.rows) == ""
    assert unit_numbers(within.rows)[0].tolist() == [0, 1, 0, 1]
    many = make(200, patient_id=[f"p{i // 2}" for i in range(200)], lesion_id=[*"12"] * 100)
    assert len(set(unit_numbers(many.rows)[0])) == 100
    throughout = make(4, lesion_id=["1", "1", "2", "2"], split=split)  # as in HAM10000
    assert "2 of the 2 valid lesions are also in train" in describe_crossings(throughout.rows)
    # an unknown patient's lesion: of the one patient who has it; of two, anybody's
    mixed = make(5, patient_id=["p", "", "q", "r", ""], lesion_id=["a", "a", "b", "b", "b"])
    assert unit_numbers(mixed.rows)[0].tolist() == [0, 0, 1, 2, 3]
    ids = [*("p" if i % 2 else "q" for i in range(10)), *[""] * 10]
    several = make(20, patient_id=ids, lesion_id=[*"1122"] * 5)
    assert connected_units(several.rows).max() + 1 == 2 + 10
    folded = make(4, patient_id=[*"pqpq"], lesion_id=["1", "1", "2", "2"], fold=[0, 1, 0, 1])
    assert describe_leaks(folded, 2) == ""


def test_ids_that_may_mean_others_are_told():
    split = ["train"] * 20 + ["test"] * 20
    ids = [f"{i:03d}" for i in range(20)] + [f"{i}" for i in range(20)]
    zeros = make(40, patient_id=ids, split=split)
    (doubt,) = describe_doubts(zeros.rows)
    assert (
        "20 patients of different splits differ only in leading zeros (first: 0 and 000)" in doubt
    )
    ids = ["nobody" if i % 2 else f"p{i}" for i in range(40)]
    (doubt,) = describe_doubts(make(40, patient_id=ids, split=split).rows)
    assert "patient nobody has 20 of 40 rows" in doubt
    for few in ([f"p{i % 4}" for i in range(40)], [f"p{i // 2}" for i in range(40)]):
        assert describe_doubts(make(40, patient_id=few, split=split).rows) == []


def brute_force_units(rows):
    """Components by merging overlapping sets of rows until none overlap."""
    sets = [{i} for i in range(len(rows))]
    for patient in set(rows["patient_id"]) - {""}:
        sets.append(set(np.flatnonzero(rows["patient_id"] == patient)))
    for lesion in set(rows["lesion_id"]) - {""}:
        alike = rows[rows["lesion_id"] == lesion]
        if len(set(alike["patient_id"]) - {""}) > 1:  # numbered within patients
            continue
        sets.append(set(alike.index))
    merged = True
    while merged:
        merged = False
        for a, b in itertools.combinations(sets, 2):
            if a & b:
                sets.remove(b)
                a |= b
                merged = True
                break
    return {frozenset(rows) for rows in sets if rows}


NAMES = st.sampled_from(["", "a", "b", "c", "d"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=9))
def test_units_are_the_connected_rows(names):
    """The same name as a patient and as a lesion connects nothing."""
    rows = pd.DataFrame(names, columns=UNITS)
    units = connected_units(rows)
    found = {frozenset(np.flatnonzero(units == unit).tolist()) for unit in set(units)}
    assert found == brute_force_units(rows)
    _, first_rows = np.unique(units, return_index=True)
    assert sorted(set(units)) == list(range(len(found)))
    assert (np.diff(first_rows) > 0).all(), "numbered in the order of their first rows"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(SPLITS, 2)))
def test_audit_finds_a_unit_in_two_splits(unit, earlier, later):
    table = make(4, **{unit: ["a", "b", "a", "c"], "split": [earlier, earlier, later, later]})
    noun = unit.removesuffix("_id") + "s"
    with pytest.raises(UserError, match=f"1 of the 2 {later} {noun} are also in {earlier}") as e:
        audit(table)
    assert "prepare_split.py" in str(e.value)
    assert "--allow_leakage" in str(e.value)
    assert crossings(unit_keys(table.rows)[unit], table.rows["split"]) == [(later, earlier, 1, 2)]


def test_audit_counts_units_and_names_every_crossing():
    table = make(6, patient_id=[*"abaabb"], split=["train", "train", "valid", "valid", "test", ""])
    assert describe_crossings(table.rows) == (
        "1 of the 1 valid patients are also in train; 1 of the 1 test patients are also in train"
    )


def test_audit_passes_a_clean_split_and_rows_without_a_unit():
    audit(make(4, patient_id=["", "a", "", "b"], split=["train", "train", "valid", "valid"]))


@pytest.mark.parametrize("seed", range(3))
def test_new_split_keeps_units_whole_and_shares_even(seed):
    table = assign_splits(cohort(seed=seed), 0.2, 0.15, seed)
    audit(table)
    units = connected_units(table.rows)
    assert table.rows["split"].groupby(units).nunique().max() == 1
    sizes = table.rows["split"].value_counts(normalize=True)
    assert sizes["test"] == pytest.approx(0.15, abs=0.01)
    assert sizes["valid"] == pytest.approx(0.2, abs=0.01)
    strata = table.rows.groupby(["label", "group"])["split"]
    for _, stratum in strata:
        for name in ("valid", "test"):
            # A patient is at most 6 rows: the nearest share is at most half of them away.
            assert abs((stratum == name).sum() - sizes[name] * len(stratum)) <= 3


def random_table(seed):
    """Rows, classes, groups, patients and lesions of any number and balance, some unknown."""
    rng = np.random.default_rng(seed)
    n_rows, n_classes = int(rng.integers(60, 700)), int(rng.integers(2, 9))
    unit = rng.integers(0, max(20, n_rows // rng.integers(1, 6)), n_rows)
    shares = rng.dirichlet(np.full(n_classes, rng.choice([0.3, 1, 5])))
    of_units = rng.random() < 0.5
    labels = rng.choice(n_classes, unit.max() + 1 if of_units else n_rows, p=shares)
    columns = {"label": labels[unit] if of_units else labels}
    if rng.random() < 0.8:
        names = [f"p{i}" if rng.random() < 0.9 else "" for i in unit]
        columns[("patient_id", "lesion_id")[seed % 2]] = names
    if rng.random() < 0.5:
        columns["group"] = rng.integers(-1, 4, n_rows)
    rows = pd.DataFrame({"image": [f"{i:05}.jpg" for i in range(n_rows)], **columns})
    return make_table(rows, tuple(f"c{i}" for i in range(n_classes)), columns["label"][0])


@pytest.mark.slow
def test_units_are_whole_and_classes_even_in_splits_and_folds_of_random_tables(at_size):
    """Each class's share of a split or fold is within 1 point and half of its largest unit."""
    n_folded = 0
    for seed in range(at_size(12, 300)):
        table = random_table(seed)
        homes = {"split": assign_splits(table, 0.15, 0.15, seed).rows["split"]}
        try:
            homes["fold"] = assign_folds(table, 5, -1, seed).rows["fold"]
            n_folded += 1
        except UserError as error:
            assert "too few patients or lesions" in str(error)
        units = connected_units(table.rows)
        keys = unit_keys(table.rows)
        whole = np.bincount(table.labels, minlength=len(table.classes)) / len(table)
        for what, found in homes.items():
            assert found.groupby(units).nunique().max() == 1, (seed, what)
            for name in UNITS:
                known = keys[name] != ""
                assert found[known].groupby(keys[name][known]).nunique().le(1).all(), (seed, what)
            for home in found.unique():
                inside = (found == home).to_numpy()
                shares = np.bincount(table.labels[inside], minlength=len(whole)) / inside.sum()
                half = np.bincount(units[inside]).max() / inside.sum() / 2
                assert np.abs(shares - whole).max() <= 0.01 + half, (seed, what, home)
    assert n_folded >= 4


def test_new_split_depends_on_the_seed_alone():
    table = cohort(120)
    split = assign_splits(table, 0.2, 0.2, 0).rows["split"]
    assert split.equals(assign_splits(table, 0.2, 0.2, 0).rows["split"])
    assert not split.equals(assign_splits(table, 0.2, 0.2, 1).rows["split"])
    mixed = table.with_rows(table.rows.sample(frac=1, random_state=0))
    again = assign_splits(mixed, 0.2, 0.2, 0).rows
    assert again["image"].equals(mixed.rows["image"])
    by_image = again.set_index("image")["split"]
    assert by_image[table.rows["image"]].tolist() == split.tolist()


@pytest.mark.parametrize(
    "columns",
    [
        {"label": [0, 1] * 15},
        {"label": [0, 1] * 4, "group": [0, 0, 1, 1, 2, 2, 3, 3]},  # each stratum has one row
        {"label": [0, 1] * 4, "patient_id": [*"aabbccdd"]},
    ],
)
def test_small_data_are_split(columns):
    table = assign_splits(make(len(columns["label"]), **columns), 0.2, 0.2, 0)
    audit(table)
    assert set(table.rows["split"]) == set(SPLITS)


def test_training_rows_are_left_whatever_the_share():
    sizes = assign_splits(make(100), 0.99, 0.0, 0).rows["split"].value_counts()
    assert sizes["train"] == 1


def test_too_few_units_are_refused():
    with pytest.raises(
        UserError, match="2 patients or lesions are too few for train and valid and test"
    ):
        assign_splits(make(9, patient_id=[*"aaaabbbbb"]), 0.2, 0.2, 0)


def test_no_lesion_of_ham10000_crosses(real_data):
    folder = real_data / "ham10000"
    table = DATASETS.build("ham10000(task='melanoma')", data_path=folder, skin_color_csv="")
    table = assign_splits(table, 0.15, 0.15, 0)
    lesions = table.rows.groupby("lesion_id")["split"].nunique()
    assert len(table) > 8000
    assert len(lesions) > 5000
    assert lesions.max() == 1
    melanoma = table.rows.groupby("split")["label"].mean()
    assert np.ptp(melanoma) < 0.005
