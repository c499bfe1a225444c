"""Every command of the documentation: read as its program reads it, and run on small data.

Pages that `RUN_ELSEWHERE` names have a test of their own, which runs them. What `NOT_RUN` names is
read by the real parser only, for the reason given.
"""

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest

from src.core.flags import load_config
from src.engine.names import check_names
from tests.datasets.small_isic import read_rows, write_csv
from tests.documented import PAGES, ROOT, commands, parse

RUN_ELSEWHERE = {  # a page, or its sections: the test that runs their commands
    ("docs/ACNE.md",): "tests/longitudinal/test_acne_longitudinal.py",
    ("docs/DATA.md",): "tests/test_data_page.py",
    ("docs/EVALUATION.md", "External validation"): "tests/evaluator/test_evaluation_page.py",
    ("docs/EVALUATION.md", "Ensembles"): "tests/evaluator/test_evaluation_page.py",
    ("docs/EVIDENCE.md",): "tests/test_evidence_page.py",
    ("docs/EXPORT.md",): "tests/scripts/test_export_page.py",
    ("docs/INFERENCE.md",): "tests/prediction/test_inference_page.py",
    ("docs/PREPROCESSING.md",): "tests/test_preprocessing_page.py",
    ("docs/RUNS.md", "Going on with a run"): "tests/engine/test_resume.py",
    ("docs/RUNS.md", "Fine-tuning"): "tests/engine/test_resume.py",
    ("docs/TRUST.md",): "tests/safety/test_fit_trust.py",
}
NOT_RUN = {  # the beginning of a command, or words in it: the reason
    "make ": "the whole demo, the page or the tests themselves",
    "pip install": "needs a package index",
    "conda ": "needs conda and a package index",
    "python -m venv": "an environment without packages runs nothing",
    "docker ": "needs Docker",
    "torchrun ": "several processes: tests/engine/test_distributed.py",
    "./train.sh": "tests/test_launchers.py starts it",
    "run_with_submitit": "a cluster or a process of its own: tests/cluster",
    "--cluster slurm": "needs a cluster: tests/cluster/test_slurm.py",
    "preparer/get_data.py": "needs a network: tests/preparer/test_get_data.py",
    "preparer/make_demo.py": "draws for a minute: tests/preparer/test_make_demo.py",
    "evaluate_site": "needs what two programs made before: tests/sites/test_sites.py",
    "merge_sites": "needs the files of three sites: tests/sites/test_sites.py",
    "package_site": "needs a model of its own: tests/sites/test_sites.py",
    "--kfold 5": "five trainings: tests/engine/test_folds.py",
    "--teacher": "needs the five folds: tests/engine/test_distillation.py",
    "src.scripts.sweep": "twenty trainings: tests/sweeps/test_sweep.py",
    "other.onnx": "a model of other origin: tests/inference/test_foreign.py",
    "predictions.csv --metadata_csv HAM10000": "seven classes: tests/evaluator/test_lesions.py",
    "--metadata_csv tones.csv --label": "seven classes: tests/evaluator/test_human_tones.py",
    "--strange_folder OTHERS": "needs a fitted model: tests/safety/test_fit_trust.py",
    "types_and_tones.csv": "needs tones that people gave: tests/evaluator/test_human_tones.py",
    "--metadata_csv HAM10000/": "needs a model of HAM10000: tests/evaluator/test_metadata.py",
    "compare_objectives": "42 trainings: tests/sweeps/test_objectives.py",
    "src.scripts.gradcam": "needs maps of several positions: tests/explanation/test_grad_cam.py",
    "benchmark": "measures for minutes: tests/timing, tests/scripts",
    "source ": "changes the shell",
}
SMALL = shlex.split(
    "--model test_resnet --pretrained false --weights '' --freeze '' --input_size 32 --epochs 1 "
    "--batch_size 16 --num_workers 0 --device cpu --augment none --model_ema false "
    "--use_amp false --scheduler constant"
)


def reason(command):
    """Why a command is not run, or ""."""
    text = " ".join(command.words)
    for part, why in NOT_RUN.items():
        if text.startswith(part) if part.endswith(" ") else part in text:
            return why
    return ""


ELSEWHERE = [command for place in RUN_ELSEWHERE for command in commands(*place)]
HERE = {  # the commands that this file runs, by their page
    page: [
        command
        for command in commands(page)
        if command.program and command not in ELSEWHERE and not reason(command)
    ]
    for page in PAGES
}


