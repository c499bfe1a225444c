"""One file that a hospital runs: this evaluator and a model, beside ONNX Runtime, NumPy, OpenCV."""

import ast
import io
import zipfile
from pathlib import Path

from ..core.files import replacing

PACKAGE = "melanoma_site"
ENTRY = "sites.collect"
_MAIN = f'''"""Evaluate the enclosed model on a folder and a CSV; writes aggregate JSON alone."""

import os
import sys
import tempfile
import zipfile

with tempfile.TemporaryDirectory() as folder:
    with zipfile.ZipFile(os.path.abspath(sys.argv[0])) as archive:
        archive.extract("model.onnx", folder)
    from pathlib import Path

    from {PACKAGE}.core.errors import run_main
    from {PACKAGE}.{ENTRY} import collect

    run_main(lambda argv: collect(argv, Path(folder) / "model.onnx"))
'''


def write_bundle(model: Path, target: Path) -> list[str]:
    """Write the zipapp; the modules in it. All but the model is text that a site can read."""
    root = Path(__file__).resolve().parents[1]
    modules = modules_needed(root)
    with replacing(target) as temporary:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "__main__.py", _MAIN.encode())
            for name in modules:
                path = root / f"{name.replace('.', '/')}.py"
                if name == "":
                    path = root / "__init__.py"
                _add(archive, f"{PACKAGE}/{path.relative_to(root).as_posix()}", path.read_bytes())
            _add(archive, "model.onnx", model.read_bytes())
        temporary.write_bytes(b"#!/usr/bin/env python3\n" + content.getvalue())
    return modules


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes every time
    archive.writestr(entry, data, zipfile.ZIP_DEFLATED)


def modules_needed(root: Path) -> list[str]:
    """The modules of this package that `ENTRY` imports, directly or over others; "" the package."""
    found, todo = {""}, [ENTRY]
    while todo:
        name = todo.pop()
        path = root / f"{name.replace('.', '/')}.py"
        if name in found or not path.is_file():
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                above = name.split(".")[: -node.level] if node.level <= name.count(".") + 1 else []
                module = ".".join([*above, *([node.module] if node.module else [])])
                todo += [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)]
    return sorted(found)
