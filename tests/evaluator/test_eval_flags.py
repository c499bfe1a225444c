"""Every flag of melanoma_eval.py does what it says."""

import shutil
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.evaluation.calibration import reliability, top_label
from src.evaluation.measure import compute_metrics
from src.evaluation.thresholds import choose_threshold
from src.evaluator.flags import EvaluationOptions, Source
from src.evaluator.predictions_csv import read_predictions
from tests.evaluator.readings import limits, measured, same, values

pytestmark = pytest.mark.slow


def test_metadata_bring_groups_and_patients(evaluate, drawn, base):
    _, bare = evaluate("--predictions_csv", drawn / "test.csv")
    _, known = evaluate(*base)
    assert (bare["source"]["cluster"], bare["groups"]) == ("image", {})
    assert known["source"]["cluster"] == "patient_id" and "skin tone" in known["groups"]
    assert values(bare["overall"]) == values(known["overall"])
    assert limits(bare["overall"]) != limits(known["overall"])


def test_the_metadatas_image_column_is_named(evaluate, drawn, base):
    flags = ["--predictions_csv", drawn / "test.csv", "--metadata_csv", drawn / "renamed.csv"]
    _, found = evaluate(*flags, "--metadata_image_column", "picture")
    wanted = evaluate(*base)[1]
    assert found["source"].keys() == wanted["source"].keys()  # but for the tones' own table
    assert found | {"source": {}} == wanted | {"source": {}}


@pytest.mark.parametrize(
    ("text", "name", "level_of"),
    [
        ("sex", "sex", lambda t: t["sex"]),
        (
            "age_approx:30,60",
            "age_approx",
            lambda t: pd.cut(t["age_approx"], [0, 30, 60, 99], right=False).cat.rename_categories(
                ["<30", "30–59", "≥60"]
            ),
        ),
        (
            "sex*clinic",
            "sex × clinic",
            lambda t: (t["sex"] + " × " + t["clinic"]).where(t["sex"] != "unknown", "unknown"),
        ),
    ],
)
def test_groups_are_those_of_the_column(evaluate, base, table, text, name, level_of):
    folder, evaluation = evaluate(*base, "--group_by", text)
    predictions = read_predictions(folder / "predictions.csv", None)
    assert list(evaluation["groups"]) == ["skin tone", name]
    levels = np.array(level_of(table).astype(str))
    assert {*evaluation["groups"][name]} == {*levels}
    for level, part in evaluation["groups"][name].items():
        wanted = compute_metrics(predictions.where(levels == level))
        assert part["n"] == wanted["n"] > 0
        for metric, value in values(part).items():
            assert same(value, wanted[metric]), (level, metric)


def test_tones_may_be_named_among_the_groups(evaluate, base):
    _, found = evaluate(*base, "--group_by", "clinic", "group")
    assert list(found["groups"]) == ["clinic", "skin tone"]
    assert found["groups"]["skin tone"] == evaluate(*base)[1]["groups"]["skin tone"]


def test_intervals_resample_the_column_that_is_named(evaluate, base, table):
    _, one = evaluate(*base)
    _, two = evaluate(*base, "--resample_by", "clinic")
    assert one["overall"]["n_clusters"] == table["patient_id"].nunique()
    assert (two["source"]["cluster"], two["overall"]["n_clusters"]) == ("clinic", 3)
    assert values(one["overall"]) == values(two["overall"])
    assert limits(one["overall"]) != limits(two["overall"])


@pytest.mark.parametrize(
    ("flag", "key", "number"), [("n_resamples", "n_resamples", 150), ("seed", "seed", 1)]
)
def test_resamples_and_their_seed_move_intervals_alone(evaluate, base, flag, key, number):
    _, one = evaluate(*base)
    _, two = evaluate(*base, f"--{flag}", number)
    assert two["settings"][key] == number != one["settings"][key]
    assert values(one["overall"]) == values(two["overall"])
    assert limits(one["overall"]) != limits(two["overall"])


