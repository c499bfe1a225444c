"""An ONNX file that takes images, whatever their layout, type and batch size."""

from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

from ..core.cells import visible
from ..core.errors import UserError, first_line, nearest, require
from ..core.files import require_regular
from .memory import bound_memory
from .onnx_graph import external_files, last_operation

CPU = ("CPUExecutionProvider",)
MAX_MODEL_BYTES = 4_000_000_000  # with its external data
_IMAGE_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_SCORE_TYPES = ("tensor(float)", "tensor(float16)", "tensor(double)")


class Session:
    """An opened ONNX file with one input, RGB images of 4 dimensions.

    `is_channels_last` and `dtype` are those of its input, `batch` its fixed batch size (0: any).
    `providers` are those of ONNX Runtime, in order of preference. Raises `UserError` for a file
    that is no ONNX model or takes something else than images.
    """

    def __init__(self, path: Path, providers: tuple[str, ...] = CPU):
        data = _read(path)
        self.path = path
        self._session = _open(path, data, require_providers(providers))
        self.metadata = self._session.get_modelmeta().custom_metadata_map
        inputs = self._session.get_inputs()
        names = ", ".join(visible(one.name, 40) for one in inputs[:4]) or "none"
        require(len(inputs) == 1, f"{path}: {len(inputs)} inputs ({names}): expected one, images")
        (images,) = inputs
        require(
            images.type in _IMAGE_TYPES,
            f"{path}: its input is {visible(images.type, 60)}: expected images as float32, "
            "float16, float64 or uint8",
        )
        self._input, self.dtype = images.name, _IMAGE_TYPES[images.type]
        shape = [side if type(side) is int and side > 0 else 0 for side in images.shape or []]
        self._shape = shape
        self._channels = [n for n in (1, 3) if len(shape) == 4 and shape[n] in (0, 3)]
        require(
            bool(self._channels),
            f"{path}: its input has shape {visible(images.shape, 80)}: expected images, "
            "[batch, 3, height, width] or [batch, height, width, 3]",
        )
        # where the file leaves both open, the usual order
        self.is_channels_last = self._channels == [3] or (shape[1] == 0 and shape[3] == 3)
        self.batch = shape[0]

    @property
    def size(self) -> tuple[int, ...]:
        """(height, width) of its images, 0 where the file leaves them open."""
        return tuple(self._shape[1:3] if self.is_channels_last else self._shape[2:])

    def lay_out(self, layout: str) -> None:
        """Take images in this layout, nchw or nhwc. Raises `UserError` where the file cannot."""
        fits = (3 if layout == "nhwc" else 1) in self._channels
        shape = visible(self._shape, 80)
        require(fits, f"--layout {layout}: {self.path} takes images of shape {shape} (0: open)")
        self.is_channels_last = layout == "nhwc"

    @cached_property
    def score_output(self) -> str:
        """The first output that can be scores of classes. Raises `UserError` without one."""
        outputs = self._session.get_outputs()
        for output in outputs:
            if output.type in _SCORE_TYPES:
                return output.name
        kinds = ", ".join(visible(output.type, 60) for output in outputs[:3])
        raise UserError(f"{self.path}: it gives {kinds}: expected numbers, one for each class")

    def require_outputs(self, names: list[str]) -> None:
        """Raise `UserError` where the file lacks one of these outputs."""
        found = [output.name for output in self._session.get_outputs()]
        lacking = ", ".join(name for name in names if name not in found)
        require(not lacking, f"{self.path}: no output {lacking}, which its contract promises")

    @cached_property
    def last_operation(self) -> str:
        """What computes `score_output`, such as Softmax; empty where it cannot be told."""
        return last_operation(self.path.read_bytes(), self.score_output)

    def run(
        self, images: np.ndarray, outputs: list[str], more: dict[str, np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """These outputs, [N, width] each, of images float32 [N, 3, height, width].

        `more` are values of inputs that may be left out. A fixed batch is filled up with copies of
        the last image. Raises `UserError` where the model fails or gives no rows of numbers.
        """
        images = images.transpose(0, 2, 3, 1) if self.is_channels_last else images
        images = np.ascontiguousarray(images, self.dtype)
        batch = self.batch or len(images)
        parts = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            lacking = batch - len(part)
            filled = np.concatenate([part, np.repeat(part[-1:], lacking, 0)]) if lacking else part
            parts.append([self._rows(found, batch) for found in self._run(filled, outputs, more)])
        columns = zip(*parts, strict=True)
        return [np.concatenate(column)[: len(images)] for column in columns]

    def _run(
        self, images: np.ndarray, outputs: list[str], more: dict[str, np.ndarray] | None
    ) -> list:
        try:
            return self._session.run(outputs, {self._input: images} | (more or {}))
        except Exception as error:  # onnxruntime raises kinds of its own
            raise UserError(
                f"{self.path}: the ONNX model failed on a batch of images ({first_line(error)})"
            ) from None

    def _rows(self, found: object, n_images: int) -> np.ndarray:
        if isinstance(found, np.ndarray) and found.dtype.kind == "f" and found.size:
            if self.batch == 1 and found.ndim < 2:
                return found.reshape(1, -1)
            if found.ndim and found.shape[0] == n_images:
                return found.reshape(n_images, -1)
        shape = getattr(found, "shape", type(found).__name__)
        raise UserError(
            f"{self.path}: the ONNX model gives {shape} for {n_images} images: expected a row "
            "of numbers for each"
        )


def _read(path: Path) -> bytes:
    require_regular(path, f"{path}: no such ONNX file")
    require(path.stat().st_size <= MAX_MODEL_BYTES, f"{path}: larger than {MAX_MODEL_BYTES} bytes")
    return path.read_bytes()


def require_providers(names: tuple[str, ...]) -> list[str]:
    """These execution providers. Raises `UserError` for one that this ONNX Runtime lacks."""
    there = onnxruntime.get_available_providers()
    for name in names:
        require(
            name in there,
            f"--providers {visible(name, 60)}: not in the installed ONNX Runtime"
            f"{nearest(name, there)} (there are {', '.join(there)})",
        )
    return list(names)


def _open(path: Path, data: bytes, providers: list[str]) -> onnxruntime.InferenceSession:
    """A session of bytes in memory, and of files beside the model that it names.

    A run takes one thread: several batches at a time use the cores better than several threads at
    one batch, and the numbers are the same on any number of cores.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    bound_memory(options)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        names = external_files(data)
    except ValueError as error:
        raise UserError(f"{path}: not a usable ONNX model ({error})") from None
    contents = _external_contents(path, names)
    if names:
        sizes = [len(content) for content in contents]
        options.add_external_initializers_from_files_in_memory(names, contents, sizes)
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime raises kinds of its own
        raise UserError(f"{path}: not a usable ONNX model ({first_line(error)})") from None


def _external_contents(path: Path, names: list[str]) -> list[bytes]:
    """The files that hold a model's tensors, which must lie in its own folder."""
    homes = {path.parent.resolve(), path.resolve().parent}
    files = [(path.parent / name) for name in names]
    for name, file in zip(names, files, strict=True):
        shown = visible(name, 80)
        require(
            bool(name) and "\0" not in name and bool(homes & set(file.resolve().parents)),
            f"{path}: not a usable ONNX model (its tensors are in {shown!r}: expected a file "
            "beside the model)",
        )
        require_regular(file, f"{path}: its tensors are in {shown}, which is not there")
    size = sum(file.stat().st_size for file in files)
    require(
        size <= MAX_MODEL_BYTES,
        f"{path}: its tensors' files are larger than {MAX_MODEL_BYTES} bytes",
    )
    return [file.read_bytes() for file in files]
