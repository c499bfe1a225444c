"""Folds: each row that is no test row in one, units whole, strata even; all rows in training."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.config import Data
from src.core.errors import UserError
from src.datasets.load import load_table, table_hash
from src.datasets.splits import (
    assign_folds,
    audit,
    connected_units,
    join_valid_to_train,
    published_folds,
)
from tests.datasets.small_isic import isic_rows, write_csv, write_image
from tests.datasets.test_splits import cohort, make


def folds_of(table, n_folds=5, fold=-1, seed=0):
    return assign_folds(table, n_folds, fold, seed).rows


def load(path, **settings):
    return load_table(Data(data_path=str(path), **settings))


@pytest.mark.parametrize(("n_folds", "seed"), [(2, 0), (5, 1), (10, 2)])
def test_folds_keep_units_whole_and_shares_even(n_folds, seed):
    table = cohort(seed=seed)
    rows = folds_of(table, n_folds, seed=seed)
    sizes = rows["fold"].value_counts()
    assert sorted(sizes.index) == list(range(n_folds))
    assert sizes.sum() == len(table)
    # A patient is at most 6 rows: no fold can be helped by less than half of one.
    assert sizes.max() - sizes.min() <= 3
    assert rows["fold"].groupby(connected_units(rows)).nunique().max() == 1
    for _, stratum in rows.groupby(["label", "group"])["fold"]:
        counts = np.bincount(stratum, minlength=n_folds)
        assert np.abs(counts - len(stratum) / n_folds).max() <= 4


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.booleans()), min_size=12, max_size=40),
    st.integers(2, 3),
)
def test_each_row_validates_one_fold_or_folds_are_refused(pairs, n_folds):
    patients, labels = zip(*pairs, strict=True)
    table = make(len(pairs), patient_id=list(patients), label=np.array(labels, int))
    try:
        folded = [assign_folds(table, n_folds, fold, 0) for fold in range(n_folds)]
    except UserError as error:
        assert "too few" in str(error)
        return
    times = sum((fold.rows["split"] == "valid").to_numpy().astype(int) for fold in folded)
    assert (times == 1).all()
    for number, fold in enumerate(folded):
        audit(fold)
        valid = fold.rows["split"] == "valid"
        assert (fold.rows["fold"][valid] == number).all()
        assert set(fold.rows["split"][~valid]) == {"train"}
        assert (fold.rows["label"][valid] == 1).any()


def test_single_rows_of_equal_strata_are_dealt_out_evenly():
    """2 classes x 2 groups of 10 rows each, 5 folds: 2 of each stratum in each fold."""
    table = make(40, label=[0, 1] * 20, group=[0, 0, 1, 1] * 10)
    counts = pd.crosstab(*(folds_of(table)[c] for c in ("fold", "label")))
    assert (counts == 4).all(axis=None)
    rows = folds_of(table)
    assert (rows.groupby(["fold", "label", "group"]).size() == 2).all()


def test_folds_depend_on_the_seed_alone():
    table = cohort(120)
    by_image = folds_of(table).set_index("image")["fold"]
    assert by_image.equals(folds_of(table).set_index("image")["fold"])
    assert not by_image.equals(folds_of(table, seed=1).set_index("image")["fold"])
    mixed = table.with_rows(table.rows.sample(frac=1, random_state=0))
    again = folds_of(mixed)
    assert again["image"].equals(mixed.rows["image"])
    assert again.set_index("image")["fold"][by_image.index].tolist() == by_image.tolist()


def test_test_rows_stay_and_all_others_are_folded_whatever_their_split():
    table = make(30, label=[0, 1] * 15, split=["train", "valid", "test"] * 10)
    for fold in (-1, 0, 4):
        rows = folds_of(table, fold=fold)
        is_test = table.rows["split"] == "test"
        assert (rows["split"] == "test").equals(is_test)
        assert (rows["fold"] == -1).equals(is_test)
        assert (rows["split"] == "valid").equals(~is_test & (rows["fold"] == fold))
    assert not assign_folds(table, 5, 0, 0).is_split_drawn
    assert assign_folds(make(30, label=[0, 1] * 15), 5, 0, 0).is_split_drawn


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"patient_id": [*"aaabbbcccc"]}, "3 patients or lesions are too few for --kfold 5"),
        ({"split": "test"}, "all rows are test rows"),
        ({"label": [1] * 3 + [0] * 7}, "class malignant is in 3 folds, expected at least 5"),
        ({}, "class malignant is in 0 folds"),
        ({"label": [0] + [1] * 9}, "class benign is in 1 folds, expected at least 2"),
    ],
)
def test_what_cannot_be_folded_is_refused(columns, message):
    with pytest.raises(UserError, match=message):
        folds_of(make(10, **columns))


def with_folds(rows, folds):
    return [row | {"fold": fold} for row, fold in zip(rows, folds, strict=True)]


def patients_folds(n_folds):
    """Of each of `isic_rows`: whole patients, every one after the other in the next fold."""
    return [patient // 3 % n_folds for patient in range(12) for _ in (0, 1)]


def test_published_folds_are_used_and_said_so(isic, caplog):
    rows, folds = isic_rows(), patients_folds(4)
    write_csv(isic / "ISIC_2020_full.csv", with_folds(rows, folds))
    caplog.set_level(logging.INFO, logger="src")
    names = [[], []]
    for fold in range(4):
        table = load(isic, kfold=4, fold=fold, split_seed=fold)
        assert "The folds are those of the data's column fold." in caplog.text
        assert not table.is_split_drawn
        valid = table.split("valid").rows
        assert set(valid["fold"]) == {fold}
        names[0] += [Path(image).name for image in valid["image"]]
        assert len(table.split("train")) + len(valid) == 16
        assert set(table.split("test").rows["fold"]) == {-1}
    names[1] = [row["image_name"] for row in rows if row["split"] != "test"]
    assert sorted(names[0]) == sorted(names[1])


def test_published_folds_without_kfold_change_nothing_and_it_is_said(isic, caplog):
    before = load(isic)
    write_csv(isic / "ISIC_2020_full.csv", with_folds(isic_rows(), patients_folds(4)))
    caplog.set_level(logging.INFO, logger="src")
    assert table_hash(load(isic)) == table_hash(before)
    assert "column fold is not used" in caplog.text


@pytest.mark.parametrize(
    ("folds", "named"),
    [
        (patients_folds(2), "--kfold 4"),
        ([fold + 1 for fold in patients_folds(4)], "--kfold 4"),
        (["", *patients_folds(4)[1:]], "1 rows have no fold"),
        ([1.5, *patients_folds(4)[1:]], "fold 1.5"),
        (["a", *patients_folds(4)[1:]], "'fold'"),
        ([1, *patients_folds(4)[1:]], "1 of 8 patients are in several folds"),
        ([fold - fold % 2 for fold in patients_folds(4)], "--kfold 4"),
    ],
)
def test_folds_of_the_data_that_do_not_fit_are_refused(isic, folds, named):
    write_csv(isic / "ISIC_2020_full.csv", with_folds(isic_rows(), folds))
    for fold in (-1, 3):  # where no fold validates, and in one that nobody crosses
        with pytest.raises(UserError, match=named):
            load(isic, kfold=4, fold=fold)


def test_published_folds_that_leak_are_used_where_leakage_is_allowed(isic, caplog):
    write_csv(isic / "ISIC_2020_full.csv", with_folds(isic_rows(), [1, *patients_folds(4)[1:]]))
    assert len(load(isic, kfold=4, fold=3, allow_leakage=True).split("valid")) == 4
    assert "patients are in several folds" in caplog.text


def test_a_class_that_a_published_fold_lacks_is_refused():
    table = make(8, label=[0, 1, 0, 1, 0, 1, 0, 0], fold=[0, 0, 1, 1, 2, 2, 3, 3])
    with pytest.raises(UserError, match="malignant is in 3 folds"):
        published_folds(table, 4, 0)


@pytest.mark.parametrize("dataset", ["siim", "ham10000", "table"])
def test_every_table_of_rows_may_have_folds(dataset, tmp_path):
    names = [f"i{number}" for number in range(8)]
    folder = {"siim": "jpeg/train", "ham10000": "images", "table": "."}[dataset]
    for name in names:
        write_image(tmp_path / folder / f"{name}.jpg")
    rows = [{"fold": i // 2} for i in range(8)]
    columns = {
        "siim": {"image_name": names, "target": [0, 1] * 4},
        "ham10000": {"image_id": names, "lesion_id": names, "dx": ["nv", "mel"] * 4},
        "table": {"image": [f"{n}.jpg" for n in names], "label": ["benign", "malignant"] * 4},
    }[dataset]
    for i, row in enumerate(rows):
        row.update({column: values[i] for column, values in columns.items()})
    csv = {"siim": "train.csv", "ham10000": "HAM10000_metadata.csv", "table": "t.csv"}[dataset]
    write_csv(tmp_path / csv, rows, ",")
    text = {"ham10000": "ham10000(task='melanoma')", "table": "table(csv='t.csv')"}
    table = load(tmp_path, dataset=text.get(dataset, dataset), kfold=4, fold=2)
    valid = sorted(Path(image).stem for image in table.split("valid").rows["image"])
    assert valid == ["i4", "i5"]


def test_a_fold_is_loaded_with_the_test_rows_of_the_data(isic):
    plain, fold = load(isic), load(isic, kfold=4, fold=2)
    assert fold.split("test").rows["image"].tolist() == plain.split("test").rows["image"].tolist()
    assert (len(fold.split("train")), len(fold.split("valid"))) == (12, 4)
    assert set(fold.split("valid").rows["fold"]) == {2}
    assert (
        len({table_hash(load(isic, kfold=4, fold=i)) for i in range(4)} | {table_hash(plain)}) == 5
    )


def test_folds_mend_a_split_that_leaks_but_not_into_test(isic, edit_csv):
    edit_csv(lambda rows: rows[0].update(split="valid"))
    assert len(load(isic, kfold=2, fold=0)) == 24
    edit_csv(lambda rows: rows[0].update(split="test"))
    with pytest.raises(UserError, match="data leakage between splits"):
        load(isic, kfold=2, fold=0)


def flat_isic(isic, tmp_path):
    """The images of `isic` in class folders without a split."""
    flat = tmp_path / "flat"
    for path in isic.rglob("*.jpg"):
        (flat / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, flat / path.parent.name / path.name)
    write_csv(flat / "ISIC_2020_full.csv", [row | {"split": ""} for row in isic_rows()])
    return flat


def test_data_without_a_split_are_folded_whole(isic, tmp_path):
    fold = load(flat_isic(isic, tmp_path), kfold=3, fold=0)
    assert (len(fold.split("train")), len(fold.split("valid")), len(fold.split("test"))) == (
        16,
        8,
        0,
    )
    assert fold.is_split_drawn


def test_training_on_all_takes_the_validation_rows_and_no_test_row(isic, tmp_path):
    plain, joined = load(isic), load(isic, train_on_all=True)
    assert joined.split("test").rows.equals(plain.split("test").rows)
    assert len(joined.split("valid")) == 0
    assert len(joined.split("train")) == len(plain.split("train")) + len(plain.split("valid"))
    flat = flat_isic(isic, tmp_path)
    drawn, joined = load(flat), load(flat, train_on_all=True)
    assert len(joined.split("test")) > 0
    assert joined.split("test").rows.equals(drawn.split("test").rows)
    assert joined.is_split_drawn


def test_training_on_all_of_nothing_is_refused():
    with pytest.raises(UserError, match="--train_on_all: the data have no training"):
        join_valid_to_train(make(4, split="test"))
