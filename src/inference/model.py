"""A model, or several that vote, ready to predict images: `load(path).predict(images)`."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..artifact.contract import Contract
from ..artifact.decisions import mean_rule
from ..artifact.foreign import NOTHING_SAID, ForeignModel
from ..core.errors import UserError, require
from ..core.image_files import describe_left_out, left_out, list_images
from .predictor import OnnxPredictor, Prediction, image_name, predict_together

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImagePrediction:
    """What a model says of one image: its class by the model's decision rule, and probabilities.

    `decision` is the index of `class_name`; of an image without a result it is -1, and `reason`
    says why. `name` is the file's name, within its folder where one was given, or `image <n>`.
    """

    name: str
    class_name: str = ""
    decision: int = -1
    probabilities: dict[str, float] = field(default_factory=dict)
    reason: str = ""


class Model:
    """ONNX files of the same classes; of several the probabilities are averaged (soft voting).

    `contract` says what they are used for, with their decision rule at its mean constants. Raises
    `UserError` for files that do not fit each other.
    """

    def __init__(
        self,
        path: Path,
        foreign: ForeignModel = NOTHING_SAID,
        classes: tuple[str, ...] | None = None,
    ):
        require(
            path.suffix.lower() not in (".pth", ".pt", ".ckpt"),
            f"{path}: expected an ONNX model; export the checkpoint with "
            "python -m src.scripts.export_model --checkpoint_path FILE",
        )
        self.predictors = [OnnxPredictor(file, foreign, classes) for file in model_files(path)]
        contracts = [predictor.contract for predictor in self.predictors]
        self.contract: Contract = joint_contract(contracts, str(path))

    def each(
        self, images: Iterable[Path | np.ndarray], batch_size: int = 32
    ) -> Iterator[Prediction]:
        """One `Prediction` for each image, in order; a bad image does not stop the others."""
        for members in predict_together(self.predictors, images, batch_size):
            bad = [member for member in members if member.probabilities is None]
            if bad or len(members) == 1:
                yield (bad or members)[0]
            else:
                mean = np.mean([member.probabilities for member in members], axis=0)
                yield Prediction(members[0].path, mean)

    def predict(
        self, images: Any, batch_size: int = 32, recursive: bool = False
    ) -> list[ImagePrediction]:
        """A result for each image, in order: also for one that cannot be read, with its reason.

        `images` are the path of a file or folder (with its subfolders where `recursive`; what is
        left out of it is logged), an RGB image (uint8 array [H, W, 3], grey [H, W], or a PIL
        image), or a list of these. Raises `UserError` for anything else.
        """
        named = list(_named(images, recursive))
        found = self.each([image for _, image in named], batch_size)
        return [self._named(name, one) for (name, _), one in zip(named, found, strict=True)]

    def _named(self, name: str, found: Prediction) -> ImagePrediction:
        if found.probabilities is None:
            return ImagePrediction(name, reason=found.reason)
        decision = int(self.contract.decide(found.probabilities[None])[0])
        classes = self.contract.classes
        by_class = dict(zip(classes, map(float, found.probabilities), strict=True))
        return ImagePrediction(name, classes[decision], decision, by_class)


def model_files(path: Path) -> list[Path]:
    """The ONNX file, or those of a folder by name. Raises `UserError` for a folder without."""
    files = (file for file in path.glob("*.onnx") if not file.name.startswith("."))
    found = sorted(files) if path.is_dir() else [path]
    if not found:
        raise UserError(f"{path}: no ONNX files in it; expected the models of an ensemble")
    return found


def joint_contract(contracts: Sequence[Contract], source: str) -> Contract:
    """The first contract, with the rule of all of them at the mean of its constants.

    Raises `UserError`, which begins with `source`, for models of other classes, rules or groups.
    """
    first = contracts[0]
    for contract in contracts:
        if (contract.classes, contract.positive) != (first.classes, first.positive):
            raise UserError(f"{source}: its models know different classes: expected the same")
        if contract.decides_by_group and contract.groups != first.groups:
            raise UserError(f"{source}: its models know different tone groups: expected the same")
    return replace(first, rule=mean_rule([contract.rule for contract in contracts], source))


def load(path: str | Path, classes: Iterable[str] | None = None, **foreign: Any) -> Model:
    """The model in an ONNX file, or those of a folder as an ensemble; needs no torch.

    A file without a contract is described by `classes` and by the fields of `ForeignModel`, which
    are the flags of predict.py: `image_height`, `image_width`, `outputs`, `normalize`.
    """
    return Model(Path(path), ForeignModel(**foreign), tuple(classes) if classes else None)


def _named(images: Any, recursive: bool) -> Iterator[tuple[str, Path | np.ndarray]]:
    """(name, file or pixels) of each image."""
    if isinstance(images, str | Path) and Path(images).is_dir():
        folder = Path(images)
        if others := left_out(folder, recursive):
            log.warning("%s: %s", folder, describe_left_out(others))
        for path in list_images(folder, recursive):
            yield image_name(path, folder), path
        return
    is_many = isinstance(images, Iterable) and not isinstance(images, str | np.ndarray)
    if is_many and not hasattr(images, "convert"):
        for number, image in enumerate(images):
            yield _one(image, number)
    else:
        yield _one(images, 0)


def _one(image: Any, number: int) -> tuple[str, Path | np.ndarray]:
    if isinstance(image, str | Path):
        return Path(image).name, Path(image)
    if hasattr(image, "convert"):  # of PIL
        image = _pixels_of_pil(image)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UserError(
            f"image {number}: found {pixels.dtype} {list(pixels.shape)}: expected RGB as uint8 "
            "[height, width, 3], a path or a PIL image"
        )
    return f"image {number}", pixels


def _pixels_of_pil(image: Any) -> np.ndarray:
    """RGB uint8 [H, W, 3], turned as its EXIF says, like a file's."""
    from PIL import ImageOps

    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
