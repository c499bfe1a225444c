"""Which files of a folder are images."""

import logging
import os
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.core.image_files import describe_left_out, image_keys, images_below, left_out, list_images
from src.preprocess.image import ImageError, read_image


def test_images_below_lists_images_only_in_the_order_of_their_paths(tmp_path, caplog):
    names = ["b.JPG", "a/z.png", "a.jpeg", "a/b/c/d.Png", "é/ü.jpg", "no_masks/x.jpg"]
    others = ["x.txt", "jpg", ".h.jpg", ".h/x.jpg", "masks/x.png", "a/b/masks/c/x.png", "a/x.gif"]
    for name in [*names, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "outside").symlink_to("/usr")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with caplog.at_level(logging.WARNING):
        found = images_below(tmp_path)
    told = "4 files left out (3 no suffix, 1 .gif): a/loop, a/x.gif, jpg, ..."
    assert caplog.messages == [f"{tmp_path}: {told}"]
    assert left_out(tmp_path, recursive=True) == ["a/loop", "a/x.gif", "jpg", "outside"]
    assert list_images(tmp_path, recursive=True) == found
    gone = ["a.jpeg", "b.JPG", "gone.jpg", "itself.jpg", "pipe.jpg"]
    assert list_images(tmp_path) == [tmp_path / name for name in gone]
    names += ["gone.jpg", "itself.jpg", "pipe.jpg"]
    assert found == [tmp_path / name for name in sorted(names)]
    for path in found:
        with pytest.raises(ImageError):  # and none of them hangs or stops the batch
            read_image(path)


def test_images_below_of_deeply_nested_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):
        Path("d").mkdir()
        os.chdir("d")
    Path("x.png").touch()
    assert images_below(tmp_path) == [tmp_path / ("d/" * 1100 + "x.png")]
    Path("x.png").unlink()
    for _ in range(1100):  # too deep for recursive removal
        os.chdir("..")
        Path("d").rmdir()


def test_images_below_refuses_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="nowhere: no such folder; expected a folder of images"):
        images_below(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no \.jpg, .*\.bmp images in it or below it"):
        images_below(tmp_path)
    (tmp_path / "secret").mkdir()
    (tmp_path / "x.jpg").touch()
    scandir = os.scandir

    def scan(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", scan)
    with pytest.raises(UserError, match=r"secret: cannot be listed \(Permission denied\)"):
        images_below(tmp_path)


def test_what_a_folder_s_list_leaves_out_is_named(tmp_path):
    images = ["a.TIF", "b.webp", "c.bmp", "deeper/d.jpg"]
    others = ["e.gif", "deeper/f.dcm", "g"]
    expected = ["notes.txt", "t.csv", "s.json", ".h", ".h/x.jpg", "masks/a.png", "masks/m.gif"]
    for name in [*images, *others, *expected]:
        if name != ".h":
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    listed = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert (listed, left_out(tmp_path)) == (images[:3], sorted([*others, "deeper/d.jpg"]))
    listed = [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path, recursive=True)]
    assert (listed, left_out(tmp_path, recursive=True)) == (images, sorted(others))
    assert describe_left_out(left_out(tmp_path)) == (
        "4 files left out (1 .jpg, 1 .dcm, 1 .gif, 1 no suffix): deeper/d.jpg, deeper/f.dcm, "
        "e.gif, ..."
    )


def test_a_stem_in_several_folders_is_told_apart_by_its_folder():
    assert image_keys(["x/a.jpg", "x/../y/a.png", "x/b", "y\\c"]) == [["x/a", "y/a", "b", "c"]]
    assert image_keys(["a", "x/a"], ["x/a", "y/b"]) == [["a", "a"], ["a", "b"]]
    assert image_keys(["x/a", "y/a"], ["x/a"]) == [["x/a", "y/a"], ["x/a"]]
