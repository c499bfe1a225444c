"""predict.py: which images it takes and names, what it shows, which files it leaves alone."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.core.classes import NOTICE
from src.core.errors import UserError
from src.scripts import predict
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import WEIGHTS, node, scorer, with_contract

ROOT = Path(__file__).resolve().parents[2]
PIXELS = np.full((8, 8, 3), (204, 102, 51), np.uint8)


@pytest.fixture
def model(tmp_path):
    return with_contract(tmp_path / "x.onnx", make_contract(), height=32, width=32)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def draw(*paths):
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(".png", PIXELS)[1].tobytes())


def run(model, images, *more, output=None):
    """(exit code, rows of the CSV)."""
    output = output or images.parent / "out.csv"
    options = ["--onnx_model_path", model, "--input_folder", images, "--output_csv", output]
    code = predict.main([*map(str, options), *more])
    with output.open(newline="", encoding="utf-8") as file:
        return code, list(csv.DictReader(file))


def test_subfolders_are_read_or_counted_and_so_is_what_is_no_image(model, images, capsys):
    draw(images / "a.png", images / "deeper" / "b.png", images / "deeper" / "a.png")
    (images / "scan.dcm").touch()
    (images / ".hidden").touch()
    code, rows = run(model, images)
    assert (code, [row["image_name"] for row in rows]) == (0, ["a.png"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("3 files left out") and "deeper/a.png" in line and "scan.dcm" in line
    assert line.endswith("give --recursive to predict those in subfolders")
    code, rows = run(model, images, "--recursive")
    names = ["a.png", "deeper/a.png", "deeper/b.png"]
    assert (code, [row["image_name"] for row in rows]) == (0, names)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1 file left out") and "scan.dcm" in line and "--recursive" not in line
    (images / "a.png").unlink()
    with pytest.raises(UserError, match=r"no \.jpg.* images in it \(3 files left out.*--recursive"):
        run(model, images)


def test_images_of_all_kinds_are_predicted(model, images, capsys):
    kinds = ("jpg", "JPEG", "png", "tif", "webp", "bmp")
    for number, suffix in enumerate(kinds):
        data = cv2.imencode(f".{suffix.lower()}", PIXELS)[1]
        (images / f"{number}.{suffix}").write_bytes(data.tobytes())
    code, rows = run(model, images)
    assert code == 0
    assert [row["image_name"] for row in rows] == [f"{n}.{kind}" for n, kind in enumerate(kinds)]
    assert capsys.readouterr().err == ""


def test_an_ensemble_of_files_predicts(model, images, capsys):
    draw(images / "a.png")
    folder = images.parent / "ensemble"
    folder.mkdir()
    for name in ("fold_0.onnx", "fold_1.onnx"):
        (folder / name).write_bytes(model.read_bytes())
    _, (one,) = run(model, images, "--probabilities")
    code, (row,) = run(folder, images, "--probabilities")
    assert code == 0 and row == one
    assert "ensemble: mean probabilities of 2 models" in capsys.readouterr().out
    for voting in ("majority", "logits"):
        _, (row,) = run(folder, images, "--voting", voting, "--member_weights", "1", "3")
        assert row["target"] == one["target"]
    with pytest.raises(UserError, match="--member_weights: found 1 for 2 models"):
        run(folder, images, "--member_weights", "1")
    with pytest.raises(UserError, match="is also an input"):
        run(folder, images, output=folder / "fold_1.onnx")


def test_images_without_a_prediction_have_no_class(images, capsys):
    draw(images / "a.png", images / "b.png")
    path = scorer(images.parent / "nan.onnx", weights=[[float("nan")] * 2] * 3)
    code, rows = run(path, images)
    told = capsys.readouterr()
    assert (code, rows) == (1, [])
    assert "0 of 2 images predicted" in told.out
    assert [line.split(":")[:2] for line in told.err.splitlines()] == [
        ["not predicted", " a.png"],
        ["not predicted", " b.png"],
        ["2 images not predicted", f" {images.parent / 'out_errors.csv'}"],
    ]


def test_a_foreign_model_is_told_of_in_whole_words(images, capsys):
    draw(images / "a.png")
    tail = (node("Sigmoid", "scores", "y"),)
    path = scorer(images.parent / "x.onnx", tail, WEIGHTS[1], ("n", 8, 8, 3), last="y")
    code, (row,) = run(path, images, "--probabilities", "--normalize", "unit")
    expected = 1 / (1 + np.exp(-0.2))
    assert code == 0 and float(row["probability_malignant"]) == pytest.approx(expected, abs=1e-6)
    told = capsys.readouterr().out
    for words in ("no contract", "channels last", "to 0...1", "'y' is taken for probabilities"):
        assert words in told
    _, (row,) = run(path, images, "--probabilities", "--normalize", "none")
    assert float(row["probability_malignant"]) == pytest.approx(1)
    with pytest.raises(UserError, match="--classes: classes '0 a' and '1 A' have the same name"):
        run(path, images, "--classes", "a,A")
    with pytest.raises(UserError, match=r"--outputs is 'logit'.*logits"):
        run(path, images, "--outputs", "logit")


def test_words_of_strangers_are_shown_and_written_safely(images, capsys):
    contract = make_contract(classes=("\x1b[2Jgood\nFor sure a diagnosis.", "=bad" * 100))
    path = with_contract(images.parent / "x.onnx", contract, height=32, width=32)
    draw(images / "=1+1.png", images / "-2.png", images / "\x1b[31m.png")
    (images / "\x1b[32m.png").touch()
    folder = images / "caf\udce9"
    folder.mkdir()
    draw(folder / "a.png")
    code, rows = run(path, images, "--recursive")
    told = capsys.readouterr()
    assert code == 1 and "\x1b" not in told.out + told.err
    assert [row["image_name"] for row in rows] == ["\x1b[31m.png", "'-2.png", "'=1+1.png"]
    assert NOTICE in told.out.splitlines()
    assert not any(line.startswith("For sure") for line in told.out.splitlines())
    assert max(map(len, told.out.splitlines())) < 300
    assert r"\udce9/a.png: its name is not UTF-8" in told.err
    assert r"not predicted: \x1b[32m.png: empty file" in told.err


def test_models_that_are_no_files_are_refused_at_once(images, tmp_path):
    draw(images / "a.png")
    os.mkfifo(tmp_path / "pipe.onnx")
    for path, found in ((tmp_path / "pipe.onnx", "pipe or device"), ("/dev/zero", "pipe or dev")):
        with pytest.raises(UserError, match=f"expected an ONNX file or a folder.*{found}"):
            run(path, images)
    for path in ("a\0b", "\udc80.onnx"):
        with pytest.raises(UserError, match="--onnx_model_path"):
            run(path, images)


@pytest.mark.slow
def test_a_stopped_prediction_leaves_what_it_can_resume(model, images):
    draw(*(images / f"{number}.png" for number in range(1000)))
    output = images.parent / "out.csv"
    command = [sys.executable, "predict.py", "--onnx_model_path", model, "--input_folder", images]
    process = subprocess.Popen(
        [*map(str, command), "--output_csv", str(output), "--batch_size", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    while not list(images.parent.glob(".out.csv*")) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143 and told == b"terminated\n"
    left = sorted(path.name for path in images.parent.iterdir())
    assert left[1:] == ["images", "x.onnx"] and left[0].endswith(".partial")
