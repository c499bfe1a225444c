"""ONNX models without a contract are evaluated as predict.py takes them."""

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.inference import SkinLesionPredictor
from src.scripts import melanoma_eval
from tests.inference.onnx_files import WEIGHTS, node, scorer


def test_flags_of_foreign_models_take_such_a_model(tmp_path):
    path = tmp_path / "p.csv"
    path.touch()
    for flags in (
        "--outputs logits --normalize none",
        "--layout nhwc --mean 1 1 1 --std 1 1 1 --cielab",
        "--num_groups 4 --reduction mean_over_groups",
    ):
        named = ", ".join(word for word in flags.split() if word.startswith("--"))
        with pytest.raises(UserError, match=f"{named}: expected with ONNX models only"):
            melanoma_eval.main(["--predictions_csv", str(path), *flags.split()])


def test_one_sigmoid_output_is_evaluated_and_nan_is_not(evaluate, demo, tmp_path):
    data = ["--data_path", demo / "isic2020"]
    shape, tail = ("n", 32, 32, 3), (node("Sigmoid", "scores", "y"),)
    path = scorer(tmp_path / "x.onnx", tail, WEIGHTS[1], shape, last="y")
    folder, _ = evaluate("--onnx_model_path", path, *data, "--normalize", "half")
    (csv,) = folder.glob("predictions*.csv")
    found = pd.read_csv(csv).set_index("image_name")
    image = next((demo / "isic2020" / "test" / "malignant").iterdir())
    expected = SkinLesionPredictor(path, normalize="half").predict(image)
    of_image = found.loc[image.name]
    for name, probability in expected["probabilities"].items():
        np.testing.assert_allclose(of_image[f"probability_{name}"], probability, atol=1e-6)
    scorer(path, tail, WEIGHTS[1], ("n", "h", "w", 3), last="y")
    sizes = ["--image_height", 32, "--image_width", 32]
    again, _ = evaluate("--onnx_model_path", path, *data, "--normalize", "half", *sizes)
    pd.testing.assert_frame_equal(pd.read_csv(again / csv.name).set_index("image_name"), found)
    scorer(path, (), [[float("nan")] * 2] * 3, shape)
    with pytest.raises(UserError, match=r"\.jpg: the model's output is NaN"):
        evaluate("--onnx_model_path", path, *data)
