"""Published layouts become the rows, labels, groups and splits that their files state."""

import itertools
import logging
import shutil
from pathlib import Path

import pytest

from src.core.config import Data
from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.isic import HAM10000_CLASSES
from src.datasets.load import load_table
from tests.datasets.small_isic import isic_rows, read_rows, write_csv, write_image


def build(name, path, skin_color_csv=""):
    return DATASETS.build(name, data_path=Path(path), skin_color_csv=str(skin_color_csv))


def by_stem(table, *columns):
    stems = [Path(image).stem for image in table.rows["image"]]
    return dict(zip(stems, zip(*(table.rows[c] for c in columns), strict=True), strict=True))


def stem(row):
    return Path(row["image_name"]).stem


def test_isic2020_states_what_its_csv_states(demo):
    table = build("isic2020", demo / "isic2020")
    rows = read_rows(demo / "isic2020" / "ISIC_2020_full.csv")
    expected = {
        stem(r): (int(r["target"]), int(r["group"]), r["patient_id"], r["split"]) for r in rows
    }
    angles = {stem(r): (float(r["ita"].replace(",", ".")),) for r in rows}
    assert len(expected) == len(rows) == len(table) == 240
    assert by_stem(table, "label", "group", "patient_id", "split") == expected
    assert by_stem(table, "ita") == angles
    assert table.classes[table.positive] == "malignant"
    assert table.bad == ()


def test_isic2020_masks_are_paired_by_name(demo, tmp_path):
    root = tmp_path / "isic2020"
    shutil.copytree(demo / "isic2020", root)
    masks = sorted((root / "masks" / "train" / "benign").iterdir())
    masks[1].unlink()
    table = build("isic2020", root)
    without = [Path(i).stem for i in table.rows["image"][table.rows["mask"] == ""]]
    assert without == [masks[1].stem]
    for image, mask in table.rows.loc[table.rows["mask"] != "", ["image", "mask"]].to_numpy():
        assert Path(mask).is_file()
        assert Path(mask).relative_to(root / "masks").with_suffix("") == Path(image).relative_to(
            root
        ).with_suffix("")


@pytest.mark.parametrize("written", ["val", "valid", "validation", "Val"])
def test_isic2020_validation_folder_has_several_names(isic, written):
    (isic / "valid").rename(isic / "renamed")
    (isic / "renamed").rename(isic / written)
    (isic / "ISIC_2020_full.csv").unlink()
    splits = build("isic2020", isic).rows["split"]
    assert splits.value_counts().to_dict() == {"train": 8, "valid": 8, "test": 8}


def test_isic2020_takes_val_and_valid_side_by_side(isic):
    for path in sorted((isic / "valid").rglob("*.jpg"))[::2]:
        target = isic / "val" / path.relative_to(isic / "valid")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    table = build("isic2020", isic)
    assert len(table) == 24
    assert table.bad == ()


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".JPEG", ".png", ".Png"])
def test_image_suffix_is_taken_in_any_case(isic, suffix):
    old = isic / "train" / "benign" / "ISIC_0.jpg"
    old.rename(old.with_suffix(suffix))
    table = build("isic2020", isic)
    assert str(old.with_suffix(suffix)) in set(table.rows["image"])
    assert len(table) == 24


@pytest.mark.parametrize("suffix", ["", ".JPG", ".jpeg"])
def test_csv_names_images_with_or_without_a_suffix(isic, edit_csv, suffix):
    edit_csv(lambda rows: [r.update(image_name=stem(r) + suffix) for r in rows])
    assert len(build("isic2020", isic)) == 24


def test_dots_in_a_name_are_part_of_it(isic, edit_csv):
    old = isic / "train" / "benign" / "ISIC_0.jpg"
    old.rename(old.with_name("ISIC_0.v2.jpg"))
    edit_csv(lambda rows: rows[0].update(image_name="ISIC_0.v2"))
    assert len(build("isic2020", isic)) == 24


