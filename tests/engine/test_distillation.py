"""A student learns what its teacher says, of the right image, whatever the labels are."""

import json
import logging

import pandas as pd
import pytest

from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checks import warn_of_corrections
from src.engine.run import train


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    monkeypatch.setattr("src.report.files.plot_fairness", lambda *_: None)
    monkeypatch.setattr("src.report.files.write_figures", lambda *_: [])


def test_a_student_agrees_with_a_teacher_that_contradicts_the_labels(tiny_settings, tmp_path):
    """Learned from labels, or from another row's probabilities, its AUROC would be 0.5 or more."""
    cfg = Config().with_settings(**tiny_settings, output_dir=str(tmp_path), run_name="student")
    rows = load_table(cfg.data).split("train").rows.sample(frac=1, random_state=0)
    says = 0.95 - 0.9 * rows["label"]
    frame = pd.DataFrame({"image_name": rows["image"].str.rpartition("/")[2], "target": 0})
    frame = frame.assign(probability_benign=1 - says, probability_malignant=says)
    frame.to_csv(tmp_path / "teacher.csv", index=False)
    cfg = cfg.with_settings(
        teacher=str(tmp_path / "teacher.csv"),
        objective="distillation(temperature=1, share=1)",
        malignant_copies="original | horizontal_flip",
        mixup=0.2,
        epochs=4,
        cache_dir=str(tmp_path / "cache"),
    )
    with pytest.raises(UserError, match=r"training_rows.json beside it.*--allow_leakage true"):
        train(cfg)
    folder = train(cfg.with_settings(allow_leakage=True))
    last = json.loads((folder / "training_history.json").read_text())[-1]["valid"]
    assert last["auroc"] < 0.4


def test_corrections_that_add_up_are_told(caplog):
    for settings, named in (
        ({}, ()),
        ({"sampler": "weighted(power=0.0)", "objective": "focal"}, ()),
        ({"class_weights": "inverse_frequency"}, ()),
        (
            {"class_weights": "inverse_frequency", "sampler": "weighted"},
            ("--class_weights inverse_frequency", "--sampler weighted", "2 corrections"),
        ),
        (
            {"objective": "focal(gamma=1.0)", "sampler": "oversample(to=500)"}
            | {"malignant_copies": "original | rotation"},
            ("--objective focal", "--sampler oversample", "--malignant_copies", "3 corrections"),
        ),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            warn_of_corrections(Config().with_settings(**settings))
        assert bool(caplog.text) == bool(named)
        assert all(text in caplog.text for text in named)
