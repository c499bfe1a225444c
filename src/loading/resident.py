"""A set of images whole on the device, augmented there in batches: no process loads any.

Each row is changed by the same draws as on the CPU, a pure function of its seed. Where those
changes round to uint8 after each kind of change, these do not: results differ by a rounding.
"""

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

from ..core.errors import UserError, require
from ..core.memory import free_bytes
from ..core.progress import progress
from ..datasets.table import Table
from ..preprocess.spec import Preprocessing
from .augment import Augmentation, Step
from .batches import Batch, ResidentBatches, scaled
from .pixel_changes import GREY, Fused, blackened, blurred, colored, sharpened
from .prepared import PreparedImages

UPLOADED = 256  # images at a time
MOST = 0.7  # of the device's free memory


class ResidentImages:
    """Prepared images on a device, uint8 [n, height, width, 3].

    Raises `UserError` where they do not fit.
    """

    def __init__(self, prepared: PreparedImages, spec: Preprocessing, device: torch.device):
        n_images, free = len(prepared.digests), free_on(device)
        require(
            prepared.n_bytes < MOST * free,
            f"--resident: {n_images:,} images take {prepared.n_bytes / 1e9:.3g} GB, and {device} "
            f"has {free / 1e9:.3g} GB of free memory, {MOST:.0%} of which may be taken: leave it "
            "out, and give --cache disk",
        )
        self.prepared, self.device = prepared, device
        self.scaling = [torch.from_numpy(part).to(device) for part in spec.scaling]
        self.images = torch.empty((n_images, *prepared.size, 3), dtype=torch.uint8, device=device)
        starts = range(0, n_images, UPLOADED)
        for start in progress(starts, f"images to {device}", unit="part"):
            part = np.stack([prepared[i][0] for i in range(n_images)[start : start + UPLOADED]])
            self.images[start : start + len(part)] = torch.from_numpy(part).to(device)

    def batches(
        self, table: Table, keys: Iterable, augmentation: Augmentation | None = None
    ) -> ResidentBatches:
        """Batches of a table's rows: `keys` are rows, or (row, seed) to be augmented."""
        of_rows = (self.prepared.places(table.rows["content"]), table.labels, table.group_indices)
        columns = torch.from_numpy(np.stack(of_rows).astype(np.int64))
        positive = torch.from_numpy(table.labels == table.positive)
        soft = [torch.from_numpy(np.stack(table.rows["taught"]))] if "taught" in table.rows else []
        steps = check_resident_augmentation(augmentation) if augmentation else []

        def make(rows: torch.Tensor, seeds: torch.Tensor | None = None) -> Batch:
            places, labels, groups = columns[:, rows].to(self.device, non_blocking=True)
            images = self.images[places]
            taught = [part[rows].to(self.device, non_blocking=True) for part in soft]
            if not steps:
                return scaled(images, *self.scaling), labels, groups, *taught
            planes = images.permute(0, 3, 1, 2).float()
            planes = augmented(planes, steps, seeds.tolist(), positive[rows].tolist())
            factors, addends = (part.view(3, 1, 1) for part in self.scaling)
            return planes.mul_(factors).add_(addends), labels, groups, *taught

        return ResidentBatches(keys, make)


def check_resident(spec: Preprocessing, augment: str) -> None:
    """Raise `UserError` for what a device cannot do with images that are there already."""
    is_last = spec.augmentation_point == len(spec.steps) - 1
    require(
        is_last and spec.steps[-1].name == "normalize",
        "--resident: expected normalize alone after the augmentation point || of --preprocess",
    )
    check_resident_augmentation(Augmentation(augment))


def check_resident_augmentation(augmentation: Augmentation) -> list[Step]:
    """The steps of an augmentation that changes pixels alone. Raises `UserError` for any other."""
    for step in augmentation.steps:
        change = step.pixels
        if not (isinstance(change, Fused) and all(c.apply in _BATCHED for c in change.changes)):
            raise UserError(
                "--resident: --augment has a change that is made on the CPU alone: leave out "
                "--resident, or take none, flips, dihedral, dermatoscopy, lumen or malignant_only"
            )
    return augmentation.steps


def augmented(
    planes: torch.Tensor, steps: list[Step], seeds: list[int], positive: list[bool]
) -> torch.Tensor:
    """float32 [N, 3, H, W] of such images with samples in 0..255, each by its seed.

    `positive` says which of them show the class to be detected.
    """
    rngs = [np.random.default_rng(seed) for seed in seeds]
    for step in steps:
        concerned = [i for i, is_one in enumerate(positive) if is_one or not step.only_positive]
        own = [rngs[place] for place in concerned]
        planes = _at(planes, concerned, _changed, step.pixels, own)
    return planes.contiguous(memory_format=torch.channels_last)