def test_isic2020_without_a_csv_has_unknown_groups_and_the_folders_split(isic):
    (isic / "ISIC_2020_full.csv").unlink()
    found = by_stem(build("isic2020", isic), "label", "group", "split", "patient_id")
    assert found == {stem(r): (r["target"], -1, r["split"], "") for r in isic_rows()}


def test_csvs_split_wins_over_the_folders(isic, edit_csv):
    edit_csv(lambda rows: [r.update(split="test") for r in rows if r["split"] == "valid"])
    found = by_stem(build("isic2020", isic), "split")
    wanted = {"train": "train", "valid": "test", "test": "test"}
    assert found == {stem(r): (wanted[r["split"]],) for r in isic_rows()}


def test_folders_split_stays_where_the_csv_has_none(isic, edit_csv):
    edit_csv(lambda rows: [r.pop("split") for r in rows])
    found = by_stem(build("isic2020", isic), "split")
    assert found == {stem(r): (r["split"],) for r in isic_rows()}


def test_skin_color_csv_wins_over_the_one_in_the_folder(isic, tmp_path):
    rows = [r | {"group": 3 - r["group"]} for r in isic_rows()]
    other = write_csv(tmp_path / "other.csv", rows, separator=",")
    found = by_stem(build("isic2020", isic, other), "group")
    assert found == {stem(r): (r["group"],) for r in rows}


def test_target_that_contradicts_the_folder_is_refused(isic, edit_csv):
    edit_csv(lambda rows: rows[5].update(target=0))
    with pytest.raises(UserError, match=r"target and folder disagree for 1 images \(first: .*_5"):
        build("isic2020", isic)


@pytest.mark.parametrize("place", ["valid/benign/ISIC_0.jpg", "train/benign/ISIC_0.png"])
def test_image_that_is_there_twice_is_refused(isic, place):
    """Without a patient nothing else would notice that it is in two splits."""
    (isic / "ISIC_2020_full.csv").unlink()
    write_image(isic / place)
    with pytest.raises(UserError, match=r"ISIC_0.*two images have this name"):
        build("isic2020", isic)


def test_ham10000_diagnoses_are_those_of_its_metadata(demo):
    table = build("ham10000", demo / "ham10000")
    rows = read_rows(demo / "ham10000" / "HAM10000_metadata.csv")
    expected = {r["image_id"]: (r["dx"], r["lesion_id"]) for r in rows}
    found = by_stem(table, "label", "lesion_id")
    assert {k: (table.classes[label], lesion) for k, (label, lesion) in found.items()} == expected
    assert table.classes == HAM10000_CLASSES
    assert table.classes[table.positive] == "mel"
    for image, mask in table.rows[["image", "mask"]].to_numpy():
        assert Path(mask).name == f"{Path(image).stem}_segmentation.png"
    assert set(table.rows["split"]) == {""}
    assert set(table.group_indices) == {-1}


def test_ham10000_melanoma_stands_against_the_rest(demo):
    table = build("ham10000(task='melanoma')", demo / "ham10000")
    rows = read_rows(demo / "ham10000" / "HAM10000_metadata.csv")
    assert by_stem(table, "label") == {r["image_id"]: (int(r["dx"] == "mel"),) for r in rows}
    assert (table.classes, table.positive) == (("rest", "mel"), 1)


def test_ham10000_images_may_lie_in_two_parts(demo, tmp_path):
    whole, root = demo / "ham10000", tmp_path / "parts"
    shutil.copytree(whole, root, ignore=shutil.ignore_patterns("masks"))
    images = sorted((root / "images").iterdir())
    for part in (1, 2):
        (root / f"HAM10000_images_part_{part}").mkdir()
    for number, image in enumerate(images):
        image.rename(root / f"HAM10000_images_part_{number % 2 + 1}" / image.name)
    columns = ("label", "lesion_id")
    assert by_stem(build("ham10000", root), *columns) == by_stem(build("ham10000", whole), *columns)
    assert set(build("ham10000", root).rows["mask"]) == {""}


