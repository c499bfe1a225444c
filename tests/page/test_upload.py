"""Uploads are assessed by their headers, before anything is decoded."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from src.page.upload import MAX_MEGABYTES, MEGABYTE, why_refused


def png_of(width: int, height: int) -> bytes:
    """A PNG that promises this size and holds a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.full((40, 60, 3), 128, np.uint8))[1].tobytes()


def test_a_picture_is_taken():
    assert why_refused(jpeg()) == ""


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 not a picture", "no picture"),
        (jpeg()[:-40], "no picture"),
        (png_of(10_000, 10_000), "100 megapixels"),
        (jpeg() + bytes(MAX_MEGABYTES * MEGABYTE), "MB"),
    ],
)
def test_anything_else_gets_a_sentence(data, named):
    assert named in why_refused(data)
