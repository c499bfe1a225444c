"""Hard cases: their diagnosis where a table has one, one image of each lesion."""

import numpy as np
import pandas as pd
import pytest

from src.evaluation.evaluate import EvaluatedModel
from src.evaluator.case_details import lesion_numbers, with_case_details
from src.evaluator.metadata import Metadata
from tests.evaluation.conftest import make_table


@pytest.fixture
def model():
    predictions = make_table([1, 1, 1, 0], decisions=[0, 0, 0, 0])
    return EvaluatedModel("", "a", "", "", predictions, np.zeros(4, int), "patient_id")


def test_diagnoses_are_those_of_the_table_and_never_invented(model, tmp_path):
    names = [f"image_{row}" for row in (2, 0, 1)]  # image_3 has no row
    for column in ("diagnosis", "dx", "diagnostic", "disease"):
        rows = pd.DataFrame({column: ["Melanoma ", "unknown", "MEL"]}, index=names)
        assert with_case_details(model, Metadata(tmp_path, rows)).diagnoses == (
            ("", "MEL", "Melanoma", "")
        )
    for known in (None, Metadata(tmp_path, rows.rename(columns={"disease": "other"}))):
        assert with_case_details(model, known).diagnoses == ()


def test_a_lesion_is_one_of_its_patient_and_unknown_ones_are_apart():
    for patients, lesions, wanted in (
        (["p", "p", "q", "q"], ["1", "1.0", "1", "2"], [0, 0, 1, 2]),
        (["", "", "", ""], ["a", "A ", "unknown", ""], [0, 0, 1, 2]),
    ):
        rows = pd.DataFrame({"patient_id": patients, "lesion_id": lesions})
        assert lesion_numbers(rows).tolist() == wanted
    assert lesion_numbers(rows[["lesion_id"]]).tolist() == wanted


def test_an_evaluation_shows_the_diagnosis_and_each_lesion_once(evaluate, drawn, tmp_path):
    """Also where patients are known, so that the bootstrap does not resample lesions."""
    table = pd.read_csv(drawn / "table.csv", sep=";")
    table = table.assign(dx="nevus", lesion_id="L1").drop(columns="group")
    table.loc[table.index % 3 == 0, "dx"] = "unknown"
    table.to_csv(tmp_path / "table.csv", index=False)
    flags = ["--predictions_csv", drawn / "test.csv", "--metadata_csv", tmp_path / "table.csv"]
    folder, evaluation = evaluate(*flags, "--resample_by", "patient_id")
    found = evaluation["hard_cases"]
    patients = table.set_index("image_id")["patient_id"]
    assert len({patients[case["name"]] for case in found}) == len(found) > 5
    assert {case["diagnosis"] for case in found} == {"nevus", ""}
    assert '<td class="text">nevus</td>' in (folder / "report.html").read_text("utf-8")


def test_an_evaluation_says_which_table_its_tones_are_of(evaluate, drawn, base, tmp_path):
    folder, evaluation = evaluate(*base)
    told = evaluation["source"]["tone_source"]
    assert told.startswith("table.csv (SHA-256 ") and told in (folder / "report.html").read_text()
    table = pd.read_csv(drawn / "table.csv", sep=";").drop(columns="group")
    table.to_csv(tmp_path / "bare.csv", index=False)
    flags = ["--predictions_csv", drawn / "test.csv", "--metadata_csv", tmp_path / "bare.csv"]
    assert evaluate(*flags)[1]["source"]["tone_source"] == ""