@pytest.mark.slow
def test_every_command_is_one_that_its_program_takes(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = {command.words: command for page in PAGES for command in commands(page)}
    assert len(found) > 120
    for command in found.values():
        parse(command)
        is_complete = "--config configs/" in command.text or "--config" not in command.words
        if command.program == "melanoma_train" and is_complete and "--resume" not in command.words:
            check_names(load_config(command.argv))


def test_pages_that_are_run_elsewhere_are():
    for (page, *section), test in RUN_ELSEWHERE.items():
        assert f'commands("{page}"' in (ROOT / test).read_text(encoding="utf-8"), test
        assert commands(page, *section), page


def test_a_command_that_is_not_run_has_a_reason_and_every_reason_is_used():
    for page in PAGES:
        for command in commands(page):
            assert command.program or reason(command), command
    texts = [" ".join(command.words) for page in PAGES for command in commands(page)]
    assert [part for part in NOT_RUN if not any(part in text for text in texts)] == []
    for words in set(re.findall(r"tests/[\w/.]+", " ".join(NOT_RUN.values()))):
        assert (ROOT / words).exists(), words


@pytest.fixture
def stage(demo, tiny_run, tiny_onnx, tmp_path, monkeypatch):
    """A folder with all that the pages name, of one small set of drawn images."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    for name in ("demo_data/isic2020", "isic2020_challenge", "DATA"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).symlink_to(demo / "isic2020")
    for name in (
        "RUN",
        "OTHER",
        "run",
        "melanoma_output/demo",
        "melanoma_output/first",
        "demo_output/demo_1",
    ):
        shutil.copytree(tiny_run, name)
        shutil.copy(tiny_onnx, Path(name) / "best_checkpoint.onnx")
    for number in range(3):
        shutil.copytree(tiny_run, f"melanoma_output/demo_folds/fold_{number}")
    for folder, name in ((".", "other.onnx"), ("MODELS", "a.onnx"), ("MODELS", "b.onnx")):
        Path(folder).mkdir(exist_ok=True)
        shutil.copy(tiny_onnx, Path(folder) / name)
    draw_tables(demo)
    return tmp_path


def draw_tables(demo):
    """HAM10000 and folders of images of some patients, and the tables of the evaluation's page."""
    rows = read_rows(demo / "ham10000" / "HAM10000_metadata.csv")[:48]
    of_isic = {row["image_name"]: row for row in read_rows(next(demo.glob("*/ISIC*.csv")))}
    for kind, folder in (("images", "HAM10000/images"), ("masks", "HAM10000/masks")):
        Path(folder).mkdir(parents=True, exist_ok=True)
        names = {row["image_id"] for row in rows}
        for path in sorted((demo / "ham10000" / kind).iterdir()):
            if path.stem.removesuffix("_segmentation").removesuffix("_mask") in names:
                shutil.copy(path, Path(folder) / path.name)
    for folder in ("IMAGES", "FOLDER", "TEST_IMAGES"):
        Path(folder).symlink_to("HAM10000/images")
    write_csv(Path("HAM10000/HAM10000_metadata.csv"), rows, ",")
    shutil.copy(demo / "ham10000" / "HAM10000_metadata.csv", "HAM10000_metadata.csv")
    names = ("image_name", "patient_id", "target")
    isic = [of_isic[f"{row['image_id']}.jpg"] for row in rows]
    shutil.copy(demo / "isic2020" / "ISIC_2020_full.csv", "ISIC_2020_full.csv")
    published = [{name: row[name].removesuffix(".jpg") for name in names} for row in isic]
    Path("isic2020_download").mkdir()
    Path("isic2020_download/train").symlink_to(Path("HAM10000/images").absolute())
    write_csv(Path("isic2020_download/ISIC_2020_Training_GroundTruth_v2.csv"), published, ",")
    tones = ("I", "II", "III", "IV", "V", "VI")
    table = [
        {"image": row["image_id"], "skin_tone": tones[place % 6]} for place, row in enumerate(rows)
    ]
    write_csv(Path("table.csv"), table, ",")
    write_predictions(rows)


def write_predictions(rows):
    """Predictions of two and of seven classes, as `predict.py` and other software write them."""
    two, seven = [], []
    names = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    for place, row in enumerate(rows):
        likely = 0.1 + 0.8 * (row["dx"] == "mel") * (place % 5 > 0) + 0.01 * (place % 7)
        name = {"image_name": row["image_id"], "target": int(likely > 0.5)}
        two.append(name | {"probability_benign": 1 - likely, "probability_malignant": likely})
        true = [float(row["dx"].upper() == name) for name in names]
        scores = [0.4 * hit + 0.6 / 7 for hit in true]
        seven.append(
            {"image": row["image_id"], "label": true.index(1.0)}
            | dict(zip(names, scores, strict=True))
        )
    for name in ("predictions.csv", "decisions.csv", "mine.csv", "theirs.csv"):
        write_csv(Path(name), two, ",")
    truth = [row | {name: int(row[name] > 0.3) for name in names} for row in seven]
    write_csv(Path("softmax.csv"), seven, ",")
    write_csv(Path("GroundTruth.csv"), truth, ",")
    labelled = [row | {"label": int(rows[place]["dx"] == "mel")} for place, row in enumerate(two)]
    write_csv(Path("valid.csv"), labelled[:30], ",")
    write_csv(Path("test.csv"), labelled[30:], ",")


def small(command):
    """The arguments of a command, with as little to do as shows that it works."""
    argv = [path for word in command.argv for path in expanded(word)]
    if command.program == "melanoma_train":
        return [*argv, *SMALL]
    if command.program == "melanoma_eval":
        return [*argv, "--n_resamples", "100", "--output_dir", "evaluations"]
    return argv


def expanded(word):
    """The paths that a shell makes of a pattern such as `folder/name*`; else the word as it is."""
    found = sorted(map(str, Path().glob(word))) if "*" in word else []
    return found or [word]


def main_of(program):
    module = importlib.import_module(program)
    return getattr(module, "main", None) or importlib.import_module(f"src.scripts.{program}").main


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in HERE if HERE[page]])
def test_the_commands_of_a_page_run(page, stage, monkeypatch):
    monkeypatch.setattr("src.report.files.write_figures", lambda *_: [])
    for command in HERE[page]:
        assert not main_of(command.program)(small(command)), command.text
