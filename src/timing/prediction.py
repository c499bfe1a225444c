"""Where the time of a prediction goes: preprocessing by a plain recipe, the model alone, and all.

Each round times both ways in turns, so that other work on the machine meets both.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from ..batch.benchmark import write_jpeg
from ..inference.batches import Work, predict_batches
from ..inference.model import SkinLesionPredictor
from ..preprocess.image import file_bytes
from ..preprocess.spec import Preprocessing
from .benchmark import Spread, seconds_per_image, spread_of
from .recipe import plain_input

SIZES = {(200, 150): 64, (3264, 2448): 4}  # (width, height) of files, and files in a round
BATCH_SIZES = (1, 4, 8, 16)
Times = tuple[float, float]  # seconds an image, of the processor and of the clock
Way = Callable[[], Times]


def time_prediction(model_path: Path, paths: Sequence[Path], n_rounds: int) -> list[str]:
    """Lines on the preprocessing and on the whole pipeline of a model, on these images."""
    model = SkinLesionPredictor(model_path)
    spec = model.predictors[0].contract.preprocessing
    return [*_preprocessing(paths, spec, n_rounds), *_pipeline(model, model_path, paths, n_rounds)]


def _preprocessing(paths: Sequence[Path], spec: Preprocessing, n_rounds: int) -> list[str]:
    """Processor time of one thread an image, from a JPEG file to the model's input."""
    planes = np.empty((3, *spec.output_size), np.float32)

    def own(path: Path) -> None:
        spec.finish(spec.prepare(spec.decode(file_bytes(path))[0]), planes)

    plain, lines = plain_input(spec.output_size), []
    for size, most in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            files = [write_jpeg(path, size, Path(folder)) for path in paths[:most]]
            ways = (partial(seconds_per_image, work, files) for work in (plain, own))
            rounds = _in_turns(list(ways), n_rounds)
        what = f"preprocessing at {size[0]}x{size[1]}, {len(files)} files, ms of a processor"
        lines += _compared(what, rounds, "a plain torchvision recipe", "this software")
    return lines


def _pipeline(
    model: SkinLesionPredictor, model_path: Path, paths: Sequence[Path], n_rounds: int
) -> list[str]:
    """From files to decisions, and `session.run` alone, each at its fastest batch size.

    `session.run` has a batch that is there already and all cores, with threads of ONNX Runtime
    that wait as they are set to do, or without spinning, whichever is faster.
    """
    size = model.predictors[0].contract.preprocessing.output_size
    noise = np.random.default_rng(0).standard_normal((max(BATCH_SIZES), 3, *size), np.float32)
    sessions = {
        "that spin": _session(model_path, "1"),
        "that do not spin": _session(model_path, "0"),
    }
    alone = {
        f"session.run alone, batches of {n}, threads {how}": partial(
            _alone, session, noise[:n], len(paths)
        )
        for how, session in sessions.items()
        for n in BATCH_SIZES
    }
    whole = {
        f"the whole pipeline, batches of {n}": partial(_whole, model, paths, n) for n in BATCH_SIZES
    }
    names = [min(ways, key=lambda name: ways[name]()[1]) for ways in (alone, whole)]
    rounds = _in_turns([alone[names[0]], whole[names[1]]], n_rounds)
    lines = []
    for place, what in enumerate(("ms of the processors", "ms")):
        times = [(a[place], b[place]) for a, b in rounds]
        lines += _compared(f"{len(paths)} images, {what} an image", times, *names)
    return lines


def _session(path: Path, spins: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", spins)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _alone(session: onnxruntime.InferenceSession, batch: np.ndarray, n_images: int) -> Times:
    inputs = {session.get_inputs()[0].name: batch}
    n_runs = -(-n_images // len(batch))
    session.run(None, inputs)
    return _clocked(lambda: [session.run(None, inputs) for _ in range(n_runs)], n_runs * len(batch))


def _whole(model: SkinLesionPredictor, paths: Sequence[Path], size: int) -> Times:
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    found = predict_batches(model.predictors, batches, Work(size, tta=model.tta))
    return _clocked(lambda: [list(model.decided(rows)) for rows in found], len(paths))


def _clocked(work: Callable[[], object], n_images: int) -> Times:
    started = time.process_time(), time.perf_counter()
    work()
    ended = time.process_time(), time.perf_counter()
    return (ended[0] - started[0]) / n_images, (ended[1] - started[1]) / n_images


def _in_turns(ways: Sequence[Callable], n_rounds: int) -> list[tuple]:
    return [tuple(way() for way in ways) for _ in range(n_rounds)]


def _compared(what: str, rounds: Sequence[tuple[float, float]], *names: str) -> list[str]:
    """The times of two ways in milliseconds, and how many times as fast the second is."""
    columns = zip(*rounds, strict=True)
    spreads: list[Spread] = [spread_of(1000 * value for value in column) for column in columns]
    lines = [f"  {spread}  {name}" for spread, name in zip(spreads, names, strict=True)]
    return [what, *lines, f"  {spread_of(a / b for a, b in rounds)}  times as fast"]