def test_ham10000_takes_tones_patients_and_split_from_a_csv(demo):
    rows = read_rows(demo / "isic2020" / "ISIC_2020_full.csv")
    table = build("ham10000", demo / "ham10000", demo / "isic2020" / "ISIC_2020_full.csv")
    expected = {stem(r): (int(r["group"]), r["patient_id"], r["split"]) for r in rows}
    assert by_stem(table, "group", "patient_id", "split") == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dx": "melanoma"}, "dx 'melanoma': expected"),
        ({"dx": ""}, "line 3 has no dx"),
        ({"image_id": ""}, "line 3 has no image_id"),
        ({"image_id": "A"}, "1 rows repeat an image .first: A.jpg"),
    ],
)
def test_ham10000_metadata_that_is_wrong_is_refused(tmp_path, change, message):
    rows = [{"lesion_id": "l", "image_id": name, "dx": "nv"} for name in "AB"]
    for row in rows:
        write_image(tmp_path / "images" / f"{row['image_id']}.jpg")
    rows[1] |= change
    write_csv(tmp_path / "HAM10000_metadata.csv", rows, ",")
    with pytest.raises(UserError, match=message):
        build("ham10000", tmp_path)


@pytest.fixture
def siim(tmp_path):
    root = tmp_path / "siim"
    rows = [
        {"image_name": f"ISIC_{i}", "patient_id": f"IP_{i // 2}", "target": i % 2} for i in range(8)
    ]
    for row in rows:
        write_image(root / "jpeg" / "train" / f"{row['image_name']}.jpg")
    write_csv(root / "train.csv", rows, ",")
    return root


def test_siim_states_what_its_csv_states(siim):
    table = build("siim", siim)
    rows = read_rows(siim / "train.csv")
    expected = {r["image_name"]: (int(r["target"]), r["patient_id"], -1, "") for r in rows}
    assert by_stem(table, "label", "patient_id", "group", "split") == expected


def test_siim_takes_tones_and_split_by_name_whatever_the_order(siim, tmp_path):
    tones = [
        {"image_name": f"ISIC_{i}.jpg", "target": i % 2, "group": i % 4, "split": "val"}
        for i in reversed(range(8))
    ]
    table = build("siim", siim, write_csv(tmp_path / "tones.csv", tones))
    assert by_stem(table, "group", "split") == {f"ISIC_{i}": (i % 4, "valid") for i in range(8)}
    assert set(table.rows["patient_id"]) == {"IP_0", "IP_1", "IP_2", "IP_3"}


def test_siim_lists_rows_and_images_without_their_partner(siim):
    (siim / "jpeg" / "train" / "ISIC_3.jpg").unlink()
    write_image(siim / "jpeg" / "train" / "extra.jpg")
    table = build("siim", siim)
    assert len(table) == 7
    assert dict(table.bad) == {
        "ISIC_3": "a row in the CSV, but no image",
        "extra": "no row in the CSV",
    }


@pytest.mark.parametrize("split", ["train", ""])
def test_folders_are_classes_with_or_without_a_split(tmp_path, split):
    for name in ("acne", "mel", "nevus"):
        write_image(tmp_path / split / name / "1.jpg")
        write_image(tmp_path / split / name / "ü 2.png")
    table = build("folders", tmp_path)
    assert (table.classes, table.positive) == (("acne", "mel", "nevus"), 1)
    assert table.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert set(table.rows["split"]) == {split}


@pytest.mark.parametrize(
    ("names", "option", "classes", "positive"),
    [
        ("ab", "", ("a", "b"), "b"),
        ("ab", "(positive='a')", ("b", "a"), "a"),
        (("melanoma", "nevus"), "", ("nevus", "melanoma"), "melanoma"),
        ("abc", "(positive='b')", ("a", "b", "c"), "b"),
    ],
)
def test_positive_class_is_named_or_usual_or_last(tmp_path, names, option, classes, positive):
    for name in names:
        write_image(tmp_path / name / "1.jpg")
    table = build(f"folders{option}", tmp_path)
    assert (table.classes, table.classes[table.positive]) == (classes, positive)
    assert [table.classes[label] for label in table.labels] == sorted(names)


