"""Predicting images with an ONNX model by its contract, and the CSV of it; needs no torch."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..artifact.contract import CONTRACT_KEY, Contract, contract_from_json
from ..artifact.evidence import EVIDENCE
from ..artifact.foreign import NOTHING_SAID, ForeignModel
from ..artifact.outputs import why_unusable
from ..core.cells import guarded, visible
from ..core.classes import look_like_indices
from ..core.errors import UserError
from ..core.files import replacing
from ..core.progress import progress
from ..preprocess.image import ImageError, file_bytes
from ..preprocess.spec import Preprocessing
from .foreign import describe
from .session import Session

OUTPUT_NAMES = ["output", "probabilities"]  # of files with a contract
# of a batch, whatever its size is set to: with 3 channels in float32 100 MB
MAX_BATCH_PIXELS = 2**23


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image, or why it says nothing.

    `probabilities` [classes] are those for an unknown tone group; `logits` [n_outputs] are raw.
    """

    path: Path | None  # of an image that is no file None
    probabilities: np.ndarray | None = None
    logits: np.ndarray | None = None
    reason: str = ""


class OnnxPredictor:
    """An ONNX file, ready to predict as its contract says.

    A file without one is described by `foreign` and `classes` (default: benign, malignant), see
    `describe`. Raises `UserError` for a file that is no ONNX model of images and for descriptions
    that contradict it.
    """

    def __init__(
        self,
        path: Path,
        foreign: ForeignModel = NOTHING_SAID,
        classes: tuple[str, ...] | None = None,
    ):
        self._session = Session(path)
        written = self._session.metadata.get(CONTRACT_KEY)
        self._described = None
        if written is None:
            self._described = describe(self._session, foreign, classes)
            self.contract = self._described.contract
        else:
            self.contract = contract_from_json(written, str(path))
            _require_same(path, self.contract, foreign, classes)
            names = [*OUTPUT_NAMES, *[EVIDENCE] * (self.contract.evidence is not None)]
            self._session.require_outputs(names)

    @property
    def is_foreign(self) -> bool:
        """Whether the file holds no contract."""
        return self._described is not None

    @property
    def words(self) -> str:
        """How a foreign file is understood, empty for others."""
        return self._described.words if self._described else ""

    def predict(self, paths: Iterable[Path], batch_size: int = 32) -> Iterator[Prediction]:
        """One `Prediction` for each path, in order; a bad image does not stop the others."""
        for (prediction,) in predict_together([self], paths, batch_size):
            yield prediction

    def outputs(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logits [N, n_outputs], probabilities [N, classes]) of a batch, as the model gives them.

        The logits of a foreign file are its outputs, whatever they are.
        """
        if self._described:
            (logits,) = self._session.run(images, [self._session.score_output])
            probabilities = self._described.probabilities(logits)
        else:
            logits, probabilities = self._session.run(images, OUTPUT_NAMES)
        shapes = [(len(images), n) for n in (self.contract.n_outputs, len(self.contract.classes))]
        if [logits.shape, probabilities.shape] != shapes:
            raise UserError(
                f"{self._session.path}: the ONNX model gives logits {logits.shape} and "
                f"probabilities {probabilities.shape}: expected {shapes[0]} and {shapes[1]} by its "
                "contract"
            )
        return logits, probabilities

    def evidence(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logits [N, n_outputs], evidence [N, n_outputs, h, w]) of a batch; see `Evidence`.

        For files whose contract has `evidence`. Raises `UserError` for other shapes than it says.
        """
        logits, cells = self._session.run(images, [OUTPUT_NAMES[0], EVIDENCE])
        n_outputs, grid = self.contract.n_outputs, self.contract.evidence.grid
        shape = (len(images), n_outputs, *grid)
        if logits.shape != shape[:2] or cells.size != np.prod(shape):
            raise UserError(
                f"{self._session.path}: its evidence is not {shape[1:]} for each image, as its "
                "contract promises"
            )
        return logits, cells.reshape(shape)


