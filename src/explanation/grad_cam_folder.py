"""Grad-CAM of a folder's images: overlays, a contact sheet and the pointing game; needs torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from ..artifact.contract import Contract
from ..artifact.network import Network
from ..batch.mask_files import read_lesion
from ..core.cells import guarded
from ..core.errors import require
from ..core.files import csv_lines, make_folder
from ..core.progress import progress
from ..inference.predictor import OnnxPredictor
from ..preprocess.image import ImageError, file_bytes, write_png
from ..skin.masks import lesion_mask
from ..skin.tone import GROUP_NAMES, estimate_tone
from ..skin.view import skin_in_view
from .folder import as_seen
from .grad_cam import grad_cam
from .maps import explain, log_odds
from .overlay import contact_sheet, overlay
from .pointing import Pointed, at_center, point, pointing_game

GRAD_CAM, EVIDENCE, CENTER, UNKNOWN = "Grad-CAM", "exact evidence", "centre point", "unknown"
HEADER = ("image_name", "class", "skin_tone", "map", "hits", "share_in_lesion")
N_SHOWN = 12  # in the contact sheet
_BATCH = 16
_PANELS = 9  # across the contact sheet, about


@dataclass(frozen=True)
class Model:
    """A network that is explained and, where its exact evidence is wanted too, its ONNX file."""

    network: Network
    contract: Contract
    onnx: OnnxPredictor | None = None

    def __post_init__(self):
        if self.onnx is None:
            return
        other = self.onnx.contract
        own, its = ((c.model, c.classes, c.preprocessing.digest) for c in (self.contract, other))
        require(own == its, "--onnx_model_path: is not of the model in --checkpoint_path")
        require(other.evidence is not None, "--onnx_model_path: the model has no evidence output")


@dataclass(frozen=True)
class Seen:
    """What was found of an image, or the `reason` why nothing was.

    `pointed` are maps by name and, without an expert's mask, empty, as is `tone`; `drawn` is the
    overlay.
    """

    path: Path
    class_name: str = ""
    tone: str = ""
    pointed: dict[str, Pointed] = field(default_factory=dict)
    drawn: np.ndarray | None = None
    reason: str = ""


def write_overlays(
    model: Model, paths: Sequence[Path], folder: Path, masks: dict[str, Path], output: Path
) -> list[Seen]:
    """What was found of images below `folder`, without their overlays, which are in `output`.

    `masks` are experts' by their images' stems, or none. `overlays/`, `contact_sheet.png` of some
    images and, with masks, `pointing_game.csv` are written.
    """
    shown = {*np.linspace(0, len(paths) - 1, N_SHOWN).astype(int).tolist()}
    found: list = []
    sheet: list = []
    starts = range(0, len(paths), _BATCH)
    for start in progress(starts, "explaining", len(starts), "batch"):
        for seen in _batch(model, paths[start : start + _BATCH], masks):
            if seen.drawn is not None:
                target = output / "overlays" / f"{seen.path.relative_to(folder)}.png"
                write_png(make_folder(target.parent) / target.name, seen.drawn)
                sheet += [seen.drawn] * (len(found) in shown)
            found.append(replace(seen, drawn=None))
    if sheet:
        n_columns = max(1, _PANELS // (3 if model.onnx else 2))
        write_png(output / "contact_sheet.png", contact_sheet(sheet, n_columns))
    if masks:
        with csv_lines(output / "pointing_game.csv", [*HEADER]) as line:
            for cells in (cells for seen in found for cells in _lines(seen, folder)):
                line(cells)
    return found


def games(found: Sequence[Seen]) -> Iterator[str]:
    """A line for all images and for each tone group: how often each map points into the lesion."""
    for tone in ("all", *GROUP_NAMES, UNKNOWN):
        rows = [seen.pointed for seen in found if seen.pointed and tone in ("all", seen.tone)]
        if rows:
            told = (pointing_game(name, [row[name] for row in rows]) for name in rows[0])
            yield f"{tone}: {'; '.join(told)}"


def _lines(seen: Seen, folder: Path) -> Iterator[list]:
    name = seen.path.relative_to(folder).as_posix()
    for kind, one in seen.pointed.items():
        share = "" if one.share is None else round(one.share, 4)
        yield [guarded(name), guarded(seen.class_name), seen.tone, kind, int(one.hits), share]


def _batch(model: Model, paths: Sequence[Path], masks: dict[str, Path]) -> Iterator[Seen]:
    """What was found of each image, in order."""
    spec, read = model.contract.preprocessing, {}
    unread: dict[Path, Seen] = {}
    for path in paths:
        try:
            read[path] = _read(model, path, masks)
        except ImageError as error:
            unread[path] = Seen(path, reason=str(error))
    explained = {}
    if read:
        inputs = np.stack([spec(image) for image, _ in read.values()])
        explained = dict(zip(read, _maps(model, inputs), strict=True))
    for path in paths:
        yield unread.get(path) or _seen(model, path, *read[path], *explained[path], bool(masks))


def _read(model: Model, path: Path, masks: dict[str, Path]) -> tuple[np.ndarray, np.ndarray]:
    """(the image, its lesion bool [H, W]: the expert's or the one found)"""
    image, size = model.contract.preprocessing.decode(file_bytes(path))
    if not masks:
        return image, lesion_mask(image)
    return image, read_lesion(masks[path.stem], size, image.shape[:2])


def _maps(model: Model, inputs: np.ndarray) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(decided class, maps by name, none where Grad-CAM has none) of each of the inputs."""
    contract = model.contract
    with torch.inference_mode():
        logits, probabilities = (part.numpy() for part in model.network(torch.from_numpy(inputs)))
    decisions = contract.decide(probabilities).tolist()
    rows = list(zip(logits, decisions, strict=True))
    weights = [log_odds(contract, *row)[1] for row in rows]
    evidence = model.onnx.evidence(inputs)[1] if model.onnx else None
    for n, cam in enumerate(grad_cam(model.network.classifier, inputs, weights)):
        maps = {} if cam is None else {GRAD_CAM: cam}
        if maps and evidence is not None:
            maps[EVIDENCE] = explain(contract, logits[n], evidence[n], decisions[n]).cells
        yield contract.classes[decisions[n]], maps


def _seen(
    model: Model,
    path: Path,
    image: np.ndarray,
    lesion: np.ndarray,
    class_name: str,
    maps: dict[str, np.ndarray],
    is_experts: bool,
) -> Seen:
    if not maps:
        return Seen(path, class_name, reason="its Grad-CAM is zero everywhere: it explains nothing")
    spec = as_seen(model.contract.preprocessing)
    seen = spec.prepare_mask(np.repeat(lesion[..., None] * np.uint8(255), 3, axis=2))
    tone, pointed = "", {}
    if is_experts:
        view = skin_in_view(image, lesion=lesion)
        estimate = estimate_tone(view.image, view.skin, domain=view.domain)
        tone = GROUP_NAMES[estimate.group] if estimate.valid else UNKNOWN
        pointed = {name: point(cells, seen) for name, cells in maps.items()}
        pointed[CENTER] = at_center(seen)
    lines = [f"{path.stem}: {class_name}", ", ".join(maps), model.contract.notice]
    return Seen(
        path, class_name, tone, pointed, overlay(spec.prepare(image), seen, [*maps.values()], lines)
    )
