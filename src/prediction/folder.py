"""A folder of images to a CSV: in fixed batches, resumable after a kill, in shards."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..artifact.contract import Contract
from ..artifact.foreign import ForeignModel
from ..core.cells import guarded, visible
from ..core.classes import look_like_indices
from ..core.files import check_output, csv_lines, expect_output_folder, file_sha256, make_folder
from ..core.image_files import list_images
from ..core.progress import progress
from ..inference.batches import Companion, Work, batch_size_of, predict_batches
from ..inference.model import SkinLesionPredictor
from ..inference.trust import ANSWER
from ..preprocess.image import NOT_TEXT, write_png
from ..preprocess.spec import Preprocessing
from .finished import Finished, Row
from .options import PredictionOptions

FORMAT = 2  # of finished rows: raise it when they change
# options that change how rows are written, or how fast, but not the rows
_NOT_OF_ROWS: tuple[str, ...] = (
    "onnx_model_path",
    "output_csv",
    "recursive",
    "probabilities",
    "target_names",
)
_NOT_OF_ROWS += ("aggregate", "metadata_csv", "num_workers", "resume", "shard", "save_processed")


@dataclass
class Outcome:
    """What came of a folder: of how many images how many were predicted, and what else to tell."""

    model: SkinLesionPredictor
    paths: list[Path]  # of the whole folder
    n_images: int  # of the part
    n_predicted: int = 0
    n_resumed: int = 0
    n_lesions: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)  # names and reasons
    answers: Counter[str] = field(default_factory=Counter)  # with --trust, how often each was given


# what makes the companions of a model, or refuses it; its `repr` says all that they depend on
Accompany = Callable[[SkinLesionPredictor], tuple[Companion, ...]]


def predict_folder(
    options: PredictionOptions,
    model_path: Path,
    foreign: ForeignModel,
    accompany: Accompany | None = None,
) -> Outcome:
    """Predict the images of `options.input_folder`, or the part of them that `shard` says.

    A batch is always of the same files, whatever was finished before, so that the CSV is the same
    byte for byte however often the work was stopped and by how many shards it was shared. A part
    writes no CSV: the same command with `resume` and without `shard` joins what is finished and
    predicts what is lacking. `accompany` makes what else tells of the images.
    """
    paths = list_images(options.input_folder, options.recursive)
    _check_outputs(options, paths, model_path)
    lesions = _lesions(options, paths)
    model = _model(options, model_path, foreign)
    companions = accompany(model) if accompany else ()
    size = batch_size_of(model.predictors, options.batch_size)
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    keys = [_key(batch) for batch in batches]
    number, count = options.part
    own = range(number - 1, len(batches), count)
    outcome = Outcome(model, paths, sum(len(batches[place]) for place in own))
    job = _job(options, model_path, foreign, accompany)
    finished = Finished(options.output_csv, job, options.part)
    with closing(finished.open(options.resume, bool(options.shard))) as file:
        todo = [place for place in own if keys[place] not in finished]
        outcome.n_resumed = outcome.n_images - sum(len(batches[place]) for place in todo)
        work = _work(options, model, companions)
        found = predict_batches(model.predictors, (batches[place] for place in todo), work)
        bar = progress(found, "predicting", len(own), "batch", initial=len(own) - len(todo))
        with closing(found):
            for place, batch in zip(todo, bar, strict=True):
                pairs = zip(batches[place], model.decided(batch), strict=True)
                rows = [_row(path, options.input_folder, decided) for path, decided in pairs]
                finished.add(file, keys[place], rows)
        if options.shard:
            done = finished.rows([keys[place] for place in own])
            outcome.n_predicted = sum(not row.reason for row in done)
            return outcome
        more = [name for companion in companions for name in companion.columns]
        _write(options, model.contract, lambda: finished.rows(keys), outcome, lesions, more)
        finished.remove()
    return outcome


def _model(
    options: PredictionOptions, model_path: Path, foreign: ForeignModel
) -> SkinLesionPredictor:
    return SkinLesionPredictor(
        model_path,
        options.classes.split(",") if options.classes else None,
        tta=options.tta,
        voting=options.voting,
        weights=options.member_weights,
        threshold=options.threshold,
        providers=options.providers,
        **asdict(foreign),
    )


def _check_outputs(options: PredictionOptions, paths: Sequence[Path], model_path: Path) -> None:
    inputs = (model_path, *model_path.glob("*.onnx"), *paths)
    check_output(options.output_csv, *inputs)
    for what in ("errors", "lesions"):
        check_output(options.beside_output(what), *inputs)
    if options.save_processed:
        expect_output_folder(options.save_processed, "--save_processed", options.input_folder)
        make_folder(options.save_processed)


def _lesions(options: PredictionOptions, paths: Sequence[Path]) -> Callable | None:
    """Writes the CSV of lesions, whose table is read now; None where they are not asked for."""
    if not options.metadata_csv or options.shard:
        return None
    from .lesions import HEADER, read_lesions, write_lesions  # needs pandas, which others do not

    ids = read_lesions(options.metadata_csv, [_name(path, options.input_folder) for path in paths])

    def write(rows: Iterator[Row], contract: Contract, header: list[str], cells: Callable) -> int:
        good = [row for row in rows if not row.reason]
        with csv_lines(options.beside_output("lesions"), [*HEADER, *header]) as line:
            return write_lesions(good, ids, contract, cells, line)

    return write


def _job(
    options: PredictionOptions, model_path: Path, foreign: ForeignModel, accompany: Accompany | None
) -> str:
    """A digest of all that decides a row: models, flags, the folder, what accompanies it."""
    said = {k: str(v) for k, v in asdict(options).items() if k not in _NOT_OF_ROWS}
    said["accompany"] = repr(accompany)
    said["input_folder"] = str(options.input_folder.resolve())
    files = sorted(model_path.glob("*.onnx")) if model_path.is_dir() else [model_path]
    models = [[file.name, file_sha256(file)] for file in files]
    text = json.dumps([FORMAT, said, asdict(foreign), models, cv2.__version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _key(batch: Sequence[Path]) -> str:
    """A digest of a batch's files: their paths, sizes and times."""
    told = hashlib.sha256()
    for path in batch:
        try:
            stat = path.stat()
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except (OSError, ValueError):
            state = "none"
        told.update(f"{path}\0{state}\0".encode(errors="surrogateescape"))
    return told.hexdigest()[:32]


