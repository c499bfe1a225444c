"""What the repository promises: configurations, documented commands and launchers work."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from preparer import assign_tone_groups, make_demo, prepare_split
from src.core.flags import load_config, resolve
from src.core.options import parse_flags
from src.engine.checks import check_settings
from src.models.backbones import NAMED_BACKBONES
from src.scripts import (
    benchmark_evaluation,
    benchmark_skin_tone,
    check_fit,
    compare_objectives,
    estimate_ita,
    evaluate_masks,
    export_model,
    find_duplicates,
    generate_skin_masks,
    get_results,
    melanoma_eval,
    predict,
    run_with_submitit,
    sweep,
    visualize_skin_tone,
    visualize_training,
)
from src.sweeps.search_space import check_space, read_space

ROOT = Path(__file__).resolve().parents[1]
SPACES = sorted(ROOT.glob("configs/sweeps/*.yaml"))
CONFIGS = sorted(set(ROOT.glob("configs/**/*.yaml")) - set(SPACES))
COMMANDS = [
    shlex.split(line.partition("#")[0])
    for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python ")
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_is_valid_and_says_its_command_and_result(path):
    command, result, _ = path.read_text().split("\n", 2)
    assert command.startswith("# python melanoma_train.py --config configs/")
    assert path.name in command
    assert len(result) > 10 and result.startswith("# ")
    check_settings(load_config(["--config", str(path)]))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_every_search_space_is_valid_and_says_its_command_and_purpose(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    command, purpose, _ = path.read_text().split("\n", 2)
    words = shlex.split(command.removeprefix("# "))
    assert words[:3] == ["python", "-m", "src.scripts.sweep"]
    assert len(purpose) > 10 and purpose.startswith("# ")
    given = parse_flags(sweep.make_sweep_parser(), words[3:])
    space, _, _ = sweep.take_options(given)
    assert Path(space) == path.relative_to(ROOT)
    cfg = resolve(given)
    sweep.check_sweep(cfg, read_space(space), given)
    check_space(cfg, read_space(space), space)


def parse(words: list[str]) -> None:
    """Read a command as its program would; a wrong flag raises."""
    program, argv = words[1], words[2:]
    if program == "-m":
        program, argv = words[2], words[3:]
    parsers = {
        "melanoma_train.py": load_config,
        "melanoma_eval.py": lambda argv: parse_flags(melanoma_eval.make_eval_parser(), argv),
        "predict.py": predict.parse_args,
        "run_with_submitit.py": lambda argv: parse_flags(
            run_with_submitit.make_submit_parser(), argv
        ),
        "src.scripts.export_model": export_model.parse_args,
        "src.scripts.estimate_ita": estimate_ita.parse_args,
        "src.scripts.generate_skin_masks": generate_skin_masks.parse_args,
        "src.scripts.evaluate_masks": evaluate_masks.parse_args,
        "src.scripts.visualize_skin_tone": visualize_skin_tone.parse_args,
        "src.scripts.sweep": lambda argv: parse_flags(sweep.make_sweep_parser(), argv),
        "src.scripts.benchmark_evaluation": benchmark_evaluation.parse_args,
        "src.scripts.benchmark_skin_tone": benchmark_skin_tone.parse_args,
        "src.scripts.visualize_training": visualize_training.parse_args,
        "src.scripts.check_fit": check_fit.parse_args,
        "src.scripts.get_results": get_results.parse_args,
        "src.scripts.compare_objectives": lambda argv: parse_flags(
            compare_objectives.make_comparison_parser(), argv
        ),
        "src.scripts.find_duplicates": lambda argv: parse_flags(
            find_duplicates.make_duplicates_parser(), argv
        ),
        "preparer/assign_tone_groups.py": assign_tone_groups.parse_args,
        "preparer/prepare_split.py": prepare_split.parse_args,
        "preparer/make_demo.py": make_demo.parse_args,
    }
    parsers[program](argv)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_every_documented_command_is_one(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    parse(words)


def test_readme_has_its_commands():
    programs = {words[1] for words in COMMANDS}
    assert {"melanoma_train.py", "melanoma_eval.py", "predict.py"} <= programs


def test_every_named_backbone_is_documented():
    page = (ROOT / "docs" / "MODELS.md").read_text()
    assert [name for name in NAMED_BACKBONES if f"`{name}`" not in page] == []


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
    assert names == ["help", "demo", "test-quick", "test", "test-full", "lint"]


def test_every_package_has_its_version_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["train"], *extras["dev"]]
    names = {re.match(r"[\w.-]+", text)[0].lower() for text in wanted} - {project["name"]}
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert sorted(name.lower() for name, _ in pins) == sorted(names)
