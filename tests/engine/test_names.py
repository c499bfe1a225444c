"""A wrong name is told by its own registry, before anything heavier is imported."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from src.core.config import SECTIONS, Config
from src.core.errors import UserError
from src.core.flags import ANNOTATIONS
from src.engine.names import CHECKS, check_names

ROOT = Path(__file__).resolve().parents[2]
# what telling a wrong name of each setting does not take
SPARED = {
    "scheduler": {"numpy", "torch"},
    "sampler": {"pandas", "torch"},
    "dataset": {"torch"},
    "preprocess": {"torch"},
    "malignant_copies": {"torch"},
    "monitor": {"torch", "matplotlib"},
    "objective": {"timm", "torchvision", "matplotlib"},
    "class_weights": {"timm", "torchvision", "matplotlib"},
}
PROGRAM = """
import json, sys
from src.core.errors import UserError
from src.scripts import melanoma_train
try:
    melanoma_train.main(["--data_path", ".", *json.loads(sys.argv[1])])
except UserError:
    print(json.dumps([module.partition(".")[0] for module in sys.modules]))
"""


def test_a_wrong_name_is_refused_and_the_defaults_are_not():
    check_names(Config())
    for setting in CHECKS:
        with pytest.raises(UserError) as error:
            check_names(Config().with_settings(**{setting: "no_such_name"}))
        assert "no_such_name" in str(error.value) and "\n" not in str(error.value), setting


def test_every_call_string_is_checked():
    sections = SECTIONS.values()
    known = [field for section in sections for field in fields(section)]
    calls = {f.name for f in known if "NAME(option=value)" in f.metadata["help"]}
    assert calls <= set(CHECKS) <= set(ANNOTATIONS)


def test_a_wrong_name_costs_its_own_registry():
    for setting, spared in SPARED.items():
        argument = json.dumps([f"--{setting}", "no_such_name"])
        command = [sys.executable, "-c", PROGRAM, argument]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not spared & set(json.loads(done.stdout)), setting
