"""Imports go as docs/ARCHITECTURE.md says: to lower rooms only, some without torch."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TORCH = {"torch", "torchvision", "timm"}
DRAWING = {"matplotlib", "seaborn"}
ENTRY_POINTS = "entry points"


def rooms():
    """(level, modules that need no torch) of each room in the page's table."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| ([\w ]+) \| [^|]+ \| ([\w, ]*?) ?\|$", page, re.MULTILINE)
    return {room: (int(level), free.split(", ") if free else []) for level, room, free in rows}


ROOMS = rooms()


def modules():
    """Name and path of every module of `src`, `preparer` and the entry points."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("src/**/*.py"), *ROOT.glob("preparer/**/*.py")]
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in files]
    return {
        n.removesuffix("/__init__").replace("/", "."): f for n, f in zip(names, files, strict=True)
    }


MODULES = modules()


@functools.cache
def imports(name):
    """Every module that a module names in an import, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= inner or {module}
    return found


def room_of(name):
    """The room that a module is in, None for a library and for the package itself."""
    first, *rest = name.split(".")
    if first == "src":
        return rest[0] if rest else None
    return ENTRY_POINTS if first == "preparer" or (name in MODULES and not rest) else None


def test_the_table_has_every_room_and_no_other():
    folders = {path.parent.name for path in ROOT.glob("src/*/*.py")}
    assert {*ROOMS} == folders | {ENTRY_POINTS}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_lower_rooms_only(room):
    wrong = []
    for name in (name for name in MODULES if room_of(name) == room):
        for imported in imports(name):
            other = room_of(imported)
            if other not in (None, room) and ROOMS[other][0] >= ROOMS[room][0]:
                wrong.append(f"{name} imports {imported}")
    assert not wrong


def test_the_package_is_imported_by_relative_imports_alone():
    inside = [name for name in MODULES if name.startswith("src.")]
    texts = {name: MODULES[name].read_text(encoding="utf-8") for name in inside}
    assert [
        n for n, text in texts.items() if re.search(r"^\s*(from|import) src\b", text, re.M)
    ] == []


def reached(start):
    """What modules import, directly or over others: module -> the chain that led there."""
    seen = {name: name for name in start}
    todo = list(start)
    while todo:
        name = todo.pop()
        for imported in imports(name):
            if imported not in seen:
                seen[imported] = f"{seen[name]} -> {imported}"
                if imported in MODULES:
                    todo.append(imported)
    return seen


def free_of_torch():
    for room, (_, free) in ROOMS.items():
        prefix = "" if room == ENTRY_POINTS else f"src.{room}."
        wanted = [f"{prefix}{name}" for name in free if name != "all"]
        if "all" in free:
            wanted += [name for name in MODULES if name.startswith(prefix)]
        if wanted:
            yield pytest.param(wanted, id=room)


@pytest.mark.parametrize("start", list(free_of_torch()))
def test_what_must_run_without_torch_never_reaches_it(start):
    assert set(start) <= set(MODULES)
    assert [chain for name, chain in reached(start).items() if name.split(".")[0] in TORCH] == []


@pytest.mark.slow
def test_what_runs_without_torch_is_imported_where_there_is_no_fcntl():
    names = sorted({name for parameters in free_of_torch() for name in parameters.values[0]})
    program = "import importlib, sys; sys.modules.update(fcntl=None, termios=None)"
    program += "; [importlib.import_module(name) for name in sys.argv[1:]]"
    command = [sys.executable, "-c", program, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_evaluation_draws_nothing():
    start = [name for name in MODULES if name.startswith("src.evaluation.")]
    assert [chain for name, chain in reached(start).items() if name.split(".")[0] in DRAWING] == []


def test_no_module_imports_itself_over_others():
    for name in MODULES:
        chains = [reached([other]).get(name) for other in imports(name) & set(MODULES)]
        assert [chain for chain in chains if chain] == [], name