def test_unknown_positive_class_is_refused(tmp_path):
    write_image(tmp_path / "a" / "1.jpg")
    with pytest.raises(UserError, match="positive='mel': expected one of a"):
        build("folders(positive='mel')", tmp_path)


def test_table_reads_any_csv(tmp_path):
    for name in ("x.jpg", "y.png"):
        write_image(tmp_path / "i" / name)
    rows = [
        {"file": "i/y.png", "dx": "mel", "group": 2, "lesion_id": "l1", "mask": "m.png"},
        {"file": "i/x.jpg", "dx": "nv", "group": "", "lesion_id": "", "mask": ""},
        {"file": "i/z.jpg", "dx": "nv", "group": 1, "lesion_id": "l2", "mask": ""},
    ]
    write_csv(tmp_path / "t.csv", rows, ",")
    table = build("table(csv='t.csv', image='file', label='dx')", tmp_path)
    assert by_stem(table, "group", "lesion_id") == {"x": (-1, ""), "y": (2, "l1")}
    assert [table.classes[label] for label in table.labels] == ["nv", "mel"]
    assert table.rows["mask"].tolist() == ["", str(tmp_path / "m.png")]
    assert table.bad == (("i/z.jpg", "no such image"),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"group": "light"}, "column 'group' holds 'light': expected a number"),
        ({"ita": "?x"}, "column 'ita' holds '\\?x'"),
        ({"fold": "x"}, "column 'fold' holds 'x'"),
        ({"image": ""}, "line 2: image '': expected the name of an image"),
        ({"label": ""}, "line 2: label ''"),
        ({"split": "dev"}, "x.jpg: split 'dev'"),
        ({"group": "9"}, "x.jpg: group 9: expected 0 to 3"),
    ],
)
def test_table_with_a_wrong_cell_is_refused(tmp_path, row, message):
    write_image(tmp_path / "x.jpg")
    write_csv(tmp_path / "t.csv", [{"image": "x.jpg", "label": "a"} | row], ",")
    with pytest.raises(UserError, match=message):
        build("table(csv='t.csv')", tmp_path)


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_data_set_refuses_an_empty_folder_in_one_line(tmp_path, name):
    text = "table(csv='t.csv')" if name == "table" else name
    with pytest.raises(UserError) as error:
        load_table(Data(dataset=text, data_path=str(tmp_path)))
    assert str(tmp_path) in str(error.value)
    assert "expected" in str(error.value)
    assert str(error.value).isprintable()


LAYOUTS = {
    "isic2020": ("{split}/{label}/{stem}.jpg", "{split}/{label}"),
    "siim": ("jpeg/train/{stem}.jpg", "jpeg/train"),
    "ham10000": ("images/{stem}.jpg", "images"),
    "folders": ("{split}/{label}/{stem}.jpg", "{split}/{label}"),
}


def lay_out(name, root):
    """Four images in a data set's layout; the folder below `masks/` of each by its stem."""
    image, place = LAYOUTS[name]
    rows = [
        {"stem": f"I.{i}", "label": ("benign", "malignant")[i % 2], "split": "train"}
        for i in range(4)
    ]
    for row in rows:
        write_image(root / image.format(**row))
    if name == "siim":
        cells = [{"image_name": r["stem"] + ".jpg", "target": r["label"][0] == "m"} for r in rows]
        write_csv(root / "train.csv", [c | {"target": int(c["target"])} for c in cells], ",")
    if name == "ham10000":
        cells = [{"image_id": r["stem"], "lesion_id": r["stem"], "dx": "nv"} for r in rows]
        write_csv(root / "HAM10000_metadata.csv", cells, ",")
    return {row["stem"]: place.format(**row) for row in rows}


