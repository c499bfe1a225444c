"""HAM10000 and DermNet's acne: checked images, in one table of eight classes in their order."""

import shutil
from pathlib import Path

import pytest

from preparer import prepare_dermnet, prepare_ham10000, prepare_split
from src.core.config import Data
from src.core.errors import UserError
from src.datasets.isic import HAM10000_CLASSES
from src.datasets.load import load_table
from src.datasets.splits import connected_units
from tests.datasets.small_isic import read_rows, write_csv, write_image

N = 42
EIGHT = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df", "acne")


def ham(root, suffix=".csv"):
    """Two images of each lesion in two parts, six of each class."""
    rows = [
        {
            "lesion_id": f"HAM_{i // 2}",
            "image_id": f"ISIC_{24306 + i:07}",
            "dx": HAM10000_CLASSES[i // 2 % 7],
            "dx_type": "histo",
            "age": "45.0",
            "sex": "male",
            "localization": "trunk",
        }
        for i in range(N)
    ]
    for i, row in enumerate(rows):
        write_image(root / f"HAM10000_images_part_{i % 2 + 1}" / f"{row['image_id']}.jpg", i)
    tab = "\t" if suffix != ".csv" else ","
    write_csv(root / f"HAM10000_metadata{suffix}", rows, tab)
    return root


def dermnet(root):
    """As on Kaggle: `train` and `test` of many conditions, one image in both."""
    names = ("acne-cystic-1", "acne-cystic-2", "07Acne081101", "rosacea-12")
    for i, name in enumerate(names):
        write_image(root / "train" / "Acne and Rosacea Photos" / f"{name}.jpg", 100 + i)
        write_image(root / "train" / "Eczema Photos" / f"eczema-{i}.jpg", 200 + i)
    for i in range(4):
        write_image(root / "test" / "Acne and Rosacea Photos" / f"acne-open-{i}.jpg", 103 + i)
    return root


def run_ham(root, *flags):
    return prepare_ham10000.main(["--data_path", str(root), *flags])


def run_acne(tmp_path, *flags):
    folders = ["--dermnet", str(tmp_path / "dermnet"), "--output_csv", str(tmp_path / "eight.csv")]
    return prepare_dermnet.main([*folders, *flags])


def test_ham10000_as_downloaded_becomes_labels(tmp_path, capsys):
    for suffix in (".csv", ".tab", ""):
        root = ham(tmp_path / f"ham{suffix}", suffix)
        assert run_ham(root) == 0
        rows = read_rows(root / "labels.csv")
        assert [*rows[0]] == ["image", "label", "lesion_id"], "dx_type would tell the label"
        assert len(rows) == N
        assert {(row["image"].split("/")[0]) for row in rows} == {
            "HAM10000_images_part_1",
            "HAM10000_images_part_2",
        }
        text = "table(csv='labels.csv', classes=['akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc'])"
        one = load_table(Data(dataset=text, data_path=str(root)))
        other = load_table(Data(dataset="ham10000", data_path=str(root)))
        assert one.classes == other.classes == HAM10000_CLASSES
        columns = ["image", "label", "lesion_id", "split"]
        assert one.rows[columns].equals(other.rows[columns])
    assert f"{N} images, {N // 2} lesions" in capsys.readouterr().out


def test_images_that_cannot_be_used_are_told_and_left_out(tmp_path, capsys):
    root = ham(tmp_path / "ham")
    parts = [root / f"HAM10000_images_part_{part}" for part in (1, 2)]
    images = sorted(path for part in parts for path in part.iterdir())
    by_number = {int(path.stem[-5:]) - 24306: path for path in images}
    by_number[0].write_bytes(by_number[0].read_bytes()[:200])
    by_number[2].unlink()
    shutil.copy(by_number[4], by_number[32])  # bkl both: another lesion of the same image
    shutil.copy(by_number[6], by_number[8])  # df and mel
    assert run_ham(root) == 1
    out = capsys.readouterr().out
    for told in (
        "left out: 2\n",
        "ISIC_0024306.jpg: ",
        "ISIC_0024308: a row in the CSV, but no image",
        "copies left out: 1\n",
        "copies of several classes left out: 2\n",
    ):
        assert told in out, told
    rows = {Path(row["image"]).stem: row for row in read_rows(root / "labels.csv")}
    assert len(rows) == N - 5
    lesions = {i: rows[f"ISIC_{24306 + i:07}"]["lesion_id"] for i in (4, 5, 33)}
    assert set(lesions.values()) == {"HAM_2"}, "one lesion, that of the copied image"


def test_acne_is_the_eighth_class_of_one_table(tmp_path, capsys):
    root = ham(tmp_path / "ham")
    dermnet(tmp_path / "dermnet")
    run_ham(root)
    assert run_acne(tmp_path, "--labels_csv", str(root / "labels.csv")) == 0
    assert "copies left out: 1" in capsys.readouterr().out, "the image in train and in test"
    rows = read_rows(tmp_path / "eight.csv")
    acne = [row for row in rows if row["label"] == "acne"]
    assert (len(rows), len(acne)) == (N + 7, 7)
    assert not any("eczema" in row["image"] for row in rows)
    assert (
        prepare_split.main(
            [
                *(
                    "--csv",
                    str(tmp_path / "eight.csv"),
                    "--output_csv",
                    str(tmp_path / "folds.csv"),
                ),
                *("--kfold", "2", "--test_size", "0.2"),
            ]
        )
        == 0
    )
    text = f"table(csv='folds.csv', classes={[*EIGHT]})"
    table = load_table(Data(dataset=text, data_path=str(tmp_path), kfold=2, fold=0))
    assert table.classes == EIGHT
    assert len(table) == N + 7
    assert table.classes[table.positive] == "mel"
    named = dict(zip(table.rows["image"], (EIGHT[i] for i in table.labels), strict=True))
    told = {str(tmp_path / row["image"]): row["label"] for row in rows}
    assert named == told
    homes = table.rows[["split", "fold"]].astype(str).agg("/".join, axis=1)
    assert homes.groupby(connected_units(table.rows)).nunique().max() == 1
    assert set(table.rows["split"]) == {"train", "valid", "test"}


def test_folders_and_images_are_chosen_by_their_names(tmp_path):
    dermnet(tmp_path / "dermnet")
    assert run_acne(tmp_path, "--file_name", "ACNE", "--label", "Acne") == 0
    rows = read_rows(tmp_path / "eight.csv")
    assert len(rows) == 7
    assert {row["label"] for row in rows} == {"Acne"}
    assert run_acne(tmp_path, "--folder_name", "eczema", "--label", "eczema") == 0
    assert len(read_rows(tmp_path / "eight.csv")) == 4
    alone = tmp_path / "dermnet" / "train" / "Acne and Rosacea Photos"
    flags = ["--dermnet", str(alone), "--output_csv", str(tmp_path / "alone.csv")]
    assert prepare_dermnet.main(flags) == 0
    assert len(read_rows(tmp_path / "alone.csv")) == 4


def test_tables_that_do_not_go_together_are_refused(tmp_path):
    root = ham(tmp_path / "ham")
    dermnet(tmp_path / "dermnet")
    run_ham(root)
    labels = root / "labels.csv"
    rows = read_rows(labels)
    for changed, told in (
        ([row | {"split": "train"} for row in rows], "has a split, which the new rows lack"),
        ([row | {"fold": "0"} for row in rows], "has a fold, which the new rows lack"),
        ([row | {"label": "Acne"} for row in rows], "other classes than --label acne"),
        ([row | {"image": "x.jpg"} for row in rows], "image x.jpg: no such image"),
    ):
        write_csv(labels, changed, ",")
        with pytest.raises(UserError, match=told):
            run_acne(tmp_path, "--labels_csv", str(labels))
    for flags, told in (
        (("--folder_name", "psoriasis"), "--folder_name"),
        (("--file_name", "psoriasis"), "--file_name"),
        (("--label", " "), "--label: expected"),
    ):
        with pytest.raises(UserError, match=told):
            run_acne(tmp_path, *flags)
    assert not (tmp_path / "eight.csv").exists()
    with pytest.raises(UserError, match="is also an input"):
        run_ham(root, "--output_csv", str(root / "HAM10000_metadata.csv"))
