"""A model beside its record, and drawn pictures, for the page."""

import cv2
import numpy as np
import pytest

from src.preprocess.spec import parse_preprocessing
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import with_contract
from tests.page.test_records import HEADER

SPEC = parse_preprocessing("resize || normalize(stats='half')", 8)


@pytest.fixture(scope="session")
def page_model(tmp_path_factory):
    """An ONNX file; bluish pictures are malignant. Its test found 7 of 14 on light skin."""
    folder = tmp_path_factory.mktemp("page")
    with_contract(folder / "model.onnx", make_contract(preprocessing=SPEC))
    rows = "all,all,142,36,40,0.75,0.6,0.875\nskin tone,Light,59,14,20,0.5,0.25,0.75\n"
    (folder / "metrics_by_group_test.csv").write_text(HEADER + rows)
    return folder / "model.onnx"


def lesion(suffix=".jpg", size=(240, 320), color=(120, 70, 50)) -> bytes:
    """A dark spot of an RGB `color` in the middle of light skin, as a file's bytes."""
    rng = np.random.default_rng(0)
    picture = np.full((*size, 3), (226, 184, 156), np.float32)
    y, x = np.ogrid[: size[0], : size[1]]
    inside = (y - size[0] / 2) ** 2 + (x - size[1] / 2) ** 2 < (size[0] / 5) ** 2
    picture[inside] = color
    noisy = picture + rng.normal(0, 3, picture.shape)
    return cv2.imencode(suffix, noisy[..., ::-1].clip(0, 255).astype(np.uint8))[1].tobytes()
