"""The commands of docs/PREPROCESSING.md, on a small data set; its tables list every name."""

import re
import shutil
from pathlib import Path

import pytest

from preparer import preprocess_images
from src.core.flags import load_config
from src.datasets.load import load_table
from src.engine.checks import check_settings
from src.engine.run import train
from src.loading.augment import AUGMENTATIONS, Augmentation
from src.preprocess.image import read_image
from src.preprocess.steps import STEPS
from src.scripts import visualize_images
from tests.documented import commands

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "PREPROCESSING.md").read_text(encoding="utf-8")
COMMANDS = [list(command.words) for command in commands("docs/PREPROCESSING.md")]
TINY = "--model test_resnet --pretrained false --model_ema false --epochs 2 --device cpu"


@pytest.mark.slow
def test_every_command_of_the_page_runs(isic, tmp_path, monkeypatch, capsys):
    shutil.copytree(isic, tmp_path / "at" / "demo_data" / "isic2020")
    (tmp_path / "at" / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path / "at")
    said = ""
    for _, *command in COMMANDS:
        if command[0] == "preparer/preprocess_images.py":
            assert preprocess_images.main([*command[1:], "--num_workers", "0"]) == 0
            said = capsys.readouterr().out
        elif command[:2] == ["-m", "src.scripts.visualize_images"]:
            assert visualize_images.main(command[2:]) == 0
            assert read_image("images.png").shape[0] > 900  # pixels of six rows
        else:
            assert command[0] == "melanoma_train.py"
            cfg = load_config([*command[1:], *TINY.split()])
            check_settings(cfg)
            assert len(load_table(cfg.data)) == 24
    assert f'--preprocess "{cfg.data.preprocess}"' in said and cfg.data.data_path == "prepared"
    run = train(load_config([*COMMANDS[-1][2:], *TINY.split(), "--num_workers", "0"]))
    assert (run / "best_checkpoint.pth").is_file()


def test_the_page_lists_every_step_and_policy_with_its_defaults():
    first = re.findall(r"^\| `(\w+)", TEXT, re.MULTILINE)
    assert {*first} == {*STEPS.names(), *AUGMENTATIONS.names()}
    for text in re.findall(r"^\| `([^`…]+)` \|.*\| device \|$", TEXT, re.MULTILINE):
        call = AUGMENTATIONS.resolve(text)
        assert call == AUGMENTATIONS.resolve(call.name), text
        assert Augmentation(text).steps[0].pixels is not None
