"""What an image file's header says, read without decoding: its size, and whether it is whole."""

import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_STANDALONE_MARKERS = {0x01, *range(0xD0, 0xD9)}
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
_TIFF_TYPES = {1: "u1", 3: "u2", 4: "u4"}  # the only ones of the tags read here
_WIDTH, _HEIGHT, _BITS, _STRIPS, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES = (
    *(256, 257, 258, 273),
    *(277, 278, 279),
)
_PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 262, 284, 339
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA_SAMPLES = 322, 323, 324, 325, 338
_UNASSOCIATED_ALPHA = 2
_COLOURS = {0: "white is 0", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}
_COLOURS_OF_16_BITS = (1, 2)
_IN_PLANES, _UNSIGNED = 2, 1


class ImageError(Exception):
    """Why a file is not a usable image, in a few words; never stops a batch."""


class Header(NamedTuple):
    """Height and width in pixels, those that decoding works on at once, and bits per sample.

    `alpha_at` is the place of a TIFF's kind of alpha, 0 where there is none.
    """

    height: int
    width: int
    block: int = 0
    bits: int = 8
    alpha_at: int = 0


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins as a JPEG does."""
    return data.startswith(_JPEG_START)


def read_header(data: bytes) -> Header:
    """The header of a file that reaches its end. Raises `ImageError` for what is no whole image."""
    if not data:
        raise ImageError("empty file")
    try:
        if is_jpeg(data):
            return Header(*_jpeg_size(data))
        if data.startswith(_PNG_START):
            return Header(*_png_size(data))
        if data[:4] in _TIFF_STARTS:
            return _tiff_header(data, _TIFF_STARTS[data[:4]])
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return Header(*_webp_size(data))
        if data[:2] == b"BM":
            return Header(*_bmp_size(data))
    except (struct.error, IndexError):
        raise ImageError("truncated") from None
    raise ImageError("not a JPEG, PNG, TIFF, WebP or BMP file")


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
    # it mostly ends the file, which spares looking through all of it
    if all(data.find(_JPEG_END, start) < 0 for start in (max(position, len(data) - 2), position)):
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


def _bmp_size(data: bytes) -> tuple[int, int]:
    start, header_size = struct.unpack_from("<II", data, 10)
    if header_size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression, n_bytes = 0, 0
    else:
        width, height, _, bits, compression, n_bytes = struct.unpack_from("<iiHHII", data, 18)
    if width < 0:
        raise ImageError("corrupt")
    height = abs(height)  # negative where the rows go down
    if compression in (0, 3):  # not compressed: rows of whole 32-bit words
        n_bytes = (width * bits + 31) // 32 * 4 * height
    if start + n_bytes > len(data):
        raise ImageError("truncated")
    return height, width


def _webp_size(data: bytes) -> tuple[int, int]:
    (n_bytes, kind) = struct.unpack_from("<I4x4s", data, 4)
    if n_bytes + 8 > len(data):
        raise ImageError("truncated")
    if kind == b"VP8X":
        first, second = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return second + 1, first + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return height & 0x3FFF, width & 0x3FFF
    raise ImageError("corrupt")


def _tiff_header(data: bytes, order: str) -> Header:
    """Of the first page."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, tuple[int, str | None, int]] = {}
    for position in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, n_values = struct.unpack_from(order + "HHI", data, position)
        tags.setdefault(tag, (position + 8, _TIFF_TYPES.get(kind), n_values))

    def values(tag: int, default: int) -> np.ndarray:
        at, kind, n_values = tags.get(tag, (0, None, 0))
        if kind is None or n_values == 0:
            return np.array([default])
        n_bytes = n_values * int(kind[1])
        if n_bytes > 4:
            (at,) = struct.unpack_from(order + "I", data, at)
        if at + n_bytes > len(data):
            raise ImageError("truncated")
        return np.frombuffer(data, order + kind, n_values, at).astype(np.int64)

    height, width = (int(values(tag, 0)[0]) for tag in (_HEIGHT, _WIDTH))
    bits, samples = values(_BITS, 1), int(values(_SAMPLES, 1)[0])
    if bits.min() != bits.max() or bits[0] not in (1, 2, 4, 8, 16):
        raise ImageError(f"{bits.max()}-bit samples, expected 8 or 16")
    if samples > 4:
        raise ImageError(f"{samples} channels, expected at most 4")
    _require_readable(int(bits[0]), samples, values)
    for parts, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        ends = values(parts, 0), values(sizes, 0)
        if len(ends[0]) == len(ends[1]) and (ends[0] + ends[1]).max() > len(data):
            raise ImageError("truncated")
    strip = int(values(_STRIP_ROWS, 0)[0]) % (2**32 - 1) * width  # 2^32 - 1: all rows
    tile = int(values(_TILE_HEIGHT, 0)[0]) * int(values(_TILE_WIDTH, 0)[0])
    alpha = tags.get(_EXTRA_SAMPLES, (0, None, 0))
    is_blended = samples > 3 and values(_EXTRA_SAMPLES, 0)[0] == _UNASSOCIATED_ALPHA
    alpha_at = alpha[0] + (order == ">") if is_blended and alpha[1] == "u2" else 0
    return Header(height, width, max(strip, tile), int(bits[0]), alpha_at)


def _require_readable(bits: int, samples: int, values: Callable[[int, int], np.ndarray]) -> None:
    """Raise `ImageError` for colours that OpenCV would silently decode as others."""
    colours = int(values(_PHOTOMETRIC, 2)[0])
    if colours not in _COLOURS:  # such as CIELAB
        raise ImageError(f"colours of kind {colours}, expected grey, RGB, CMYK or YCbCr")
    if bits == 16 and colours not in _COLOURS_OF_16_BITS:
        raise ImageError(f"16-bit samples ({_COLOURS[colours]}), expected grey (black is 0) or RGB")
    if bits == 16 and samples > 1 and values(_PLANAR, 1)[0] == _IN_PLANES:
        raise ImageError("16-bit samples in planes, expected the samples of a pixel together")
    if (values(_SAMPLE_FORMAT, _UNSIGNED) != _UNSIGNED).any():
        raise ImageError("signed or floating-point samples, expected unsigned whole numbers")