def test_the_same_seed_gives_the_same_bytes(evaluate, fit):
    flags = [*fit, "--threshold", "youden", "--seed", "5"]
    one, two = (evaluate(*flags, again=again)[0] for again in (False, True))
    assert one != two
    for name in ("evaluation_metrics.json", "metrics_by_group.csv", "report.html"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_small_groups_enter_no_gap(evaluate, base, table):
    _, one = evaluate(*base)
    _, two = evaluate(*base, "--min_group", "45")
    rates = [e["gaps"]["skin tone"]["malignant"]["rates"]["selection_rate"] for e in (one, two)]
    sizes = {level: part["n"] for level, part in one["groups"]["skin tone"].items()}
    sizes.pop("unknown")
    assert rates[0]["groups"] == [*sizes] and rates[0]["left_out"] == []
    assert rates[1]["groups"] == [level for level, n in sizes.items() if n >= 45]
    assert rates[1]["left_out"] == [level for level, n in sizes.items() if n < 45] != []


def test_the_bins_are_as_many_as_asked_for(evaluate, fit):
    folder, found = evaluate(*fit, "--n_bins", "4", "--calibration", "temperature")
    rows = read_predictions(folder / "predictions.csv", None)
    case = top_label(rows.labels, rows.probabilities)
    ece = reliability(*case, np.linspace(0, 1, 4 + 1)).ece
    calibration = found["calibration"]
    assert len(calibration["equal_width"]["bins"]) == len(calibration["positive"]["bins"]) == 4
    after = calibration["temperature"]["after"]["ece"]
    for said in (calibration["equal_width"]["ece"], found["overall"]["metrics"]["ece"]["value"]):
        assert said == pytest.approx(ece) == after


@pytest.mark.parametrize("rule", ["temperature", "temperature(by='group')"])
def test_a_temperature_scales_the_probabilities(evaluate, base, fit, rule):
    folder, found = evaluate(*fit, "--min_group", "20", "--calibration", rule)
    temperature = found["calibration"]["temperature"]
    assert (temperature["rule"], temperature["n_fitted"]) == (rule, 150)
    assert bool(temperature["groups"]) == ("group" in rule)
    frames = [pd.read_csv(path / "predictions.csv") for path in (evaluate(*base)[0], folder)]
    before, after = (
        np.log(frame["probability_malignant"] / frame["probability_benign"]) for frame in frames
    )
    by_group = dict(enumerate(temperature["groups"].values()))
    expected = [by_group.get(group, temperature["value"]) for group in frames[1]["group"]]
    np.testing.assert_allclose(before / after, expected, rtol=1e-6)
    assert frames[0]["target"].tolist() == frames[1]["target"].tolist()
    assert evaluate(*base)[1]["calibration"]["temperature"] is None


def test_a_threshold_is_found_on_validation_rows(evaluate, base, fit, drawn):
    folder, found = evaluate(*fit, "--threshold", "sensitivity(least=0.95)")
    valid = pd.read_csv(drawn / "valid.csv")
    score = valid["probability_malignant"].to_numpy()
    wanted = choose_threshold("sensitivity(least=0.95)", valid["label"].to_numpy() == 1, score)
    assert found["threshold"]["value"] == pytest.approx(wanted, abs=1e-12)
    assert found["threshold"]["groups"] == found["threshold"]["cost"] == {}
    frame = pd.read_csv(folder / "predictions.csv")
    assert (frame["target"] == (frame["probability_malignant"] >= wanted)).all()
    _, plain = evaluate(*base)
    assert plain["threshold"] is None
    assert values(plain["overall"])["sensitivity"] < 0.9
    assert values(found["overall"])["sensitivity"] > 0.9


def test_a_fixed_threshold_needs_no_validation_rows(evaluate, base):
    folder, found = evaluate(*base, "--threshold", "fixed(value=0.3)")
    frame = pd.read_csv(folder / "predictions.csv")
    assert (frame["target"] == (frame["probability_malignant"] >= 0.3)).all()
    assert (found["threshold"]["value"], found["threshold"]["n_fitted"]) == (0.3, 0)


def test_a_seed_may_stand_in_a_file(evaluate, base, tmp_path):
    (tmp_path / "seed.yaml").write_text("seed: 5\n")
    _, found = evaluate(*base, "--config", tmp_path / "seed.yaml")
    assert found["settings"]["seed"] == 5
    assert found == evaluate(*base, "--seed", "5")[1]


def test_group_thresholds_print_their_cost(evaluate, fit):
    flags = ["--threshold", "youden", "--min_group", "5"]
    folder, found = evaluate(*fit, *flags, "--group_thresholds")
    threshold, frame = found["threshold"], pd.read_csv(folder / "predictions.csv")
    by_group = dict(enumerate(threshold["groups"].values()))
    expected = [by_group.get(group, threshold["value"]) for group in frame["group"]]
    assert (frame["target"] == (frame["probability_malignant"] >= expected)).all()
    _, single = evaluate(*fit, *flags)
    for cost, evaluation in (("one_threshold", single), ("by_group", found)):
        figures = values(evaluation["overall"])
        gaps = evaluation["gaps"]["skin tone"]["malignant"]
        for name, value in threshold["cost"][cost].items():
            assert same(figures[name] if name in figures else gaps[name]["value"], value), name


def test_other_validation_rows_give_another_threshold(evaluate, base, drawn, tmp_path):
    rows = pd.read_csv(drawn / "valid.csv")
    rows[:90].to_csv(tmp_path / "few.csv", index=False)
    found = []
    for csv, n_rows in ((drawn / "valid.csv", 150), (tmp_path / "few.csv", 90)):
        flags = ["--valid_predictions_csv", csv, "--threshold", "max_f1"]
        found.append(evaluate(*base, *flags)[1]["threshold"])
        assert found[-1]["n_fitted"] == n_rows
    assert found[0]["value"] != found[1]["value"]


def test_a_checkpoint_is_fitted_on_its_own_validation_rows(evaluate, checkpoint):
    csv = checkpoint.parent / "predictions_valid.csv"
    _, found = evaluate("--checkpoint", checkpoint, "--threshold", "youden")
    rows = read_predictions(csv, None)
    wanted = choose_threshold("youden", rows.labels == 1, rows.probabilities[:, 1])
    assert found["threshold"]["value"] == pytest.approx(wanted, abs=1e-12)
    assert found["threshold"]["n_fitted"] == len(rows.labels)


def test_another_csv_is_compared(evaluate, base, drawn):
    folder, found = evaluate(*base, "--compare", drawn / "other.csv", "--group_by", "sex")
    this = compute_metrics(read_predictions(folder / "predictions.csv", None))
    other = compute_metrics(read_predictions(drawn / "other.csv", None))
    comparison = found["comparison"]
    assert (comparison["name"], comparison["n"]) == ("other.csv", 150)
    for name, figure in comparison["differences"].items():
        assert same(figure["value"], this[name] - other[name]), name
    assert comparison["differences"]["auroc"]["low"] > 0, "it is the better model"
    auroc = comparison["differences"]["auroc"]["value"]
    assert comparison["delong"]["value"] == pytest.approx(auroc, abs=1e-12)
    assert {*comparison["by_group"]["sex"]} == {"female", "male"}
    wrong = comparison["mcnemar"]["all"]
    more = wrong["only_this_right"] - wrong["only_other_right"]
    assert more == pytest.approx(150 * (this["accuracy"] - other["accuracy"]))
    assert measured(found, ["overall"]) == measured(evaluate(*base)[1], ["overall"])


@pytest.mark.parametrize("what", ["csv", "onnx", "folder", "checkpoint"])
@pytest.mark.parametrize("source", ["checkpoint", "predictions_csv"])
def test_a_model_is_compared_with_itself(
    evaluate, checkpoint, tiny_onnx, twice, isic_csv, source, what
):
    csv = checkpoint.parent / "predictions_test.csv"
    others = {"csv": csv, "onnx": tiny_onnx, "folder": twice, "checkpoint": checkpoint}
    evaluated = {"checkpoint": checkpoint, "predictions_csv": csv}[source]
    _, found = evaluate(
        f"--{source}", evaluated, "--metadata_csv", isic_csv, "--compare", others[what]
    )
    comparison = found["comparison"]
    assert comparison["name"] == others[what].name
    for name in ("sensitivity", "auroc", "brier"):
        assert comparison["differences"][name]["value"] == pytest.approx(0, abs=1e-3)
    assert comparison["mcnemar"]["all"]["p"] == 1


@pytest.mark.parametrize("what", ["onnx", "csv"])
def test_a_compared_model_is_fitted_on_its_own_validation_rows(
    evaluate, checkpoint, tiny_onnx, what
):
    """Without a threshold of its own, as low as its probabilities, it would find nothing."""
    csv, valid = (checkpoint.parent / f"predictions_{split}.csv" for split in ("test", "valid"))
    others = {"onnx": [tiny_onnx], "csv": [csv, "--valid_predictions_csv", valid]}
    flags = ["--threshold", "youden", "--compare", *others[what]]
    _, found = evaluate("--checkpoint", checkpoint, *flags)
    assert values(found["overall"])["sensitivity"] > 0
    figure = found["comparison"]["differences"]["sensitivity"]
    assert figure["value"] == pytest.approx(0, abs=0.06), "but for the last digit of a score"


def test_wrong_images_are_shown_where_their_files_are(evaluate, every_section, full):
    (bare, evaluation), (folder, same_evaluation) = evaluate(*every_section, figures=True), full
    assert evaluation == same_evaluation and evaluation["hard_cases"]
    shown, absent = (cv2.imread(str(path / "hard_cases.png")) for path in (folder, bare))
    n_colors = [len(np.unique(p.reshape(-1, 3), axis=0)) for p in (shown, absent)]
    assert n_colors[0] > 2 * n_colors[1], "photographs have more colors than tiles of text"


def test_a_csv_is_the_table_of_its_images(evaluate, base, drawn, table, tmp_path):
    """Its patients, groups and units of resampling, as metadata would tell them."""
    rows = pd.read_csv(drawn / "test.csv")
    for column in ("patient_id", "clinic", "sex"):
        rows[column] = table[column]
    rows.to_csv(tmp_path / "test.csv", index=False)
    own = ["--predictions_csv", tmp_path / "test.csv"]
    tones = table.assign(image_name=table["image_id"])[["image_name", "group"]]
    tones.to_csv(tmp_path / "tones.csv", index=False)
    for flags in (["--group_by", "sex"], ["--group_by", "sex", "--resample_by", "clinic"]):
        _, one = evaluate(*base, *flags)
        _, alone = evaluate(*own, *flags)
        assert alone["source"]["cluster"] == one["source"]["cluster"] != "image"
        assert measured(alone, ["overall"]) == measured(one, ["overall"])
        assert alone["groups"]["sex"] == one["groups"]["sex"]
        _, both = evaluate(*own, *flags, "--metadata_csv", tmp_path / "tones.csv")
        assert measured(both, ["overall", "groups"]) == measured(one, ["overall", "groups"])


def test_a_compared_csv_needs_no_units_of_its_own(evaluate, drawn, table, tmp_path):
    rows = pd.read_csv(drawn / "test.csv").assign(clinic=table["clinic"])
    rows.to_csv(tmp_path / "test.csv", index=False)
    flags = ["--predictions_csv", tmp_path / "test.csv", "--resample_by", "clinic"]
    _, found = evaluate(*flags, "--compare", drawn / "other.csv")
    assert (found["source"]["cluster"], found["comparison"]["name"]) == ("clinic", "other.csv")


def test_names_of_a_csv_do_nothing_to_a_terminal(evaluate, base, drawn, table, tmp_path, capsys):
    levels = np.where(table["sex"] == "male", "\x1b[31mred", "two\nlines")
    table.assign(**{"s\x1bx": levels}).to_csv(tmp_path / "table.csv", index=False)
    shutil.copy(drawn / "other.csv", tmp_path / "o\nther.csv")
    flags = ["--metadata_csv", tmp_path / "table.csv", "--group_by", "s\x1bx"]
    evaluate(*base[:2], *flags, "--compare", tmp_path / "o\nther.csv")
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert r"by s\x1bx:" in said and r"  \x1b[31mred " in said and "  two lines " in said
    assert r"o\nther.csv:" in said


def test_a_path_that_no_file_could_record_is_refused(evaluate, drawn, tmp_path):
    path = tmp_path / "o\udcff.csv"
    for flags in (("--predictions_csv", path), ("--predictions_csv", drawn, "--compare", path)):
        with pytest.raises(UserError, match=f"{flags[-2]} is .*: expected text in UTF-8"):
            evaluate(*flags)


def test_every_flag_is_tested():
    files = Path(__file__).parent.glob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    options = [f for section in (Source, EvaluationOptions) for f in fields(section)]
    assert [f.name for f in options if f"--{f.name}" not in text] == []
