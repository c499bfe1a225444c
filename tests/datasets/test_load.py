"""Loading: what is wrong with a folder, its CSV or its images is told before training starts."""

import hashlib
import logging
import shutil

import numpy as np
import pytest

from src.core.config import Data
from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.load import load_table, table_hash
from tests.datasets.small_isic import isic_rows, write_csv, write_image


def load(path, **settings):
    return load_table(Data(data_path=str(path), **settings))


def refusal(path, **settings):
    with pytest.raises(UserError) as error:
        load(path, **settings)
    assert str(error.value).isprintable()
    return str(error.value)


def image_of(isic, name="train/benign/ISIC_0.jpg"):
    path = isic / name
    assert path.is_file()
    return path


def test_clean_folder_loads(isic):
    table = load(isic)
    assert (len(table), table.bad) == (24, ())


def test_missing_folder_is_refused(tmp_path):
    assert "none: no such folder; give the data set's folder with --data_path" in refusal(
        tmp_path / "none"
    )


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("", "isic: expected benign and malignant, found no benign and no malignant"),
        ("train/malignant", "train: expected benign and malignant, found no malignant"),
        ("train/malignant/*", "train/malignant: empty; expected .jpg, .jpeg, .png"),
    ],
)
def test_empty_folder_is_refused_by_its_path(isic, remove, message):
    if remove.endswith("*"):
        for path in isic.glob(remove):
            path.unlink()
    else:
        shutil.rmtree(isic / remove)
        (isic / "").mkdir(exist_ok=True)
    assert message in refusal(isic)


def test_class_folder_of_another_name_is_refused(isic):
    write_image(isic / "train" / "unsure" / "a.jpg")
    assert "train/unsure: expected the class folders benign and malignant only" in refusal(isic)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [r.pop("target") for r in rows], "no column 'target' (found: image_name,"),
        (lambda rows: [r.pop("image_name") for r in rows], "no column of images (found: ita,"),
        (lambda rows: rows[1].update(target="maybe"), "line 3: target 'maybe': expected 0 or 1"),
        (lambda rows: rows[1].update(target="2"), "line 3: target '2': expected 0 or 1"),
        (lambda rows: rows[1].update(target=""), "line 3 has no target"),
        (lambda rows: rows[1].update(image_name=""), "line 3 has no image_name"),
        (lambda rows: rows[1].update(group="pale"), "column 'group' holds 'pale'"),
        (lambda rows: rows[1].update(group="7"), "ISIC_1.jpg: group 7: expected 0 to 3"),
        (lambda rows: rows[1].update(ita="43°"), "column 'ita' holds '43°'"),
        (lambda rows: rows[1].update(split="dev"), "split 'dev': expected train, valid, test"),
        (lambda rows: rows.append(rows[3]), "1 rows repeat an image (first: ISIC_3)"),
        (lambda rows: rows.append(rows[3] | {"image_name": "ISIC_3.png"}), "1 rows repeat an"),
        (lambda rows: rows.pop(3), "1 bad images, expected at most 0"),
        (lambda rows: rows.pop(3), "ISIC_3.jpg: no row in ISIC_2020_full.csv"),
        (
            lambda rows: rows.append(rows[3] | {"image_name": "extra"}),
            "extra: a row in ISIC_2020_full.csv, but no image",
        ),
        (
            lambda rows: [r.update(image_name="x" + r["image_name"]) for r in rows],
            "48 bad images (first: ",
        ),
    ],
)
def test_wrong_csv_is_refused_by_what_is_wrong(isic, edit_csv, change, message):
    edit_csv(change)
    assert message in refusal(isic)


def test_csv_with_tabs_is_read(isic, edit_csv):
    before = load(isic).rows
    edit_csv(lambda rows: None, separator="\t")
    assert load(isic).rows.equals(before)


def test_comma_separated_csv_with_bare_decimal_commas_is_refused(isic):
    """It would otherwise be read with every cell in its neighbour's column."""
    path = isic / "ISIC_2020_full.csv"
    path.write_text(path.read_text().replace(";", ","))
    assert "line 2 has more cells than the header" in refusal(isic)


@pytest.mark.parametrize("seed", range(3))
def test_csv_of_random_bytes_is_refused(isic, seed):
    path = isic / "ISIC_2020_full.csv"
    path.write_bytes(np.random.default_rng(seed).bytes(4000))
    assert str(path) in refusal(isic)


def test_named_csv_that_is_absent_is_refused(isic):
    assert "tones.csv: no such file; expected a CSV with target" in refusal(
        isic, skin_color_csv="tones.csv"
    )


