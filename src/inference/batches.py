"""Images as batches of each model's input: read, decoded and run by threads, a batch in each."""

import os
import queue
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np

from ..artifact.contract import Contract
from ..artifact.outputs import why_unusable
from ..preprocess.image import ImageError, file_bytes
from ..preprocess.spec import Preprocessing
from .views import NONE, VIEWS, View, mean_over_views

Image: TypeAlias = Path | bytes | np.ndarray  # a file, what is in one, or RGB uint8 [H, W, 3]
# of a batch, whatever its size is set to: with 3 channels in float32 100 MB
MAX_BATCH_PIXELS = 2**23


class Predictor(Protocol):
    """A model that predicts batches as its contract says."""

    contract: Contract

    @property
    def words(self) -> str:
        """How a file of other origin was understood; empty for others."""

    def outputs(self, images: np.ndarray, *more: str) -> tuple[np.ndarray, ...]:
        """(logits [N, n_outputs], probabilities [N, classes]) of float32 [N, 3, height, width].

        After these come the outputs of the names in `more`, [N, width], of files that have them.
        """


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image, or why it says nothing.

    `probabilities` [classes] are those for an unknown tone group, the mean over the views; `logits`
    [views, n_outputs] and `by_view` [views, classes] are those of each view. `cells` are those of
    the `Companion`s.
    """

    path: Path | None  # of an image that is no file None
    probabilities: np.ndarray | None = None
    logits: np.ndarray | None = None
    by_view: np.ndarray | None = None
    reason: str = ""
    cells: tuple[str, ...] = ()


Batch = list[list[Prediction]]  # for each image, a `Prediction` of each model
Prepared = Callable[[Image, Preprocessing, np.ndarray], None]


@dataclass(frozen=True)
class Companion:
    """What else is told of images that one model predicts, while they and its outputs are at hand.

    `note(image)` keeps what is needed of a decoded image, RGB uint8; `outputs` are further ones of
    the model's file, for the images as they are, not mirrored. `tell(images, batch, notes, found)`
    gives the cells of the CSV's `columns` for each image of a batch, nothing for one without a
    prediction. Both are called by several threads.
    """

    columns: tuple[str, ...]
    outputs: tuple[str, ...]
    note: Callable[[np.ndarray], Any]
    tell: Callable[[Sequence[Image], Batch, list[Any], list[np.ndarray]], list[tuple[str, ...]]]


@dataclass(frozen=True)
class Work:
    """How images are predicted: in batches of `batch_size`, each by one of `n_workers` threads.

    `prepared` is called with each image as a spec prepares it. `companions` want a single model.
    """

    batch_size: int = 8
    n_workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    tta: str = NONE
    prepared: Prepared | None = None
    companions: tuple[Companion, ...] = ()


def batch_size_of(predictors: Sequence[Predictor], wanted: int) -> int:
    """Images in a batch: as many as are `wanted`, fewer where they would be very large."""
    pixels = sum(h * w for h, w in (spec.output_size for spec in _specs(predictors).values()))
    return max(1, min(wanted, MAX_BATCH_PIXELS // pixels))


def predict_batches(
    predictors: Sequence[Predictor], batches: Iterable[Sequence[Image]], work: Work
) -> Generator[Batch, None, None]:
    """The predictions of each batch, in order; batches are no larger than `batch_size_of` says.

    A thread reads, decodes and runs a whole batch, so that the numbers do not depend on how many
    threads there are. What cannot be read keeps its place, as an image of zeros: a batch of the
    same files is always the same input. Memory is that of one batch for each thread.
    """
    specs, views = _specs(predictors), VIEWS[work.tta]
    free: queue.SimpleQueue[dict[str, np.ndarray]] = queue.SimpleQueue()
    size = batch_size_of(predictors, work.batch_size)
    for _ in range(work.n_workers):
        free.put({key: np.empty((size, 3, *s.output_size), np.float32) for key, s in specs.items()})

    def answer(batch: Sequence[Image]) -> Batch:
        inputs = free.get()
        try:
            notes: list[list[Any]] = []
            reasons = [_read(image, specs, inputs, work, notes) for image in batch]
            more = [name for companion in work.companions for name in companion.outputs]
            rows, found = _run(predictors, batch, reasons, inputs, views, more)
            return _accompanied(batch, rows, notes, found, work.companions)
        finally:
            free.put(inputs)

    with _one_opencv_thread(), ThreadPoolExecutor(work.n_workers) as pool:
        pending: list[Future[Batch]] = []
        try:
            for batch in batches:
                pending.append(pool.submit(answer, batch))
                if len(pending) > 2 * work.n_workers:  # so that no thread waits for work
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def decoded_batches(
    spec: Preprocessing, images: Iterable[Image], size: int
) -> Iterator[tuple[list[np.ndarray | str], np.ndarray]]:
    """For each batch of `size` images, in order: (RGB uint8 [H, W, 3] of each, or why it cannot be
    read; float32 [n, 3, height, width] of those that can).

    For what is asked of an image beside a prediction; memory is that of one batch.
    """
    left = iter(images)
    while batch := list(islice(left, size)):
        read = [_decoded(spec, image) for image in batch]
        good = [spec(one) for one in read if not isinstance(one, str)]
        yield read, np.stack(good) if good else np.empty((0, 3, *spec.output_size), np.float32)


def _decoded(spec: Preprocessing, image: Image) -> np.ndarray | str:
    if isinstance(image, np.ndarray):
        return image
    try:
        return spec.decode(file_bytes(image) if isinstance(image, Path) else image)[0]
    except ImageError as error:
        return str(error)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads would only be in the way of those that share the batches."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _specs(predictors: Sequence[Predictor]) -> dict[str, Preprocessing]:
    """The different preprocessings of the models, by their digest."""
    return {p.contract.preprocessing.digest: p.contract.preprocessing for p in predictors}


def _read(
    image: Image,
    specs: dict[str, Preprocessing],
    inputs: dict[str, np.ndarray],
    work: Work,
    notes: list[list[Any]],
) -> str:
    """Why the image cannot be read; empty where it is now in the inputs of all specs.

    Its place there is that in `notes`, to which the companions' notes on it are added. A file is
    read once, and decoded once for all specs that want it at the same size.
    """
    decoded: dict[int, np.ndarray] = {}
    place = len(notes)
    notes.append([])
    try:
        data = file_bytes(image) if isinstance(image, Path) else image
        for key, spec in specs.items():
            side = spec.decoded_side
            if side not in decoded:
                decoded[side] = spec.decode(data)[0] if isinstance(data, bytes) else data
            prepared = spec.prepare(decoded[side])
            if work.prepared:
                work.prepared(image, spec, prepared)
            spec.finish(prepared, inputs[key][place])
        notes[place] += [c.note(image) for image in decoded.values() for c in work.companions]
    except ImageError as error:
        for of_spec in inputs.values():
            of_spec[place] = 0
        return str(error)
    return ""


def _run(
    predictors: Sequence[Predictor],
    batch: Sequence[Image],
    reasons: list[str],
    inputs: dict[str, np.ndarray],
    views: list[View],
    more: Sequence[str],
) -> tuple[Batch, list[np.ndarray]]:
    """(predictions, outputs `more` of the last model for the first view, which is the image)."""
    paths = [image if isinstance(image, Path) else None for image in batch]
    if all(reasons):
        none = [
            Prediction(path, reason=reason) for path, reason in zip(paths, reasons, strict=True)
        ]
        return [[one] * len(predictors) for one in none], []
    by_model, further = [], []
    for predictor in predictors:
        images = inputs[predictor.contract.preprocessing.digest][: len(batch)]
        first, *others = (np.ascontiguousarray(view(images)) for view in views)
        found = predictor.outputs(first, *more)
        further = list(found[2:])
        of_views = [found[:2], *map(predictor.outputs, others)]
        logits, probabilities = (np.stack(part, axis=1) for part in zip(*of_views, strict=True))
        by_model.append(_predictions(predictor.contract, paths, reasons, logits, probabilities))
    return [list(row) for row in zip(*by_model, strict=True)], further


def _accompanied(
    images: Sequence[Image],
    batch: Batch,
    notes: list[list[Any]],
    found: list[np.ndarray],
    companions: Sequence[Companion],
) -> Batch:
    """The predictions of a batch with the companions' cells."""
    if not companions or all(row[0].reason for row in batch):
        return batch
    cells: list[tuple[str, ...]] = [()] * len(batch)
    for number, companion in enumerate(companions):
        own = [of_image[number] if of_image else None for of_image in notes]
        outputs, found = found[: len(companion.outputs)], found[len(companion.outputs) :]
        told = companion.tell(images, batch, own, outputs)
        cells = [before + after for before, after in zip(cells, told, strict=True)]
    return [[replace(row[0], cells=of_row)] for row, of_row in zip(batch, cells, strict=True)]


def _predictions(
    contract: Contract,
    paths: list[Path | None],
    reasons: list[str],
    logits: np.ndarray,
    by_view: np.ndarray,
) -> list[Prediction]:
    """Those of a batch; what no class can be decided by has its reason instead."""
    n_views = logits.shape[1]
    wrong = why_unusable(*(part.reshape(-1, part.shape[2]) for part in (logits, by_view)))
    by_view = by_view.clip(0, 1)
    means = mean_over_views(by_view, contract.temperature)
    found = []
    for place, (path, reason) in enumerate(zip(paths, reasons, strict=True)):
        views = wrong[place * n_views : (place + 1) * n_views]
        reason = reason or next(filter(None, views), "")
        values = (means[place], logits[place], by_view[place])
        found.append(Prediction(path, reason=reason) if reason else Prediction(path, *values))
    return found
