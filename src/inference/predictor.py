"""An ONNX file, ready to predict batches as its contract says; needs no torch."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..artifact.contract import CONTRACT_KEY, Contract, contract_from_json
from ..artifact.evidence import EVIDENCE
from ..artifact.foreign import NOTHING_SAID, ForeignModel
from ..core.cells import visible
from ..core.errors import UserError
from ..core.progress import progress
from ..trust.features import FEATURES, MASK
from .batches import Image, Prediction, Predictor, Work, batch_size_of, predict_batches
from .foreign import describe
from .session import CPU, Session

OUTPUT_NAMES = ["output", "probabilities"]  # of files with a contract


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
        providers: tuple[str, ...] = CPU,
    ):
        self._session = Session(path, providers)
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
        for (prediction,) in predict_together([self], paths, Work(batch_size)):
            yield prediction

    def outputs(self, images: np.ndarray, *more: str) -> tuple[np.ndarray, ...]:
        """(logits [N, n_outputs], probabilities [N, classes]) of a batch, as the model gives them.

        After these come the outputs of the names in `more`, [N, width]. The logits of a foreign
        file, which has no others, are its outputs, whatever they are.
        """
        further: list[np.ndarray] = []
        if self._described:
            (logits,) = self._session.run(images, [self._session.score_output])
            probabilities = self._described.probabilities(logits)
        else:
            logits, probabilities, *further = self._session.run(images, [*OUTPUT_NAMES, *more])
        shapes = [(len(images), n) for n in (self.contract.n_outputs, len(self.contract.classes))]
        if [logits.shape, probabilities.shape] != shapes:
            raise UserError(
                f"{self._session.path}: the ONNX model gives logits {logits.shape} and "
                f"probabilities {probabilities.shape}: expected {shapes[0]} and {shapes[1]} by its "
                "contract"
            )
        return logits, probabilities, *further

    def features(self, images: np.ndarray) -> np.ndarray:
        """[N, width] of a batch: what the last layer reads, of files that fit_trust wrote."""
        return self._session.run(images, [FEATURES])[0]

    def passes(self, images: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities [passes, N, classes] with each of the masks [1, width] on the features."""
        more = ({MASK: mask} for mask in masks)
        return np.stack([self._session.run(images, OUTPUT_NAMES[1:], one)[0] for one in more])

    def evidence(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(logits [N, n_outputs], evidence [N, n_outputs, h, w]) of a batch; see `Evidence`.

        For files whose contract has `evidence`. Raises `UserError` for other shapes than it says.
        """
        logits, _, cells = self.outputs(images, EVIDENCE)
        return logits, self.evidence_cells(cells)

    def evidence_cells(self, found: np.ndarray) -> np.ndarray:
        """The output `evidence` [N, width] as [N, n_outputs, h, w].

        Raises `UserError` for other shapes than the contract says.
        """
        shape = (self.contract.n_outputs, *self.contract.evidence.grid)
        if found.shape[1] != np.prod(shape):
            raise UserError(
                f"{self._session.path}: its evidence is not {shape} for each image, as its "
                "contract promises"
            )
        return found.reshape(-1, *shape)


def predict_together(
    predictors: Sequence[Predictor], images: Iterable[Image], work: Work
) -> Iterator[list[Prediction]]:
    """A `Prediction` of each model for each image, in order; each image is read once."""
    images = list(images)
    size = batch_size_of(predictors, work.batch_size)
    starts = range(0, len(images), size)
    batches = (images[start : start + size] for start in starts)
    found = predict_batches(predictors, batches, work)
    for batch in progress(found, "predicting", len(starts), "batch"):
        yield from batch


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
