"""Metadata: rows by name, tone groups, units and groupings of real and of damaged tables."""

import itertools

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.evaluator.metadata import IMAGE_COLUMNS, Metadata, image_stem, known_images, read_metadata

NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
TONE_BY_SEX = ("Very light × f", "Tan and darker × f", "Tan and darker × m")
SEX_BY_TONE = ("f × Very light", "f × Tan and darker", "m × Tan and darker")


@pytest.fixture
def read(tmp_path):
    """Write columns as a CSV and read it."""

    def read(sep=",", image_column="", **columns) -> Metadata:
        path = tmp_path / "meta.csv"
        pd.DataFrame(columns).to_csv(path, sep=sep, index=False)
        return read_metadata(path, image_column)

    return read


@pytest.mark.parametrize(
    "name",
    ["I_1", "I_1.jpg", "I_1.JPEG", "I_1.png", " I_1.dcm ", "x/y.z/I_1.jpg", "C:\\x\\I_1.tif"],
)
def test_names_of_one_image(name, read):
    assert image_stem(name) == "I_1"
    assert read(image=[name], sex=["f"]).rows_of(["I_1.jpg"])["sex"].tolist() == ["f"]
    assert read(image=["I_1"], sex=["f"]).rows_of([name])["sex"].tolist() == ["f"]


@pytest.mark.parametrize("name", ["1.2", "a.b", "läsion 1.x 黒", ".jpg.d"])
def test_dots_that_begin_no_suffix_stay(name):
    assert image_stem(name) == name
    assert image_stem(f"{name}.jpg") == name


@pytest.mark.parametrize("column", IMAGE_COLUMNS)
def test_usual_image_columns_are_found(column, read):
    found = read(other=["x", "y"], **{column: ["a", "b"]})
    assert found.rows_of(["b.jpg"])["other"].tolist() == ["y"]


def test_the_first_usual_image_column_is_taken_unless_another_is_given(read):
    columns = {"image": ["x", "y"], "image_name": ["a", "b"], "photo": ["p", "q"], "n": ["1", "2"]}
    assert read(**columns).rows_of(["b"])["n"].tolist() == ["2"]
    assert read(**columns, image_column="photo").rows_of(["q"])["n"].tolist() == ["2"]
    assert read(**columns, image_column="image").rows_of(["x"])["n"].tolist() == ["1"]


def test_rows_come_in_the_order_asked_for_and_may_repeat(read):
    rows = read(image=NAMES, n=["1", "2", "3", "4"]).rows_of(["d", "x/b.png", "d.jpg"])
    assert rows["n"].tolist() == ["4", "2", "4"]
    assert rows.index.tolist() == [0, 1, 2]


def test_images_without_a_row_are_counted_and_the_first_named(read):
    metadata = read(image=["a", None], n=["1", "2"])
    with pytest.raises(UserError, match=r"meta.csv: no row for 2 images \(first: b\)"):
        metadata.rows_of(["a", "b.jpg", "c.jpg"])
    with pytest.raises(UserError, match="no row for 1 images"):
        metadata.rows_of([""])


def test_rows_that_differ_matter_only_where_they_are_asked_for(read):
    metadata = read(image=["a", "b.jpg", "b", "c", "c.png"], n=["1", "2", "2", "3", "4"])
    assert metadata.rows_of(["b", "a"])["n"].tolist() == ["2", "1"]
    with pytest.raises(UserError, match=r"1 images have several rows that differ \(first: c\)"):
        metadata.rows_of(["a", "c.jpg"])


@pytest.mark.parametrize(
    ("columns", "image_column", "expected"),
    [
        ({"name": ["a"]}, "", r"no column 'image_name' \(found: name\).*--metadata_image_column"),
        ({"photo": ["a"]}, "foto", r"--metadata_image_column: .* 'foto'; did you mean 'photo'\?"),
        ({"a\nb": ["a"]}, "", r"found: a\\nb"),
    ],
)
def test_tables_without_names_are_refused_in_a_line(read, columns, image_column, expected):
    with pytest.raises(UserError, match=expected) as error:
        read(**columns, image_column=image_column)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none.csv: no such file; expected a CSV with a header"):
        read_metadata(tmp_path / "none.csv")