BAD_FILES = {
    "empty": (lambda data: b"", "empty file"),
    "text": (lambda data: b"not an image, but a note", "not a JPEG, PNG, TIFF, WebP or BMP file"),
    "truncated": (lambda data: data[: len(data) // 2], "truncated"),
    "corrupt": (
        lambda data: data[:2] + b"\0" * 40 + data[42:],
        "not a JPEG, PNG, TIFF, WebP or BMP file",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("name", ["train/benign/ISIC_0.jpg", "train/malignant/ISIC_1.jpg"])
def test_bad_image_is_refused_with_its_reason_or_left_out(isic, caplog, kind, name):
    damage, reason = BAD_FILES[kind]
    path = image_of(isic, name)
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(isic)
    assert f"1 bad images, expected at most 0 ({path}: {reason})" in message
    assert message.endswith("leave them out with --max_bad_images 1")
    caplog.set_level(logging.WARNING, logger="src")
    table = load(isic, max_bad_images=1)
    assert table.bad == ((str(path), reason),)
    assert len(table) == 23
    assert table.rows.index.tolist() == list(range(23))
    assert str(path) not in set(table.rows["image"])
    assert f"left out: {path}: {reason}" in caplog.text


def test_corrupt_pixels_behind_a_good_header_are_found(isic):
    path = image_of(isic).rename(isic / "train" / "benign" / "ISIC_0.png")
    write_image(path)
    data = bytearray(path.read_bytes())
    middle = data.index(b"IDAT") + 4
    data[middle : middle + 30] = b"\xff" * 30
    path.write_bytes(data)
    assert f"{path}: corrupt" in refusal(isic)


def test_many_bad_images_are_counted_and_the_first_three_named(isic):
    paths = sorted((isic / "train").rglob("*.jpg"))[:5]
    for path in paths:
        path.write_bytes(b"")
    message = refusal(isic, max_bad_images=4)
    assert "5 bad images, expected at most 4" in message
    assert "; and 2 more)" in message
    assert [str(path) in message for path in paths] == [True] * 3 + [False] * 2
    assert len(load(isic, max_bad_images=5)) == 19


def test_missing_and_unreadable_images_count_together(isic, edit_csv):
    edit_csv(lambda rows: rows.pop())
    image_of(isic).write_bytes(b"")
    assert "2 bad images, expected at most 1" in refusal(isic, max_bad_images=1)
    assert len(load(isic, max_bad_images=2)) == 22


def test_unicode_and_spaces_in_names_work(isic, edit_csv, tmp_path):
    image_of(isic).rename(isic / "train" / "benign" / "Ömer’s naevus 0 日本.jpg")
    edit_csv(lambda rows: rows[0].update(image_name="Ömer’s naevus 0 日本.jpg"))
    table = load(isic.rename(tmp_path / "daten sätze"))
    assert len(table) == 24


def test_leaking_split_is_refused_or_warned_of(isic, edit_csv, caplog):
    edit_csv(lambda rows: rows[0].update(split="valid"))
    leak = "1 of the 5 valid patients are also in train"
    assert f"data leakage between splits: {leak}. Expected" in refusal(isic)
    assert caplog.text == ""
    caplog.set_level(logging.WARNING, logger="src")
    assert len(load(isic, allow_leakage=True)) == 24
    assert leak in caplog.text
    assert "results will be optimistic" in caplog.text


def test_leakage_allowed_but_absent_warns_of_nothing(isic, caplog):
    caplog.set_level(logging.WARNING, logger="src")
    load(isic, allow_leakage=True)
    assert caplog.text == ""


def without_split(isic, flat, rows):
    """The images of `rows` in the folder `flat`, with a CSV of them and no split."""
    for row in rows:
        (path,) = isic.rglob(row["image_name"])
        target = flat / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    write_csv(flat / "ISIC_2020_full.csv", [r | {"split": ""} for r in rows])
    return flat


def test_data_without_a_split_get_a_grouped_one(isic, tmp_path):
    flat = without_split(isic, tmp_path / "flat", isic_rows())
    rows = load(flat, valid_size=0.25, test_size=0.25).rows
    assert set(rows["split"]) == {"train", "valid", "test"}
    assert rows.groupby("patient_id")["split"].nunique().max() == 1
    assert rows.equals(load(flat, valid_size=0.25, test_size=0.25).rows)
    assert not rows.equals(load(flat, valid_size=0.25, test_size=0.25, split_seed=1).rows)


def test_table_hash_tells_content_not_place(isic, tmp_path, edit_csv):
    def digest(path):
        return table_hash(DATASETS.build("isic2020", data_path=path, skin_color_csv=""))

    before = digest(isic)
    assert digest(shutil.copytree(isic, tmp_path / "elsewhere" / "copy")) == before
    edit_csv(lambda rows: rows[0].update(group=3))
    after_group = digest(isic)
    edit_csv(lambda rows: rows[0].update(split="test"))
    after_split = digest(isic)
    image_of(isic, "train/malignant/ISIC_1.jpg").rename(isic / "train" / "benign" / "ISIC_1.jpg")
    edit_csv(lambda rows: rows[1].update(target=0))
    assert len({before, after_group, after_split, digest(isic)}) == 4


def test_an_image_overwritten_under_its_name_changes_the_table_hash(isic):
    before = load(isic)
    path = image_of(isic)
    assert table_hash(load(isic)) == table_hash(before)
    for other in (before.split("train"), load(isic).split("train")):  # digests are of each row
        row = other.rows[other.rows["image"] == str(path)].iloc[0]
        assert row["content"] == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    write_image(path, seed=99)
    assert table_hash(load(isic)) != table_hash(before)


def test_rows_of_a_csv_without_a_split_keep_that_of_their_folder(isic):
    before = load(isic).rows["split"].tolist()
    rows = [row | {"split": ""} for row in isic_rows()]
    rows[0]["split"] = "train"
    write_csv(isic / "ISIC_2020_full.csv", rows)
    assert load(isic).rows["split"].tolist() == before


def test_rows_without_patient_and_lesion_are_pointed_out(isic, caplog):
    rows = [{k: v for k, v in row.items() if k != "patient_id"} for row in isic_rows()]
    write_csv(isic / "ISIC_2020_full.csv", rows)
    with caplog.at_level(logging.WARNING):
        load(isic)
    assert "No patient_id or lesion_id: cannot check" in caplog.text


def test_a_drawn_split_says_so(isic, caplog):
    assert not load(isic).is_split_drawn
    for split in ("valid", "test"):
        for path in isic.glob(f"{split}/*/*"):
            path.rename(isic / "train" / path.parent.name / path.name)
    (isic / "train" / "benign").rename(isic / "benign")
    (isic / "train" / "malignant").rename(isic / "malignant")
    for split in ("train", "valid", "test"):
        shutil.rmtree(isic / split)
    write_csv(isic / "ISIC_2020_full.csv", [row | {"split": ""} for row in isic_rows()])
    assert load(isic).is_split_drawn


def rows_of_unknown_group(numbers):
    """`isic_rows` in which these have neither a group nor an ITA."""
    unknown = {"group": "", "ita": ""}
    return [r | (unknown if i in numbers else {}) for i, r in enumerate(isic_rows())]


def test_known_groups_only_leaves_the_others_out_of_a_published_split(isic, caplog):
    path = write_csv(isic / "ISIC_2020_full.csv", rows_of_unknown_group({0, 1, 7, 12}))
    every = load(isic)
    caplog.set_level(logging.INFO, logger="src")
    table = load(isic, known_groups_only=True)
    assert "4 of 24 rows left out: no tone group" in caplog.text
    known = every.rows[every.group_indices >= 0].reset_index(drop=True)
    assert table.rows.equals(known)
    assert len(table) == 20
    assert table.group_indices.min() == 0
    assert (table.classes, table.is_split_drawn) == (every.classes, False)
    assert len(load(isic, known_groups_only=True, skin_color_csv=str(path))) == 20


def test_known_groups_only_draws_the_split_of_data_that_have_no_others(isic, tmp_path):
    unknown, rows = {2, 3, 9, 20}, isic_rows()
    one = without_split(isic, tmp_path / "one", rows_of_unknown_group(unknown))
    two = without_split(
        isic, tmp_path / "two", [row for i, row in enumerate(rows) if i not in unknown]
    )
    shares = {"valid_size": 0.25, "test_size": 0.25}
    for seed in range(3):
        found = load(one, known_groups_only=True, split_seed=seed, **shares)
        wanted = load(two, split_seed=seed, **shares)
        assert found.is_split_drawn
        assert table_hash(found) == table_hash(wanted)
    assert len(load(one, **shares)) == 24


def test_known_groups_only_without_any_group_is_refused(isic):
    write_csv(isic / "ISIC_2020_full.csv", rows_of_unknown_group(range(24)))
    message = refusal(isic, known_groups_only=True)
    assert "no row has a tone group; give them with --skin_color_csv" in message
    assert len(load(isic)) == 24


def test_known_groups_only_changes_nothing_where_all_are_known(isic, caplog):
    caplog.set_level(logging.INFO, logger="src")
    assert load(isic, known_groups_only=True).rows.equals(load(isic).rows)
    assert "left out" not in caplog.text


def test_a_group_from_an_ita_is_known(isic):
    rows = [row | {"group": ""} for row in isic_rows()]
    rows[0]["ita"] = ""
    write_csv(isic / "ISIC_2020_full.csv", rows)
    assert len(load(isic, known_groups_only=True)) == 23


def test_a_bad_image_of_an_unknown_group_is_no_hindrance(isic):
    write_csv(isic / "ISIC_2020_full.csv", rows_of_unknown_group({0}))
    image_of(isic).write_bytes(b"")
    assert "1 bad images" in refusal(isic)
    assert load(isic, known_groups_only=True).bad == ()
