"""One file that a site runs: this software and a model, as a Python zip application."""

import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import UserError, require
from ..core.files import check_output, expect_file, replacing
from ..inference.model import SkinLesionPredictor
from .options import PackageOptions

MODEL = "model.onnx"
MAX_MODEL = 2_000_000_000  # bytes
_ROOT = Path(__file__).resolve().parents[1]  # src, or melanoma_classification where installed
_MAIN = "from site_evaluation.scripts.evaluate_site import run\n\nrun()\n"
_DATE = (2000, 1, 1, 0, 0, 0)  # so that the same model gives the same file


def package_site(options: PackageOptions) -> int:
    """Write the file; its size in bytes. Raises `UserError` for a model that sites cannot use."""
    expect_file(options.onnx_model_path, "--onnx_model_path")
    check_output(options.output_path, options.onnx_model_path)
    SkinLesionPredictor(options.onnx_model_path)  # refuses what is no model
    sources = sorted(_ROOT.rglob("*.py"))
    with replacing(options.output_path) as temporary:
        with temporary.open("wb") as file:
            file.write(b"#!/usr/bin/env python3\n")
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for folder in sorted({source.parent for source in sources}):
                    archive.writestr(_entry(f"{_name(folder)}/"), b"")  # or it is no package
                for source in sources:
                    archive.writestr(_entry(_name(source)), source.read_bytes())
                archive.writestr(_entry("__main__.py"), _MAIN)
                archive.writestr(_entry(MODEL), options.onnx_model_path.read_bytes())
        return temporary.stat().st_size


def _name(path: Path) -> str:
    return f"site_evaluation/{path.relative_to(_ROOT).as_posix()}".removesuffix("/.")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def given_or_packaged(model: Path | None) -> Iterator[Path]:
    """The given model, else the one in the file that is run.

    Raises `UserError` where there is none.
    """
    if model is not None:
        expect_file(model, "--onnx_model_path")
        yield model
        return
    program = Path(sys.argv[0])
    require(zipfile.is_zipfile(program), "--onnx_model_path: expected the model that is evaluated")
    with zipfile.ZipFile(program) as archive, tempfile.TemporaryDirectory() as folder:
        try:
            size = archive.getinfo(MODEL).file_size
        except KeyError:
            raise UserError(f"{program}: holds no {MODEL}: see package_site") from None
        require(size <= MAX_MODEL, f"{program}: its model has {size:,} bytes")
        path = Path(folder) / MODEL
        path.write_bytes(archive.read(MODEL))
        yield path
