"""The table: its schema, what fills its gaps, what it refuses, and its round trip as a CSV."""

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.csv_files import csv_separator, numbers, read_csv
from src.datasets.table import COLUMNS, SPLIT_ALIASES, SPLITS, make_table, split_csv
from src.skin.tone import GROUP_NAMES
from tests.datasets.small_isic import write_csv, write_image

CLASSES = ("benign", "malignant")


def make(**columns):
    size = len(next(iter(columns.values())))
    rows = {"image": [f"{i}.jpg" for i in range(size)], "label": [0] * size} | columns
    return make_table(pd.DataFrame(rows), CLASSES, 1)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_missing_columns_are_filled_with_unknown():
    row = make(label=[1]).rows.iloc[0]
    assert list(row.index) == list(COLUMNS)
    assert (row["group"], row["fold"]) == (-1, -1)
    assert np.isnan(row["ita"])
    assert {row[c] for c in ("patient_id", "lesion_id", "mask", "split")} == {""}


def test_rows_are_sorted_by_image_and_keep_their_values():
    table = make(image=["b", "c", "a"], label=[0, 1, 0], group=[1, 2, 3], patient_id=[*"xyz"])
    assert table.rows["image"].tolist() == ["a", "b", "c"]
    assert table.labels.tolist() == [0, 0, 1]
    assert table.group_indices.tolist() == [3, 1, 2]
    assert table.rows["patient_id"].tolist() == ["z", "x", "y"]
    assert table.labels.dtype == table.group_indices.dtype == np.int64


def test_group_comes_from_ita_only_where_it_is_missing():
    # Chardon's bounds 55, 41, 28 belong to the darker group; a given group wins over its angle.
    ita = [55.01, 55.0, 41.0, 28.0, -60.0, np.nan, 60.0, 60.0]
    group = [np.nan] * 6 + [3, -1]
    assert make(ita=ita, group=group).group_indices.tolist() == [0, 1, 2, 3, 3, -1, 3, 0]


@pytest.mark.parametrize("wrong", [4, -2, 1.5, np.inf])
def test_group_outside_the_table_of_groups_is_refused(wrong):
    with pytest.raises(UserError) as error:
        make(group=[0, wrong])
    assert f"1.jpg: group {wrong:g}" in str(error.value)
    assert all(name in str(error.value) for name in GROUP_NAMES)


@pytest.mark.parametrize("wrong", [181, -999, np.inf, -np.inf])
def test_what_is_no_angle_is_refused(wrong):
    with pytest.raises(UserError, match=rf"1\.jpg: ita {wrong:g}: expected an angle, -180 to 180"):
        make(ita=[-180, wrong])


@pytest.mark.parametrize(("written", "means"), [*SPLIT_ALIASES.items(), *((s, s) for s in SPLITS)])
def test_split_has_aliases_in_any_case(written, means):
    assert make(split=[written, written.upper(), None]).rows["split"].tolist() == [means, means, ""]


def test_unknown_split_is_refused():
    with pytest.raises(UserError, match="split 'dev': expected train, valid, test"):
        make(split=["train", "dev"])


def test_repeated_image_is_refused():
    with pytest.raises(UserError, match=r"1 rows repeat an image \(first: a.jpg\): expected one"):
        make(image=["x/a.jpg", "x/b.jpg", "x/a.jpg"])


def test_no_rows_are_refused_with_the_reason():
    rows = pd.DataFrame({"image": [], "label": []})
    with pytest.raises(UserError, match=r"expected at least one image$"):
        make_table(rows, CLASSES, 1)
    with pytest.raises(
        UserError, match=r"^2 bad images \(first: a.jpg: no such file\) and no other"
    ):
        make_table(rows, CLASSES, 1, [("a.jpg", "no such file"), ("b.jpg", "no such file")])


def test_split_gives_its_rows_in_order():
    table = make(split=["valid", "train", "valid", "test"])
    assert table.split("valid").rows["image"].tolist() == ["0.jpg", "2.jpg"]
    assert table.split("valid").rows.index.tolist() == [0, 1]
    assert [len(table.split(name)) for name in SPLITS] == [1, 2, 1]
    assert table.split("valid").classes == CLASSES


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("separator", "lines"), [(";", ["a;b", "é x;1,5", ";2"]), (",", ["a,b", 'é x,"1,5"', ",2"])]
)
def test_csv_is_read_alike_with_either_separator(tmp_path, separator, lines, mark, newline):
    path = write(tmp_path / "t.csv", mark + newline.join(lines) + newline)
    rows = read_csv(path, ("a", "b"))
    assert csv_separator(path) == separator
    assert rows["a"].fillna("<none>").tolist() == ["é x", "<none>"]
    assert rows["b"].tolist() == ["1,5", "2"]
    assert numbers(rows, "b", path).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a|b\n1|2\n",
            r"no column 'a' \(found: a\|b\); is its separator neither , nor ; nor a tab",
        ),
        ("a,b,b \n1,2,3\n", "its header has 'b' twice"),
        (",".join(f"c{i}" for i in range(2001)), "2,001 columns: expected at most 2,000"),
        ("x,b\n1,2\n", r"no column 'a' \(found: x, b\)$"),
        ("a,b\n", "no rows below the header"),
        ("", "not a CSV"),
        ("\n\n", "not a CSV"),
        ("a,b\n1,43,5\n2,44,5\n", "line 2 has more cells than the header"),
        ("a,b\n1,2\n1,2,3\n", "not a CSV .*line 3"),
        ('a,b\n"1,2\n3,4\n', "not a CSV"),
        ('"a\nb",c\n1,2\n', r"no column 'a' \(found: a\\nb, c\)"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)), "not UTF-8"),
        ("a,b\nü,2\n".encode("latin-1"), "not UTF-8: save the file as UTF-8"),
        ("sep=;\na;b\n1;2\n", "its first line is 'sep=;': remove this line"),
        (b"PK\3\4\n\0\1\2\n" * 9, "no column 'a'"),
    ],
)
def test_csv_that_is_none_is_refused_in_one_line_with_its_path(tmp_path, content, message):
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(UserError, match=message) as error:
        read_csv(path, ("a", "b"))
    assert str(error.value).startswith(str(path))
    assert str(error.value).isprintable()