def _work(
    options: PredictionOptions, model: SkinLesionPredictor, companions: tuple[Companion, ...]
) -> Work:
    save: Any = None
    if options.save_processed:
        specs = {p.contract.preprocessing.digest for p in model.predictors}
        save = _saver(options.save_processed, options.input_folder, len(specs) > 1)
    return Work(options.batch_size, options.num_workers, model.tta, save, companions)


def _saver(
    into: Path, folder: Path, by_spec: bool
) -> Callable[[Path, Preprocessing, np.ndarray], None]:
    """Writes prepared images as `<name>.png`, in a folder of its spec where they are several."""

    def save(path: Path, spec: Preprocessing, prepared: np.ndarray) -> None:
        root = into / spec.digest[:8] if by_spec else into
        target = root / f"{_name(path, folder)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_png(target, prepared)

    return save


def _name(path: Path, folder: Path) -> str:
    """The name of an image within `folder`, with `/`; bytes that are not UTF-8 are written out."""
    return path.relative_to(folder).as_posix().encode(errors="backslashreplace").decode()


def _row(path: Path, folder: Path, decided: tuple) -> Row:
    found, decision = decided
    name = _name(path, folder)
    if name != path.relative_to(folder).as_posix():  # no CSV could hold it
        return Row(name, -1, [], NOT_TEXT)
    values = found.probabilities if decision >= 0 else ()
    return Row(name, decision, [float(v) for v in values], found.reason, found.cells)


def _write(
    options: PredictionOptions,
    contract: Contract,
    rows: Callable[[], Iterator[Row]],
    outcome: Outcome,
    write_lesions: Callable | None,
    more: list[str],
) -> None:
    """The CSV of the predicted images, of those that were not, and of the lesions.

    `more` are the columns of companions, which lesions have not.
    """
    header, cells = columns(options, contract)
    answer = more.index(ANSWER) if options.trust else None
    with csv_lines(options.output_csv, ["image_name", *header, *more]) as line:
        for row in rows():
            if row.reason:
                outcome.failed.append((row.name, row.reason))
            else:
                line([guarded(row.name), *cells(row.decision, row.probabilities), *row.cells])
                outcome.n_predicted += 1
                if answer is not None:
                    outcome.answers[row.cells[answer]] += 1
    errors = options.beside_output("errors")
    if outcome.failed:
        with csv_lines(errors, ["image_name", "reason"]) as line:
            for name, reason in outcome.failed:
                line([guarded(name), guarded(visible(reason))])
    else:
        errors.unlink(missing_ok=True)  # of an earlier run
    if write_lesions:
        outcome.n_lesions = write_lesions(rows(), contract, header, cells)


def columns(
    options: PredictionOptions, contract: Contract
) -> tuple[list[str], Callable[[int, Sequence[float]], list]]:
    """(header, what makes cells of a class index and probabilities).

    `target` is a class index or, with `--target_names`, a name; where class names look like other
    indices, `target_class` holds the names beside indices.
    """
    classes = contract.classes
    both = look_like_indices(classes) and not options.target_names
    scores = [guarded(f"probability_{name}") for name in classes] if options.probabilities else []

    def cells(decision: int, probabilities: Sequence[float]) -> list:
        name = guarded(classes[decision])
        values = probabilities if options.probabilities else ()
        return [name if options.target_names else decision, *[name] * both, *values]

    return ["target", *["target_class"] * both, *scores], cells
