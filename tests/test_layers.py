"""Imports go one way, siblings never meet, and what must run without torch does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    ("src.core", "src.skin_tone"),
    ("src.preprocess",),
    ("src.datasets", "src.models", "src.objectives", "src.evaluation"),
    ("src.artifact",),
    ("src.engine", "src.inference"),
    ("src.scripts",),
    ("entry point", "preparer"),
)
# `inference.predictor` is what predict.py and the app run where no torch is installed.
TORCH_FREE = (
    "src.core",
    "src.skin_tone",
    "src.preprocess",
    "src.evaluation",
    "src.artifact.contract",
    "src.inference.predictor",
    "predict",
)
TORCH = {"torch", "torchvision", "timm"}


def modules():
    """Name and path of every module of `src`, `preparer` and the entry points."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("src/**/*.py"), *ROOT.glob("preparer/**/*.py")]
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in files]
    dotted = [name.removesuffix("/__init__").replace("/", ".") for name in names]
    return dict(zip(dotted, files, strict=True))


MODULES = modules()


def imports(name):
    """Every module that a module names in an import, anywhere in its text."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= inner or {node.module}
    return found


def part_of(name):
    """The layer's part that a module belongs to, or None for a library."""
    parts = [part for layer in LAYERS for part in layer]
    own = [part for part in parts if name == part or name.startswith(part + ".")]
    if own:
        return own[0]
    return "entry point" if name in MODULES and "." not in name else None


def height(part):
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way_and_siblings_never_import_each_other(name):
    own = part_of(name)
    assert own, f"{name} belongs to no layer"
    for imported in imports(name):
        other = part_of(imported)
        assert imported.partition(".")[0] not in ("src", "preparer") or other, imported
        allowed = other in (None, own) or height(other) < height(own)
        assert allowed, f"{name} imports {imported}: {own} stands no higher than {other}"


@pytest.mark.parametrize("start", TORCH_FREE)
def test_what_must_run_without_torch_never_reaches_it(start):
    todo = [name for name in MODULES if name == start or name.startswith(start + ".")]
    assert todo, f"no module {start}"
    seen = {name: name for name in todo}  # module: the chain of imports that reached it
    while todo:
        name = todo.pop()
        for imported in imports(name):
            assert imported.partition(".")[0] not in TORCH, f"{seen[name]} -> {imported}"
            if imported in MODULES and imported not in seen:
                seen[imported] = f"{seen[name]} -> {imported}"
                todo.append(imported)
