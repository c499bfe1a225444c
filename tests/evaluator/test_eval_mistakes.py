"""What melanoma_eval.py refuses: one line, exit code 2, nothing written."""

import shutil

import pandas as pd
import pytest

from src.core.errors import run_main
from src.scripts import melanoma_eval


@pytest.fixture
def refuse(capsys, tmp_path):
    """Evaluate with flags that must be refused, with nothing written; the one line that is said."""

    def refuse(*flags):
        argv = [*map(str, flags), "--output_dir", str(tmp_path / "out")]
        with pytest.raises(SystemExit) as stop:
            run_main(lambda _: melanoma_eval.main(argv))
        said = capsys.readouterr()
        assert stop.value.code == 2, said
        lines = said.err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), lines
        assert not (tmp_path / "out").exists() and said.out == ""
        return lines[0]

    return refuse


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--group_thresholds", "--group_thresholds: expected with --threshold"),
        ("--threshold youden", "--threshold: expected validation rows to fit on"),
        ("--calibration temperature", "--calibration: expected validation rows to fit on"),
        ("--valid_predictions_csv VALID", "expected with --calibration or --threshold"),
        ("--valid_predictions_csv VALID --threshold youdn", "did you mean 'youden'"),
        ("--valid_predictions_csv VALID --threshold sensitivity(leest=1)", "did you mean 'least'"),
        ("--valid_predictions_csv VALID --threshold sensitivity(least=2)", "at most 1"),
        ("--valid_predictions_csv VALID --threshold __import__('os')", "expected name"),
        ("--valid_predictions_csv VALID --calibration temprature", "did you mean 'temperature'"),
        ("--valid_predictions_csv VALID --calibration temperature(by='x')", "'all' or 'group'"),
        ("--valid_predictions_csv TEST --threshold youden", "150 of its images are evaluated too"),
        ("--valid_predictions_csv OTHER --threshold youden", "150 of its images are evaluated too"),
        ("--valid_predictions_csv VALID --threshold youden --compare OTHER", "two CSVs as they"),
        ("--group_by sexx", "--group_by: TEST has no column 'sexx'"),
        ("--metadata_csv TABLE --group_by sexx", "did you mean 'sex'"),
        ("--metadata_csv TABLE --group_by sex*clinc", "did you mean 'clinic'"),
        ("--metadata_csv TABLE --group_by patient_id", "too many"),
        ("--metadata_csv TABLE --group_by age_approx:x", "expected numbers behind the colon"),
        (
            "--metadata_csv TABLE --group_by age_approx:30 age_approx:60",
            "age_approx is there twice",
        ),
        ("--resample_by clinic", "--resample_by: TEST has no column 'clinic'"),
        ("--metadata_image_column x", "_image_column: expected its table, --metadata_csv"),
        ("--classes a \udcff", "--classes is '\\udcff'"),
        ("--positive_class a\nb", "expected printable names, found a\\nb"),
        ("--label_classes a b\x1b[31m", "expected printable names, found b\\x1b[31m"),
        ("--metadata_csv TABLE --resample_by clinics", "did you mean 'clinic'"),
        ("--metadata_csv TABLE --metadata_image_column images", "did you mean 'image_id'"),
        ("--metadata_csv NOWHERE.csv", "csv NOWHERE.csv: expected a file; no such file"),
        ("--image_folder NOWHERE", "--image_folder NOWHERE: expected a folder"),
        ("--compare NOWHERE.csv", "--compare NOWHERE.csv: no such file"),
        ("--compare NOWHERE.onnx", "--compare NOWHERE.onnx: no such file"),
        ("--compare NOWHERE.pth", "--compare NOWHERE.pth: no such file"),
        ("--compare FOLDER", "no ONNX files in it"),
        ("--compare VALID", "--compare: it has no prediction for 150 images"),
        ("--compare MORE", "--compare: it also predicts 150 images"),
        ("--n_resamples 99", "--n_resamples 99: expected 100 to 100,000"),
        ("--n_resamples 1000000000", "expected 100 to 100,000"),
        ("--n_resamples many", "--n_resamples is 'many': expected a whole number"),
        ("--n_bins 1", "--n_bins 1: expected 2 to 1,000"),
        ("--min_group 0", "--min_group 0: expected 1 to"),
        ("--seed -1", "--seed -1: expected 0"),
        ("--voting majority", "--voting majority: expected a folder of ONNX models"),
        ("--voting softt", "expected soft, majority, logits; did you mean 'soft'"),
        ("--grup_by sex", "did you mean 'group_by'"),
        ("--device cuda", "evaluated on the CPU"),
    ],
)
def test_mistakes_end_in_one_line_with_nothing_written(refuse, drawn, tmp_path, flags, expected):
    more = pd.concat([pd.read_csv(drawn / f"{name}.csv") for name in ("test", "valid")])
    more.to_csv(tmp_path / "more.csv", index=False)
    files = {"MORE": tmp_path / "more.csv", "FOLDER": drawn}
    files |= {name.upper(): drawn / f"{name}.csv" for name in ("test", "valid", "other", "table")}
    words = [files.get(word, word) for word in flags.split(" ")]
    expected = expected.replace("TEST", str(drawn / "test.csv"))
    assert expected in refuse("--predictions_csv", drawn / "test.csv", *words)