def test_tone_groups_are_given_or_those_of_the_angle(read):
    assert read(image=NAMES, sex=["f"] * 4).tone_groups(NAMES).codes.tolist() == [-1] * 4
    given = ["2", "", "-1", "0"]
    assert read(image=NAMES, group=given).tone_groups(NAMES).codes.tolist() == [2, -1, -1, 0]
    angles = ["60,5", "45,0", "", "-3,25"]
    assert read(";", image=NAMES, ita=angles).tone_groups(NAMES).codes.tolist() == [0, 1, -1, 3]
    both = read(";", image=NAMES, group=given, ita=angles).tone_groups(NAMES).codes
    assert both.tolist() == [2, 1, -1, 0]


@pytest.mark.parametrize(
    ("group", "expected"),
    [("4", "a.jpg: group 4: expected 0 to 3"), ("1.5", "group 1.5"), ("pale", "holds 'pale'")],
)
def test_groups_that_do_not_exist_are_refused(read, group, expected):
    with pytest.raises(UserError, match=expected):
        read(image=["a"], group=[group]).tone_groups(["a.jpg"])


def partition(units: np.ndarray) -> set[frozenset[int]]:
    assert sorted(set(units)) == list(range(len(set(units))))
    return {frozenset(np.flatnonzero(units == unit).tolist()) for unit in units}


def test_units_are_what_shares_a_patient_or_a_lesion(read):
    columns = {"patient_id": ["p", "p", "", ""], "lesion_id": ["", "l", "l", ""]}
    metadata = read(image=NAMES, **columns)
    units, what = metadata.clusters(NAMES)
    assert what == "patient_id and lesion_id"
    assert partition(units) == {frozenset({0, 1, 2}), frozenset({3})}
    for column, expected in (("patient_id", {0, 1}), ("lesion_id", {1, 2})):
        units, what = metadata.clusters(NAMES, column)
        assert what == column
        assert frozenset(expected) in partition(units)
        assert len(partition(units)) == 3, "rows without one are units of their own"
        units, what = read(image=NAMES, **{column: columns[column]}).clusters(NAMES)
        assert (what, len(partition(units))) == (column, 3)


def test_without_patients_each_image_is_its_own_unit(read):
    for columns in ({"sex": ["f"] * 4}, {"patient_id": [""] * 4, "sex": ["f"] * 4}):
        units, what = read(image=NAMES, **columns).clusters(NAMES)
        assert (what, units.tolist()) == ("image", [0, 1, 2, 3])


def test_images_of_unknown_patients_are_units_of_their_own(read):
    ids = ["unknown", "Unknown", "-1", "-1"]
    for column in ("patient_id", "lesion_id", "clinic"):
        units, _ = read(image=NAMES, **{column: ids}).clusters(NAMES, column)
        assert units.tolist() == [0, 1, 2, 3]
    units, what = read(image=NAMES, patient_id=ids, lesion_id=list("llmm")).clusters(NAMES)
    assert (what, units.tolist()) == ("lesion_id", [0, 0, 1, 1])


def test_spellings_of_one_patient_are_one_unit(read):
    ids = ["1", "1.0", " 1", "P 2"]
    for column in ("patient_id", "lesion_id", "clinic"):
        units, _ = read(image=NAMES, **{column: ids}).clusters(NAMES, column)
        assert units.tolist() == [0, 0, 0, 1]
    units, _ = read(image=NAMES, patient_id=["p1", "P1", "P1\u200b", "p 2"]).clusters(NAMES)
    assert units.tolist() == [0, 0, 0, 1]