def _changed(planes: torch.Tensor, pixels: Fused, rngs: list[np.random.Generator]) -> torch.Tensor:
    size = tuple(planes.shape[-2:])
    matrices, changes = zip(*(pixels.draw(size, rng) for rng in rngs), strict=True)
    if pixels.geometry:
        planes = warped_batch(planes, np.stack(matrices))
    for change, values in zip(pixels.changes, zip(*changes, strict=True), strict=True):
        drawn = {place: value for place, value in enumerate(values) if value is not None}
        planes = _at(planes, [*drawn], _BATCHED[change.apply], [*drawn.values()])
    return planes


def _at(planes: torch.Tensor, places: list[int], change: Callable, *given: Any) -> torch.Tensor:
    """The images with those at some places as `change(images, *given)` gives them."""
    if len(places) == len(planes):
        return change(planes, *given)
    if not places:
        return planes
    chosen = torch.tensor(places).to(planes.device, non_blocking=True)
    return planes.index_copy(0, chosen, change(planes[chosen], *given))


def warped_batch(planes: torch.Tensor, matrices: np.ndarray) -> torch.Tensor:
    """Each image under its matrix [3, 3] of pixel coordinates, bilinear, black around it."""
    height, width = planes.shape[-2:]
    # `grid_sample` wants the place in the old image of each new pixel, its centre -1 to 1
    unit = np.array([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])
    back = _to(planes, unit @ np.linalg.inv(matrices))
    y, x = torch.meshgrid(_numbers(planes, height), _numbers(planes, width), indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    places = (back @ pixels).view(-1, 3, height, width)
    grid = (places[:, :2] / places[:, 2:]).permute(0, 2, 3, 1)
    return functional.grid_sample(planes, grid, align_corners=True)


def _colored(planes: torch.Tensor, drawn: list[tuple[np.ndarray, np.ndarray]]) -> torch.Tensor:
    """As `pixel_changes.colored`; what is not linear is the grey that contrast is about."""
    turns = _to(planes, np.stack([[_turn(k, values[k]) for k in order] for order, values in drawn]))
    about = _to(planes, np.stack([(1 - values[order]) * (order == 1) for order, values in drawn]))
    mean = functional.pad(planes.mean((2, 3)), (0, 1), value=1.0)
    matrix = torch.eye(3, 4, device=planes.device).expand(len(planes), 3, 4)
    for place in range(4):
        grey = (_to(planes, GREY) @ matrix * mean).sum(1)
        matrix = turns[:, place] @ matrix
        matrix[..., 3] += (about[:, place] * grey)[:, None]
    flat = torch.baddbmm(matrix[..., 3:], matrix[..., :3], planes.flatten(2))
    return flat.clamp_(0, 255).view(planes.shape)


def _turn(kind: int, value: float) -> np.ndarray:
    """[3, 3]: what `color_matrix` multiplies by for one kind of change."""
    if kind == 2:
        return value * np.eye(3) + (1 - value) * GREY
    if kind == 3:
        return np.eye(3) + 6 * value * np.outer((0, 1, 0), (1, 0, -1))
    return value * np.eye(3)


def _blurred(planes: torch.Tensor, sigmas: list[float]) -> torch.Tensor:
    lines = [cv2.getGaussianKernel(3, sigma)[:, 0] for sigma in sigmas]
    return _filtered(planes, [np.outer(line, line) for line in lines])


def _sharpened(planes: torch.Tensor, kernels: list[np.ndarray]) -> torch.Tensor:
    result = planes.clone()
    result[..., 1:-1, 1:-1] = _filtered(planes, kernels)[..., 1:-1, 1:-1].clamp(0, 255)
    return result


def _filtered(planes: torch.Tensor, kernels: list[np.ndarray]) -> torch.Tensor:
    """Each image under its kernel [3, 3], mirrored at its edges."""
    weights = _to(planes, np.stack(kernels)).repeat_interleave(3, dim=0)[:, None]
    framed = functional.pad(planes, (1, 1, 1, 1), mode="reflect").flatten(0, 1)[None]
    return functional.conv2d(framed, weights, groups=len(weights)).view(planes.shape)


def _blackened(planes: torch.Tensor, rectangles: list[tuple[slice, slice]]) -> torch.Tensor:
    for image, (rows, columns) in zip(planes, rectangles, strict=True):
        image[:, rows, columns] = 0
    return planes


# the form for batches of what changes one image
_BATCHED: dict[Callable, Callable[[torch.Tensor, Any], torch.Tensor]] = {
    colored: _colored,
    blurred: _blurred,
    sharpened: _sharpened,
    blackened: _blackened,
}


def _to(planes: torch.Tensor, values: np.ndarray) -> torch.Tensor:
    """float32, where the images are."""
    return torch.from_numpy(values).float().to(planes.device, non_blocking=True)


def _numbers(planes: torch.Tensor, n: int) -> torch.Tensor:
    return torch.arange(n, dtype=torch.float32, device=planes.device)


def free_on(device: torch.device) -> int:
    """Bytes of memory that are free on a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_bytes()
