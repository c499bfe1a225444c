"""What `pip install .` brings: one package of its own name, its programs, and nothing else."""

import os
import resource
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import with_contract

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", ROOT, *options], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The environment of a process that has the package, in a folder without the clone."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return os.environ | {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}


def needed(names):
    """The installed distributions of these requirements and of what they require, by name."""
    found, open_names = {}, [*names]
    while open_names:
        requirement = Requirement(open_names.pop())
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name.lower() not in found:
            distribution = metadata.distribution(requirement.name)
            found[requirement.name.lower()] = distribution
            open_names += distribution.requires or []
    return found


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """The Python of an environment that holds the package's own requirements, without extras."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for distribution in needed(project["dependencies"]).values():
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            (site / top).symlink_to(distribution.locate_file(top))
    return folder / "bin" / "python"


def run(environment, folder, *words):
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


def test_the_wheel_holds_every_file_of_the_source_under_its_own_name(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [path for path in (ROOT / "src").rglob("*") if path.is_file()]
    wanted = {
        f"melanoma_classification/{path.relative_to(ROOT / 'src').as_posix()}"
        for path in sources
        if "__pycache__" not in path.parts
    }
    assert wanted <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"melanoma_classification"}


def test_it_names_its_programs(wheel):
    (name,) = (n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(name).decode()
    for program in ("melanoma-train", "melanoma-eval", "melanoma-predict"):
        assert f"{program} = melanoma_classification.scripts." in text


def test_the_installed_package_predicts_as_the_clone_does(installed, tiny_onnx, demo, tmp_path):
    options = ["--onnx_model_path", tiny_onnx, "--input_folder", demo / "ham10000" / "images"]
    outputs = []
    for name, environment, folder in (
        ("melanoma_classification", installed, tmp_path),
        ("src", os.environ, ROOT),
    ):
        output = tmp_path / f"{name}.csv"
        program = f"{name}.scripts.predict"
        done = run(environment, folder, program, *options, "--output_csv", output)
        assert done.returncode == 0, done.stderr
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]


def test_predict_py_needs_the_packages_own_requirements_alone(without_torch, tmp_path):
    """Where torch cannot be imported it predicts, and --help takes less than a second."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def python(*words):
        command = [without_torch, *map(str, words)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert "No module named 'torch'" in python("-c", "import torch").stderr
    images, output = tmp_path / "images", tmp_path / "out.csv"
    images.mkdir()
    cv2.imwrite(str(images / "a.jpg"), np.zeros((40, 50, 3), np.uint8))
    model = with_contract(tmp_path / "x.onnx", make_contract(), height=32, width=32)
    flags = ["--onnx_model_path", model, "--input_folder", images, "--output_csv", output]
    done = python("predict.py", *flags, "--save_processed", tmp_path / "processed")
    assert done.returncode == 0, done.stderr
    assert output.read_text().splitlines()[1].startswith("a.jpg,")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "--input_folder" in python("predict.py", "--help").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_the_installed_trainer_runs_from_another_folder(installed, demo, tmp_path):
    small = "--model test_resnet --input_size 32 --epochs 1 --num_workers 0 --augment flips"
    options = [*small.split(), "--no_pretrained", "--data_path", demo / "isic2020"]
    program = "melanoma_classification.scripts.melanoma_train"
    done = run(installed, tmp_path, program, *options, "--run_name", "one")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "melanoma_output" / "one" / "best_checkpoint.pth").is_file()


def test_a_package_that_is_missing_is_named_with_the_way_to_install_it(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(name='torch')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    data = tmp_path / "data"
    data.mkdir()
    done = run(environment, tmp_path, "src.scripts.melanoma_train", "--data_path", data)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "torch" in done.stderr and "[train]" in done.stderr
