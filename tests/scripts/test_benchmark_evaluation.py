"""The benchmark of an evaluation says what it measured."""

import re

import numpy as np
import pytest

from src.core.errors import UserError
from src.evaluation.benchmark import random_predictions
from src.evaluation.metrics import METRICS
from src.scripts.benchmark_evaluation import main

OF_TWO = [name for name, row in METRICS.items() if not row.of_classes]


def test_what_was_measured_is_printed(capsys):
    main(["--rows", "400", "--n_resamples", "50", "--groups", "3", "--runs", "2"])
    text = capsys.readouterr().out
    counts = f"x 50 resamples x {len(OF_TWO)} metrics x 3 groups"
    assert text.startswith(f"400 predictions of 25 patients {counts}")
    assert re.search(
        r"median \d+\.\d s \(\d+\.\d to \d+\.\d\) of 2 runs; peak memory [\d,]+ MB$", text.strip()
    )


def test_groups_are_unequal_and_patients_have_several_images():
    predictions, patients = random_predictions(3000, 6)
    sizes = np.bincount(predictions.groups)
    assert len(sizes) == 6
    assert sizes[0] > 3 * sizes[5] > 0
    assert 0.01 < predictions.labels.mean() < 0.03
    assert patients.max() + 1 == len(np.unique(patients)) <= 3000 // 16


def test_numbers_can_be_those_of_a_data_set(capsys):
    main(
        [
            "--rows",
            "400",
            "--n_resamples",
            "5",
            "--runs",
            "1",
            "--n_patients",
            "9",
            "--n_groupings",
            "3",
        ]
    )
    text = capsys.readouterr().out
    assert text.startswith("400 predictions of 9 patients") and "6 groups x 3 groupings" in text
    predictions, patients = random_predictions(500, 2, n_patients=7, n_positive=11)
    assert (predictions.labels.sum(), patients.max() + 1) == (11, 7)


def test_no_runs_are_refused():
    with pytest.raises(UserError, match="--n_runs 0"):
        main(["--runs", "0"])
