"""The model behind the page: the one that was named, else one that is there."""

from pathlib import Path

from ..core.errors import require
from ..core.image_files import list_images
from ..inference.model import SkinLesionPredictor, model_files
from .answers import Model
from .options import PageOptions
from .records import beside, read_records

DEMO_RUNS, DEMO_PICTURES = Path("demo_output"), Path("demo_data/isic2020/test")
N_EXAMPLES = 12


def load_model(options: PageOptions) -> Model:
    """The model and its records. Raises `UserError` where there is none, or it cannot be used."""
    path = options.onnx_model_path or _found()
    require(
        path is not None,
        "no model: put an ONNX file into weights/, name one with --onnx_model_path, or run "
        "`make demo`, whose model is then shown",
    )
    csv = options.results_csv or beside(path)
    names = tuple(file.name for file in model_files(path))
    return Model(names, SkinLesionPredictor(path), read_records(csv) if csv else {})


def examples(options: PageOptions) -> dict[str, Path]:
    """Pictures that can be tried without an upload, by their names."""
    folder = options.examples or DEMO_PICTURES
    if not folder.is_dir():
        return {}
    paths = list_images(folder, recursive=True)
    step = max(1, len(paths) // N_EXAMPLES)
    return {path.relative_to(folder).as_posix(): path for path in paths[::step][:N_EXAMPLES]}


def _found() -> Path | None:
    """A file in `weights`, else the latest demo's."""
    placed = sorted(Path("weights").glob("*.onnx"))
    drawn = sorted(DEMO_RUNS.glob("*/*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
    return next(iter([*placed, *drawn]), None)
