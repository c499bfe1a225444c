"""The ONNX models of a file or folder on their rows: tables and images are read once for all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.config import Data
from ..core.errors import UserError
from ..datasets.load import load_table
from ..datasets.table import Table
from ..evaluation.predictions import Predictions
from ..inference.ensemble import predict_table
from ..inference.predictor import OnnxPredictor

# data settings that say nothing of which rows there are
_OF_IMAGES = ("preprocess", "input_size", "augment", "sampler", "malignant_copies")
_OF_IMAGES += ("num_workers", "pin_mem")


def model_files(path: Path) -> list[Path]:
    """The ONNX file, or those of a folder by name. Raises `UserError` for a folder without."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.onnx"))
    if not found:
        raise UserError(f"{path}: no ONNX files in it; expected the models of an ensemble")
    return found


def tables_read_once() -> Callable[[Data], Table]:
    """`load_table` that reads and checks the rows of equal settings once."""
    known: dict[Data, Table] = {}

    def load(data: Data) -> Table:
        usual = Data()
        rows = replace(data, **{name: getattr(usual, name) for name in _OF_IMAGES})
        if rows not in known:
            known[rows] = load_table(data)
        return known[rows]

    return load


def predict_splits(
    predictors: Sequence[OnnxPredictor],
    tables: Sequence[Table],
    splits: Sequence[list[str]],
    batch_size: int,
) -> list[dict[str, Predictions]]:
    """Each model's predictions of the splits of its table; models of one table share its images."""
    found: list[dict[str, Predictions]] = [{} for _ in predictors]
    for table in {id(table): table for table in tables}.values():
        places = [place for place, other in enumerate(tables) if other is table]
        models = [predictors[place] for place in places]
        for name in splits[places[0]]:
            of_models = predict_table(models, table.split(name), batch_size)
            for place, predictions in zip(places, of_models, strict=True):
                found[place][name] = predictions
    return found
