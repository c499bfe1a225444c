"""The validation predictions that a run keeps of every epoch: what its best epoch was chosen by."""

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from ..core.files import replacing
from ..evaluation.predictions import Predictions
from ..evaluation.results import row_digests

KEPT = "validation_epochs.npz"
MAX_BYTES = 2_000_000_000  # of the arrays in a file
_ARRAYS = {
    "epochs": (np.int32, 1),
    "probabilities": (np.float32, 3),
    "decisions": (np.uint16, 2),
    "labels": (np.uint16, 1),
    "groups": (np.int16, 1),
    "clusters": (np.int32, 1),
    "about": (np.uint8, 1),
}


@dataclass(frozen=True)
class KeptEpochs:
    """`epochs` int [E], from 0; `probabilities` float32 [E, N, classes]; `decisions` [E, N].

    Of the rows: `labels`, `groups` (-1 unknown) and `clusters` (patient or lesion, from 0) [N].
    `rows_digest` is equal where the same rows were evaluated. No name of an image is kept.
    """

    epochs: np.ndarray
    probabilities: np.ndarray
    decisions: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    clusters: np.ndarray
    classes: tuple[str, ...]
    positive: int
    rows_digest: str

    def predictions(self, place: int) -> Predictions:
        """The rows as the epoch at this place predicts them, their names left empty."""
        return Predictions(
            names=[""] * len(self.labels),
            labels=self.labels.astype(np.int64),
            groups=self.groups.astype(np.int64),
            probabilities=self.probabilities[place],
            decisions=self.decisions[place].astype(np.int64),
            classes=self.classes,
            positive=self.positive,
            group_names=(),
        )

    def before(self, epoch: int) -> "KeptEpochs":
        """The epochs before this one: a continued run trains the others again."""
        keep = self.epochs < epoch
        parts = {name: getattr(self, name)[keep] for name in ("epochs", "probabilities")}
        return replace(self, **parts, decisions=self.decisions[keep])


def keep_epoch(path: Path, epoch: int, found: Predictions, clusters: np.ndarray) -> None:
    """Add the predictions of an epoch's validation rows to a run's file.

    Later epochs in it are of a run that was interrupted and go; a file of other rows, or a damaged
    one, is replaced. A kill leaves the file as it was or with the epoch.
    """
    new = KeptEpochs(
        epochs=np.array([epoch], np.int32),
        probabilities=found.probabilities[None].astype(np.float32),
        decisions=found.decisions[None].astype(np.uint16),
        labels=found.labels.astype(np.uint16),
        groups=found.groups.astype(np.int16),
        clusters=clusters.astype(np.int32),
        classes=found.classes,
        positive=found.positive,
        rows_digest=row_digests(found, "valid")["rows_digest"],
    )
    earlier = _earlier(path, new)
    if earlier:
        joined = {
            name: np.concatenate([getattr(earlier, name), getattr(new, name)])
            for name in ("epochs", "probabilities", "decisions")
        }
        new = replace(new, **joined)
    about = {"classes": new.classes, "positive": new.positive, "rows_digest": new.rows_digest}
    arrays = {name: getattr(new, name) for name in _ARRAYS if name != "about"}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays, about=text)


def _earlier(path: Path, new: KeptEpochs) -> KeptEpochs | None:
    if not path.is_file():
        return None
    try:
        earlier = read_kept(path)
    except UserError:
        return None
    same = earlier.rows_digest == new.rows_digest and earlier.classes == new.classes
    return earlier.before(int(new.epochs[0])) if same else None


def read_kept(path: Path) -> KeptEpochs:
    """What `keep_epoch` wrote. Raises `UserError` for a file that is damaged or no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in _ARRAYS}
        return _checked(arrays)
    except Exception:  # zipfile, zlib and numpy each raise their own kinds
        raise UserError(f"{path}: not the validation predictions of a run, or damaged") from None


def _checked(arrays: dict[str, np.ndarray]) -> KeptEpochs:
    """The epochs of arrays from a file. Raises `ValueError` where they do not fit together."""
    about = json.loads(arrays.pop("about").tobytes())
    kept = KeptEpochs(
        **arrays,
        classes=tuple(about["classes"]),
        positive=about["positive"],
        rows_digest=about["rows_digest"],
    )
    n_epochs, n_rows, n_classes = len(kept.epochs), len(kept.labels), len(kept.classes)
    fits = (
        all((a.dtype, a.ndim) == _ARRAYS[name] for name, a in arrays.items())
        and kept.probabilities.shape == (n_epochs, n_rows, n_classes)
        and kept.decisions.shape == (n_epochs, n_rows)
        and kept.groups.shape == kept.clusters.shape == kept.labels.shape
        and n_epochs > 0
        and n_rows > 0
        and kept.labels.max() < n_classes
        and kept.decisions.max() < n_classes
        and 0 <= kept.clusters.min() <= kept.clusters.max() < n_rows
        and bool(((kept.probabilities >= 0) & (kept.probabilities <= 1)).all())
        and type(kept.positive) is int
        and 0 <= kept.positive < n_classes
        and all(type(text) is str for text in (*kept.classes, kept.rows_digest))
    )
    if not fits:
        raise ValueError
    return kept
