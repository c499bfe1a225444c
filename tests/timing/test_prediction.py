"""The benchmark of a prediction measures both ways, in turns."""

import cv2
import numpy as np
import pytest

import src.timing.prediction as timing
from src.preprocess.spec import parse_preprocessing
from src.scripts.benchmark_prediction import main
from src.timing.recipe import plain_input
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import with_contract


@pytest.mark.slow
def test_preprocessing_and_pipeline_are_compared(tmp_path, monkeypatch, capsys):
    model = with_contract(tmp_path / "x.onnx", make_contract(), height=32, width=32)
    (tmp_path / "images").mkdir()
    smooth = cv2.resize(np.uint8([[[250, 10, 60]], [[90, 200, 30]]]), (60, 80))
    for name in "abc":
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), smooth)
    monkeypatch.setattr(timing, "SIZES", {(60, 40): 3})
    monkeypatch.setattr(timing, "BATCH_SIZES", (1, 2))
    main([str(tmp_path / "images"), "--onnx_model_path", str(model), "--n_rounds", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("preprocessing at 60x40, 3 files")
    assert sum(line.endswith("times as fast") for line in lines) == 3
    for line in lines:
        if line.startswith("  "):
            median, least, _, most = line.replace("(", " ").replace(")", " ").split()[:4]
            assert 0 < float(least) <= float(median) <= float(most)
    plain = plain_input((40, 40))(tmp_path / "images" / "a.png")
    spec = parse_preprocessing("resize || normalize(stats='imagenet')", 40)
    image = cv2.cvtColor(smooth, cv2.COLOR_BGR2RGB)
    np.testing.assert_allclose(plain[0], spec(image), atol=0.05)  # PIL resizes otherwise
