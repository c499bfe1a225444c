"""Where the tone groups of a data set come from: table, method and options, and nothing else."""

import hashlib
import logging

import pytest

from preparer.assign_tone_groups import main
from src.core.config import Data
from src.core.errors import UserError
from src.core.image_files import image_stem
from src.datasets.load import load_table, read_rows
from src.datasets.tone_estimates import tone_source
from src.skin.tone import GROUP_NAMES
from tests.datasets.small_isic import write_csv, write_image

METHOD = "estimate_ita(method=cielab, color=median, color_constancy=none)"


def source_of(folder, **settings):
    return load_table(Data(data_path=str(folder), **settings)).tone_source


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_a_table_says_from_which_estimates_its_groups_came(isic, tmp_path):
    """The options of the estimate reach the data set through the table that the preparer writes."""
    csv = isic / "ISIC_2020_full.csv"
    assert source_of(isic) == f"ISIC_2020_full.csv (SHA-256 {digest(csv)})"
    estimates = [
        {"image": f"ISIC_{i}.jpg", "ita": 50 - i, "valid": "true", "reason": "", "status": "ok"}
        | {"tone_source": METHOD}
        for i in range(24)
    ]
    ita = write_csv(tmp_path / "ita.csv", estimates, ",")
    output = tmp_path / "tones.csv"
    main(["--csv", str(csv), "--ita_csv", str(ita), "--output_csv", str(output)])
    told = f"tones.csv (SHA-256 {digest(output)}); {METHOD}"
    assert source_of(isic, skin_color_csv=str(output)) == told == tone_source(output)


def test_a_source_is_told_only_where_groups_are_known(isic, edit_csv):
    edit_csv(lambda rows: [row.update(group="", ita="") for row in rows])
    assert source_of(isic) == ""
    assert source_of(isic, dataset="folders") == ""


def test_a_table_of_ones_own_is_its_own_source(isic):
    rows = [
        {
            "image": str(path.relative_to(isic)),
            "label": path.parent.name,
            "group": 1,
            "split": split,
        }
        | {"tone_source": "\x1b[2J"}
        for split in ("train", "valid", "test")
        for path in sorted((isic / split).rglob("*.jpg"))
    ]
    own = write_csv(isic / "own.csv", rows, ",")
    assert source_of(isic, dataset="table(csv='own.csv')") == (
        f"own.csv (SHA-256 {digest(own)}); \\x1b[2J"
    )


IDS = [f"ISIC_{place:07}" for place in range(24306, 24312)]
ANGLES = [60, 50, 45, 30, 0, 0]


def lay_out(dataset, folder):
    """The six images of `IDS` as this data set is published; its folder."""
    classes = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
    places, rows, name = {
        "ham10000": (
            ["images"] * 6,
            [{"image_id": i, "lesion_id": i, "dx": "nv"} for i in IDS],
            "HAM10000_metadata.csv",
        ),
        "siim": (["jpeg/train"] * 6, [{"image_name": i, "target": 0} for i in IDS], "train.csv"),
        "isic2019": (
            ["ISIC_2019_Training_Input"] * 6,
            [{"image": i} | {c: int(c == "NV") for c in classes} for i in IDS],
            "ISIC_2019_Training_GroundTruth.csv",
        ),
        "isic2020": ([f"train/{c}" for c in ("benign", "malignant")] * 3, [], ""),
        "table(csv='t.csv')": (["images"] * 6, [{"image": i, "label": "nv"} for i in IDS], "t.csv"),
    }[dataset]
    for place, image in zip(places, IDS, strict=True):
        write_image(folder / place / f"{image}.jpg")
    if rows:
        write_csv(folder / name, rows, ",")
    return folder


def toned(path, column, cells, **more):
    """A table of the six images with this column, and angles beside it."""
    rows = [
        {"image_name": i, "target": place % 2, column: cell, "ita": ANGLES[place]}
        for place, (i, cell) in enumerate(zip(IDS, cells, strict=True))
    ]
    return write_csv(path, [row | more for row in rows], ",")


def read(dataset, folder, csv=""):
    """The groups of the images in order, the table."""
    table = read_rows(Data(data_path=str(folder), dataset=dataset, skin_color_csv=str(csv)))
    order = {image_stem(image): place for place, image in enumerate(table.rows["image"])}
    return [table.group_indices[order[i]] for i in IDS], table


