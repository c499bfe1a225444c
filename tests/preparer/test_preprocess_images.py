"""`preprocess_images`: what training does before ||, done once; the network sees the same."""

import cv2
import numpy as np
import pandas as pd
import pytest

from preparer import preprocess_images
from src.batch import preprocessed
from src.core.errors import UserError
from src.core.image_files import images_below
from src.core.settings import Data
from src.datasets.load import load_table
from src.preprocess.image import write_png
from src.preprocess.spec import parse_preprocessing
from tests.datasets.small_isic import isic_rows, write_csv, write_image

SPEC = "remove_hair | clahe | pad_resize(size=32) || normalize(stats='imagenet')"


@pytest.fixture
def data(tmp_path):
    """Images of several sizes in two folders: JPEGs, a PNG, one hair over skin; and a table."""
    for number, row in enumerate(isic_rows()):
        path = tmp_path / "data" / "images" / row["image_name"]
        write_image(path, number)
        if number == 3:
            skin = np.full((150, 200, 3), (215, 165, 145), np.uint8)
            cv2.line(skin, (10, 20), (190, 130), (30, 25, 20), 2, cv2.LINE_AA)
            write_png(path.with_suffix(".png"), skin)
            path.unlink()
    write_csv(tmp_path / "data" / "table.csv", isic_rows())
    return tmp_path / "data"


def run(data, spec=SPEC, out="out", size="32"):
    output = data.parent / out
    flags = ["--source_path", str(data), "--output_dir", str(output), "--num_workers", "0"]
    return preprocess_images.main([*flags, "--preprocess", spec, "--input_size", size]), output


def test_the_network_sees_the_same_bit_by_bit_with_the_steps_that_are_left(data, capsys):
    large = cv2.resize(cv2.imread(str(data / "images" / "ISIC_0.jpg")), (400, 300))
    cv2.imwrite(str(data / "images" / "ISIC_0.jpg"), large)
    specs = (
        SPEC,
        "remove_hair | clahe",
        "scaled_jpeg | resize(height=24, width=40) | shades_of_grey || normalize(stats='half')",
        "remove_hair | lesion_crop | clahe || pad_resize | normalize(stats='imagenet')",
        "pad_resize(size=48) | to_lab | normalize(mean=(50, 0, 0), std=(20, 9.5, 9))",
    )
    for number, text in enumerate(specs):
        if number == 1:  # what has no size is refused, as in training
            with pytest.raises(UserError, match="fixes the size"):
                run(data, text)
            continue
        code, output = run(data, text, f"out{number}")
        assert code == 0
        left = capsys.readouterr().out.partition('--preprocess "')[2].partition('"')[0]
        whole, rest = parse_preprocessing(text, 32), parse_preprocessing(left, 32)
        assert {s.name for s in rest.steps}.isdisjoint({"remove_hair", "clahe", "lesion_crop"})
        paths = images_below(data)
        assert len(paths) == 24
        for path in paths:
            prepared = output / path.relative_to(data).with_suffix(".png")
            original = whole.decode(path.read_bytes())[0]
            seen = rest(rest.decode(prepared.read_bytes())[0])
            np.testing.assert_array_equal(seen, whole(original))
            assert prepared.suffix == ".png" and seen.dtype == np.float32


def test_training_finds_the_same_rows_in_the_output(data):
    output = run(data)[1]
    tables = [
        load_table(Data(dataset="table(csv='table.csv', label='target')", data_path=str(folder)))
        for folder in (data, output)
    ]
    assert len(tables[0]) == 24
    columns = ["label", "patient_id", "split"]
    pd.testing.assert_frame_equal(*(table.rows[columns] for table in tables))
    stems = [[image.rpartition("/")[2].split(".")[0] for image in t.rows["image"]] for t in tables]
    assert stems[0] == stems[1]


def test_an_interrupted_run_goes_on_where_it_was_and_another_spec_begins_anew(data, monkeypatch):
    done, whole = [], preprocessed.preprocess_row

    def interrupted(path, **given):
        if len(done) == 10:
            raise KeyboardInterrupt
        done.append(path)
        return whole(path, **given)

    with monkeypatch.context() as patch:
        patch.setattr(preprocessed, "preprocess_row", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(data)
    output = data.parent / "out"
    first = {file: file.stat().st_mtime_ns for file in (output / "images").iterdir()}
    assert len(first) == 10 and not (output / "preprocessed.csv").exists()
    gone = output / "images" / f"{done[4].stem}.png"
    gone.unlink()
    write_image(done[7], 77)  # another image
    assert run(data)[0] == 0
    redone = {file.stem for file, time in first.items() if file.stat().st_mtime_ns != time}
    assert redone == {done[4].stem, done[7].stem}
    assert run(data, SPEC.replace("size=32", "size=40"))[0] == 0
    listed = pd.read_csv(output / "preprocessed.csv")
    assert set(listed["height"]) == {40} and len(listed) == 24 and (listed["status"] == "ok").all()


def test_bad_images_are_listed_and_the_others_written(data, capsys):
    (data / "images" / "ISIC_4.jpg").write_bytes(b"\xff\xd8 no image")
    code, output = run(data)
    assert code == 1 and "ISIC_4.jpg" in capsys.readouterr().out
    rows = pd.read_csv(output / "preprocessed.csv").set_index("image")
    assert rows.loc["images/ISIC_4.jpg", "status"] != "ok"
    assert (rows["status"] == "ok").sum() == 23 == len([*(output / "images").iterdir()])


def test_mistakes_are_told_before_anything_is_written(data):
    with pytest.raises(UserError, match=r"output_dir .* is inside"):
        run(data, out="data/images/out")
    with pytest.raises(UserError, match="expected steps before"):
        run(data, "|| pad_resize | normalize(stats='half')")
    with pytest.raises(UserError, match="'removehair'"):
        run(data, SPEC.replace("remove_hair", "removehair"))
    write_image(data / "images" / "ISIC_4.png")
    with pytest.raises(UserError, match=r"ISIC_4\.jpg and .*ISIC_4\.png would both become"):
        run(data)
    assert not (data.parent / "out").exists()