@pytest.mark.parametrize("home", ["metadata", "csv"])
def test_validation_rows_of_patients_that_are_evaluated_are_refused(
    evaluate, refuse, drawn, tmp_path, home
):
    """Of 40 patients to fit on, 10 are evaluated; rows of unknown patients are nobody's."""
    rows = {name: pd.read_csv(drawn / f"{name}.csv") for name in ("valid", "test")}
    for name, first in (("valid", 0), ("test", 30)):
        patients = [f"P{first + row % 40}" for row in range(140)] + ["unknown", "NA"] * 5
        rows[name]["patient_id"] = patients
    table = pd.concat(rows.values())[["image_name", "patient_id"]]
    table.to_csv(tmp_path / "table.csv", index=False)
    for name, frame in rows.items():
        kept = frame if home == "csv" else frame.drop(columns="patient_id")
        kept.to_csv(tmp_path / f"{name}.csv", index=False)
    flags = ["--predictions_csv", tmp_path / "test.csv", "--threshold", "youden"]
    flags += ["--valid_predictions_csv", tmp_path / "valid.csv"]
    flags += ["--metadata_csv", tmp_path / "table.csv"] if home == "metadata" else []
    line = refuse(*flags)
    assert "--valid_predictions_csv: 10 of its 50 clusters (patient_id) are evaluated too" in line
    _, found = evaluate(*flags, "--allow_leakage")
    assert found["source"]["cluster"] == "patient_id"
    assert found["overall"]["n_clusters"] == 50


def test_one_source_is_evaluated(refuse, drawn, checkpoint, tiny_onnx):
    assert "expected one of --checkpoint, --onnx_model_path, --predictions_csv; found 0" in refuse()
    sources = ["--checkpoint", checkpoint, "--onnx_model_path", tiny_onnx]
    assert "found 2 of them" in refuse(*sources)
    assert "found 3 of them" in refuse(*sources, "--predictions_csv", drawn / "test.csv")
    assert "found 0 of them" in refuse("--compare", drawn / "test.csv")


def test_flags_of_a_csv_go_with_a_csv(refuse, checkpoint, drawn):
    for flags in (
        ["--image_folder", drawn],
        ["--label_column", "x"],
        ["--probability_columns", "x", "y"],
        ["--valid_predictions_csv", drawn / "valid.csv", "--threshold", "youden"],
    ):
        line = refuse("--checkpoint", checkpoint, *flags)
        assert line == f"error: {flags[0]}: expected with --predictions_csv only"


def test_settings_of_training_have_no_effect_here(refuse, drawn):
    source = ["--predictions_csv", drawn / "test.csv"]
    for flags in (["--lr", "0.1"], ["--epochs=3"], ["--no_pretrained"], ["--use-amp"]):
        name = flags[0].partition("=")[0].replace("-a", "_a")
        assert refuse(*source, *flags).startswith(f"error: {name}: has no effect on an evaluation")


def test_ensembles_that_are_none(refuse, tiny_onnx, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    assert "no ONNX files in it" in refuse("--onnx_model_path", folder)
    shutil.copy(tiny_onnx, folder / "a.onnx")
    (folder / "b.onnx").write_text("no model")
    assert "b.onnx: not a usable ONNX model" in refuse("--onnx_model_path", folder)


def test_other_images_are_not_compared(refuse, drawn, checkpoint):
    line = refuse("--checkpoint", checkpoint, "--compare", drawn / "test.csv")
    assert "--compare: it has no prediction for" in line


@pytest.mark.parametrize("fit", [["--threshold", "youden"], ["--calibration", "temperature"]])
def test_decisions_alone_are_fitted_to_nothing(refuse, drawn, tmp_path, fit):
    rows = pd.read_csv(drawn / "test.csv")[["image_name", "target", "label"]]
    rows.to_csv(tmp_path / "d.csv", index=False)
    flags = ["--predictions_csv", tmp_path / "d.csv", "--classes", "benign", "malignant"]
    line = refuse(*flags, "--valid_predictions_csv", drawn / "valid.csv", *fit)
    assert "found only decisions" in line
