"""Flags, YAML files and mistakes in them are dealt with before anything heavy is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    *(
        "torch",
        "torchvision",
        "timm",
        "sklearn",
        "scipy",
        "statsmodels",
        "pandas",
        "numpy",
        "cv2",
        "matplotlib",
    ),
    *("onnx", "onnxruntime", "optuna", "submitit", "tensorboardX", "huggingface_hub", "PIL"),
}
COMMANDS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("src/scripts", "preparer")
    for path in sorted((ROOT / folder).glob("*.py"))
    if "def main(" in path.read_text(encoding="utf-8")
]
# what else a command needs before it looks at a path
NEEDED = {
    "src.scripts.sweep": ["--space", str(ROOT / "configs" / "sweeps" / "demo.yaml")],
    "src.scripts.melanoma_eval": ["--predictions_csv", "nowhere.csv"],
}
TRAINER = ("melanoma_train", "run_with_submitit", "sweep", "compare_objectives", "benchmark")
PROGRAM = """
import importlib, json, sys
command, cases, heavy = json.loads(sys.argv[1])
module = importlib.import_module(command)
from src.core.errors import UserError
found = {}
for name, argv in cases.items():
    try:
        outcome = f"returned {module.main(argv)}"
    except UserError as error:
        outcome = f"error: {error}"
    except SystemExit as stop:
        outcome = f"exit {stop.code}"
    loaded = {module.partition(".")[0] for module in sys.modules}
    found[name] = [outcome, sorted(loaded & set(heavy))]
sys.stderr.write(json.dumps(found))
"""


def cases(command, tmp_path):
    """Command lines, by what is the matter with them, and what must come of each."""
    needed = NEEDED.get(command, [])
    found = {"help": (["--help"], "exit 0"), "flag": (["--flagg", "1"], "error: unknown argument")}
    if command.split(".")[-1] in (*TRAINER, "melanoma_eval", "find_duplicates"):
        (tmp_path / "wrong.yaml").write_text("epochz: 3")
        yaml = [*needed, "--config", str(tmp_path / "wrong.yaml")]
        found["type"] = ([*needed, "--num_workers", "x"], "error: --num_workers is 'x'")
        found["yaml"] = (yaml, f"error: {tmp_path / 'wrong.yaml'}: unknown key 'epochz'")
        missing = [*needed, "--data_path", str(tmp_path / "nowhere")]
        named = "predictions_csv" if "eval" in command else "data_path"
        found["path"] = (missing, f"error: --{named} ")
    if command.split(".")[-1] in (*TRAINER, "find_duplicates"):
        found["print_config"] = ([*needed, "--print_config"], "exit 0")
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_heavy_is_imported_before_flags_are_read(command, tmp_path):
    wanted = cases(command, tmp_path)
    argument = json.dumps([command, {name: argv for name, (argv, _) in wanted.items()}, [*HEAVY]])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stderr.splitlines()[-1])
    for name, (_, outcome) in wanted.items():
        assert found[name][0].startswith(outcome), name
        assert found[name][1] == [], name


def test_every_command_is_found():
    assert {"src.scripts.melanoma_train", "src.scripts.predict"} < set(COMMANDS)
    assert {path.stem for path in (ROOT / "src" / "scripts").glob("*.py")} - {"__init__"} == {
        command.rpartition(".")[2] for command in COMMANDS if command.startswith("src.scripts.")
    }
