"""The only decoder: bytes of a JPEG or PNG file to RGB uint8, or one reason why not."""

import struct
from pathlib import Path

import cv2
import numpy as np

MAX_FILE_BYTES = 200_000_000
MAX_PIXELS = 150_000_000

# OpenCV's flags for RGB at a fraction of the size: a JPEG is then not decoded in full
_REDUCED_RGB = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_STANDALONE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageError(Exception):
    """Why a file is not a usable image, in a few words; never stops a batch."""


def read_image(path: Path | str, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    """The image in a file as `decode_image` gives it. Raises `ImageError`."""
    return decode_image(_file_bytes(Path(path)), flags)


def read_reduced(path: Path | str, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """RGB uint8 at 1, 1/2, 1/4 or 1/8 of the size, and the whole image's (height, width).

    Of a JPEG the least of these whose longer side has at least `side` pixels; of a PNG, which is
    decoded in full anyway, the whole. Raises `ImageError`.
    """
    data = _file_bytes(Path(path))
    size = _complete_size(data)
    scales = _REDUCED_RGB if data.startswith(_JPEG_START) else (1,)
    scale = max(s for s in scales if s == 1 or max(size) >= side * s)
    if size[0] != size[1] and _reduced(size, scale)[0] == _reduced(size, scale)[1]:
        scale = 1  # whether EXIF turned it could not be seen
    image = decode_image(data, _REDUCED_RGB[scale])
    return image, size if image.shape[:2] == _reduced(size, scale) else size[::-1]


def _reduced(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return -(-size[0] // scale), -(-size[1] // scale)


def _file_bytes(path: Path) -> bytes:
    try:
        path.name.encode()
    except UnicodeEncodeError:  # no CSV could hold it
        raise ImageError("its name is not UTF-8") from None
    try:
        if path.exists() and not path.is_file():  # a folder, a device, a pipe
            raise ImageError("not a file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImageError(f"larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(error.strerror or type(error).__name__) from None
    except ValueError:  # a NUL in the path
        raise ImageError("no such path") from None


def why_bad(path: Path | str) -> str | None:
    """Why a file is no usable image, or None: decodes it at an eighth of its size."""
    try:
        read_image(path, cv2.IMREAD_REDUCED_COLOR_8)
    except ImageError as error:
        return str(error)
    return None


def decode_image(data: bytes, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    """RGB uint8 [height, width, 3] of an encoded JPEG or PNG image.

    EXIF orientation is applied; 16-bit samples keep their upper byte; grey is repeated; alpha is
    dropped; CMYK is converted. A file without its end raises `ImageError` (OpenCV alone would
    return it with grey rows), as does one of over `MAX_PIXELS` pixels, before any of them is
    decoded. Damage between start and end that the decoder bridges goes unnoticed.
    """
    height, width = _complete_size(data)
    if height * width == 0:
        raise ImageError("no pixels")
    if height * width > MAX_PIXELS:
        raise ImageError(f"{width}x{height} is over {MAX_PIXELS} pixels")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError("corrupt")
    return image


def _complete_size(data: bytes) -> tuple[int, int]:
    """Height and width in the header of a file that reaches its end marker."""
    if not data:
        raise ImageError("empty file")
    try:
        if data.startswith(_JPEG_START):
            return _jpeg_size(data)
        if data.startswith(_PNG_START):
            return _png_size(data)
    except (struct.error, IndexError):
        raise ImageError("truncated") from None
    raise ImageError("not a JPEG or PNG file")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walks the segments to the scan, so that the end marker of a thumbnail does not count."""
    size, position = None, 2
    while True:
        if data[position] != 0xFF:
            raise ImageError("corrupt")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        position += 2
        if marker in _STANDALONE_MARKERS:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if marker in _FRAME_MARKERS:
            size = struct.unpack_from(">HH", data, position + 3)
        position += length
        if marker == 0xDA:  # start of scan: entropy-coded data holds no end marker of its own
            break
    if size is None:
        raise ImageError("corrupt")
    if data.find(_JPEG_END, position) < 0:
        raise ImageError("truncated")
    return size


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    position = len(_PNG_START)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if position > len(data):
            raise ImageError("truncated")
        if kind == b"IEND":
            return height, width
