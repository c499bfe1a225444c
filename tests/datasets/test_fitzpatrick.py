"""Fitzpatrick types as people write them."""

import pytest

from src.core.errors import UserError
from src.datasets.csv_files import read_csv
from src.datasets.fitzpatrick import PAIRS, SINGLE, read_angles, read_types, tones_in
from src.skin.tone import GROUP_NAMES


def table(tmp_path, cells, name="types.csv"):
    path = tmp_path / name
    path.write_text("image,type\n" + "".join(f"{i}.jpg,{c}\n" for i, c in enumerate(cells)))
    return path


def test_every_spelling_is_read(tmp_path):
    for cells, places, scale in (
        (["I", "vi", "Type III", "Fitzpatrick type 2", "4.0", ""], [0, 5, 2, 1, 3, -1], SINGLE),
        (["12", "34", "56", "unknown"], [0, 1, 2, -1], PAIRS),
        (["I-II", "III–IV", "5-6"], [0, 1, 2], PAIRS),
    ):
        _, found, names = read_types(table(tmp_path, cells), "type")
        assert (found.tolist(), names) == (places, scale)


def test_other_cells_are_named(tmp_path):
    for cells, said in (
        (["I", "VII"], "line 3: type 'VII'"),
        (["12", "3"], "line 3: type '3'"),
        (["I", "13"], "line 3: type '13'"),
        (["", "unknown"], "column 'type' names no"),
    ):
        with pytest.raises(UserError, match=said):
            read_types(table(tmp_path, cells), "type")


def test_angles_of_other_programs_are_valid_where_there_is_one(tmp_path):
    path = tmp_path / "ita.csv"
    path.write_text("image,ita\na.jpg,12.5\nb.jpg,\n")
    rows = read_angles(path)
    assert rows["valid"].tolist() == [True, False]
    assert rows["domain"].tolist() == ["", ""]
    assert rows["ita_picture"].isna().all()


def test_tones_of_people_are_groups_of_their_own(tmp_path):
    monk = tuple(f"Monk {tone}" for tone in range(1, 11))
    single = tuple(f"Fitzpatrick {name}" for name in SINGLE)
    pairs = tuple(f"Fitzpatrick {name}" for name in PAIRS)
    milk = tuple(f"MILK10k {tone}" for tone in (5, 4, 3, 2, 1, 0))
    for column, cells, places, names in (
        ("monk_scale", ["1", "10", "", "MONK 3", "-1"], [0, 9, -1, 2, -1], monk),
        ("skin_tone_class", ["0", "5.0"], [5, 0], milk),
        ("fitzpatrick_scale", ["1", "6", "-1"], [0, 5, -1], single),
        ("skin_tone", ["12", "unknown"], [0, -1], pairs),
        ("group", ["Fitzpatrick V–VI", ""], [2, -1], pairs),  # as this software writes them
        ("group", ["IV", "n/a"], [3, -1], single),
        ("group", ["Monk 10"], [9], monk),
        ("group", ["3", "-1"], [3, -1], GROUP_NAMES),
        ("group_str", ["Tan", "tan and darker", "Light", ""], [3, 3, 1, -1], GROUP_NAMES),
    ):
        path = tmp_path / "tones.csv"
        path.write_text(f"image,{column}\n" + "".join(f"x,{cell}\n" for cell in cells))
        found, groups = tones_in(read_csv(path, ()), column, path)
        assert (found.fillna(-1).tolist(), groups) == (places, names), column


def test_tones_of_no_scale_and_types_made_of_angles_are_refused(tmp_path):
    for header, row, column, said in (
        ("image,monk", "a,11", "monk", "line 2: monk '11'"),
        ("image,skin_tone", "a,0", "skin_tone", "line 2: skin_tone '0'"),
        ("image,group", "a,dark", "group", "line 2: column 'group' holds 'dark'"),
        ("image,ita,fitzpatrick,group_str", "a,60,12,x", "fitzpatrick", "from the angles"),
    ):
        path = tmp_path / "tones.csv"
        path.write_text(f"{header}\n{row}\n")
        with pytest.raises(UserError, match=said):
            tones_in(read_csv(path, ()), column, path)
