"""Fitzpatrick types as people write them."""

import pytest

from src.core.errors import UserError
from src.datasets.fitzpatrick import PAIRS, SINGLE, read_angles, read_types


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
