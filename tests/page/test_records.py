"""How well a model did by skin tone: read from the CSV of an evaluation."""

import math

import pytest

from src.core.errors import UserError
from src.page.records import ALL, beside, read_records
from src.page.sentences import FEW, record_line

HEADER = "attribute,group,n,n_positive,n_clusters,sensitivity,sensitivity_low,sensitivity_high\n"


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "metrics_by_group_test.csv"
    path.write_text(
        f"{HEADER}all,all,142,36,40,0.75,0.6,0.875\nskin tone,Light,59,14,20,0.5,0.25,0.75\n"
        "sex,Light,9,9,9,1,1,1\nskin tone,Tan and darker,21,0,9,,,\n"
    )
    return path


def test_records_are_those_of_all_and_of_skin_tones(csv):
    records = read_records(csv)
    assert records.keys() == {ALL, "Light", "Tan and darker"}
    assert (records["Light"].n_positive, records["Light"].sensitivity) == (14, 0.5)
    assert math.isnan(records["Tan and darker"].sensitivity)


def test_sentences_count_what_was_found_and_say_what_is_unknown(csv):
    records = read_records(csv)
    said = record_line(records[ALL], "melanoma")
    assert "found 27 of 36 melanoma" in said and "60 % to 88 %" in said and "too few" not in said
    assert records["Light"].n_positive < FEW
    assert "7 of 14" in record_line(records["Light"], "melanoma")
    assert "too few" in record_line(records["Light"], "melanoma")
    assert "unknown" in record_line(records["Tan and darker"], "melanoma")


def test_another_file_is_refused_by_the_flag(tmp_path):
    for number, text in enumerate(["", "a,b\n1,2\n", f"{HEADER}all,all,x,1,1,1,1,1\n"]):
        path = tmp_path / f"{number}.csv"
        path.write_text(text)
        with pytest.raises(UserError, match="--results_csv"):
            read_records(path)


def test_the_file_of_test_rows_is_found_beside_a_model(csv):
    (csv.parent / "metrics_by_group_valid.csv").write_text(HEADER)
    assert beside(csv.parent / "model.onnx") == csv
    assert beside(csv.parent) == csv
