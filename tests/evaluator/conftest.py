"""Files to evaluate, and the evaluations of them, each made once."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.core.config import Config
from src.engine.folds import train_folds
from src.evaluation.predictions import Predictions
from src.evaluator.flags import CsvColumns
from src.evaluator.metadata import read_metadata
from src.evaluator.predictions_csv import read_predictions
from src.scripts import melanoma_eval
from tests.evaluation.drawn_predictions import write_lesion
from tests.evaluator.readings import strict_json


@pytest.fixture(scope="session")
def evaluate(tmp_path_factory):
    """Evaluate with these flags; (the folder, the evaluation). Figures only where wanted."""
    output, found, numbers = tmp_path_factory.mktemp("evaluated"), {}, itertools.count()

    def evaluate(*flags, figures=False, again=False):
        key = (*map(str, flags), figures, again)
        if key not in found:
            folder = output / str(next(numbers))
            few = [] if "--n_resamples" in flags else ["--n_resamples", "100"]
            few += ["--output_dir", str(output), "--run_name", folder.name]
            with pytest.MonkeyPatch.context() as patch:
                if not figures:
                    patch.setattr("src.report.files.write_figures", lambda *_: [])
                melanoma_eval.main([*map(str, flags), *few])
            found[key] = folder, strict_json(folder / "evaluation_metrics.json")
        return found[key]

    return evaluate


@pytest.fixture(scope="session")
def isic_csv(demo):
    return demo / "isic2020" / "ISIC_2020_full.csv"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Drawn files: test.csv, valid.csv, other.csv, and the metadata of their images in two forms.

    `other.csv` is a worse model on the images of test.csv, in another order and without suffixes.
    """
    folder, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(7)
    n = 300
    labels, noise = (rng.random(n) < 0.35).astype(int), rng.normal(size=n)
    names = [f"IMG_{row:04}.jpg" for row in range(n)]
    rows = {
        name: scored(names, labels, gain * labels - 0.7 + noise + rng.normal(size=n))
        for name, gain in (("this", 2.0), ("other", 0.5))
    }
    rows["this"][: n // 2].to_csv(folder / "valid.csv", index=False)
    rows["this"][n // 2 :].to_csv(folder / "test.csv", index=False)
    other = rows["other"][n // 2 :].sample(frac=1, random_state=0)
    other["image_name"] = other["image_name"].str.removesuffix(".jpg")
    other.to_csv(folder / "other.csv", index=False)
    table = pd.DataFrame({"image_id": names, "group": rng.choice([0, 1, 2, ""], size=n)})
    patients = rng.integers(n // 4, size=n) + np.repeat([0, n], n // 2)
    table["patient_id"] = [f"P{patient}" for patient in patients]
    table["clinic"] = rng.choice(["A", "B", "C"], size=n)
    table["sex"] = rng.choice(["female", "male", "unknown"], size=n, p=[0.5, 0.4, 0.1])
    table["age_approx"] = rng.integers(4, 17, size=n) * 5.0
    table.to_csv(folder / "table.csv", sep=";", decimal=",", index=False)
    table.rename(columns={"image_id": "picture"}).to_csv(folder / "renamed.csv", index=False)
    return folder


def scored(names, labels, score):
    """The lines of a predictions CSV of these logits."""
    malignant = 1 / (1 + np.exp(-score))
    columns = {"image_name": names, "target": (malignant >= 0.5).astype(int), "label": labels}
    columns |= {"probability_benign": 1 - malignant, "probability_malignant": malignant}
    return pd.DataFrame(columns)


@pytest.fixture(scope="session")
def base(drawn):
    """The flags that evaluate test.csv."""
    return ["--predictions_csv", drawn / "test.csv", "--metadata_csv", drawn / "table.csv"]


@pytest.fixture(scope="session")
def fit(base, drawn):
    return [*base, "--valid_predictions_csv", drawn / "valid.csv"]


@pytest.fixture(scope="session")
def table(drawn):
    """The metadata of the evaluated images, in their order."""
    rows = pd.read_csv(drawn / "table.csv", sep=";", decimal=",")[150:]
    return rows.reset_index(drop=True)


@pytest.fixture(scope="session")
def checkpoint(tiny_run):
    return tiny_run / "best_checkpoint.pth"


@pytest.fixture(scope="session")
def twice(tiny_onnx, tmp_path_factory):
    """A folder with the same model twice."""
    folder = tmp_path_factory.mktemp("twice")
    for name in ("a", "b"):
        shutil.copy(tiny_onnx, folder / f"{name}.onnx")
    return folder


@pytest.fixture(scope="session")
def every_section(fit):
    """The flags of an evaluation with every section but a comparison."""
    flags = ["--threshold", "max_f1", "--group_thresholds", "--calibration", "temperature"]
    return [*fit, *flags, "--group_by", "sex", "age_approx:30,60", "sex*group"]


@pytest.fixture(scope="session")
def full(evaluate, every_section, tmp_path_factory):
    """(folder, evaluation) with every file, from images at hand."""
    images = tmp_path_factory.mktemp("images")
    for row in range(150, 300):
        write_lesion(images / f"IMG_{row:04}.png", f"{row}", (32, 24))
    return evaluate(*every_section, "--image_folder", images, figures=True)


@pytest.fixture(scope="session")
def few_images(tmp_path_factory):
    """60 images of 30 patients in two tables: with a test set of 20, and without one."""
    folder = tmp_path_factory.mktemp("few")
    rows = []
    for place in range(60):
        write_lesion(folder / f"{place:02}.png", f"{place}")
        label = "malignant" if place // 2 % 3 == 0 else "benign"
        rows.append((f"{place:02}.png", label, f"P{place // 2}"))
    table = pd.DataFrame(rows, columns=["image", "label", "patient_id"])
    table.to_csv(folder / "unsplit.csv", index=False)
    split = ["train"] * 40 + ["test"] * 20
    table.assign(split=split).to_csv(folder / "split.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def cross_validated(few_images, tiny_settings, tmp_path_factory):
    """The folder of two folds on each of the tables; tests must not change them."""
    folder = tmp_path_factory.mktemp("cv")
    settings = {**tiny_settings, "epochs": 1, "kfold": 2, "data_path": str(few_images)}
    settings |= {"batch_size": 8, "output_dir": str(folder)}
    return {
        name: train_folds(
            Config().with_settings(**settings, dataset=f"table(csv='{name}.csv')", run_name=name)
        )
        for name in ("split", "unsplit")
    }


CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
N = 60


@pytest.fixture
def write(tmp_path):
    """Write columns as a CSV; its path."""
    numbers = itertools.count()

    def write(columns, sep=",", decimal=".") -> Path:
        path = tmp_path / f"{next(numbers)}.csv"
        pd.DataFrame(columns).to_csv(path, sep=sep, decimal=decimal, index=False)
        return path

    return write


@pytest.fixture
def read(write):
    """Write predictions, and metadata where there are some, and read them."""

    def read(rows, metadata=None, **columns) -> Predictions:
        known = None if metadata is None else read_metadata(write(metadata))
        return read_predictions(write(rows), known, CsvColumns(**columns))

    return read


@pytest.fixture
def softmax():
    """Images, labels and probabilities of `CLASSES`, and the columns of a published file."""
    rng = np.random.default_rng(5)
    names = [f"ISIC_{number:07}" for number in range(N)]
    labels = np.concatenate([np.arange(7), rng.integers(7, size=N - 7)])
    probabilities = rng.dirichlet(np.ones(7), size=N)
    rows = {"image": names, "fold": ["x"] * N, **dict(zip(CLASSES, probabilities.T, strict=True))}
    return names, labels, probabilities, rows
