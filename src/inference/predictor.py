"""Predicting images with an ONNX model by its contract, and the CSV of it; needs no torch."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from ..artifact.contract import CONTRACT_KEY, Contract, contract_from_json
from ..artifact.decisions import usual_rule
from ..core.classes import BINARY_CLASSES, positive_index
from ..core.errors import UserError, first_line
from ..core.files import replacing
from ..preprocess.image import ImageError, file_bytes
from ..preprocess.spec import Preprocessing, parse_preprocessing

MAX_MODEL_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image, or why it says nothing.

    `probabilities` [classes] are those for an unknown tone group; `logits` [n_outputs] are raw.
    """

    path: Path
    probabilities: np.ndarray | None = None
    logits: np.ndarray | None = None
    reason: str = ""


class OnnxPredictor:
    """An ONNX file, ready to predict as its contract says.

    A foreign file has no contract: it is described by `image_size` (height, width) and `classes`
    (default: benign, malignant); its images are stretched and normalized with ImageNet's
    statistics, and its first output is taken for logits. Raises `UserError` for a file that is no
    ONNX model and for contradictory descriptions.
    """

    def __init__(
        self,
        path: Path,
        image_size: tuple[int, int] | None = None,
        classes: tuple[str, ...] | None = None,
    ):
        self._session = _open(path)
        written = self._session.get_modelmeta().custom_metadata_map.get(CONTRACT_KEY)
        self.is_foreign = written is None
        if written is None:
            self.contract = _describe(self._session, path, image_size, classes or BINARY_CLASSES)
        else:
            self.contract = contract_from_json(written, str(path))
        size = self.contract.preprocessing.output_size
        if image_size and image_size != size:
            raise UserError(
                f"{path} was made for images of {size} (height, width): it "
                f"says so itself, leave out --image_height and --image_width ({image_size})"
            )
        if classes and classes != self.contract.classes:
            raise UserError(
                f"{path} knows the classes {', '.join(self.contract.classes)}: leave out --classes"
            )

    def predict(self, paths: Iterable[Path], batch_size: int = 32) -> Iterator[Prediction]:
        """One `Prediction` for each path, in order; a bad image does not stop the others."""
        for (prediction,) in predict_together([self], paths, batch_size):
            yield prediction

    def outputs(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logits [N, n_outputs], probabilities [N, classes]) of a batch."""
        name = self._session.get_inputs()[0].name
        outputs = None if self.is_foreign else ["output", "probabilities"]
        try:
            logits, *others = self._session.run(outputs, {name: images})
        except Exception as error:  # onnxruntime raises kinds of its own
            raise UserError(
                f"the ONNX model failed on a batch of images ({first_line(error)})"
            ) from None
        probabilities = _softmax(logits) if self.is_foreign else others[0]
        shapes = [(len(images), n) for n in (self.contract.n_outputs, len(self.contract.classes))]
        if [logits.shape, probabilities.shape] != shapes:
            raise UserError(
                f"the ONNX model gives logits {logits.shape} and probabilities "
                f"{probabilities.shape}: expected {shapes[0]} and {shapes[1]} by its contract"
            )
        return logits, probabilities


def predict_together(
    predictors: Sequence[OnnxPredictor], paths: Iterable[Path], batch_size: int = 32
) -> Iterator[list[Prediction]]:
    """A `Prediction` of each model for each path, in order; each image is read once.

    Models with the same preprocessing share its result.
    """
    paths = list(paths)
    specs = {p.contract.preprocessing.digest: p.contract.preprocessing for p in predictors}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # at most one batch ahead of the models: memory stays small for any folder
        starts = range(0, len(paths), batch_size)
        batches = (paths[start : start + batch_size] for start in starts)
        pending = None
        for batch in tqdm(batches, "predicting", len(starts), disable=None, leave=False):
            loading = [(path, pool.submit(_load, path, specs)) for path in batch]
            if pending:
                yield from _run(predictors, pending)
            pending = loading
        if pending:
            yield from _run(predictors, pending)


def write_predictions(
    predictions: Iterable[Prediction],
    contract: Contract,
    with_probability: tuple[str, ...],
    output: Path,
) -> list[Prediction]:
    """Those without a result, once `output` has the others, decided as the contract says.

    Classes in `with_probability` have a column `probability_<class>`.
    """
    failed = []
    places = [contract.classes.index(name) for name in with_probability]
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "target", *(f"probability_{n}" for n in with_probability)])
        for prediction in predictions:
            if prediction.probabilities is None:
                failed.append(prediction)
                continue
            target = contract.decide(prediction.probabilities[None])[0]
            values = [float(prediction.probabilities[place]) for place in places]
            writer.writerow([prediction.path.name, target, *values])
    return failed


def _load(path: Path, specs: dict[str, Preprocessing]) -> dict[str, np.ndarray] | str:
    """The image as each of `specs` makes it, or why it cannot be read."""
    try:
        data = file_bytes(path)
        return {digest: spec(spec.decode(data)[0]) for digest, spec in specs.items()}
    except ImageError as error:
        return str(error)


def _run(predictors: Sequence[OnnxPredictor], loading: list) -> Iterator[list[Prediction]]:
    loaded = [(path, future.result()) for path, future in loading]
    good = [images for _, images in loaded if not isinstance(images, str)]
    rows = []
    for predictor in predictors if good else ():
        digest = predictor.contract.preprocessing.digest
        inputs = np.stack([images[digest] for images in good])
        rows.append(zip(*predictor.outputs(inputs), strict=True))
    for path, images in loaded:
        if isinstance(images, str):
            yield [Prediction(path, reason=images)] * len(predictors)
        else:
            yield [_prediction(path, *next(of_model)) for of_model in rows]


def _prediction(path: Path, logits: np.ndarray, probabilities: np.ndarray) -> Prediction:
    if not np.isfinite(probabilities).all():
        return Prediction(path, reason="the model gives no numbers for it")
    return Prediction(path, probabilities, logits)


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def _open(path: Path) -> onnxruntime.InferenceSession:
    """A session on the CPU; read into memory, so that a file cannot pull in others."""
    if not path.is_file():
        raise UserError(f"{path}: no such ONNX file")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise UserError(f"{path}: larger than {MAX_MODEL_BYTES} bytes")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises kinds of its own
        raise UserError(f"{path}: not a usable ONNX model ({first_line(error)})") from None


def _describe(session, path: Path, image_size, classes: tuple[str, ...]) -> Contract:
    """A contract for a foreign file, from flags and the shapes that the file states."""
    shape, n_outputs = session.get_inputs()[0].shape, session.get_outputs()[0].shape[-1]
    stated = tuple(shape[2:]) if len(shape) == 4 else ()
    size = image_size or (stated if all(type(side) is int for side in stated) else ())
    if len(stated) != 2 or not size:
        raise UserError(
            f"{path} has no contract and input shape {shape}: give --image_height and "
            "--image_width, or export the model with this software"
        )
    if type(shape[0]) is int:
        raise UserError(f"{path} takes batches of {shape[0]} only: export it with a dynamic batch")
    if n_outputs != len(classes):
        raise UserError(
            f"{path} has no contract and {n_outputs} outputs: name as many classes with --classes"
        )
    text = f"resize(height={size[0]}, width={size[1]}) || normalize(stats='imagenet')"
    return Contract(
        model=f"foreign ONNX file {path.name}",
        n_outputs=n_outputs,
        classes=classes,
        positive=positive_index(classes),
        groups=(),
        reduction="softmax",
        preprocessing=parse_preprocessing(text, size[0]),
        rule=usual_rule(len(classes)),
    )
