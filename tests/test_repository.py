"""What the repository promises: configurations, documented commands and launchers work."""

import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from src.core.flags import load_config, read_yaml, resolve
from src.engine.checks import check_settings
from src.models.backbones import NAMED_BACKBONES
from src.scripts import sweep
from src.sweeps.search_space import check_search, read_space
from src.sweeps.trials import check_space

ROOT = Path(__file__).resolve().parents[1]
SPACES = sorted(ROOT.glob("configs/sweeps/*.yaml"))
CONFIGS = sorted(set(ROOT.glob("configs/**/*.yaml")) - set(SPACES))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_is_valid_and_says_its_command_and_result(path):
    command, result, following, _ = path.read_text().split("\n", 3)
    starts = ("# python melanoma_train.py --config configs/", "# ./train.sh --config configs/")
    assert command.startswith(starts)
    assert path.name in command
    assert len(result) > 10 and result.startswith("# ")
    if path.parent.name == "configs":  # a whole run, not a part of one
        is_told = re.search(r" 0\.\d{3}\b|not measured here|docs/RESULTS\.md", result + following)
        assert is_told, result
    check_settings(load_config(["--config", str(path)]))


def test_files_of_data_model_and_objective_compose_in_any_combination():
    parts = [
        sorted((ROOT / "configs" / kind).glob("*.yaml"))
        for kind in ("data", "models", "objectives")
    ]
    keys = [[set(read_yaml(str(path))) for path in kind] for kind in parts]
    for first, second in itertools.combinations(keys, 2):  # so that their order does not matter
        assert set.union(*first) & set.union(*second) == set()
    for combination in itertools.product(*parts):
        cfg = load_config(["--config", *map(str, combination)])
        reverse = load_config(["--config", *map(str, combination[::-1])])
        assert cfg == reverse
        check_settings(cfg)
        for path in combination:
            for name in read_yaml(str(path)):
                assert cfg.flat()[name] == load_config(["--config", str(path)]).flat()[name]
    names = {path.stem for path in CONFIGS}
    assert {"ham10000_efficientnetv2", "derm_x_mobilenetv2", "lumen_mobilenetv3"} <= names
    assert {"lumen_shufflenetv2", "lumen_squeezenet1_1"} <= names


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_every_search_space_is_valid_and_says_its_command_and_purpose(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    command, purpose, _ = path.read_text().split("\n", 2)
    words = shlex.split(command.removeprefix("# "))
    assert words[:3] == ["python", "-m", "src.scripts.sweep"]
    assert len(purpose) > 10 and purpose.startswith("# ")
    given, options, _ = sweep.parse(words[3:])
    assert options.space == path.relative_to(ROOT)
    cfg, space = resolve(given), read_space(options.space)
    check_search(cfg, space, given)
    check_settings(cfg)
    check_space(cfg, space)


def test_every_named_backbone_is_documented():
    page = (ROOT / "docs" / "MODELS.md").read_text()
    assert [name for name in NAMED_BACKBONES if f"`{name}`" not in page] == []


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train.sh", "test.sh"])
def test_launchers_pass_their_flags_on(script, tmp_path):
    done = subprocess.run(
        [ROOT / script, "--seed", "7", "--print_config"],
        cwd=tmp_path,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "seed: 7" in done.stdout
    assert f"test: {'true' if script == 'test.sh' else 'false'}" in done.stdout


def test_make_help_lists_the_targets():
    command = ["make", "--no-print-directory", "help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    names = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert names == ["help", "demo", "page", "test-quick", "test", "test-full", "lint"]


def test_every_package_has_its_version_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    names = {re.match(r"[\w.-]+", text)[0].lower() for text in wanted} - {project["name"]}
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert sorted(name.lower() for name, _ in pins) == sorted(names)
