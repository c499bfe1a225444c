"""A file is the old one or the new one, whole."""

import json
import os
import resource
import subprocess
import sys
import time

import pytest

from src.core.errors import UserError
from src.core.files import (
    check_output,
    clear_unfinished,
    copy_whole,
    expect_file,
    expect_folder,
    make_folder,
    replacing,
    to_strict_json,
    write_text,
)


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


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_output_is_a_file_in_a_folder_and_no_input(tmp_path):
    source, other = tmp_path / "in.csv", tmp_path / "same.csv"
    source.write_text("")
    other.hardlink_to(source)
    check_output(tmp_path / "new" / "out.csv", source)
    assert names_in(tmp_path / "new") == []
    for path in (source, other, tmp_path, source / "out.csv"):
        with pytest.raises(UserError, match=r"is also an input|cannot be written"):
            check_output(path, tmp_path / "absent", source)


def outputs_that_are_no_files(folder):
    """What a path to write may be: a pipe, a device where one can be made, links to anything."""
    (folder / "data.csv").write_text("kept")
    os.mkfifo(folder / "pipe")
    for name, target in (("link", "data.csv"), ("to_pipe", "pipe"), ("to_nothing", "absent")):
        (folder / name).symlink_to(target)
    (folder / "folder").mkdir()
    found = ["pipe", "link", "to_pipe", "to_nothing", "folder"]
    if os.geteuid() == 0:
        os.mknod(folder / "null", 0o020666, os.makedev(1, 3))
        found.append("null")
    return [folder / name for name in found]


def test_only_a_file_or_a_new_name_is_replaced(tmp_path):
    paths = outputs_that_are_no_files(tmp_path)
    before = {path.name: path.lstat() for path in tmp_path.iterdir()}

    def replace(path):
        with replacing(path) as temporary:
            temporary.write_text("new")

    def replace_one_of_many(path):
        with replacing(path, one_of_many=True) as temporary:
            temporary.write_text("new")

    for path in paths:
        for write in (
            check_output,
            replace,
            replace_one_of_many,
            lambda path: write_text(path, "new"),
            lambda path: copy_whole(tmp_path / "data.csv", path),
        ):
            with pytest.raises(UserError, match=f"{path}: cannot be written, it is "):
                write(path)
    assert {path.name: path.lstat() for path in tmp_path.iterdir()} == before
    assert (tmp_path / "data.csv").read_text() == "kept"


def test_a_link_beside_the_output_is_not_written_through(tmp_path):
    (tmp_path / "data.csv").write_text("kept")
    with replacing(tmp_path / "out.csv") as temporary:
        name = temporary.name
    (tmp_path / name).symlink_to("data.csv")
    write_text(tmp_path / "out.csv", "new")
    assert (tmp_path / "data.csv").read_text() == "kept"
    assert names_in(tmp_path) == ["data.csv", "out.csv"]


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path):
    with replacing(tmp_path / "out.csv") as temporary:
        own = temporary.name
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive, far = (
        own.replace(f"-{os.getpid()}.", f"{text}.")
        for text in (f"-{ended.pid}", f"-{os.getppid()}", f"_elsewhere-{ended.pid}")
    )
    others = ["out.csv", ".out.csv.tmp", dead.replace("out", "other"), ".hidden", alive, far]
    for name in [dead, *others]:
        (tmp_path / name).write_text("half")
    write_text(tmp_path / "out.csv", "new")
    assert names_in(tmp_path) == sorted(others)
    (tmp_path / dead).mkdir()  # of a folder that is swapped
    (tmp_path / dead / "page.html").write_text("half")
    long_ago = time.time() - 2 * 86_400
    os.utime(tmp_path / far, (long_ago, long_ago))
    clear_unfinished(tmp_path)
    assert names_in(tmp_path) == sorted({*others} - {far, dead.replace("out", "other")})


def test_a_full_disk_keeps_the_old_file_and_is_one_line(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UserError, match=f"{path}: cannot be written"):
            write_text(path, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["out.csv"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / ".writable").write_text("kept")
    assert make_folder(tmp_path / "a" / "b").is_dir()
    make_folder(tmp_path)
    assert (tmp_path / ".writable").read_text() == "kept"
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(UserError, match=f"{path}: cannot be written to"):
            make_folder(path)
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "absent" / "out.csv", "")
