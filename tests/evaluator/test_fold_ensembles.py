"""The folds of a cross-validation as an ensemble: no model evaluates a row that it has seen."""

import shutil

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.scripts import melanoma_eval

pytestmark = pytest.mark.slow


def scores(path):
    rows = pd.read_csv(path).set_index("image_name").sort_index()
    return rows["probability_malignant"]


def test_without_test_rows_each_row_is_evaluated_by_the_fold_that_has_not_seen_it(
    evaluate, cross_validated
):
    parent = cross_validated["unsplit"]
    folder, found = evaluate("--onnx_model_path", parent / "ensemble")
    assert (found["source"]["kind"], found["source"]["split"]) == ("ensemble", "oof")
    assert (found["overall"]["n"], found["overall"]["n_clusters"]) == (60, 30)
    expected = scores(parent / "predictions_oof.csv")
    pd.testing.assert_series_equal(scores(folder / "predictions.csv"), expected, atol=1e-4)


def test_a_part_of_the_folds_evaluates_their_rows(evaluate, cross_validated, tmp_path):
    parent = cross_validated["unsplit"]
    shutil.copy(parent / "ensemble" / "fold_1.onnx", tmp_path / "one.onnx")
    _, one = evaluate("--onnx_model_path", tmp_path / "one.onnx")
    shutil.copy(tmp_path / "one.onnx", tmp_path / "other.onnx")
    with pytest.raises(UserError, match="two of its models are of one fold"):
        melanoma_eval.main(["--onnx_model_path", str(tmp_path)])
    own = pd.read_csv(parent / "fold_1" / "valid_split.csv")
    assert (one["source"]["split"], one["overall"]["n"]) == ("valid", len(own))


def test_test_rows_are_evaluated_by_all_and_fits_use_the_rows_not_seen(evaluate, cross_validated):
    parent = cross_validated["split"]
    flags = ["--onnx_model_path", parent / "ensemble", "--threshold", "youden"]
    folder, found = evaluate(*flags, "--calibration", "temperature")
    assert (found["source"]["split"], found["overall"]["n"]) == ("test", 20)
    assert found["threshold"]["n_fitted"] == found["calibration"]["temperature"]["n_fitted"] == 40
    folder, _ = evaluate("--onnx_model_path", parent / "ensemble")
    both = [scores(parent / f"fold_{fold}" / "predictions_test.csv") for fold in (0, 1)]
    found = scores(folder / "predictions.csv")
    np.testing.assert_allclose(found, np.mean(both, axis=0), atol=1e-4)
    assert list(found.index) == list(both[0].index)


def test_external_rows_are_evaluated_by_all_and_none_has_seen_them(
    evaluate, cross_validated, few_images
):
    parent = cross_validated["split"]
    data = ["--external", "--dataset", "table(csv='unsplit.csv')", "--data_path", few_images]
    flags = ["--onnx_model_path", parent / "ensemble", *data]
    with pytest.raises(UserError, match="40 of 60 images were used to train"):
        melanoma_eval.main([*map(str, flags)])
    folder, found = evaluate(*flags, "--skip_overlap")
    assert (found["source"]["split"], found["overall"]["n"]) == ("external", 20)
    both = [scores(parent / f"fold_{fold}" / "predictions_test.csv") for fold in (0, 1)]
    np.testing.assert_allclose(scores(folder / "predictions.csv"), np.mean(both, axis=0), atol=1e-4)
