"""A file is the old one or the new one, whole."""

import json

import pytest

from src.core.errors import UserError
from src.core.files import check_output, expect_file, expect_folder, replacing, to_strict_json


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


def refuse(text: str):
    raise ValueError(f"{text} is no JSON")


def test_undefined_numbers_are_null_at_any_depth():
    value = {"a": float("nan"), "b": [float("inf"), {"c": (-float("inf"), 1.5)}], "d": 0}
    text = to_strict_json(value, indent=2)
    assert json.loads(text, parse_constant=refuse) == {
        "a": None,
        "b": [None, {"c": [None, 1.5]}],
        "d": 0,
    }


def test_json_keeps_every_digit_and_letter():
    value = {"naïve": 0.1 + 0.2, "n": 10**12, "flag": True, "none": None}
    text = to_strict_json(value)
    assert "naïve" in text
    assert json.loads(text) == value


def test_paths_that_are_not_what_they_should_be_are_named(tmp_path):
    file, folder, absent = tmp_path / "file", tmp_path / "folder", tmp_path / "absent"
    file.write_text("")
    folder.mkdir()
    for check, good, wrong in ((expect_file, file, folder), (expect_folder, folder, file)):
        check(good, "--flag")
        check(None, "--flag")
        for path in (wrong, absent):
            with pytest.raises(UserError, match=f"--flag {path}: expected"):
                check(path, "--flag")


def test_an_output_is_a_file_in_a_folder_and_no_input(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("")
    (tmp_path / "link.csv").symlink_to(source)
    check_output(tmp_path / "new" / "out.csv", source)
    assert [path.name for path in (tmp_path / "new").iterdir()] == []
    for path in (source, tmp_path / "link.csv", tmp_path, source / "out.csv"):
        with pytest.raises(UserError, match=r"is also an input|cannot be written"):
            check_output(path, source, tmp_path / "absent")
