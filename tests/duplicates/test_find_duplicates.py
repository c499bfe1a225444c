"""`find_duplicates`: what it finds in drawn images, what it says of splits, and its exit codes."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.duplicates.options import SearchOptions
from src.duplicates.search import Duplicates
from src.duplicates.table import describe, pair_table
from src.preprocess.image import read_image
from src.scripts.find_duplicates import main


@pytest.fixture
def isic(demo, tmp_path):
    """A copy of the drawn ISIC layout that a test may add to."""
    return shutil.copytree(demo / "isic2020", tmp_path / "isic")


def image_of(data, split, label):
    return min((data / split / label).glob("*.jpg"))


def add_copy(data, name, split, label, source, **columns):
    """Adds a turned and compressed copy of an image under a name and patient of its own."""
    copy = np.rot90(read_image(source))
    path = data / split / label / f"{name}.jpg"
    cv2.imwrite(str(path), cv2.cvtColor(np.ascontiguousarray(copy), cv2.COLOR_RGB2BGR))
    csv = data / "ISIC_2020_full.csv"
    rows = pd.read_csv(csv, sep=";", dtype=str)
    row = rows[rows["image_name"] == source.name].assign(
        image_name=path.name, split=split, target="01"[label == "malignant"], **columns
    )
    pd.concat([rows, row]).to_csv(csv, sep=";", index=False)


def run(data, tmp_path, *more):
    output = tmp_path / "out"
    code = main(["--data_path", str(data), "--output_dir", str(output), *more])
    return code, pd.read_csv(output / "duplicates.csv", keep_default_na=False)


def test_a_clean_split_has_no_pair_and_exit_code_0(isic, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "duplicates.png").touch()  # of an earlier search
    code, pairs = run(isic, tmp_path)
    assert (code, len(pairs)) == (0, 0)
    assert not (tmp_path / "out" / "duplicates.png").exists()
    assert "240 images: 0 near-duplicate pairs in 0 groups" in capsys.readouterr().out


def test_a_pair_across_splits_that_ids_cannot_see_is_exit_code_2(isic, tmp_path, capsys):
    source = image_of(isic, "train", "benign")
    add_copy(isic, "COPY", "valid", "malignant", source, patient_id="IP_other")
    code, pairs = run(isic, tmp_path)
    assert code == 2
    (pair,) = pairs.itertuples()
    assert (pair.image_a, pair.image_b) == (
        f"train/benign/{source.name}",
        "valid/malignant/COPY.jpg",
    )
    assert (pair.split_a, pair.split_b, pair.same_split) == ("train", "valid", "no")
    assert (pair.label_a, pair.label_b, pair.same_label) == ("benign", "malignant", "no")
    assert (pair.same_patient, pair.same_lesion) == ("no", "unknown")
    assert pair.orientation == "turned 90 degrees clockwise"
    usual = SearchOptions()
    assert pair.distance <= usual.max_distance
    assert usual.min_similarity <= pair.similarity <= 1
    said = capsys.readouterr().out
    assert "241 images: 1 near-duplicate pairs in 1 groups" in said
    assert "across splits: 1, 1 of them of no common patient or lesion" in said
    assert "of contradicting labels: 1" in said
    assert cv2.imread(str(tmp_path / "out" / "duplicates.png")) is not None


def test_a_pair_within_a_split_is_listed_with_exit_code_0(isic, tmp_path):
    source = image_of(isic, "train", "benign")
    add_copy(isic, "COPY", "train", "benign", source)
    code, pairs = run(isic, tmp_path)
    assert code == 0
    assert pairs[["same_split", "same_patient", "same_label"]].values.tolist() == [["yes"] * 3]


def test_folds_are_splits(isic, tmp_path):
    source = image_of(isic, "train", "benign")
    for number in range(4):
        add_copy(isic, f"COPY{number}", "train", "benign", source, patient_id=f"IP{number}")
    code, pairs = run(isic, tmp_path, "--kfold", "5", "--known_groups_only")
    assert len(pairs) == 10
    assert set(pairs["group"]) == {1}
    assert set(pairs["split_a"]) <= {f"fold {fold}" for fold in range(5)}
    is_across = pairs["split_a"] != pairs["split_b"]
    assert (pairs["same_split"] == np.where(is_across, "no", "yes")).all()
    assert code == (2 if is_across.any() else 0)


def test_a_drawn_split_is_the_trainers_and_said(demo, tmp_path, capsys):
    code, pairs = run(demo / "ham10000", tmp_path, "--dataset", "ham10000")
    assert (code, len(pairs)) == (0, 0)
    assert "no split" in capsys.readouterr().out


def folder_of(demo, tmp_path, n_images):
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((demo / "ham10000" / "images").glob("*.jpg"))[:n_images]:
        shutil.copy(path, folder)
    return folder


def search(folder, tmp_path, *more):
    output = tmp_path / "out"
    code = main(["--images", str(folder), "--output_dir", str(output), *more])
    return code, pd.read_csv(output / "duplicates.csv", keep_default_na=False)


def test_a_folder_knows_neither_splits_nor_ids(demo, tmp_path):
    folder = folder_of(demo, tmp_path, 6)
    first = min(folder.iterdir())
    (folder / "deep").mkdir()
    shutil.copy(first, folder / "deep" / "$\\frac,皮.JPG")
    code, pairs = search(folder, tmp_path)
    assert code == 0
    (pair,) = pairs.itertuples()
    assert {pair.image_a, pair.image_b} == {first.name, "deep/$\\frac,皮.JPG"}
    assert (pair.split_a, pair.label_a, pair.distance) == ("", "", 0)
    same = [pair.same_split, pair.same_patient, pair.same_lesion, pair.same_label]
    assert same == ["unknown"] * 4


def test_one_image_alone_has_no_pair(demo, tmp_path):
    code, pairs = search(folder_of(demo, tmp_path, 1), tmp_path)
    assert (code, len(pairs)) == (0, 0)


def test_a_bad_image_is_listed_and_the_others_are_compared(demo, tmp_path, capsys):
    folder = folder_of(demo, tmp_path, 3)
    first = min(folder.iterdir())
    shutil.copy(first, folder / "copy.jpg")
    (folder / "cut.jpg").write_bytes(first.read_bytes()[:2000])
    (folder / "bad\udcff.png").touch()
    code, pairs = search(folder, tmp_path)
    assert code == 1
    assert {*pairs["image_a"], *pairs["image_b"]} == {first.name, "copy.jpg"}
    said = capsys.readouterr().out
    assert "4 images: 1 near-duplicate pairs" in said
    assert "not read: 2" in said
    assert "cut.jpg: truncated" in said


def test_a_leak_outweighs_a_bad_image(isic, tmp_path):
    source = image_of(isic, "train", "benign")
    add_copy(isic, "COPY", "test", "benign", source, patient_id="IP_other")
    broken = image_of(isic, "valid", "benign")
    broken.write_bytes(b"")
    code, _ = run(isic, tmp_path)
    assert code == 2


def test_limits_decide(demo, tmp_path):
    folder = folder_of(demo, tmp_path, 2)
    image = read_image(min(folder.iterdir()))[6:, 8:]
    cv2.imwrite(str(folder / "crop.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert len(search(folder, tmp_path)[1]) == 1
    assert len(search(folder, tmp_path, "--min_similarity", "1")[1]) == 0
    assert len(search(folder, tmp_path, "--max-distance", "0")[1]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_distance", "65"], "--max_distance 65: expected 0 to 64"),
        (["--lr", "0.1"], "--lr: has no effect on the search for duplicates"),
        (["--images", "x", "--kfold", "5"], "--images and --kfold both choose"),
        (["--max_distance", "-1"], "--max_distance -1: expected 0 to 64"),
        (["--min_similarity", "0"], "expected more than 0"),
        (["--min_similarity", "nan"], "expected a number"),
        (["--min_similarity", "high"], "expected a number"),
        (["--images", "x", "--data_path", "y"], "--images and --data_path both choose"),
        (["--images", "nowhere"], "no such folder"),
        (["--data_path", "nowhere"], "no such folder"),
        (["--min_similarty", "1"], "did you mean 'min_similarity'"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        main([*flags, "--output_dir", str(tmp_path / "out")])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_output_within_the_images_is_refused(demo, tmp_path):
    folder = folder_of(demo, tmp_path, 2)
    with pytest.raises(UserError, match="expected a folder outside"):
        main(["--images", str(folder), "--output_dir", str(folder / "out")])


def test_images_of_which_none_can_be_read_are_refused(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").touch()
    with pytest.raises(UserError, match="none of 1 images can be read"):
        main(["--images", str(folder), "--output_dir", str(tmp_path / "out")])


def test_the_table_orders_leaks_first_and_joins_groups():
    text = {
        "image": list("abcdef"),
        "split": ["train", "train", "test", "test", "", "train"],
        "patient_id": ["p", "p", "q", "r", "", "p"],
        "lesion_id": ["1", "2", "1", "", "3", "2"],
        "label": ["mel", "nv", "mel", "nv", "nv", "nv"],
    }
    # 0-1, 1-2 and 2-5 are a chain; 3-4 is apart
    pairs = np.array([[0, 1], [3, 4], [2, 5], [1, 2], [0, 2]]).T
    found = Duplicates(*pairs, np.zeros(5, int), np.arange(5), np.float32([1, 0.99, 0.9, 0.95, 1]))
    table = pair_table(pd.DataFrame(text), found)
    assert (table["image_a"] + table["image_b"]).tolist() == ["bc", "cf", "ac", "ab", "de"]
    assert table["group"].tolist() == [1, 1, 1, 1, 2]
    assert table["same_split"].tolist() == ["no", "no", "no", "yes", "unknown"]
    assert table["same_patient"].tolist() == ["no", "no", "no", "yes", "unknown"]
    assert table["same_lesion"].tolist() == ["no", "no", "yes", "no", "unknown"]
    assert table["same_label"].tolist() == ["no", "no", "yes", "no", "yes"]
    assert describe(table, 6).splitlines() == [
        "6 images: 5 near-duplicate pairs in 2 groups",
        "  across splits: 3, 2 of them of no common patient or lesion",
        "  of contradicting labels: 3",
    ]
