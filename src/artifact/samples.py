"""Images to check an exported model with: those of a folder, or drawn ones."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.cells import unguarded
from ..core.errors import UserError, require
from ..core.image_files import image_stem, list_images
from ..core.progress import in_threads
from ..preprocess.image import ImageError, file_bytes
from .contract import Contract

N_DRAWN = 16


@dataclass(frozen=True)
class Sample:
    """`images` float32 [N, 3, height, width] as a network takes them, `kind` real or drawn.

    `labels` int [N] are class indices, -1 where they are not known.
    """

    images: np.ndarray
    labels: np.ndarray
    kind: str
    positive: int

    def auroc(self, scores: np.ndarray) -> float | None:
        """Of scores [N] for the positive class, over images of known label; None without both."""
        known = self.labels >= 0
        is_positive, scores = self.labels[known] == self.positive, scores[known]
        if not 0 < is_positive.sum() < len(is_positive):
            return None
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(is_positive, scores))


def drawn_sample(contract: Contract) -> Sample:
    """Noise: no picture, but the same each time."""
    size = contract.preprocessing.output_size
    images = np.random.default_rng(1).standard_normal((N_DRAWN, 3, *size), np.float32)
    return Sample(images, np.full(N_DRAWN, -1), "drawn", contract.positive)


def read_sample(folder: Path, most: int, contract: Contract, run: Path) -> Sample:
    """Up to `most` images of a folder, spread over it, with the labels in `run`'s predictions.

    Images that were predicted by the run, whose labels are known, come first. Raises `UserError`
    for a folder without readable images.
    """
    labels = _labels(run)
    paths = list_images(folder, recursive=True)
    known = [path for path in paths if image_stem(path.name) in labels]
    paths = known or paths
    require(bool(paths), f"--images {folder}: no images in it")
    chosen = [paths[n] for n in sorted({*np.linspace(0, len(paths) - 1, most).astype(int)})]
    images = list(in_threads(lambda path: _prepared(path, contract), chosen, "reading", "image"))
    found = [labels.get(image_stem(path.name), -1) for path in chosen]
    return Sample(np.stack(images), np.array(found), "real", contract.positive)


def _prepared(path: Path, contract: Contract) -> np.ndarray:
    try:
        spec = contract.preprocessing
        return spec(spec.decode(file_bytes(path))[0])
    except ImageError as error:
        raise UserError(f"--images: {path}: {error}") from None


def _labels(run: Path) -> dict[str, int]:
    """Labels by image of the rows that a run tested, else of those it validated."""
    for split in ("test", "valid"):
        path = run / f"predictions_{split}.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                return {
                    image_stem(unguarded(row["image_name"])): int(row["label"])
                    for row in rows
                    if row.get("label", "").isdecimal()
                }
    return {}
