"""`SkinLesionPredictor`: a model, or several that vote, ready to predict images."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..artifact.contract import Contract
from ..artifact.decisions import make_rule, mean_rule
from ..artifact.foreign import ForeignModel
from ..core.classes import described
from ..core.errors import UserError, require
from ..core.image_files import describe_left_out, left_out, list_images
from .batches import Batch, Image, Prediction, Predictor, Work
from .predictor import OnnxPredictor, predict_together
from .session import CPU
from .views import AUTO, chosen_views
from .votes import VOTES, member_weights

log = logging.getLogger(__name__)
CHECKPOINTS = (".pth", ".pt", ".ckpt")
Result = dict[str, Any]


class SkinLesionPredictor:
    """Classifies images: `SkinLesionPredictor("model.onnx").predict("image.jpg")`.

    `path` is an ONNX file, a folder of ONNX files of the same classes, which vote (`voting` is one
    of `VOTES`, with the `weights` of the files by name), or a checkpoint, which needs torch. `tta`
    is one of `VIEWS`, or auto: the one that the model's threshold was fitted with, else none;
    `threshold` takes the place of the decision rule. A file without a contract is described by
    `classes` and by the fields of `ForeignModel`, which are flags of predict.py. `contract` says
    what the models are used for, with their decision rule at its mean constants.

    Raises `UserError` for files that do not fit each other, or what is said of them.
    """

    def __init__(
        self,
        path: str | Path,
        classes: Iterable[str] | None = None,
        *,
        tta: str = AUTO,
        voting: str = "soft",
        weights: Sequence[float] = (),
        threshold: float | None = None,
        providers: Sequence[str] = CPU,
        **foreign: Any,
    ):
        path, said = Path(path), ForeignModel(**foreign)
        names = tuple(classes) if classes else None
        self.predictors: list[Any] = _predictors(path, said, names, tuple(providers))
        contracts = [predictor.contract for predictor in self.predictors]
        self.tta = chosen_views(contracts, tta)
        require(voting in VOTES, f"voting {voting}: expected one of {', '.join(VOTES)}")
        self.voting, self.weights = voting, member_weights(weights, len(contracts))
        if threshold is not None:
            rule = make_rule("threshold", {"value": float(threshold)})
            contracts = [replace(contract, rule=rule) for contract in contracts]
        self._contracts = contracts
        self.contract: Contract = joint_contract(contracts, str(path), self.weights)

    def predict(
        self, images: Any, batch_size: int = 8, recursive: bool = False
    ) -> Result | list[Result]:
        """The result of one image, or those of a list or folder in order.

        `images` are the path of a file or folder (with its subfolders where `recursive`; what is
        left out of it is logged), an RGB image (uint8 array [H, W, 3], grey [H, W], or a PIL
        image), or a list of these. A result has `image_name` (the file's name, within its folder
        where one was given, or `image <n>`), `predicted_class` by the model's decision rule, its
        `predicted_class_description`, `confidence`, the probability of that class, `probabilities`
        by class and `reason`, which says why an image of a list or folder has no result: the class
        is then "" and the confidence None. Raises `UserError` for a single image that cannot be
        read and for what is no image.
        """
        named = list(_named(images, recursive))
        work = Work(batch_size, tta=self.tta)
        rows = list(predict_together(self.predictors, [image for _, image in named], work))
        results = [
            self._result(name, *one)
            for (name, _), one in zip(named, self.decided(rows), strict=True)
        ]
        if not _is_one(images):
            return results
        require(not results[0]["reason"], f"{images}: {results[0]['reason']}")
        return results[0]

    def decided(self, rows: Batch) -> Iterator[tuple[Prediction, int]]:
        """(the models' prediction together, the index of its class, -1 without one) of each row."""
        good = [row for row in rows if not _fault(row)]
        decisions: Iterator[tuple] = iter(())
        if good and len(self.predictors) == 1:
            means = np.stack([row[0].probabilities for row in good])
            decisions = zip(means, self.contract.decide(means), strict=True)
        elif good:
            members = np.array([[one.probabilities for one in row] for row in good]).swapaxes(0, 1)
            own = np.stack([c.decide(p) for c, p in zip(self._contracts, members, strict=True)])
            found = VOTES[self.voting](members, own, self.weights, self.contract.decide)
            decisions = zip(*found, strict=True)
        for row in rows:
            if fault := _fault(row):
                yield fault, -1
            else:
                mean, decision = next(decisions)
                yield Prediction(row[0].path, mean, cells=row[0].cells), int(decision)

    def _result(self, name: str, found: Prediction, decision: int) -> Result:
        classes, has_one = self.contract.classes, decision >= 0
        chosen = classes[decision] if has_one else ""
        values = found.probabilities if has_one else ()
        by_class = dict(zip(classes, map(float, values), strict=False))
        return {
            "image_name": name,
            "predicted_class": chosen,
            "predicted_class_description": described(chosen),
            "confidence": by_class.get(chosen),
            "probabilities": by_class,
            "reason": found.reason,
        }


def _predictors(
    path: Path, foreign: ForeignModel, classes: tuple[str, ...] | None, providers: tuple[str, ...]
) -> list[Predictor]:
    if path.suffix.lower() not in CHECKPOINTS:
        return [OnnxPredictor(f, foreign, classes, providers) for f in model_files(path)]
    told = [*foreign.given, *["--classes"] * bool(classes)]
    require(not told, f"{path} says itself how it is used: leave out {', '.join(told)}")
    # imported by name: only who gives a checkpoint needs torch
    return [import_module(".checkpoint", __package__).CheckpointPredictor(path)]


def _fault(row: list[Prediction]) -> Prediction | None:
    """The prediction of the first model that has none for this image."""
    return next((one for one in row if one.probabilities is None), None)


def model_files(path: Path) -> list[Path]:
    """The ONNX file, or those of a folder by name. Raises `UserError` for a folder without."""
    files = (file for file in path.glob("*.onnx") if not file.name.startswith("."))
    found = sorted(files) if path.is_dir() else [path]
    if not found:
        raise UserError(f"{path}: no ONNX files in it; expected the models of an ensemble")
    return found


def joint_contract(
    contracts: Sequence[Contract], source: str, weights: np.ndarray | None = None
) -> Contract:
    """The first contract, with the rule of all of them at the mean of its constants.

    Raises `UserError`, which begins with `source`, for models of other classes, rules or groups.
    """
    first = contracts[0]
    for contract in contracts:
        if (contract.classes, contract.positive) != (first.classes, first.positive):
            raise UserError(f"{source}: its models know different classes: expected the same")
        if contract.decides_by_group and contract.groups != first.groups:
            raise UserError(f"{source}: its models know different tone groups: expected the same")
    return replace(first, rule=mean_rule([c.rule for c in contracts], source, weights))


def _is_one(images: Any) -> bool:
    """Whether it is one image, not a folder or several."""
    if isinstance(images, str | Path):
        return not Path(images).is_dir()
    return isinstance(images, np.ndarray) or hasattr(images, "convert")


def _named(images: Any, recursive: bool) -> Iterator[tuple[str, Image]]:
    """(name, file or pixels) of each image."""
    if _is_one(images):
        yield _one(images, 0)
    elif isinstance(images, str | Path):
        folder = Path(images)
        if others := left_out(folder, recursive):
            log.warning("%s: %s", folder, describe_left_out(others))
        for path in list_images(folder, recursive):
            yield path.relative_to(folder).as_posix(), path
    else:
        is_many = isinstance(images, Iterable)
        for number, image in enumerate(images if is_many else [images]):
            yield _one(image, number)


def _one(image: Any, number: int) -> tuple[str, Image]:
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
