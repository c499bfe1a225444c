"""The only decoder: bytes of an image file to RGB uint8, or one reason why not."""

import hashlib
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from ..core.cells import is_text
from ..core.files import replacing
from .image_headers import Header, ImageError, is_jpeg, read_header

MAX_FILE_BYTES = 200_000_000
MAX_PIXELS = 150_000_000
NOT_TEXT = "its name is not UTF-8"

# OpenCV's flags for RGB at a fraction of the size: a JPEG is then not decoded in full
_REDUCED_RGB = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def read_image(path: Path | str, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    """The image in a file as `decode_image` gives it. Raises `ImageError`."""
    return decode_image(file_bytes(Path(path)), flags)


def read_reduced(path: Path | str, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """RGB uint8 at 1, 1/2, 1/4 or 1/8 of the size, and the whole image's (height, width).

    Of a JPEG the least of these whose longer side has at least `side` pixels; of other formats,
    which are decoded in full anyway, the whole. Raises `ImageError`.
    """
    return _decoded_at_scale(file_bytes(Path(path)), lambda size, s: max(size) >= side * s)


def decode_scaled(data: bytes, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """As `read_reduced`, of an image file's bytes; it is the shorter side that has `side` pixels.

    Which way EXIF turns an image does not matter.
    """
    return _decoded_at_scale(data, lambda size, s: min(size) >= side * s)


def _decoded_at_scale(
    data: bytes, fits: Callable[[tuple[int, int], int], bool]
) -> tuple[np.ndarray, tuple[int, int]]:
    header = read_header(data)
    size = header[:2]
    scales = _REDUCED_RGB if is_jpeg(data) else (1,)
    scale = max(s for s in scales if s == 1 or fits(size, s))
    if size[0] != size[1] and _reduced(size, scale)[0] == _reduced(size, scale)[1]:
        scale = 1  # whether EXIF turned it could not be seen
    image = _decoded(data, header, _REDUCED_RGB[scale])
    return image, size if image.shape[:2] == _reduced(size, scale) else size[::-1]


def _reduced(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return -(-size[0] // scale), -(-size[1] // scale)


def file_bytes(path: Path) -> bytes:
    """What is in an image file. Raises `ImageError`."""
    if not is_text(path.name):  # no CSV could hold it
        raise ImageError(NOT_TEXT)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # a folder, a device, a pipe
            raise ImageError("not a file")
        if state.st_size > MAX_FILE_BYTES:
            raise ImageError(f"larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except MemoryError:
        raise ImageError("out of memory") from None
    except OSError as error:
        raise ImageError(error.strerror or type(error).__name__) from None
    except ValueError:  # a NUL in the path
        raise ImageError("no such path") from None


def write_png(path: Path, image: np.ndarray, options: Sequence[int] = ()) -> None:
    """None once `path`, one of many, holds the image: RGB uint8 [H, W, 3] or a mask [H, W].

    `options` are OpenCV's.
    """
    plain = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".png", plain, options)[1]
    with replacing(path, one_of_many=True) as temporary:
        temporary.write_bytes(data)


def jpeg_bytes(image: np.ndarray, quality: int) -> bytes:
    """A JPEG file of an RGB uint8 image [H, W, 3]."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def digest_of(data: bytes) -> str:
    """BLAKE2b of 16 bytes, as hex: what names an image by its content."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def digest_and_fault(path: Path | str) -> tuple[str, str]:
    """(digest of the file's bytes, why it is no usable image), each empty where there is none.

    The image is decoded at an eighth of its size.
    """
    digest = ""
    try:
        data = file_bytes(Path(path))
        digest = digest_of(data)
        decode_image(data, cv2.IMREAD_REDUCED_COLOR_8)
    except ImageError as error:
        return digest, str(error)
    return digest, ""


def decode_image(data: bytes, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    """RGB uint8 [height, width, 3] of an encoded JPEG, PNG, TIFF, WebP or BMP image.

    EXIF orientation is applied; 16-bit samples keep their upper byte, also if only 12 bits are
    used, which no header says (such images are nearly black); grey is repeated; alpha is dropped;
    CMYK is converted; of several pages the first counts. A file without its end raises
    `ImageError` (OpenCV alone would return it with grey rows), as do one of over `MAX_PIXELS`
    pixels, before any of them is decoded, and a TIFF of a kind that OpenCV decodes in wrong
    colours. Damage between start and end that the decoder bridges goes unnoticed.
    """
    return _decoded(data, read_header(data), flags)


def _decoded(data: bytes, header: Header, flags: int) -> np.ndarray:
    height, width = header[:2]
    if height * width == 0:
        raise ImageError("no pixels")
    if max(height * width, header.block) > MAX_PIXELS:
        raise ImageError(f"{width}x{height} is over {MAX_PIXELS} pixels")
    try:
        image = cv2.imdecode(np.frombuffer(_plain_tiff(data, header), np.uint8), flags)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise ImageError("corrupt" if _fits_in_memory(header) else "out of memory")
    return image


def _plain_tiff(data: bytes, header: Header) -> bytes:
    """A TIFF that OpenCV decodes as other formats, which it does not do with two kinds.

    It rounds 16-bit samples and multiplies colours by alpha. Other files as they are.
    """
    if header.alpha_at:  # of no known kind, alpha is left alone
        data = data[: header.alpha_at] + b"\0" + data[header.alpha_at + 1 :]
    if header.bits < 16:
        return data
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        return data
    colours = samples[..., :3] if samples.ndim == 3 else samples
    return cv2.imencode(".bmp", (colours >> 8).astype(np.uint8))[1].tobytes()


def _fits_in_memory(header: Header) -> bool:
    """Whether there is room for what decoding an image of this size takes."""
    try:
        np.empty(8 * max(header.height * header.width, header.block), np.uint8)
    except MemoryError:
        return False
    return True
