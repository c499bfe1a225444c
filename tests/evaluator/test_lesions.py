"""`--aggregate lesion` against pooling by hand, with and without something fitted; refusals."""

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.scripts import melanoma_eval


@pytest.fixture(scope="module")
def csvs(tmp_path_factory):
    """test.csv and valid.csv of images, by_hand.csv of lesions; two of seven are of one image."""
    folder, rng = tmp_path_factory.mktemp("lesions"), np.random.default_rng(3)
    found = {}
    for name in ("valid", "test"):
        lesion = np.repeat(np.arange(60), np.tile([1, 1, 2, 3, 2, 4], 10))
        truth = (np.arange(60) % 3 == 0).astype(int)[lesion]
        score = 1 / (1 + np.exp(-(1.5 * truth - 0.5 + rng.normal(size=len(lesion)))))
        rows = pd.DataFrame({"image_name": [f"{name}{n:03}" for n in range(len(lesion))]})
        rows["target"] = (score >= 0.5).astype(int)
        rows["label"], rows["lesion_id"] = truth, [f"{name} {n}" for n in lesion]
        rows["probability_benign"], rows["probability_malignant"] = 1 - score, score
        found[name] = rows
        rows.sample(frac=1, random_state=1).to_csv(folder / f"{name}.csv", index=False)
        pooled = rows.groupby("lesion_id", sort=False).agg(
            image_name=("image_name", "min"),
            label=("label", "first"),
            probability_benign=("probability_benign", "mean"),
            probability_malignant=("probability_malignant", "mean"),
        )
        pooled["target"] = (pooled["probability_malignant"] >= 0.5).astype(int)
        pooled.reset_index(drop=True).to_csv(folder / f"{name}_by_hand.csv", index=False)
    return folder


def figures(evaluation):
    """Each metric's estimate."""
    return {name: of["value"] for name, of in evaluation["overall"]["metrics"].items()}


def test_lesions_are_evaluated_as_pooled_by_hand(evaluate, csvs):
    for fit in ([], ["--threshold", "max_f1", "--calibration", "temperature"]):
        flags = {
            suffix: [
                *fit,
                *(["--valid_predictions_csv", csvs / f"valid{suffix}.csv"] if fit else []),
            ]
            for suffix in ("", "_by_hand")
        }
        by_hand = evaluate("--predictions_csv", csvs / "test_by_hand.csv", *flags["_by_hand"])[1]
        images = evaluate("--predictions_csv", csvs / "test.csv", *flags[""])[1]
        pooled = ["--predictions_csv", csvs / "test.csv", "--aggregate", "lesion", *flags[""]]
        folder, lesions = evaluate(*pooled)
        assert figures(lesions) == pytest.approx(figures(by_hand), abs=1e-9, nan_ok=True)
        assert figures(lesions) != pytest.approx(figures(images), abs=1e-3, nan_ok=True)
        rows = pd.read_csv(folder / "predictions.csv").set_index("image_name")
        assert len(rows) == 60
        of_images = pd.read_csv(folder / "per_image" / "predictions.csv")
        assert len(of_images) == 130
        assert "60 lesions of 130 images" in " ".join(lesions["notes"])


def test_a_comparison_is_of_lesions_too(evaluate, csvs):
    """The other CSV has its images in another order; a model against itself differs in nothing."""
    other = pd.read_csv(csvs / "test.csv").sample(frac=1, random_state=5)
    other.to_csv(csvs / "other.csv", index=False)
    flags = ["--predictions_csv", csvs / "test.csv", "--compare", csvs / "other.csv"]
    found = evaluate(*flags, "--aggregate", "lesion")[1]["comparison"]
    assert found["differences"]["auroc"]["value"] == 0


def test_what_cannot_be_pooled_is_refused(csvs, tmp_path):
    rows = pd.read_csv(csvs / "test.csv")
    for change, named in (
        (rows.drop(columns="lesion_id"), "no lesion has several images"),
        (rows.assign(lesion_id=rows["image_name"]), "no lesion has several images"),
        (rows.assign(lesion_id="one"), "1 lesions have images of different classes"),
        (rows.iloc[:, :4], "decisions alone"),
    ):
        change.to_csv(tmp_path / "x.csv", index=False)
        flags = ["--predictions_csv", str(tmp_path / "x.csv"), "--aggregate", "lesion"]
        with pytest.raises(UserError, match=f"--aggregate lesion: .*{named}"):
            melanoma_eval.main([*flags, "--output_dir", str(tmp_path)])
    flags = ["--predictions_csv", str(csvs / "test.csv"), "--output_dir", str(tmp_path)]
    for more, named in (
        (["--tta", "flips"], "--tta flips: expected with ONNX models only"),
        (["--member_weights", "1", "2"], "--member_weights 1.0 2.0: expected with ONNX"),
    ):
        with pytest.raises(UserError, match=named):
            melanoma_eval.main([*flags, *more])
