"""A preprocessing spec: an ordered list of steps with one mark, its digest and its probe."""

import hashlib
import json
from dataclasses import dataclass

import cv2
import numpy as np

from ..core.errors import UserError
from ..core.registry import Call, parse_call
from .steps import MOVING, STEPS, check, expand

PROBE_SIZE = 16
MAX_STEPS = 32
PROBE_TOLERANCE = 1e-3
FINISHING = ("to_lab", "normalize")  # steps that give float32, after the mark


@dataclass(frozen=True)
class Step:
    """A step's name and its constants."""

    name: str
    options: dict

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return STEPS[self.name](image, **self.options)


@dataclass(frozen=True)
class Preprocessing:
    """What stands between a decoded image and the network.

    The steps before `mark` (*prepare*: RGB uint8 to RGB uint8, deterministic) can be cached;
    training augments at the mark; the steps after it (*finish*) give float32.
    """

    steps: tuple[Step, ...]
    mark: int

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """RGB uint8 [H, W, 3] at the mark."""
        for step in self.steps[: self.mark]:
            image = step(image)
        return image

    def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
        """bool [H, W] at the mark, of a mask RGB uint8 (white is true) as large as the image.

        Padding is true where it is not black: nothing that could be taken for skin.
        """
        for step in self.steps[: self.mark]:
            if step.name in MOVING:
                padding = {"value": 255} if step.options.get("value") else {}
                mask = Step(step.name, {**step.options, **padding})(mask)
        return mask[..., 0] > 127

    def finish(self, image: np.ndarray) -> np.ndarray:
        """float32 [3, height, width] from the image at the mark."""
        for step in self.steps[self.mark :]:
            image = step(image)
        return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return self.finish(self.prepare(image))

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) that the last resizing or cropping step gives to every image."""
        sizes = [s.options for s in self.steps if "height" in s.options]
        return sizes[-1]["height"], sizes[-1]["width"]

    @property
    def needs_statistics(self) -> bool:
        """Whether a normalize step still waits for the mean and std of the training rows."""
        return any(s.name == "normalize" and "mean" not in s.options for s in self.steps)

    def with_statistics(self, images) -> "Preprocessing":
        """A copy whose normalize step holds the mean and std by channel over `images`.

        `images` are RGB uint8 at the mark; uint8 samples are counted on the scale 0..1.
        """
        index = next(i for i, step in enumerate(self.steps) if step.name == "normalize")
        head = self.steps[self.mark : index]
        moments = np.zeros((3, 3))  # count, sum, sum of squares by channel
        for image in images:
            for step in head:
                image = step(image)
            samples = image.reshape(-1, 3).astype(np.float64)
            samples = samples / 255.0 if image.dtype == np.uint8 else samples
            moments += [np.full(3, len(samples)), samples.sum(0), np.square(samples).sum(0)]
        mean = moments[1] / moments[0]
        std = np.sqrt(np.maximum(moments[2] / moments[0] - mean**2, 1e-12))
        options = {"mean": tuple(mean.round(6).tolist()), "std": tuple(std.round(6).tolist())}
        steps = list(self.steps)
        steps[index] = Step("normalize", options)
        return Preprocessing(tuple(steps), self.mark)

    def to_json(self) -> dict:
        """The steps with every constant, the mark, the digest and the probe, as JSON types."""
        steps = [[step.name, step.options] for step in self.steps]
        content = json.loads(json.dumps({"steps": steps, "mark": self.mark}))
        return {**content, "digest": _digest(content), "probe": self.probe()}

    def probe(self) -> list[float]:
        """16 numbers that these steps give on a fixed synthetic image."""
        values = self(_synthetic_image()).reshape(-1)
        places = np.linspace(0, values.size - 1, PROBE_SIZE).astype(int)
        return [float(value) for value in values[places]]


def parse_preprocessing(text: str, input_size: int) -> Preprocessing:
    """The spec written as `step | step(option=value) || step`; `||` is the mark.

    Without a mark all steps before the first of to_lab and normalize are *prepare*.
    Raises `UserError`.
    """
    parts = text.split("||")
    if len(parts) > 2:
        raise UserError(f"--preprocess '{text}': expected at most one mark ||")
    parsed = [[_parse_step(s, input_size) for s in p.split("|") if s.strip()] for p in parts]
    steps = tuple(step for part in parsed for step in part)
    finishing = (i for i, step in enumerate(steps) if step.name in FINISHING)
    mark = len(parsed[0]) if len(parts) == 2 else next(finishing, len(steps))
    return _checked(Preprocessing(steps, mark), f"--preprocess '{text}'")


def preprocessing_from_json(content: dict) -> Preprocessing:
    """The spec that `to_json` wrote. Raises `UserError` when it was edited or behaves otherwise."""
    try:
        steps = tuple(_make_step(name, _tuples(options)) for name, options in content["steps"])
        spec = _checked(Preprocessing(steps, int(content["mark"])), "the model's preprocessing")
        digest, probe = content["digest"], np.asarray(content["probe"], np.float64)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise UserError("the model's preprocessing is unreadable: export the model again") from None
    written = spec.to_json()
    if digest != written["digest"]:
        raise UserError("the model's preprocessing was edited: its digest does not fit its steps")
    drift = np.abs(probe - written["probe"]).max() if probe.shape == (PROBE_SIZE,) else np.inf
    if not drift <= PROBE_TOLERANCE:
        raise UserError(
            f"preprocessing gives other numbers than when the model was made (by {drift:.3g}): "
            f"use the OpenCV version the model was made with (here: {cv2.__version__})"
        )
    return spec


def _parse_step(text: str, input_size: int) -> Step:
    call = parse_call(text)
    options = expand(call.name, call.options, input_size)
    if call.name == "normalize" and not options:
        if not call.options:
            raise UserError("normalize: expected stats=... or mean=... and std=...")
        return Step(call.name, {})  # stats='train': `with_statistics` will write them
    return _make_step(call.name, options)


def _make_step(name: str, options: dict) -> Step:
    """A step with every option written out; `UserError` for a name or constant that cannot be."""
    call = STEPS.resolve(str(Call(name, options)))
    check(call.name, call.options)
    return Step(call.name, call.options)


def _checked(spec: Preprocessing, what: str) -> Preprocessing:
    """`spec`, or a `UserError` where its order cannot work."""
    names = [step.name for step in spec.steps]
    if len(names) > MAX_STEPS:
        raise UserError(f"{what}: {len(names)} steps, expected at most {MAX_STEPS}")
    if not any("height" in step.options for step in spec.steps):
        raise UserError(f"{what}: expected a step that fixes the size, such as resize")
    if names.count("normalize") > 1 or names.count("to_lab") > 1:
        raise UserError(f"{what}: expected normalize and to_lab once at most")
    if not 0 <= spec.mark <= len(names) or set(FINISHING) & set(names[: spec.mark]):
        raise UserError(f"{what}: to_lab and normalize stand after the mark ||")
    start = next((i for i, name in enumerate(names) if name in FINISHING), len(names))
    late = [name for name in names[start:] if name not in (*FINISHING, *MOVING)]
    if late:
        raise UserError(f"{what}: {late[0]} stands before to_lab and normalize")
    if "to_lab" in names and "normalize" in names[: names.index("to_lab")]:
        raise UserError(f"{what}: to_lab stands before normalize")
    return spec


def _digest(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _tuples(options: dict) -> dict:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}


def _synthetic_image() -> np.ndarray:
    """A fixed 96 x 128 RGB image with gradients, an edge and a texture."""
    y, x = np.mgrid[0:96, 0:128]
    disc = np.hypot(y - 48, x - 60) < 30
    red = 180 + x // 4 - 90 * disc
    green = 120 + y // 2 - 60 * disc + 8 * ((x // 3 + y // 5) % 2)
    blue = 100 + (x * y) % 37 - 30 * disc
    return np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)
