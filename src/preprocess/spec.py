"""A preprocessing spec: ordered steps with one augmentation point, their digest and probe."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..core.errors import UserError, require
from ..core.registry import Call, parse_call
from .image import decode_image, decode_scaled
from .probe import synthetic_image
from .steps import FOUND_LATER, STEPS, TRAITS, Kind, check, scaling

PROBE_SIZE = 16
PROBE_TOLERANCE = 1e-3
# bounds on what an untrusted file can ask for: steps, pixels that one of them gives, and pixels
# that all of them together go through, of an image of usual size
MAX_STEPS, MAX_PIXELS, MAX_WORK, USUAL_PIXELS = 32, 2**22, 2**24, 2**21
SCALED, SCALED_BEFORE = "scaled_jpeg", ("resize", "pad_resize")
SCALED_MARGIN = 2  # pixels of the decoded image for one of the resized one, at least, along a side


class Step(Call):
    """A step's name and its constants."""

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return STEPS[self.name](image, **self.options)

    @property
    def kind(self) -> Kind:
        """What it takes and gives."""
        return TRAITS[self.name].kind


@dataclass(frozen=True)
class Preprocessing:
    """What stands between a decoded image and the network.

    The steps before the augmentation point (*prepare*: RGB uint8 to RGB uint8, deterministic) can
    be cached; training augments there; the steps after it (*finish*) give float32.
    """

    steps: tuple[Step, ...]
    augmentation_point: int

    def decode(self, data: bytes) -> tuple[np.ndarray, tuple[int, int]]:
        """(RGB uint8 that *prepare* takes, height and width of the whole image) of a file's bytes.

        Raises `ImageError`.
        """
        if self.decoded_side:
            return decode_scaled(data, self.decoded_side)
        image = decode_image(data)
        return image, image.shape[:2]

    @property
    def decoded_side(self) -> int:
        """Pixels that the shorter side of what `decode` gives has at least; 0: the whole image."""
        if self.steps[0].name != SCALED:
            return 0
        target = self.steps[1].options
        return SCALED_MARGIN * max(target["height"], target["width"])

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """RGB uint8 [H, W, 3] at the augmentation point."""
        for step in self.steps[: self.augmentation_point]:
            image = step(image)
        return image

    def prepare_mask(self, mask: np.ndarray) -> np.ndarray:
        """bool [H, W] at the augmentation point of a mask, RGB uint8 as large as the image.

        White is true. Padding is true where it is not black: nothing that could be taken for skin.
        """
        for step in self.steps[: self.augmentation_point]:
            if step.kind is Kind.MOVES:
                padding = {"value": 255} if step.options.get("value") else {}
                mask = Step(step.name, {**step.options, **padding})(mask)
        return mask[..., 0] > 127

    def finish(self, image: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
        """float32 [3, height, width], `into` if one is given, from the augmentation point on."""
        image = self.unscaled(image)
        planes = np.empty((3, *image.shape[:2]), np.float32) if into is None else into
        if self.scaling is None:
            planes[...] = image.transpose(2, 0, 1)
            return planes
        for plane, samples, table in zip(planes, cv2.split(image), self._tables, strict=True):
            cv2.LUT(samples, table, plane)
        return planes

    def unscaled(self, image: np.ndarray) -> np.ndarray:
        """The finished image [height, width, 3] but for `scaling`, before which it is uint8."""
        end = len(self.steps) if self.scaling is None else -1
        for step in self.steps[self.augmentation_point : end]:
            image = step(image)
        return image

    @cached_property
    def scaling(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(factors, addends) float32 [3] of a last step that takes uint8, None without one."""
        last = self.steps[-1]
        if last.kind is not Kind.SCALES or any(step.kind.gives_float for step in self.steps[:-1]):
            return None
        return scaling(**last.options)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return self.finish(self.prepare(image))

    @cached_property
    def _tables(self) -> np.ndarray:
        """float32 [3, 256]: what the last step makes of each sample; looking it up is faster."""
        samples = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
        return np.ascontiguousarray(self.steps[-1](samples)[0].T, np.float32)

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) that the last resizing or cropping step gives to every image."""
        options = [step.options for step in self.steps if step.kind is Kind.MOVES][-1]
        return options["height"], options["width"]

    @property
    def prepared_size(self) -> tuple[int, int] | None:
        """(height, width) of every image at the augmentation point, None where they differ."""
        steps = self.steps[: self.augmentation_point]
        moves = [step.options for step in steps if step.kind is Kind.MOVES]
        return (moves[-1]["height"], moves[-1]["width"]) if moves else None

    @cached_property
    def prepared_probe(self) -> str:
        """A digest of what *prepare* makes of a fixed synthetic image."""
        return hashlib.sha256(self.prepare(synthetic_image()).tobytes()).hexdigest()

    @property
    def waits_for(self) -> str:
        """Whose mean and std a normalize step still lacks: pretrained, train, or '' for none."""
        return next((s.options["stats"] for s in self.steps if "stats" in s.options), "")

    def with_constants(self, mean: tuple, std: tuple) -> "Preprocessing":
        """A copy whose normalize step holds this mean and std by channel."""
        known = Step("normalize", {"mean": tuple(mean), "std": tuple(std)})
        steps = (known if step.name == "normalize" else step for step in self.steps)
        return Preprocessing(tuple(steps), self.augmentation_point)

    def with_statistics(self, images) -> "Preprocessing":
        """A copy whose normalize step holds the mean and std by channel over `images`.

        `images` are RGB uint8 at the augmentation point; samples are counted on the scale 0..1.
        """
        index = next(i for i, step in enumerate(self.steps) if step.name == "normalize")
        head = self.steps[self.augmentation_point : index]
        moments = np.zeros((3, 3))  # count, sum, sum of squares by channel
        for image in images:
            for step in head:
                image = step(image)
            samples = image.reshape(-1, 3).astype(np.float64)
            samples = samples / 255.0 if image.dtype == np.uint8 else samples
            moments += [np.full(3, len(samples)), samples.sum(0), np.square(samples).sum(0)]
        mean = moments[1] / moments[0]
        std = np.sqrt(np.maximum(moments[2] / moments[0] - mean**2, 1e-12))
        return self.with_constants(mean.round(6).tolist(), std.round(6).tolist())

    def to_json(self) -> dict:
        """The steps with every constant, the augmentation point, digest and probe: JSON types."""
        return {**json.loads(self._content), "digest": self.digest, "probe": self.probe}

    @cached_property
    def _content(self) -> str:
        steps = [[step.name, step.options] for step in self.steps]
        content = {"steps": steps, "augmentation_point": self.augmentation_point}
        return json.dumps(content, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of steps and augmentation point as JSON with sorted keys."""
        return hashlib.sha256(self._content.encode()).hexdigest()

    @cached_property
    def probe(self) -> list[float]:
        """16 numbers that these steps give on a fixed synthetic image."""
        values = self(synthetic_image()).reshape(-1)
        places = np.linspace(0, values.size - 1, PROBE_SIZE).astype(int)
        return [float(value) for value in values[places]]


def parse_preprocessing(text: str, input_size: int) -> Preprocessing:
    """The spec written as `step | step(option=value) || step`; `||` is the augmentation point.

    Without it all steps before the first one that gives float32 are *prepare*. Raises `UserError`.
    """
    parts = text.split("||")
    require(len(parts) <= 2, f"--preprocess '{text}': expected at most one augmentation point ||")
    parsed = [[_parse_step(s, input_size) for s in p.split("|") if s.strip()] for p in parts]
    steps = tuple(step for part in parsed for step in part)
    point = len(parsed[0]) if len(parts) == 2 else _first_float(steps)
    return _checked(Preprocessing(steps, point), f"--preprocess '{text}'")


def preprocessing_from_json(content: dict) -> Preprocessing:
    """The spec that `to_json` wrote. Raises `UserError` when it was edited or behaves otherwise."""
    try:
        written = list(content["steps"])
        require(len(written) <= MAX_STEPS, f"the model's preprocessing: {len(written)} steps")
        steps = tuple(
            _make_step(
                name, {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
            )
            for name, options in written
        )
        point = content["augmentation_point"]
        if type(point) is not int:  # True would do for 1
            raise ValueError
        spec = _checked(Preprocessing(steps, point), "the model's preprocessing")
        digest, probe = content["digest"], np.asarray(content["probe"], np.float64)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise UserError("the model's preprocessing is unreadable: export the model again") from None
    require(
        digest == spec.digest,
        "the model's preprocessing was edited: its digest does not match its steps",
    )
    drift = np.abs(probe - spec.probe).max() if probe.shape == (PROBE_SIZE,) else np.inf
    require(
        drift <= PROBE_TOLERANCE,
        f"preprocessing gives other numbers than when the model was made (by {drift:.3g}): "
        f"use the OpenCV version the model was made with (here: {cv2.__version__})",
    )
    return spec


def _parse_step(text: str, input_size: int) -> Step:
    call = parse_call(text)
    if call.name not in TRAITS:
        STEPS.resolve(text)  # which says so
    options = TRAITS[call.name].expand(call.options, input_size)
    if options.get("stats") in FOUND_LATER:
        return Step(call.name, options)  # `with_constants` will write them
    return _make_step(call.name, options)


def _make_step(name: str, options: dict) -> Step:
    """A step with every option written out; `UserError` for a name or constant that cannot be."""
    call = STEPS.resolve(str(Call(name, options)))
    check(call.name, call.options)
    return Step(call.name, call.options)


def _first_float(steps: tuple[Step, ...]) -> int:
    return next((i for i, step in enumerate(steps) if step.kind.gives_float), len(steps))


def _checked(spec: Preprocessing, what: str) -> Preprocessing:
    """`spec`, or a `UserError` where its order cannot work or it would take too long."""
    steps, first = spec.steps, _first_float(spec.steps)
    require(len(steps) <= MAX_STEPS, f"{what}: {len(steps)} steps, expected at most {MAX_STEPS}")
    require(
        any(step.kind is Kind.MOVES for step in steps),
        f"{what}: expected a step that fixes the size, such as resize",
    )
    require(
        0 <= spec.augmentation_point <= len(steps),
        f"{what}: expected the augmentation point || among its steps",
    )
    if steps[0].name == SCALED:
        fits = len(steps) > 1 and steps[1].name in SCALED_BEFORE
        require(fits, f"{what}: expected {' or '.join(SCALED_BEFORE)} right after {SCALED}")
    for step in steps[: spec.augmentation_point]:
        fits = not step.kind.gives_float
        require(fits, f"{what}: expected {step.name} after the augmentation point ||")
    for step in steps[first + 1 :]:
        require(step.kind.takes_float, f"{what}: expected {step.name} before {steps[first].name}")
    require(
        sum(step.kind is Kind.SCALES for step in steps) <= 1,
        f"{what}: expected normalize at most once",
    )
    _require_bounded(steps, what)
    return spec


def _require_bounded(steps: tuple[Step, ...], what: str) -> None:
    """Raise `UserError` for an output that is too large and for too much work on the way to it."""
    work, current = 0, USUAL_PIXELS
    for step in steps:
        if step.kind is Kind.MOVES:
            current = step.options["height"] * step.options["width"]
            require(
                current <= MAX_PIXELS,
                f"{what}: {step.name} gives {current:,} pixels, expected at most {MAX_PIXELS:,} "
                "(such as 2048 x 2048)",
            )
        work += current
    require(
        work <= MAX_WORK,
        f"{what}: its steps go through {work:,} pixels together, expected at most {MAX_WORK:,}: "
        "use smaller sizes or fewer steps",
    )