def test_lesions_numbered_within_patients_are_those_of_their_patient(read):
    """P0's lesions 1 and 2, P1's lesions 1 and 2, ...: 100 patients are 100 clusters."""
    names = [f"{place}.jpg" for place in range(200)]
    patients = [f"P{place // 2}" for place in range(200)]
    metadata = read(image=names, patient_id=patients, lesion_id=["1", "2"] * 100)
    units, _ = metadata.clusters(names)
    assert units.tolist() == [place // 2 for place in range(200)]


def test_rows_that_differ_in_spelling_are_one(read):
    metadata = read(image=["a", "a.jpg"], sex=["Male", "male "], n=["1", "1.0"])
    assert metadata.rows_of(["a"])["n"].tolist() == ["1"]


def test_units_may_be_of_any_column(read):
    metadata = read(image=NAMES, hospital=["x", "y", "x", "y"], patient_id=["p"] * 4)
    units, what = metadata.clusters(["d", "c", "b"], "hospital")
    assert (what, partition(units)) == ("hospital", {frozenset({0, 2}), frozenset({1})})
    with pytest.raises(UserError, match="no column 'hospitl'; did you mean 'hospital'"):
        metadata.clusters(NAMES, "hospitl")


@pytest.fixture
def people(read) -> Metadata:
    return read(
        image=NAMES, group=["0", "3", "3", ""], sex=["f", "m", "f", "f"], age=["20", "35", "80", ""]
    )


@pytest.mark.parametrize(
    ("text", "name", "levels", "codes"),
    [
        ("sex", "sex", ("f", "m"), [0, 1, 0, 0]),
        ("age:30,70", "age", ("<30", "30–69", "≥70"), [0, 1, 2, -1]),
        ("age : 30", "age", ("<30", "≥30"), [0, 1, 1, -1]),
        (
            "skin_tone*sex",
            "skin tone × sex",
            ("Very light × f", "Tan and darker × f", "Tan and darker × m"),
            [0, 2, 1, -1],
        ),
        (
            "sex * group",
            "sex × skin tone",
            ("f × Very light", "f × Tan and darker", "m × Tan and darker"),
            [0, 2, 1, -1],
        ),
        ("sex*age:30", "sex × age", ("f × <30", "f × ≥30", "m × ≥30"), [0, 2, 1, -1]),
    ],
)
def test_groupings_are_written_in_a_line(people, text, name, levels, codes):
    found = people.grouping(NAMES, text)
    assert (found.name, found.levels, found.codes.tolist()) == (name, levels, codes)
    reverse = people.grouping(NAMES[::-1], text)
    assert reverse.codes.tolist() == codes[::-1]


@pytest.mark.parametrize("text", ["group", "skin tone", "skin_tone"])
def test_tone_groups_have_three_names(people, text):
    found = people.grouping(NAMES, text)
    assert (found.name, found.codes.tolist()) == ("skin tone", [0, 3, 3, -1])
    assert found.levels == ("Very light", "Light", "Intermediate", "Tan and darker")


def test_former_names_of_tone_groups_are_the_present_ones(read):
    found = read(image=NAMES, group_str=["Tan", "Tan and darker", "Light", ""]).grouping(
        NAMES, "group_str"
    )
    assert (found.levels, found.codes.tolist()) == (("Light", "Tan and darker"), [1, 1, 0, -1])


def test_a_column_wins_over_what_its_name_could_mean(read):
    columns = {"skin_tone": list("xyxy"), "a:1": list("ppqq"), "b*c": list("rsrs")}
    metadata = read(image=NAMES, **columns)
    for column, values in columns.items():
        found = metadata.grouping(NAMES, column)
        assert [found.levels[code] for code in found.codes] == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sec", "--group_by: .* no column 'sec'; did you mean 'sex'"),
        ("sex*", "no column ''"),
        ("sex*ages", "no column 'ages'; did you mean 'age'"),
        ("age:", "'age:': expected numbers behind the colon"),
        ("age:30,x", "expected numbers behind the colon"),
        ("age:70,30", "expected ascending numbers, found 70,30"),
        ("sex:30", "bands need numbers"),
    ],
)
def test_groupings_that_are_none_are_refused(people, text, expected):
    with pytest.raises(UserError, match=expected) as error:
        people.grouping(NAMES, text)
    assert "\n" not in str(error.value)