def test_separators_within_quotes_do_not_count_and_utf_16_is_read(tmp_path):
    path = write(tmp_path / "t.csv", 'a;b;"left, right, other, none"\n1;2;3\n')
    assert [*read_csv(path, ("a", "b"))] == ["a", "b", "left, right, other, none"]
    for encoding in ("utf-16", "utf-8-sig"):
        path.write_bytes("a;b\nü;2\n".encode(encoding))
        assert read_csv(path, ("a", "b"))["a"].tolist() == ["ü"]


def test_absent_csv_is_refused_with_the_columns_it_should_have(tmp_path):
    with pytest.raises(UserError, match=r"none.csv: no such file; expected a CSV with a, b"):
        read_csv(tmp_path / "none.csv", ("a", "b"))


def test_text_in_a_column_of_numbers_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('image;ita\na;1.5\nb;""\nc;\nd; 2,5 \ne;dark\n')
    rows = read_csv(path, ("ita",))
    with pytest.raises(
        UserError, match=r"t\.csv: line 6: column 'ita' holds 'dark': expected a number"
    ):
        numbers(rows, "ita", path)
    assert numbers(rows[:4], "ita", path).fillna(-9).tolist() == [1.5, -9, -9, 2.5]


def test_split_written_as_csv_is_read_back_as_the_same_rows(tmp_path):
    data = tmp_path / "data set"
    names = ["ä b.jpg", "sub/c,d.png", 'e"f.jpeg', "g.jpg"]
    for name in names:
        write_image(data / "images" / name)
    write_image(data / "masks" / "g.png")
    table = make_table(
        pd.DataFrame(
            {
                "image": [str(data / "images" / name) for name in names],
                "label": [0, 1, 1, 0],
                "group": [0, 3, -1, 2],
                "ita": [60.25, -3.5, np.nan, 30.0],
                "patient_id": ["p", "", "007", "p"],
                "lesion_id": ["", "l", "l", ""],
                "mask": ["", "", "", str(data / "masks" / "g.png")],
                "split": ["train", "train", "valid", "train"],
                "fold": [0, 1, 2, 3],
            }
        ),
        ("not; mel", "mel"),
        1,
    )
    # The CSV lies outside the data's folder: its paths are relative to that folder.
    path = write(tmp_path / "train_split.csv", split_csv(table, "train", str(data)))
    back = DATASETS.build(f"table(csv={str(path)!r})", data_path=data, skin_color_csv="")
    pd.testing.assert_frame_equal(back.rows, table.split("train").rows)
    assert (back.classes, back.positive) == (table.classes, table.positive)
    assert split_csv(back, "train", str(data)) == path.read_text(encoding="utf-8")


def test_table_adapter_takes_the_group_from_ita_with_decimal_comma(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg")
    rows = [
        {"image": "a.jpg", "label": "x", "ita": "-12,5", "group": ""},
        {"image": "b.jpg", "label": "y", "ita": "43,25", "group": "0"},
    ]
    write_csv(tmp_path / "t.csv", rows)
    table = DATASETS.build("table(csv='t.csv')", data_path=tmp_path, skin_color_csv="")
    assert table.rows["ita"].tolist() == [-12.5, 43.25]
    assert table.group_indices.tolist() == [3, 0]


def test_known_columns_are_found_in_any_case(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("IMAGE_Name,Patient_ID,Site\na,p,x\n")
    assert [*read_csv(path, ("image_name",), ("patient_id",))] == [
        "image_name",
        "patient_id",
        "Site",
    ]
    named = read_csv(path, (), ("patient_id", "site"), ("Patient_ID",))
    assert [*named] == ["IMAGE_Name", "Patient_ID", "site"]
    path.write_text("image,Split,split\na,train,test\n")
    with pytest.raises(UserError, match="header has 'Split' and 'split', which are one"):
        read_csv(path, (), ("split",))
