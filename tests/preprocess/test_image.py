"""The decoder: what PIL sees is what comes out, and a damaged file is an `ImageError`."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from src.core.image_files import list_images, masks_by_stem
from src.preprocess import image as decoder
from src.preprocess.image import (
    ImageError,
    decode_image,
    digest_and_fault,
    read_image,
    read_reduced,
)

HEIGHT, WIDTH = 24, 40
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
NOISE16 = RNG.integers(0, 2**16, (HEIGHT, WIDTH, 3), np.uint16)
SMOOTH = cv2.GaussianBlur(NOISE, (0, 0), 3)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seen_by_pil(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(image.convert("RGB")).astype(int)


def jpeg_segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def png_chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def jpeg_with_thumbnail():
    """A JPEG whose EXIF segment holds a whole JPEG, end marker and all."""
    tiff = b"II*\0\x08\0\0\0" + b"\0\0" + b"\0\0\0\0"
    thumbnail = encode(SMOOTH[:8, :8], "JPEG")
    data = encode(SMOOTH, "JPEG")
    return data[:2] + jpeg_segment(0xE1, b"Exif\0\0" + tiff + thumbnail) + data[2:]


JPEG = encode(SMOOTH, "JPEG", quality=90)
PNG = encode(NOISE, "PNG")
BMP, TIFF = encode(NOISE, "BMP"), encode(NOISE, "TIFF")
WEBP = encode(SMOOTH, "WEBP", quality=90)
NO_IMAGE = "not a JPEG, PNG, TIFF, WebP or BMP file"
IS_FLOAT = "32-bit samples, expected 8 or 16"


def tiff_file(tags, data=b"", order="<"):
    """A TIFF of one page with these tags, LONG each, before its data."""
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + entries + b"\0" * 4 + data


def tiff_tags(width, height, n_bytes, more=()):
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height}
    tags |= {279: n_bytes} | dict(more)
    return sorted((tags | {273: 8 + 2 + 12 * len(tags) + 4}).items())


WHOLE_FILES = {
    "jpeg": JPEG,
    "progressive jpeg": encode(SMOOTH, "JPEG", progressive=True),
    "jpeg with restarts": encode(SMOOTH, "JPEG", restart_marker_blocks=1),
    "jpeg with a thumbnail": jpeg_with_thumbnail(),
    "png": PNG,
    "bmp": BMP,
    "bmp with a palette": encode(Image.fromarray(NOISE).convert("P"), "BMP"),
    "webp": WEBP,
    "lossless webp": encode(NOISE, "WEBP", lossless=True),
    "webp with alpha": encode(np.dstack([SMOOTH, SMOOTH[..., 0]]), "WEBP"),
    "tiff": TIFF,
    "compressed tiff": encode(SMOOTH, "TIFF", compression="tiff_lzw"),
}


def refusal(data):
    with pytest.raises(ImageError) as error:
        decode_image(data)
    return str(error.value)


def test_png_pixels_are_exactly_those_of_pil():
    for mode in ["RGB", "L", "P", "1"]:
        data = encode(Image.fromarray(NOISE).convert(mode), "PNG")
        decoded = decode_image(data)
        assert (decoded.dtype, decoded.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
        np.testing.assert_array_equal(decoded, seen_by_pil(data))


def test_channels_come_as_rgb():
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    np.testing.assert_array_equal(decode_image(encode(red, "PNG")), red)
    assert np.abs(decode_image(encode(red, "JPEG")).astype(int) - red).max() <= 2


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (Image.fromarray(np.dstack([NOISE, NOISE[..., :1]])), {}),
        (Image.fromarray(NOISE).convert("LA"), {}),
        (Image.fromarray(NOISE).convert("P"), {"transparency": 0}),
        (Image.fromarray(NOISE).convert("L"), {"transparency": 7}),
    ],
    ids=["RGBA", "LA", "palette", "grey"],
)
def test_alpha_is_dropped_not_blended(pixels, options):
    data = encode(pixels, "PNG", **options)
    opaque = np.asarray(pixels.convert("RGBA"))[..., :3]
    np.testing.assert_array_equal(decode_image(data), opaque)


def test_16_bit_samples_keep_their_upper_byte():
    colour = cv2.imencode(".png", NOISE16[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_image(colour), NOISE16 >> 8)
    grey = encode(NOISE16[..., 0], "PNG")
    np.testing.assert_array_equal(decode_image(grey), np.dstack([NOISE16[..., 0] >> 8] * 3))


def test_jpeg_pixels_are_those_of_pil_within_rounding():
    for mode in ["RGB", "L", "CMYK"]:
        data = encode(Image.fromarray(SMOOTH).convert(mode), "JPEG", quality=95)
        decoded = decode_image(data)
        assert (decoded.dtype, decoded.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
        assert np.abs(decoded - seen_by_pil(data)).max() <= 3
        if mode == "L":
            assert (decoded == decoded[..., :1]).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(SMOOTH, kind, exif=exif.tobytes())
        expected = seen_by_pil(data)
        assert expected.shape[:2] == ((HEIGHT, WIDTH) if orientation <= 4 else (WIDTH, HEIGHT))
        decoded = decode_image(data)
        assert decoded.shape == expected.shape
        assert np.abs(decoded - expected).max() <= 3


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_whole_files_decode_with_or_without_bytes_after_their_end(name):
    data = WHOLE_FILES[name]
    decoded = decode_image(data)
    assert np.abs(decoded - seen_by_pil(data)).max() <= 3
    np.testing.assert_array_equal(decode_image(data + b"trailing"), decoded)


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_file_cut_anywhere_is_refused(name):
    data = WHOLE_FILES[name]
    for cut in range(len(data)):
        assert refusal(data[:cut]) in ("empty file", "truncated", "no pixels", NO_IMAGE), cut
    assert refusal(data[:-1]) == "truncated"


def test_the_end_marker_of_a_thumbnail_does_not_count():
    data = WHOLE_FILES["jpeg with a thumbnail"]
    assert data.count(b"\xff\xd9") == 2
    assert refusal(data[: data.index(b"\xff\xd9") + 2]) == "truncated"
    assert refusal(data[:-2]) == "truncated"


def test_fill_bytes_before_a_marker_are_skipped():
    filled = JPEG[:2] + b"\xff\xff\xff" + JPEG[2:]
    np.testing.assert_array_equal(decode_image(filled), decode_image(JPEG))


def test_what_is_no_image_is_refused_with_its_reason():
    for data, reason in [
        (b"", "empty file"),
        (b"\0", NO_IMAGE),
        (b"\0" * 1000, NO_IMAGE),
        (b"hello, I am a photograph\n" * 50, NO_IMAGE),
        (b"GIF89a" + b"\0" * 100, NO_IMAGE),
        (encode(NOISE, "BMP")[:30], "truncated"),
        (b"BM" + b"\0" * 100, "no pixels"),
        (BMP[:18] + struct.pack("<i", -5) + BMP[22:], "corrupt"),
        (b"II*\0" + b"\xff" * 100, "truncated"),
        (b"MM\0*" + b"\0" * 100, "truncated"),
        (cv2.imencode(".tif", NOISE.astype(np.float32))[1].tobytes(), IS_FLOAT),
        (WEBP[:12] + b"XXXX" + WEBP[16:], "corrupt"),
        (JPEG[:3], "truncated"),
        (JPEG[:20] + b"\x12\x34" * 500, "corrupt"),
        (b"\xff\xd8\xff\xda\0\x02" + b"\xff\xd9", "corrupt"),
        (b"\xff\xd8" + b"\xff\xe0\0\0" * 9 + b"\xff\xd9", "corrupt"),
        (b"\xff\xd8\xff\xd9", "truncated"),
        (PNG[:8] + b"\0" * 50, "truncated"),
        (PNG[:8] + png_chunk(b"IEND", b""), "truncated"),
        (PNG[:33] + png_chunk(b"IEND", b""), "corrupt"),
        (PNG[:33] + png_chunk(b"IDAT", b"garbage") + png_chunk(b"IEND", b""), "corrupt"),
    ]:
        assert refusal(data) == reason


def test_garbage_in_place_of_a_jpeg_s_tables_is_refused():
    scan = JPEG.index(b"\xff\xda")
    frame = JPEG.index(b"\xff\xc0")
    broken = JPEG[:frame] + jpeg_segment(0xC0, b"\x08\0\x18\0\x28\x03" + b"\xee" * 9) + JPEG[scan:]
    assert refusal(broken) == "corrupt"


def test_a_png_with_one_wrong_byte_of_pixel_data_is_refused():
    for position in range(41, len(PNG) - 16, 61):
        damaged = bytearray(PNG)
        damaged[position] ^= 0x10
        assert refusal(bytes(damaged)) == "corrupt"


def test_tiff_webp_and_bmp_pixels_are_those_of_pil():
    """Of every mode that they have; alpha is dropped, the first page counts."""
    grey16, colour16 = NOISE16[..., 0], NOISE16[..., ::-1]
    alpha = Image.fromarray(np.dstack([NOISE, NOISE[..., :1]]))
    second = [Image.fromarray(255 - NOISE)]
    for mode in ["RGB", "L", "P", "1", "CMYK"]:
        for kind, options in [("TIFF", {}), ("BMP", {}), ("WEBP", {"lossless": True})]:
            if (kind, mode) != ("BMP", "CMYK"):
                data = encode(Image.fromarray(NOISE).convert(mode), kind, **options)
                np.testing.assert_array_equal(decode_image(data), seen_by_pil(data))
    for kind, options in [("TIFF", {}), ("BMP", {}), ("WEBP", {"lossless": True, "exact": True})]:
        np.testing.assert_array_equal(decode_image(encode(alpha, kind, **options)), NOISE)
    for kind, options in [("TIFF", {}), ("WEBP", {"lossless": True})]:
        pages = encode(NOISE, kind, save_all=True, append_images=second, **options)
        np.testing.assert_array_equal(decode_image(pages), NOISE)
    big_endian = tiff_file(tiff_tags(3, 2, 6), bytes(range(6)), ">")
    np.testing.assert_array_equal(decode_image(big_endian)[..., 1], [[0, 1, 2], [3, 4, 5]])
    colour = cv2.imencode(".tif", colour16)[1].tobytes()
    np.testing.assert_array_equal(decode_image(colour), NOISE16 >> 8)
    np.testing.assert_array_equal(
        decode_image(encode(grey16, "TIFF")), np.dstack([grey16 >> 8] * 3)
    )
    upside_down = BMP[:22] + struct.pack("<i", -HEIGHT) + BMP[26:]
    np.testing.assert_array_equal(decode_image(upside_down), NOISE[::-1])


def test_out_of_memory_is_not_called_corrupt(monkeypatch, tmp_path):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    assert refusal(PNG) == "corrupt"
    monkeypatch.setattr(np, "empty", fail)
    assert refusal(PNG) == "out of memory"
    monkeypatch.setattr(cv2, "imdecode", fail)
    assert refusal(PNG) == "out of memory"
    (tmp_path / "a.png").write_bytes(PNG)
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert digest_and_fault(tmp_path / "a.png") == ("", "out of memory")


def huge_webp():
    chunk = b"VP8X" + struct.pack("<II", 10, 0) + (49_999).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def huge_tiff(**more):
    size = {"width": 50_000, "height": 50_000} if not more else {"width": 9, "height": 9}
    tags = {"tile_width": 322, "tile_height": 323, "rows": 278}
    return tiff_file(tiff_tags(n_bytes=1, more=[(tags[k], v) for k, v in more.items()], **size))


def huge_png():
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return PNG[:8] + body + png_chunk(b"IEND", b"")


def huge_jpeg():
    frame = JPEG.index(b"\xff\xc0")
    return JPEG[: frame + 5] + struct.pack(">HH", 60_000, 50_000) + JPEG[frame + 9 :]


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (huge_png(), "50000x50000"),
        (huge_jpeg(), "50000x60000"),
        (huge_webp(), "50000x50000"),
        (WEBP[:26] + b"\xff\x3f\xff\x3f" + WEBP[30:], "16383x16383"),
        (BMP[:18] + struct.pack("<ii", 50_000, 50_000) + BMP[26:30] + b"\1\0\0\0" + BMP[34:], ""),
        (huge_tiff() + b"\0" * 9, "50000x50000"),
        (huge_tiff(tile_width=50_000, tile_height=50_000) + b"\0" * 9, "9x9"),
        (huge_tiff(rows=2**31) + b"\0" * 9, "9x9"),
    ],
    ids=["png", "jpeg", "extended webp", "webp", "bmp", "tiff", "tiles", "strips"],
)
def test_huge_dimensions_are_refused_before_decoding(data, size, monkeypatch):
    def decode(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decode)
    assert refusal(data) == f"{size or '50000x50000'} is over {decoder.MAX_PIXELS} pixels"


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
def test_the_limit_of_pixels_is_inclusive(data, monkeypatch):
    monkeypatch.setattr(decoder, "MAX_PIXELS", HEIGHT * WIDTH)
    assert decode_image(data).shape == (HEIGHT, WIDTH, 3)
    monkeypatch.setattr(decoder, "MAX_PIXELS", HEIGHT * WIDTH - 1)
    assert refusal(data) == f"{WIDTH}x{HEIGHT} is over {HEIGHT * WIDTH - 1} pixels"


def test_dimensions_of_zero_are_refused():
    frame = JPEG.index(b"\xff\xc0")
    assert refusal(JPEG[: frame + 5] + b"\0\0" + JPEG[frame + 7 :]) == "no pixels"


def test_files_of_any_name_are_read(tmp_path):
    for name in ["plain.jpg", "with space.JPG", "мелома é 皮.jpeg", "'quoted' #1.png"]:
        path = tmp_path / name
        path.write_bytes(JPEG)
        np.testing.assert_array_equal(read_image(path), decode_image(JPEG))
        np.testing.assert_array_equal(read_image(str(path)), decode_image(JPEG))
        assert digest_and_fault(path)[1] == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("folder", "not a file"),
        ("pipe", "not a file"),
        (b"", "empty file"),
        (b"text", NO_IMAGE),
        (JPEG[:-9], "truncated"),
    ],
    ids=["missing", "folder", "pipe", "empty", "text", "cut"],
)
def test_unreadable_files_are_refused_with_their_reason(tmp_path, content, reason):
    path = tmp_path / "image.jpg"
    if content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError) as error:
        read_image(path)
    assert str(error.value) == digest_and_fault(path)[1] == reason


def test_a_path_that_no_file_can_have_is_refused():
    assert digest_and_fault("a\0b.jpg")[1] == "no such path"
    assert digest_and_fault("a" * 5000)[1] == "File name too long"


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "image.jpg"
    path.write_bytes(JPEG)
    monkeypatch.setattr(decoder, "MAX_FILE_BYTES", len(JPEG))
    assert digest_and_fault(path)[1] == ""
    monkeypatch.setattr(decoder, "MAX_FILE_BYTES", len(JPEG) - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read"))
    assert digest_and_fault(path)[1] == f"larger than {len(JPEG) - 1} bytes"


def test_list_images_takes_suffixes_in_any_case_and_no_hidden_files(tmp_path):
    listed = ["B.JPG", "a b.jpeg", "c.PnG", "d.jpg", "é.png", "f.TIF", "g.tiff", "h.WebP", "i.bmp"]
    for name in [
        *listed,
        ".hidden.jpg",
        "._d.jpg",
        ".jpg",
        "notes.txt",
        "e.jpg.bak",
        "f.gif",
        "jpg",
    ]:
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "folder.jpg" / "inner.jpg").touch()
    assert list_images(tmp_path) == [tmp_path / name for name in sorted(listed)]


EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(WHOLE_FILES)), EDITS, st.integers(0, 10**6), st.binary(max_size=6))
def test_damaged_bytes_decode_or_raise_image_error(name, edits, position, inserted):
    data = bytearray(WHOLE_FILES[name])
    for place, value in edits:
        data[place % len(data)] = value
    position %= 2 * len(data)  # half of the time nothing is inserted
    if position < len(data):
        data[position:position] = inserted
    try:
        decoded = decode_image(bytes(data))
    except ImageError as error:
        assert str(error)
    else:
        assert decoded.dtype == np.uint8
        assert decoded.shape[2:] == (3,)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", JPEG[:200], PNG[:40], TIFF[:8], WEBP[:30], BMP[:30]]),
    st.binary(max_size=80),
)
def test_random_bytes_raise_image_error(start, rest):
    with pytest.raises(ImageError):
        decode_image(start + rest)


@pytest.mark.parametrize(
    ("size", "side", "scale"),
    [
        ((640, 480), 400, 1),
        ((801, 600), 400, 2),
        ((3264, 2448), 400, 8),
        ((3199, 2400), 400, 4),
        ((802, 801), 400, 1),  # reduced, it would be as wide as high: turned or not?
        ((801, 801), 400, 2),
    ],
)
def test_a_reduced_image_is_the_image_at_that_scale(tmp_path, size, side, scale):
    """A PNG is decoded in full anyway."""
    picture = Image.fromarray(SMOOTH).resize(size, Image.Resampling.BICUBIC)
    path = tmp_path / "image"
    for kind, orientation, divisor in [*(("JPEG", o, scale) for o in (1, 3, 6, 8)), ("PNG", 6, 1)]:
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(path, kind, exif=exif)
        whole = read_image(path)
        reduced, found = read_reduced(path, side)
        assert found == whole.shape[:2]
        assert reduced.shape[:2] == (-(-found[0] // divisor), -(-found[1] // divisor))
        shrunk = cv2.resize(whole, reduced.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.astype(int) - reduced).mean() < 1


def test_a_reduced_image_is_refused_for_the_reasons_of_a_whole_one(tmp_path):
    for name, content in {"empty": b"", "cut": JPEG[:300], "text": b"hello"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError) as reduced:
            read_reduced(tmp_path / name, 400)
        with pytest.raises(ImageError) as whole:
            read_image(tmp_path / name)
        assert str(reduced.value) == str(whole.value)


def test_masks_are_found_by_the_stem_of_their_image(tmp_path):
    for name in ("a.png", "b_mask.png", "c_segmentation.PNG", "d_mask.txt", "e_mask_mask.png"):
        (tmp_path / name).write_bytes(PNG)
    found = {stem: path.name for stem, path in masks_by_stem(tmp_path).items()}
    assert found == {
        "a": "a.png",
        "b": "b_mask.png",
        "c": "c_segmentation.PNG",
        "e_mask": "e_mask_mask.png",
    }
    assert masks_by_stem(tmp_path / "nowhere") == {}