def predict_together(
    predictors: Sequence[OnnxPredictor], images: Iterable[Path | np.ndarray], batch_size: int = 32
) -> Iterator[list[Prediction]]:
    """A `Prediction` of each model for each image, in order; each image is read once.

    An image is a file or RGB uint8 [H, W, 3]. Models with the same preprocessing share its result.
    """
    images = list(images)
    specs = {p.contract.preprocessing.digest: p.contract.preprocessing for p in predictors}
    sizes = [spec.output_size for spec in specs.values()]
    batch_size = max(1, min(batch_size, MAX_BATCH_PIXELS // sum(h * w for h, w in sizes)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # at most one batch ahead of the models: memory stays small for any folder
        starts = range(0, len(images), batch_size)
        batches = (images[start : start + batch_size] for start in starts)
        pending = None
        for batch in progress(batches, "predicting", len(starts), "batch"):
            loading = [(image, pool.submit(_load, image, specs)) for image in batch]
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
    folder: Path | None = None,
) -> list[Prediction]:
    """Those without a result, once `output` has the others, decided as the contract says.

    Images have their names within `folder`, with `/`, else their file names. Classes in
    `with_probability` have a column `probability_<class>`. `target` is a class index; where class
    names look like other indices, `target_class` holds the names.
    """
    failed, has_names = [], look_like_indices(contract.classes)
    places = [contract.classes.index(name) for name in with_probability]
    scores = [guarded(f"probability_{name}") for name in with_probability]
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "target", *["target_class"] * has_names, *scores])
        for prediction in predictions:
            name = image_name(prediction.path, folder)
            if prediction.probabilities is not None and not is_utf8(name):
                prediction = Prediction(prediction.path, reason="its name is not UTF-8")
            if prediction.probabilities is None:
                failed.append(prediction)
                continue
            target = contract.decide(prediction.probabilities[None])[0]
            named = [guarded(contract.classes[target])] * has_names
            values = [float(prediction.probabilities[place]) for place in places]
            writer.writerow([guarded(name), target, *named, *values])
    return failed


def image_name(path: Path, folder: Path | None = None) -> str:
    """The name of an image within `folder`, with `/`, else that of its file."""
    return path.relative_to(folder).as_posix() if folder else path.name


def is_utf8(text: str) -> bool:
    """Whether a text can be written to a file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _load(image: Path | np.ndarray, specs: dict[str, Preprocessing]) -> dict[str, np.ndarray] | str:
    """The image as each of `specs` makes it, or why it cannot be read."""
    try:
        if not isinstance(image, Path):
            return {digest: spec(image) for digest, spec in specs.items()}
        data = file_bytes(image)
        return {digest: spec(spec.decode(data)[0]) for digest, spec in specs.items()}
    except ImageError as error:
        return str(error)


def _run(predictors: Sequence[OnnxPredictor], loading: list) -> Iterator[list[Prediction]]:
    loaded = [
        (image if isinstance(image, Path) else None, future.result()) for image, future in loading
    ]
    good = [(path, images) for path, images in loaded if not isinstance(images, str)]
    paths = [path for path, _ in good]
    by_model = []
    for predictor in predictors if good else ():
        digest = predictor.contract.preprocessing.digest
        inputs = np.stack([images[digest] for _, images in good])
        by_model.append(iter(_predictions(paths, *predictor.outputs(inputs))))
    for path, images in loaded:
        if isinstance(images, str):
            yield [Prediction(path, reason=images)] * len(predictors)
        else:
            yield [next(of_model) for of_model in by_model]


def _predictions(
    paths: list[Path | None], logits: np.ndarray, probabilities: np.ndarray
) -> list[Prediction]:
    """Those of a batch; what no class can be decided by has its reason instead."""
    reasons = why_unusable(logits, probabilities)
    return [
        Prediction(path, reason=reason) if reason else Prediction(path, row.clip(0, 1), scores)
        for path, scores, row, reason in zip(paths, logits, probabilities, reasons, strict=True)
    ]


def _require_same(
    path: Path, contract: Contract, foreign: ForeignModel, classes: tuple[str, ...] | None
) -> None:
    """Raise `UserError` for a description that the contract contradicts or makes needless."""
    size, stated = contract.preprocessing.output_size, (foreign.image_height, foreign.image_width)
    if stated != (None, None) and stated != size:
        raise UserError(
            f"{path} was made for images of {size} (height, width): it says so itself, leave out "
            f"--image_height and --image_width ({stated})"
        )
    needless = [flag for flag in foreign.given if not flag.startswith("--image")]
    if needless:
        raise UserError(f"{path} says itself how it is used: leave out {', '.join(needless)}")
    if classes and classes != contract.classes:
        raise UserError(
            f"{path} knows the classes {visible(', '.join(contract.classes), 200)}: leave out "
            "--classes"
        )
