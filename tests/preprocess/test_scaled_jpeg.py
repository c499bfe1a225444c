"""Large JPEGs decoded at a fraction of their size: nearly the same pixels, everywhere the same."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from src.core.errors import UserError
from src.datasets.table import make_table
from src.inference.batches import Work, predict_batches
from src.loading.loaders import LocalISICDataset
from src.preprocess.image import ImageError, decode_image
from src.preprocess.spec import parse_preprocessing, preprocessing_from_json

NORMALIZE = "|| normalize(stats='imagenet')"
WHOLE = parse_preprocessing(f"resize {NORMALIZE}", 224)
SCALED = parse_preprocessing(f"scaled_jpeg | resize {NORMALIZE}", 224)


def photograph(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A lesion on skin with dark hairs, as sharp and as noisy as a photograph."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot((x - width / 2) / width, (y - height / 2) / height)
    shade = 1 / (1 + np.exp(60 * (distance - 0.25)))[..., None]
    image = np.float32([205, 160, 140]) * (1 - shade) + np.float32([90, 55, 45]) * shade
    for _ in range(30):
        ends = (rng.random((2, 2)) * (width, height)).astype(int).tolist()
        cv2.line(image, *ends, (40, 30, 25), max(2, width // 400), cv2.LINE_AA)
    return (image + rng.normal(0, 5, image.shape)).clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int = 92) -> bytes:
    """An RGB image as a JPEG."""
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def prepared(spec, data):
    """(what a spec prepares of a file's bytes, the size it states)."""
    image, size = spec.decode(data)
    return spec.prepare(image), size


@pytest.mark.slow
def test_pixels_differ_by_about_a_grey_level_and_more_at_hairs_alone():
    """Hairs with the contrast of ink; photographs differ by 0.1 to 0.6 on average."""
    for width, height in ((900, 900), (1872, 1053), (2448, 3264)):
        for quality in (75, 95):
            data = jpeg(photograph(width, height), quality)
            (whole, size), (scaled, stated) = prepared(WHOLE, data), prepared(SCALED, data)
            assert size == stated == (height, width)
            difference = np.abs(whole.astype(int) - scaled)
            assert 0 < difference.mean() < 1.5
            assert np.quantile(difference, 0.999) < 40


def test_the_fraction_leaves_twice_the_pixels_along_both_sides():
    cases = {(895, 3000): 1, (896, 3000): 2, (1791, 1791): 2, (1792, 3584): 4, (3584, 3600): 8}
    for size, scale in cases.items():
        image, stated = SCALED.decode(jpeg(np.full((*size, 3), 99, np.uint8)))
        assert image.shape[:2] == (-(-size[0] // scale), -(-size[1] // scale)) and stated == size
    oblong = parse_preprocessing("scaled_jpeg | pad_resize(height=100, width=50)", 224)
    assert oblong.decode(jpeg(np.zeros((800, 400, 3), np.uint8)))[0].shape == (400, 200, 3)


def test_small_and_other_files_are_decoded_in_full(tmp_path):
    small = jpeg(photograph(600, 450))
    np.testing.assert_array_equal(SCALED.decode(small)[0], decode_image(small))
    png = cv2.imencode(".png", photograph(1000, 900))[1].tobytes()
    np.testing.assert_array_equal(SCALED.decode(png)[0], decode_image(png))
    for content in (b"", small[:300], b"text"):
        with pytest.raises(ImageError):
            SCALED.decode(content)


def test_a_turned_image_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(photograph(1400, 900)).save(path, quality=95, exif=exif)
    (whole, size), (scaled, stated) = (prepared(s, path.read_bytes()) for s in (WHOLE, SCALED))
    assert size == stated == (1400, 900)
    assert np.abs(whole.astype(int) - scaled).mean() < 1


def test_training_and_use_see_the_same_pixels(tmp_path):
    import pandas as pd

    path = tmp_path / "large.jpg"
    path.write_bytes(jpeg(photograph(1000, 950)))
    table = make_table(pd.DataFrame({"image": [str(path)], "label": [0]}), ("a", "b"), 1)
    loaded = preprocessing_from_json(SCALED.to_json())
    trained = LocalISICDataset(table, SCALED)[0][0].numpy()
    seen = []

    class Model:
        """Keeps the images that it is given."""

        def __init__(self, spec):
            self.contract = SimpleNamespace(preprocessing=spec, temperature=1.0)

        def outputs(self, images):
            seen.append(images[0].copy())
            return np.zeros((1, 2)), np.full((1, 2), 0.5)

    list(predict_batches([Model(loaded), Model(WHOLE)], [[path]], Work()))
    np.testing.assert_array_equal(seen[0], trained)
    assert not np.array_equal(seen[1], trained)


def test_a_contract_without_it_is_what_it_was():
    assert WHOLE.digest == "e454b1045963827dd725460c970225ff22f748f355f0b95108d76dfbc39faa6e"
    data = jpeg(photograph(1000, 950))
    again = preprocessing_from_json(WHOLE.to_json())
    np.testing.assert_array_equal(again.decode(data)[0], decode_image(data))


def test_it_stands_first_and_before_a_resizing():
    for text in ("scaled_jpeg | remove_hair | resize", "scaled_jpeg | center_crop", "scaled_jpeg"):
        with pytest.raises(UserError, match=r"resize"):
            parse_preprocessing(text, 32)
    late = parse_preprocessing("segment_out_skin | scaled_jpeg | resize", 32)
    data = jpeg(photograph(600, 600))
    np.testing.assert_array_equal(late.decode(data)[0], decode_image(data))
