"""The commands and the example of docs/INFERENCE.md, on small models and images."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.scripts import predict, predict_image
from tests.artifact.test_contract import make_contract
from tests.documented import blocks, commands, read
from tests.inference.onnx_files import with_contract

PAGE = read("docs/INFERENCE.md")
COMMANDS = [command.words[1:] for command in commands("docs/INFERENCE.md")]
ON_SLURM = [words for words in COMMANDS if "--cluster" in words]


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """A folder with the models, images and table that the page names."""
    monkeypatch.chdir(tmp_path)
    for path in ("model.onnx", "models/a.onnx", "models/b.onnx"):
        Path(path).parent.mkdir(exist_ok=True)
        with_contract(Path(path), make_contract(), height=32, width=32)
    Path("images").mkdir()
    for number, name in enumerate("abc"):
        pixels = np.full((8, 8, 3), 80 * number, np.uint8)
        Path("images", f"{name}.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    Path("metadata.csv").write_text("image,lesion_id\na,1\nb,1\nc,2\n")


def test_every_command_runs(at_hand):
    assert len(COMMANDS) >= 12 and len(ON_SLURM) == 1
    for words in COMMANDS:
        script = words[1].rpartition(".")[2] if words[0] == "-m" else words[0].removesuffix(".py")
        main = {"predict": predict, "predict_image": predict_image}[script].main
        flags = words[2 if words[0] == "-m" else 1 :]
        if words in ON_SLURM:
            predict.parse(flags)
            continue
        assert main(flags) == 0, words
    assert len(list(Path("processed").iterdir())) == 3
    assert Path("predictions_lesions.csv").read_text().count("\n") == 3
    assert not list(Path().glob(".*.partial"))


def test_the_example_runs(at_hand, capsys):
    (block,) = blocks("docs/INFERENCE.md", language="python")
    exec(block, {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 4 and printed[0].startswith("Predicted: ") and "%" in printed[0]


def test_every_flag_of_the_page_is_one(at_hand):
    flags = set(re.findall(r"--([a-z_]+)", PAGE.replace("--write_model", "")))
    known = {name for part in predict.parse(COMMANDS[0][1:]) for name in vars(part)}
    assert flags - known == {"model", "image"}