def test_tones_of_people_are_the_groups_of_every_data_set_and_angles_stay_beside_them(tmp_path):
    """Whatever the scale; `tone_source` names both, and the images' angles keep their groups."""
    scales = {
        "fitzpatrick_skin_type": (["I", "vi", "", "unknown", "3", "-1"], [0, 5, -1, -1, 2, -1]),
        "Monk scale": (["1", "10", "MONK 3", "n/a", "5.0", ""], [0, 9, 2, -1, 4, -1]),
        "skin_tone_class": (["0", "5", "", "2", "2", "?"], [5, 0, -1, 3, 3, -1]),
        "skin_tone": (["12", "34", "56", "I-II", "", "nan"], [0, 1, 2, 0, -1, -1]),
    }
    for dataset in ("ham10000", "siim", "isic2019", "isic2020"):
        folder = lay_out(dataset, tmp_path / dataset)
        for column, (cells, groups) in scales.items():
            csv = toned(tmp_path / "tones.csv", column, cells, tone_source=METHOD, group=1)
            found, table = read(dataset, folder, csv)
            assert found == groups, (dataset, column)
            assert table.groups != GROUP_NAMES
            assert f" in column {column} of tones.csv (SHA-256 {digest(csv)})" in table.tone_source
            assert table.tone_source.endswith(f"angles in its column ita; {METHOD}")
            pairs = zip(table.rows["image"], table.angle_groups, strict=True)
            angles = {image_stem(i): g for i, g in pairs}
            assert [angles[i] for i in IDS] == [0, 1, 1, 2, 3, 3]


def test_columns_without_peoples_tones_leave_the_groups_of_angles(tmp_path, caplog):
    """Empty ones, other words and pairs that were derived from angles are no labels by people."""
    by_angle = [0, 1, 1, 2, 3, 3]
    folder = lay_out("ham10000", tmp_path)
    for column, cell, more, said in (
        ("fitzpatrick_skin_type", "", {}, ""),
        ("skin_type", "oily", {}, "column 'skin_type' holds no Fitzpatrick tone"),
        ("benefits", "I", {}, ""),
        ("fitzpatrick", "12", {"group_str": "Light"}, ""),
    ):
        caplog.clear()
        csv = toned(tmp_path / "tones.csv", column, [cell] * 6, **more)
        found, table = read("ham10000", folder, csv)
        assert (found, table.groups) == (by_angle, GROUP_NAMES), column
        assert table.tone_source == f"tones.csv (SHA-256 {digest(csv)})"
        assert said in caplog.text
        assert bool(said) == bool(caplog.text), column
    invalid = toned(tmp_path / "tones.csv", "valid", ["false", "true"] * 3)
    assert read("ham10000", folder, invalid)[0] == [-1, 1, -1, 2, -1, 3]


def test_a_cell_that_is_no_tone_is_named_with_its_line(tmp_path):
    for dataset in ("siim", "isic2020", "ham10000"):
        folder = lay_out(dataset, tmp_path / dataset)
        for column, cell in (("fitzpatrick", "VII"), ("monk", "0"), ("skin_tone_class", "6")):
            csv = toned(tmp_path / "tones.csv", column, ["1", "2", cell, "3", "", ""])
            with pytest.raises(UserError, match=rf"tones.csv: line 4: {column} '{cell}'"):
                read(dataset, folder, csv)


def test_of_two_scales_fitzpatricks_is_taken_and_the_other_is_named(tmp_path, caplog):
    folder = lay_out("siim", tmp_path)
    csv = toned(tmp_path / "tones.csv", "monk", ["1"] * 6, fitzpatrick="IV")
    with caplog.at_level(logging.INFO):
        assert read("siim", folder, csv)[0] == [3] * 6
    assert "tones in column 'fitzpatrick' are used, those in 'monk' are not" in caplog.text
    assert "known for 6 of 6 images; beside them angles" in caplog.text


def test_angles_do_not_replace_the_tones_by_people_that_a_data_set_has(tmp_path):
    """They stand beside them; of a table of one's own people's tones come first as well."""
    folder = lay_out("ham10000", tmp_path / "ham")
    own = [
        {"image_id": i, "lesion_id": i, "dx": "nv", "Fitzpatrick": t}
        for i, t in zip(IDS, ["II"] * 5 + [""], strict=True)
    ]
    write_csv(folder / "HAM10000_metadata.csv", own, ",")
    csv = toned(tmp_path / "tones.csv", "uncertain", ["true"] * 6)
    found, table = read("ham10000", folder, csv)
    assert found == [1] * 5 + [-1]
    assert "column Fitzpatrick of HAM10000_metadata.csv" in table.tone_source
    assert f"; beside them angles of tones.csv (SHA-256 {digest(csv)})" in table.tone_source
    assert sorted(table.angle_groups) == [0, 1, 1, 2, 3, 3]
    dataset = "table(csv='t.csv')"
    folder = lay_out(dataset, tmp_path / "own")
    rows = [{"image": i, "label": "nv", "group": 2, "phototype": "V"} for i in IDS]
    write_csv(folder / "t.csv", rows, ",")
    assert read(dataset, folder)[0] == [4] * 6
    assert read("table(csv='t.csv', group='group')", folder)[0] == [2] * 6