def masks_of(table):
    return {stem: mask for stem, (mask,) in by_stem(table, "mask").items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_masks_are_found_by_the_stem_of_their_image(tmp_path, name):
    for ending, in_place in itertools.product(["", "_mask", "_segmentation"], [False, True]):
        root = tmp_path / f"{ending} {in_place}"
        places = lay_out(name, root)
        expected = dict.fromkeys(places, "")
        for stem, suffix in zip(sorted(places)[:3], (".png", ".JPG", ".jpeg"), strict=True):
            folder = root / "masks" / (places[stem] if in_place else "")
            expected[stem] = str(write_image(folder / f"{stem}{ending}{suffix}"))
        assert masks_of(build(name, root)) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_mask_in_the_place_of_its_image_wins_over_one_beside_all(tmp_path, name):
    places = lay_out(name, tmp_path)
    write_image(tmp_path / "masks" / "I.0_mask.png")
    own = write_image(tmp_path / "masks" / places["I.0"] / "I.0.png")
    common = write_image(tmp_path / "masks" / "I.1_segmentation.png")
    expected = {"I.0": str(own), "I.1": str(common), "I.2": "", "I.3": ""}
    assert masks_of(build(name, tmp_path)) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_no_mask_is_none(tmp_path, name):
    places = lay_out(name, tmp_path)
    assert set(masks_of(build(name, tmp_path)).values()) == {""}
    for other in ("I.0.txt", ".I.0.png", "I.0_skin.png", "I.0_mask_old.png", "I.png"):
        write_image((tmp_path / "masks" / other).with_suffix(".png")).rename(
            tmp_path / "masks" / other
        )
    (tmp_path / "masks" / "I.1.png").mkdir()
    (tmp_path / "masks" / places["I.2"]).mkdir(parents=True)
    assert set(masks_of(build(name, tmp_path)).values()) == {""}
    shutil.rmtree(tmp_path / "masks")
    (tmp_path / "masks").write_text("a file")
    assert set(masks_of(build(name, tmp_path)).values()) == {""}


def test_images_of_one_name_take_masks_of_their_own_folders_only(tmp_path):
    """A mask beside all could be of either."""
    for name in ("nv", "mel"):
        write_image(tmp_path / name / "1.jpg")
    write_image(tmp_path / "mel" / "2.jpg")
    write_image(tmp_path / "masks" / "1_mask.png")
    own = write_image(tmp_path / "masks" / "mel" / "1_mask.png")
    common = write_image(tmp_path / "masks" / "2_mask.png")
    rows = build("folders", tmp_path).rows[["image", "mask"]].to_numpy()
    found = {str(Path(image).relative_to(tmp_path)): mask for image, mask in rows}
    assert found == {"mel/1.jpg": str(own), "mel/2.jpg": str(common), "nv/1.jpg": ""}


def test_siim_images_elsewhere_take_masks_beside_the_csv(siim, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (siim / "jpeg" / "train").rename(elsewhere)
    mask = write_image(siim / "masks" / "ISIC_5_mask.png")
    found = masks_of(build(f"siim(images={str(elsewhere)!r})", siim))
    assert found == {f"ISIC_{i}": str(mask) if i == 5 else "" for i in range(8)}


def test_tones_are_joined_in_any_case_and_refused_where_none_fits(tmp_path, caplog):
    for i in range(4):
        write_image(tmp_path / "jpeg" / "train" / f"ISIC_{i}.jpg")
    truth = [{"image_name": f"ISIC_{i}", "target": i % 2} for i in range(4)]
    write_csv(tmp_path / "train.csv", truth)
    tones = tmp_path / "tones.csv"

    def groups(*names):
        rows = [{"image_name": name, "target": 0, "Group": 2} for name in names]
        write_csv(tones, rows)
        table = DATASETS.build("siim", data_path=tmp_path, skin_color_csv=str(tones))
        return table.group_indices.tolist()

    assert groups(*(f"isic_{i}.JPG" for i in range(4))) == [2] * 4
    with caplog.at_level(logging.WARNING):
        assert groups("ISIC_1", "isic_2 ") == [-1, 2, 2, -1]
    assert "tones.csv: no row for 2 of 4 images" in caplog.text
    with pytest.raises(UserError, match=r"tones\.csv: none of the images .* column 'image_name'"):
        groups("a", "b")
