"""The shape of the code: short files and functions, rooms with a question and room to move."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE, LONGEST_FUNCTION, MOST_FILES = 300, 45, 16
DRAWERS = {"utils", "util", "tools", "common", "helpers", "misc", "lib"}
FILES = [*ROOT.glob("*.py"), *ROOT.glob("src/**/*.py"), *ROOT.glob("preparer/**/*.py")]
# of commands there may be many: each file is one
FOLDERS = sorted({p.parent for p in FILES if ROOT / "src" in p.parents} - {ROOT / "src/scripts"})


def test_no_file_is_long():
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in FILES}
    assert {name: n for name, n in lines.items() if n > LONGEST_FILE} == {}


def test_no_function_is_long():
    long = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long[f"{path.relative_to(ROOT)}: {node.name}"] = length
    assert long == {}


def test_no_file_or_folder_is_a_drawer():
    names = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert names & DRAWERS == set()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_room_can_be_taken_in_at_a_glance(folder):
    files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES


def test_every_file_says_its_job_in_its_first_line():
    silent = []
    for path in FILES:
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        if path.read_text().strip() and not text.splitlines()[:1]:
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []
