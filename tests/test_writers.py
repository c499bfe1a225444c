"""What a command writes to is a file: no device, pipe, link or input is ever replaced."""

import importlib
import os
import re
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.core.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
TABLE = "image_name,target,patient_id,split,color_r,color_g,color_b\na,0,p,train,200,150,120\n"
EPOCH = '[{"epoch": 0, "train_loss": 1, "lr": 1, "valid": null, "is_best": true}]'
# of each command that writes a file: its flags, {} is the output; what it must not write over
FILES = {
    "src.scripts.predict": (
        "--onnx_model_path model.onnx --input_folder images --output_csv {}",
        ("model.onnx", "images/a.png"),
    ),
    "src.scripts.estimate_ita": (
        "images --masks experts --output_csv {}",
        ("images/a.png", "experts/a_mask.png"),
    ),
    "src.scripts.watch": (
        "--onnx_model_path model.onnx --reference images --write_model {}",
        ("model.onnx",),
    ),
    "src.scripts.visualize_training": ("run --output {}", ("run/training_history.json",)),
    "src.scripts.visualize_images": ("--data_path images --output {}", ()),
    "src.scripts.melanoma_eval": (
        "--onnx_model_path model.onnx --calibration temperature --write_model {}",
        ("model.onnx",),
    ),
    "src.scripts.calibration": ("--onnx_model_path model.onnx --write_model {}", ("model.onnx",)),
    "src.scripts.ood_detection": (
        "--onnx_model_path model.onnx --fit --write_model {}",
        ("model.onnx",),
    ),
    "src.scripts.package_site": ("--onnx_model_path model.onnx --output_path {}", ("model.onnx",)),
    "src.scripts.evaluate_site": (
        "--input_folder images --csv table.csv --site a --key_file table.csv "
        "--onnx_model_path model.onnx --output_json {}",
        ("table.csv", "model.onnx", "images/a.png"),
    ),
    "src.scripts.flag_reference": ("--output {}", ()),
    "preparer.prepare_dermnet": ("--dermnet images --output_csv {}", ()),
    "preparer.prepare_ham10000": ("--data_path images --output_csv {}", ()),
    "preparer.prepare_split": ("--csv table.csv --output_csv {}", ("table.csv",)),
    "preparer.assign_tone_groups": ("--csv table.csv --output_csv {}", ("table.csv",)),
}
# of each command that names its files itself: its flags, {} is their folder; one of them
FOLDERS = {
    "src.scripts.acne_longitudinal": ("--csv table.csv --output_dir {}", "effects.csv"),
    "src.scripts.export_model": ("--checkpoint_path best.pth --output_dir {}", "best.onnx"),
    "src.scripts.evaluate_masks": ("images --masks experts --output_dir {}", "worst_masks.png"),
    "src.scripts.evaluate_tones": (
        "--csv table.csv --fitzpatrick_column f --images images --output_dir {}",
        "types_by_image.csv",
    ),
    "src.scripts.find_duplicates": ("--images images --output_dir {}", "duplicates.csv"),
    "src.scripts.generate_skin_masks": (
        "--source_path images --num_workers 0 --output_dir {}",
        "a_mask.png",
    ),
    "src.scripts.gradcam": (
        "images --checkpoint_path best.pth --output_dir {}",
        "contact_sheet.png",
    ),
    "src.scripts.merge_sites": ("table.csv --unsigned --output_dir {}", "report.html"),
    "preparer.preprocess_images": (
        "--source_path images --num_workers 0 --preprocess resize --output_dir {}",
        "preprocessed.csv",
    ),
}
# whose folder is one of a run: written by the trainer, tested there
RUNS = {"melanoma_train", "run_with_submitit", "sweep", "compare_objectives"}
SUFFIX = {
    "visualize_training": ".png",
    "visualize_images": ".png",
    "melanoma_eval": ".onnx",
    "calibration": ".onnx",
    "ood_detection": ".onnx",
    "watch": ".onnx",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, with an input of each kind."""
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "experts", "run"):
        (tmp_path / folder).mkdir()
    image = np.full((40, 40, 3), 200, np.uint8)
    for name in ("images/a.png", "experts/a_mask.png"):
        cv2.imwrite(str(tmp_path / name), image)
    for name in ("model.onnx", "best.pth"):
        (tmp_path / name).write_bytes(b"a model")
    (tmp_path / "table.csv").write_text(TABLE)
    (tmp_path / "run" / "training_history.json").write_text(EPOCH)
    return tmp_path


def no_files(folder: Path, suffix: str) -> list[Path]:
    """Paths in a new folder that are no files: a pipe, a device, links to anything."""
    folder.mkdir()
    (folder / "kept").write_text("kept")
    os.mkfifo(folder / f"pipe{suffix}")
    for name, target in (("to_pipe", f"pipe{suffix}"), ("link", "kept"), ("to_nothing", "absent")):
        (folder / f"{name}{suffix}").symlink_to(target)
    if os.geteuid() == 0:
        os.mknod(folder / f"null{suffix}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return [path for path in folder.iterdir() if path.name != "kept"]


def state(folder: Path) -> dict:
    """What there is below a folder; the bytes of files."""
    return {
        path: (found.st_mode, found.st_ino, stat.S_ISREG(found.st_mode) and path.read_bytes())
        for path in folder.rglob("*")
        if (found := path.lstat())
    }


def refused(command: str, flags: str, output: Path | str) -> str:
    main = importlib.import_module(command).main
    with pytest.raises(UserError) as error:
        main([word.replace("{}", str(output)) for word in flags.split()])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("command", FILES)
def test_a_file_to_write_is_a_file_and_no_input(place, command):
    flags, inputs = FILES[command]
    suffix = SUFFIX.get(command.rpartition(".")[2], ".csv")
    paths = no_files(place / "out", suffix)
    for number, name in enumerate(inputs):
        linked = place / "out" / f"same_{number}{suffix}"
        linked.hardlink_to(place / name)
        paths.append(linked)
    before = state(place)
    for path in paths:
        told = refused(command, flags, path)
        assert path.name in told and ("cannot be written" in told or "input" in told), told
    for text in ("a\0b", "a\udcff"):
        assert "UTF-8" in refused(command, flags, f"{text}{suffix}")
    assert state(place) == before


@pytest.mark.parametrize("command", FOLDERS)
def test_a_file_in_a_folder_to_write_is_a_file(place, command):
    flags, name = FOLDERS[command]
    for number, path in enumerate(no_files(place / "out", "")):
        folder = place / f"out_{number}"
        folder.mkdir()
        path.rename(folder / name)
        (folder / "kept").write_text("kept")
        before = state(folder)
        assert f"{name}: cannot be written, it is " in refused(command, flags, folder)
        assert {path: state(folder).get(path) for path in before} == before


def test_every_command_that_writes_is_here():
    """Those with a flag of a place to write, by its name in `--help`."""
    known = {name.rpartition(".")[2] for name in (*FILES, *FOLDERS)}
    # whose whole folder is tested elsewhere
    known |= RUNS | {"make_demo", "get_results", "visualize_skin_tone", "get_data", "move"}
    known |= {"selection_bias", "passport", "checklist"}
    for path in [*(ROOT / "src/scripts").glob("*.py"), *(ROOT / "preparer").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if "def main(" in text and re.search(r"^    (output|write)\w*:", text, re.MULTILINE):
            assert path.stem in known, path
