"""CSVs as others write them: blank lines, UTF-16, images under any usual name, in any case."""

import itertools
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.csv_files import lines_of, read_csv, refuse_cells
from src.datasets.table import IMAGE_COLUMNS
from tests.datasets.small_isic import isic_rows, write_csv, write_image


def test_lines_are_those_that_an_editor_counts(tmp_path):
    path = tmp_path / "t.csv"
    text = '\n\nimage;label\n\na.jpg;"two\nlines"\r\n \n;;\n\nb.jpg;x\n"";\n\n'
    path.write_text(text.replace(";;", ";"), newline="")
    rows = read_csv(path, ("image", "label"))
    assert rows["image"].fillna("-").tolist() == ["a.jpg", "-", "b.jpg", "-"]
    assert lines_of(path) == [5, 8, 10, 11]
    lines = path.read_text().splitlines()
    for row, line in enumerate(lines_of(path)):
        assert lines[line - 1].split(";")[0].strip('"') == rows["image"].fillna("").iloc[row]
    with pytest.raises(UserError, match="line 10: label 'x': expected y"):
        refuse_cells(path, rows, "label", rows["label"] == "x", "y")


def test_a_wrong_cell_below_blank_lines_is_named_by_its_line(tmp_path):
    path = tmp_path / "t.csv"
    for cell, told in {
        "x.jpg,": "line 6: label ''",
        ",mel": "line 6: image ''",
        "x.jpg,mel,5?": "line 6: column 'ita' holds '5\\?'",
    }.items():
        write_image(tmp_path / "a.jpg")
        path.write_text(f"image,label,ita\n\n\na.jpg,nv,\n\n{cell}\n")
        with pytest.raises(UserError, match=told):
            DATASETS.build("table(csv='t.csv')", data_path=tmp_path, skin_color_csv="")
    path.write_text("image,MEL,NV\n\na,1,0\nb,0,1\n\n\nc,1,1\n")
    with pytest.raises(UserError, match="line 7 has 2 of the classes MEL, NV"):
        text = "table(csv='t.csv', label=['MEL', 'NV'])"
        DATASETS.build(text, data_path=tmp_path, skin_color_csv="")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"])
def test_utf_16_is_read_with_and_without_its_mark(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes("image;label\nä.jpg;nævus\n\nb.jpg;\n".encode(encoding))
    assert read_csv(path, ("image",)).iloc[0].tolist() == ["ä.jpg", "nævus"]
    assert lines_of(path) == [2, 4]


def test_a_csv_of_splits_and_tones_may_call_its_images_as_usual(isic, tmp_path):
    """prepare_split.py and estimate_ita keep the names of the columns that they were given."""
    layouts = {name: as_layout(name, isic, tmp_path) for name in ("isic2020", "siim", "ham10000")}
    for column, (name, folder) in zip(
        IMAGE_COLUMNS, itertools.cycle(layouts.items()), strict=False
    ):
        rows = [
            {column.upper(): row["image_name"], "target": row["target"], "split": "train"}
            for row in isic_rows()
        ]
        csv = write_csv(tmp_path / "tones.csv", [row | {"group": 3} for row in rows])
        table = DATASETS.build(name, data_path=folder, skin_color_csv=str(csv))
        assert len(table) == 24, (column, name)
        assert set(table.rows["split"]) == {"train"}, (column, name)
        assert set(table.group_indices) == {3}, (column, name)


def as_layout(name, isic, tmp_path):
    """The images of the ISIC 2020 folder in another layout."""
    if name == "isic2020":
        return isic
    root = tmp_path / name
    for path in sorted(isic.rglob("*.jpg")):
        write_image(root / ("images" if name == "ham10000" else "jpeg/train") / path.name)
    rows = [
        {"image_name": row["image_name"], "target": row["target"], "patient_id": row["patient_id"]}
        for row in isic_rows()
    ]
    write_csv(root / "train.csv", rows)
    rows = [
        {
            "image_id": r["image_name"],
            "lesion_id": r["patient_id"],
            "dx": ("nv", "mel")[r["target"]],
        }
        for r in isic_rows()
    ]
    write_csv(root / "HAM10000_metadata.csv", rows)
    return root


def test_a_csv_without_images_is_refused_with_the_names_it_may_have(isic, tmp_path):
    csv = write_csv(tmp_path / "t.csv", [{"picture": "a", "target": 0}])
    with pytest.raises(UserError, match=r"t\.csv: no column of images \(found: picture, target\)"):
        DATASETS.build("isic2020", data_path=isic, skin_color_csv=str(csv))


def test_isic2020_images_and_rows_may_differ_in_case(isic, edit_csv):
    edit_csv(lambda rows: [row.update(image_name=row["image_name"].lower()) for row in rows])
    table = DATASETS.build("isic2020", data_path=isic, skin_color_csv="")
    assert (len(table), table.bad) == (24, ())
    assert groups_by_name(table) == {row["image_name"]: row["group"] for row in isic_rows()}
    # two names that differ in case alone are told apart where both are there
    write_image(isic / "train" / "benign" / "isic_0.jpg")
    other = isic_rows()[0] | {"image_name": "isic_0.jpg", "group": 2}
    edit_csv(lambda rows: rows.__setitem__(0, isic_rows()[0]) or rows.append(other))
    table = DATASETS.build("isic2020", data_path=isic, skin_color_csv="")
    groups = groups_by_name(table)
    assert (groups["isic_0.jpg"], groups["ISIC_0.jpg"], table.bad) == (2, 0, ())


def groups_by_name(table):
    names = [Path(image).name for image in table.rows["image"]]
    return dict(zip(names, table.group_indices, strict=True))
