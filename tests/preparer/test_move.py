"""Images are sorted into the folders that their table states, and none is lost."""

import os
from pathlib import Path

import pytest

from preparer import move, sorting
from src.core.errors import Terminated, UserError
from src.datasets.adapters import DATASETS
from tests.datasets.small_isic import isic_rows, write_csv, write_image


@pytest.fixture
def data(tmp_path):
    """A table with a split, its images in two folders, masks of half of them."""
    rows = isic_rows()
    for number, row in enumerate(rows):
        write_image(tmp_path / "images" / str(number % 2) / row["image_name"], number)
        if number % 2:
            name = f"{Path(row['image_name']).stem}_segmentation.png"
            write_image(tmp_path / "lesions" / name, number)
    write_csv(tmp_path / "t.csv", rows)
    return tmp_path


def run(data, *flags, out="out"):
    folders = ["--images", str(data / "images"), "--output_dir", str(data / out)]
    return move.main(["--csv", str(data / "t.csv"), *folders, *flags])


def files(folder):
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}


def wanted(row):
    return f"{row['split']}/{('benign', 'malignant')[row['target']]}/{row['image_name']}"


def test_every_image_is_in_its_folder_and_isic2020_reads_them(data):
    before = {path.name: path.read_bytes() for path in files(data / "images").values()}
    for how in ("link", "copy", "move"):
        assert run(data, "--how", how, "--masks", str(data / "lesions"), out=how) == 0
        found = files(data / how)
        images = {name: path for name, path in found.items() if not name.startswith("masks/")}
        assert set(images) == {wanted(row) for row in isic_rows()}
        assert {path.name: path.read_bytes() for path in images.values()} == before
        assert all(path.is_symlink() == (how == "link") for path in found.values())
        assert len(found) == 36
        assert len(files(data / "images")) == (0 if how == "move" else 24)
        table = DATASETS.build("isic2020", data_path=data / how, skin_color_csv=str(data / "t.csv"))
        assert (len(table), table.bad) == (24, ())
        assert (table.rows["mask"] != "").sum() == 12
        if how != "move":
            assert run(data, "--how", how, "--masks", str(data / "lesions"), out=how) == 0
            assert set(files(data / how)) == set(found)


def test_after_an_interruption_it_goes_on(data, monkeypatch, capsys):
    real, done = sorting._put, []

    def put(*arguments):
        if len(done) == 7:
            raise Terminated
        done.append(arguments)
        real(*arguments)

    monkeypatch.setattr(sorting, "_put", put)
    with pytest.raises(Terminated):
        run(data, "--how", "move")
    assert len(files(data / "out")) + len(files(data / "images")) == 24
    monkeypatch.setattr(sorting, "_put", real)
    assert run(data, "--how", "move") == 0
    assert len(files(data / "out")) == 24
    assert "17 files: move; 7 were in their place" in capsys.readouterr().out
    # moved into a new split: of the same folder, where all images are by now
    rows = [row | {"split": "test"} for row in isic_rows()]
    write_csv(data / "t.csv", rows)
    (data / "images" / "x.jpg").write_bytes(b"")
    assert run(data, "--how", "move") == 0
    assert {name.split("/")[0] for name in files(data / "out")} == {"test"}


def test_a_disk_without_hard_links_is_no_obstacle(data, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert run(data, "--how", "move") == 0
    assert len(files(data / "out")) == 24
    assert len(files(data / "images")) == 0


def test_another_file_in_the_place_is_not_lost(data):
    own = write_image(data / "out" / wanted(isic_rows()[0]), 99).read_bytes()
    with pytest.raises(UserError, match=r"ISIC_0\.jpg: is there and is another file"):
        run(data, "--how", "move")
    assert (data / "out" / wanted(isic_rows()[0])).read_bytes() == own
    assert (data / "images" / "0" / "ISIC_0.jpg").is_file()


def test_images_that_are_nowhere_are_told_and_the_others_sorted(data, capsys):
    (data / "images" / "0" / "ISIC_0.jpg").unlink()
    assert run(data) == 1
    captured = capsys.readouterr()
    assert "no such image: ISIC_0" in captured.err
    assert "1 images of" in captured.out
    assert len(files(data / "out")) == 23


def test_tables_that_lead_elsewhere_or_nowhere_are_refused_before_anything_moves(data):
    cases = {
        "label": ("../../escaped", "cannot be a folder"),
        "split": ("../up", "split '../up': expected train, valid, test"),
        "image_name": ("ISIC_1.jpg", "two rows have the image ISIC_1"),
    }
    for column, (cell, told) in cases.items():
        rows = [{"label": ("nv", "mel")[row["target"]]} | row for row in isic_rows()]
        rows[0][column] = cell
        write_csv(data / "t.csv", [{k: v for k, v in r.items() if k != "target"} for r in rows])
        with pytest.raises(UserError, match=told):
            run(data, "--how", "move")
        assert len(files(data / "images")) == 24
    for label in ("a/b", "..", ".hidden", "con:x", "masks", "\x1b[31m"):
        rows = [row | {"label": label if row["target"] else "nv"} for row in isic_rows()]
        write_csv(data / "t.csv", [{k: v for k, v in r.items() if k != "target"} for r in rows])
        with pytest.raises(UserError, match=r"cannot be a folder|have no class"):
            run(data)
    assert not (data / "out").exists()
    write_image(data / "images" / "again" / "ISIC_0.jpg")
    write_csv(data / "t.csv", isic_rows())
    with pytest.raises(UserError, match="have one name: which is meant"):
        run(data)


def test_classes_without_a_split_are_folders_of_their_own(data):
    rows = [
        {"image_id": row["image_name"], "dx": ("nv", "mel")[row["target"]]} for row in isic_rows()
    ]
    write_csv(data / "t.csv", rows)
    assert run(data) == 0
    table = DATASETS.build("folders", data_path=data / "out", skin_color_csv="")
    assert (len(table), table.classes) == (24, ("nv", "mel"))
