"""An uploaded file becomes an image file's bytes that may be decoded, or a sentence why not."""

from ..preprocess.image import ImageError
from ..preprocess.image_headers import read_header

MEGABYTE = 2**20
MAX_MEGABYTES = 20
MAX_MEGAPIXELS = 50  # a decoder needs 150 MB for it
TYPES = ("jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp")


def why_refused(data: bytes) -> str:
    """Why the bytes of an upload are not decoded; empty where they may be.

    The header alone is read: what it promises is refused before memory is taken for it.
    """
    if not data:
        return "The file is empty."
    if len(data) > MAX_MEGABYTES * MEGABYTE:
        return f"The file has more than {MAX_MEGABYTES} MB. Please upload a smaller picture."
    try:
        height, width = read_header(data)[:2]
    except ImageError as error:
        return f"This is no picture that can be read ({error})."
    if height * width > MAX_MEGAPIXELS * 10**6:
        return (
            f"The picture has {height * width / 1e6:.0f} megapixels; {MAX_MEGAPIXELS} are the "
            "most. Please upload a smaller copy."
        )
    return ""