def test_published_table_of_isic(real_data):
    """The truth is pandas' own reading of the file, whose one image with two rows has no place."""
    path = real_data / "isic2020" / "ISIC_2020_full.csv"
    rows = pd.read_csv(path, sep=";", decimal=",").drop_duplicates("image_name", keep=False)
    metadata = read_metadata(path)
    names = [f"valid/{name}" for name in rows["image_name"]]
    assert len(names) == 32_699
    np.testing.assert_array_equal(metadata.tone_groups(names).codes, rows["group"])
    units, what = metadata.clusters(names)
    assert what == "patient_id"
    pairs = set(zip(units.tolist(), rows["patient_id"], strict=True))
    assert len(pairs) == len(set(units.tolist())) == rows["patient_id"].nunique()
    found = metadata.grouping(names, "sex * age_approx:50")
    ages = pd.to_numeric(rows["age_approx"])
    for code, (sex, band) in enumerate(
        itertools.product(("female", "male"), (ages < 50, ages >= 50))
    ):
        np.testing.assert_array_equal(found.codes == code, (rows["sex"] == sex) & band)
    with pytest.raises(UserError, match=r"1 images have several rows .*ISIC_7951995"):
        metadata.rows_of(["ISIC_7951995.jpg"])


def test_published_table_of_ham10000(real_data):
    path = real_data / "ham10000" / "HAM10000_metadata.csv"
    rows = pd.read_csv(path)
    metadata = read_metadata(path)
    units, what = metadata.clusters(rows["image_id"].tolist())
    assert (what, len(set(units.tolist()))) == ("lesion_id", rows["lesion_id"].nunique())
    assert metadata.grouping(rows["image_id"].tolist(), "sex").levels == ("female", "male")
    assert len(metadata.grouping(rows["image_id"].tolist(), "localization").levels) == 14
    assert set(metadata.tone_groups(rows["image_id"].tolist()).codes) == {-1}


def test_known_columns_in_another_case(read):
    rows = {"Image": NAMES, "ITA": ["60", "45", "", "9"], "PATIENT_ID": [*"ppqq"], "Sex": [*"fmfm"]}
    metadata = read(**rows)
    assert metadata.tone_groups(NAMES).codes.tolist() == [0, 1, -1, 3]
    for column in ("", "PATIENT_ID", "patient_id"):
        assert metadata.clusters(NAMES, column) == (pytest.approx([0, 0, 1, 1]), "patient_id")
    assert metadata.grouping(NAMES, "Sex").levels == ("f", "m")
    assert metadata.grouping(NAMES, "ITA:50").levels == ("<50", "≥50")
    with pytest.raises(UserError, match=r"a\.jpg: ita 999: expected an angle"):
        read(image=NAMES, ita=["999", "", "", ""]).tone_groups(NAMES)


def test_cells_in_which_the_metadata_say_nothing_are_filled_by_the_predictions(read, tmp_path):
    metadata = read(image=NAMES, patient_id=["p", "unknown", "", "q"], sex=[*"fmfm"])
    own = tmp_path / "own.csv"
    rows = {"image_name": NAMES, "patient_id": [*"zpqz"], "site": [*"abab"]}
    pd.DataFrame(rows).to_csv(own, index=False)
    known = known_images(NAMES, metadata, [own]).rows_of(NAMES)
    assert known["patient_id"].tolist() == ["p", "p", "q", "q"]
    assert known["sex"].tolist() == [*"fmfm"] and known["site"].tolist() == [*"abab"]
