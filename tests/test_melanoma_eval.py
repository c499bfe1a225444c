"""melanoma_eval.py from its command line: each source, each flag, all files, each mistake."""

import json
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tensorboardX.proto.event_pb2 import Event

import melanoma_eval
from src.artifact.export import export_onnx
from src.artifact.network import load_network
from src.core.errors import run_main
from src.evaluation.calibration import equal_width_edges, reliability, top_label
from src.evaluation.fairness import evaluate, subset
from src.evaluation.metrics import compute_metrics
from src.evaluation.thresholds import choose_threshold
from src.inference.prediction_csv import read_predictions
from src.scripts.evaluation_inputs import Judging
from tests.engine.processes import finish, start
from tests.evaluation.drawn_predictions import lesion_image

FIGURES = "confusion_matrix roc_curves pr_curves per_class_metrics calibration_curve"
FIGURES += " fairness_by_group hard_cases"
TEXTS = {"evaluation_metrics.json", "metrics_by_group.csv", "predictions.csv", "report.html"}
MEASURED = ("overall", "groups", "gaps", "calibration")


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Judge with these flags; (the folder, the evaluation). Figures only where they are wanted."""
    output, found = tmp_path_factory.mktemp("judged"), {}

    def judge(*flags, figures=False, again=False):
        key = (*map(str, flags), figures, again)
        if key not in found:
            folder = output / str(len(found))
            few = [] if "--n_draws" in flags else ["--n_draws", "100"]
            few += ["--output_dir", str(output), "--run_name", folder.name]
            with pytest.MonkeyPatch.context() as patch:
                if not figures:
                    patch.setattr("src.evaluation.evaluation_files.write_figures", lambda *_: [])
                melanoma_eval.main([*map(str, flags), *few])
            found[key] = folder, strict_json(folder / "evaluation_metrics.json")
        return found[key]

    return judge


def strict_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def isic_csv(demo):
    return demo / "isic2020" / "ISIC_2020_full.csv"


@pytest.fixture(scope="module")
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
    table["patient_id"] = [f"P{patient}" for patient in rng.integers(n // 4, size=n)]
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


@pytest.fixture(scope="module")
def base(drawn):
    """The flags that judge test.csv."""
    return ["--predictions_csv", drawn / "test.csv", "--metadata_csv", drawn / "table.csv"]


@pytest.fixture(scope="module")
def fit(base, drawn):
    return [*base, "--valid_predictions_csv", drawn / "valid.csv"]


@pytest.fixture(scope="module")
def table(drawn):
    """The metadata of the judged images, in their order."""
    rows = pd.read_csv(drawn / "table.csv", sep=";", decimal=",")[150:]
    return rows.reset_index(drop=True)


def measured(evaluation, parts=MEASURED):
    return {part: evaluation[part] for part in parts}


def leaves(value, path=""):
    """The numbers and texts of a JSON by where they are."""
    if not isinstance(value, dict | list):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, item in items for k, v in leaves(item, f"{path}/{key}").items()}


def values(part):
    return {name: figure["value"] for name, figure in part["metrics"].items()}


def limits(part):
    return {name: (figure["low"], figure["high"]) for name, figure in part["metrics"].items()}


def same(value, expected):
    """Whether a number of a JSON is this one; null is undefined."""
    return np.isnan(expected) if value is None else value == pytest.approx(expected, abs=1e-12)


# sources


@pytest.fixture(scope="module")
def checkpoint(tiny_run):
    return tiny_run / "best_checkpoint.pth"


@pytest.fixture(scope="module")
def twice(tiny_onnx, tmp_path_factory):
    """A folder with the same model twice."""
    folder = tmp_path_factory.mktemp("twice")
    for name in ("a", "b"):
        shutil.copy(tiny_onnx, folder / f"{name}.onnx")
    return folder


def test_a_checkpoint_and_the_csv_of_its_run_are_judged_alike(judge, checkpoint, isic_csv):
    _, one = judge("--checkpoint", checkpoint)
    csv = checkpoint.parent / "predictions_test.csv"
    _, two = judge("--predictions_csv", csv, "--metadata_csv", isic_csv)
    assert one["source"]["unit"] == two["source"]["unit"] == "patient_id"
    assert one["source"]["split"] == "test"
    assert leaves(measured(one)) == pytest.approx(leaves(measured(two)), abs=1e-6)
    logged = strict_json(checkpoint.parent / "metrics.json")["test"]
    assert values(one["overall"]) == {name: logged[name] for name in one["overall"]["metrics"]}
    for level, part in one["groups"]["skin tone"].items():
        assert values(part) == {name: logged["groups"][level][name] for name in part["metrics"]}


def test_an_onnx_model_is_judged_as_its_checkpoint(judge, checkpoint, tiny_onnx):
    _, one = judge("--checkpoint", checkpoint)
    folder, two = judge("--onnx_model_path", tiny_onnx)
    assert two["source"]["kind"] == "ONNX model" and two["source"]["name"] == "model.onnx"
    assert two["source"]["model"] == one["source"]["model"] == "test_resnet"
    assert two["provenance"] == one["provenance"] != {}
    for name, figure in one["overall"]["metrics"].items():
        assert two["overall"]["metrics"][name] == pytest.approx(figure, abs=1e-3), name
    found = pd.read_csv(folder / "predictions.csv")
    logged = pd.read_csv(checkpoint.parent / "predictions_test.csv")
    pd.testing.assert_frame_equal(found, logged, atol=1e-4, rtol=0)


@pytest.mark.parametrize("voting", ["soft", "majority"])
def test_an_ensemble_of_one_model_twice_is_the_model(judge, tiny_onnx, twice, voting):
    _, one = judge("--onnx_model_path", tiny_onnx)
    _, two = judge("--onnx_model_path", twice, "--voting", voting)
    assert two["source"]["kind"] == "ensemble"
    assert two["source"]["model"] == "test_resnet"
    assert measured(one) == measured(two)


def test_an_ensembles_voting_decides(judge, checkpoint, tmp_path):
    """Two models that always find something against one that never does."""
    rows = pd.read_csv(checkpoint.parent / "predictions_test.csv")
    middle = rows["probability_malignant"].median()
    network, contract = load_network(checkpoint)
    for name, threshold in (("a", 0.3), ("c", 3 * middle - 0.6)):
        export_onnx(network, replace(contract, threshold=threshold), tmp_path / f"{name}.onnx")
    shutil.copy(tmp_path / "a.onnx", tmp_path / "b.onnx")
    found = {
        voting: judge("--onnx_model_path", tmp_path, "--voting", voting)
        for voting in ("soft", "majority")
    }
    soft, majority = (pd.read_csv(folder / "predictions.csv") for folder, _ in found.values())
    assert majority["target"].tolist() == [1] * len(rows)
    assert soft["target"].sum() == pytest.approx(len(rows) / 2, abs=2), "their mean threshold"
    score = "probability_malignant"
    assert soft[score][soft["target"] == 1].min() > soft[score][soft["target"] == 0].max()
    pd.testing.assert_series_equal(soft[score], majority[score])


def test_two_processes_judge_as_one(judge, checkpoint, tmp_path):
    folder, _ = judge("--checkpoint", checkpoint)
    settings = {"checkpoint": checkpoint, "output_dir": tmp_path, "run_name": "two"}
    found = finish(start({**settings, "n_draws": 100}, 2, program="melanoma_eval.py"))
    assert [code for code, _, _ in found] == [0, 0], found
    assert "AUROC" in found[0][1] and found[1][1] == "", "only the main process speaks"
    for name in ("evaluation_metrics.json", "predictions.csv", "metrics_by_group.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (folder / name).read_bytes()


# files


@pytest.fixture(scope="module")
def full(judge, fit, drawn, tmp_path_factory):
    """(folder, evaluation) with every section and every file."""
    images = tmp_path_factory.mktemp("images")
    for row in range(150, 300):
        picture = cv2.resize(lesion_image(f"{row}"), (32, 24))
        assert cv2.imwrite(str(images / f"IMG_{row:04}.png"), picture)
    flags = ["--threshold", "max_f1", "--group_thresholds", "--calibration", "temperature"]
    flags += ["--group_by", "sex", "age_approx:30,60", "sex*group", "--image_folder", images]
    return judge(*fit, *flags, figures=True)


def test_all_files_are_there(full):
    folder, _ = full
    figures = {f"{name}.png" for name in FIGURES.split()}
    assert {path.name for path in folder.iterdir()} == {*TEXTS, *figures, "logs"}
    for name in figures:
        image = cv2.imread(str(folder / name))
        assert min(image.shape[:2]) > 100 and image.std() > 5, name
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<img") >= len(figures)
    assert "Not a medical device" in page and "test.csv" in page


def test_the_table_by_group_says_what_the_json_says(full):
    folder, evaluation = full
    lines = pd.read_csv(folder / "metrics_by_group.csv").set_index(["attribute", "group"])
    parts = {("all", "all"): evaluation["overall"]}
    for attribute, levels in evaluation["groups"].items():
        parts |= {(attribute, level): part for level, part in levels.items()}
    assert lines.index.tolist() == [*parts]
    for place, part in parts.items():
        line = lines.loc[place]
        assert [line["n"], line["n_malignant"], line["n_units"]] == [
            part[name] for name in ("n", "n_malignant", "n_units")
        ]
        for name, figure in part["metrics"].items():
            for key, column in (("value", ""), ("low", "_low"), ("high", "_high")):
                assert same(figure[key], line[name + column]), (place, name, key)


def test_the_predictions_written_are_those_judged(full):
    folder, evaluation = full
    metrics = compute_metrics(read_predictions(folder / "predictions.csv", None))
    for name, value in values(evaluation["overall"]).items():
        assert same(value, metrics[name]), name


def read_events(folder):
    """The values of a folder's TensorBoard events by their tags."""
    (path,) = folder.iterdir()
    content, start, found = path.read_bytes(), 0, {}
    while start < len(content):  # length, its checksum, the record, its checksum
        end = start + 12 + int.from_bytes(content[start : start + 8], "little")
        found |= {
            value.tag: value for value in Event.FromString(content[start + 12 : end]).summary.value
        }
        start = end + 4
    return found


def test_the_events_hold_each_metric_and_figure(full):
    folder, evaluation = full
    events = read_events(folder / "logs")
    parts = {"all/all": evaluation["overall"]}
    for attribute, levels in evaluation["groups"].items():
        parts |= {f"{attribute}/{level}": part for level, part in levels.items()}
    for place, part in parts.items():
        for name, value in values(part).items():
            tag = re.sub(r"[^-/\w.]", "_", f"{place}/{name}")  # as TensorBoard has it
            assert (tag in events) == (value is not None)
            assert value is None or events[tag].simple_value == pytest.approx(value)
    gap = evaluation["gaps"]["sex"]["malignant"]["demographic_parity_difference"]["value"]
    assert events["sex/demographic_parity_difference"].simple_value == pytest.approx(gap)
    for name in FIGURES.split():
        assert events[name].image.encoded_image_string.startswith(b"\x89PNG")


def test_an_evaluation_is_what_fairness_measures(judge, base):
    folder, evaluation = judge(*base, "--min_group", "1")
    wanted = evaluate(read_predictions(folder / "predictions.csv", None))
    assert evaluation["overall"]["n"] == wanted["n"] == 150
    parts = {"all": (evaluation["overall"], wanted)}
    tones = evaluation["groups"]["skin tone"]
    assert list(tones) == list(wanted["groups"])
    parts |= {level: (part, wanted["groups"][level]) for level, part in tones.items()}
    for level, (part, metrics) in parts.items():
        assert part["confusion_matrix"] == metrics["confusion_matrix"]
        for name, value in values(part).items():
            assert same(value, metrics[name]), (level, name)
    gaps = evaluation["gaps"]["skin tone"]["malignant"]
    for name in ("demographic_parity_difference", "equal_opportunity_difference"):
        assert gaps[name]["value"] == pytest.approx(wanted[name]) and gaps[name]["value"] > 0
    judged = gaps["rates"]["true_positive_rate"]["groups"]
    assert judged == wanted["equal_opportunity_groups"]


# flags


def test_metadata_bring_groups_and_patients(judge, drawn, base):
    _, bare = judge("--predictions_csv", drawn / "test.csv")
    _, known = judge(*base)
    assert (bare["source"]["unit"], bare["groups"]) == ("image", {})
    assert known["source"]["unit"] == "patient_id" and "skin tone" in known["groups"]
    assert values(bare["overall"]) == values(known["overall"])
    assert limits(bare["overall"]) != limits(known["overall"])


def test_the_metadatas_image_column_is_named(judge, drawn, base):
    flags = ["--predictions_csv", drawn / "test.csv", "--metadata_csv", drawn / "renamed.csv"]
    _, found = judge(*flags, "--metadata_image_column", "picture")
    assert found == judge(*base)[1]


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
def test_groups_are_those_of_the_column(judge, base, table, text, name, level_of):
    folder, evaluation = judge(*base, "--group_by", text)
    predictions = read_predictions(folder / "predictions.csv", None)
    assert list(evaluation["groups"]) == ["skin tone", name]
    levels = np.array(level_of(table).astype(str))
    assert {*evaluation["groups"][name]} == {*levels}
    for level, part in evaluation["groups"][name].items():
        wanted = compute_metrics(subset(predictions, levels == level))
        assert part["n"] == wanted["n"] > 0
        for metric, value in values(part).items():
            assert same(value, wanted[metric]), (level, metric)


def test_tones_may_be_named_among_the_groups(judge, base):
    _, found = judge(*base, "--group_by", "clinic", "group")
    assert list(found["groups"]) == ["clinic", "skin tone"]
    assert found["groups"]["skin tone"] == judge(*base)[1]["groups"]["skin tone"]


def test_intervals_resample_the_column_that_is_named(judge, base, table):
    _, one = judge(*base)
    _, two = judge(*base, "--resample_by", "clinic")
    assert one["overall"]["n_units"] == table["patient_id"].nunique()
    assert (two["source"]["unit"], two["overall"]["n_units"]) == ("clinic", 3)
    assert values(one["overall"]) == values(two["overall"])
    assert limits(one["overall"]) != limits(two["overall"])


@pytest.mark.parametrize(("flag", "number"), [("n_draws", 150), ("seed", 1)])
def test_draws_and_their_seed_move_intervals_alone(judge, base, flag, number):
    _, one = judge(*base)
    _, two = judge(*base, f"--{flag}", number)
    assert two["settings"][flag] == number != one["settings"][flag]
    assert values(one["overall"]) == values(two["overall"])
    assert limits(one["overall"]) != limits(two["overall"])


def test_the_same_seed_gives_the_same_bytes(judge, fit):
    flags = [*fit, "--threshold", "youden", "--seed", "5"]
    one, two = (judge(*flags, again=again)[0] for again in (False, True))
    assert one != two
    for name in TEXTS:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_small_groups_enter_no_gap(judge, base, table):
    _, one = judge(*base)
    _, two = judge(*base, "--min_group", "45")
    rates = [e["gaps"]["skin tone"]["malignant"]["rates"]["selection_rate"] for e in (one, two)]
    sizes = {level: part["n"] for level, part in one["groups"]["skin tone"].items()}
    sizes.pop("unknown")
    assert rates[0]["groups"] == [*sizes] and rates[0]["left_out"] == []
    assert rates[1]["groups"] == [level for level, n in sizes.items() if n >= 45]
    assert rates[1]["left_out"] == [level for level, n in sizes.items() if n < 45] != []


def test_the_bins_are_as_many_as_asked_for(judge, fit):
    folder, found = judge(*fit, "--n_bins", "4", "--calibration", "temperature")
    rows = read_predictions(folder / "predictions.csv", None)
    case = top_label(rows.labels, rows.probabilities)
    ece = reliability(*case, equal_width_edges(4)).ece
    calibration = found["calibration"]
    assert len(calibration["equal_width"]["bins"]) == len(calibration["positive"]["bins"]) == 4
    after = calibration["temperature"]["after"]["ece"]
    for said in (calibration["equal_width"]["ece"], found["overall"]["metrics"]["ece"]["value"]):
        assert said == pytest.approx(ece) == after


@pytest.mark.parametrize("rule", ["temperature", "temperature(by='group')"])
def test_a_temperature_scales_the_probabilities(judge, base, fit, rule):
    folder, found = judge(*fit, "--min_group", "20", "--calibration", rule)
    temperature = found["calibration"]["temperature"]
    assert (temperature["rule"], temperature["n_fitted"]) == (rule, 150)
    assert bool(temperature["groups"]) == ("group" in rule)
    frames = [pd.read_csv(path / "predictions.csv") for path in (judge(*base)[0], folder)]
    before, after = (
        np.log(frame["probability_malignant"] / frame["probability_benign"]) for frame in frames
    )
    by_group = dict(enumerate(temperature["groups"].values()))
    expected = [by_group.get(group, temperature["value"]) for group in frames[1]["group"]]
    np.testing.assert_allclose(before / after, expected, rtol=1e-6)
    assert frames[0]["target"].tolist() == frames[1]["target"].tolist()
    assert judge(*base)[1]["calibration"]["temperature"] is None


def test_a_threshold_is_found_on_validation_rows(judge, base, fit, drawn):
    folder, found = judge(*fit, "--threshold", "sensitivity(least=0.95)")
    valid = pd.read_csv(drawn / "valid.csv")
    score = valid["probability_malignant"].to_numpy()
    wanted = choose_threshold("sensitivity(least=0.95)", valid["label"].to_numpy() == 1, score)
    assert found["threshold"]["value"] == pytest.approx(wanted, abs=1e-12)
    assert found["threshold"]["groups"] == found["threshold"]["cost"] == {}
    frame = pd.read_csv(folder / "predictions.csv")
    assert (frame["target"] == (frame["probability_malignant"] >= wanted)).all()
    _, plain = judge(*base)
    assert plain["threshold"] is None
    assert values(plain["overall"])["malignant_recall"] < 0.9
    assert values(found["overall"])["malignant_recall"] > 0.9


def test_group_thresholds_print_their_cost(judge, fit):
    flags = ["--threshold", "youden", "--min_group", "5"]
    folder, found = judge(*fit, *flags, "--group_thresholds")
    threshold, frame = found["threshold"], pd.read_csv(folder / "predictions.csv")
    by_group = dict(enumerate(threshold["groups"].values()))
    expected = [by_group.get(group, threshold["value"]) for group in frame["group"]]
    assert (frame["target"] == (frame["probability_malignant"] >= expected)).all()
    _, single = judge(*fit, *flags)
    for cost, evaluation in (("one_threshold", single), ("by_group", found)):
        figures = values(evaluation["overall"])
        gaps = evaluation["gaps"]["skin tone"]["malignant"]
        for name, value in threshold["cost"][cost].items():
            assert same(figures[name] if name in figures else gaps[name]["value"], value), name


def test_other_validation_rows_give_another_threshold(judge, base, drawn, tmp_path):
    rows = pd.read_csv(drawn / "valid.csv")
    rows[:90].to_csv(tmp_path / "few.csv", index=False)
    found = []
    for csv, n_rows in ((drawn / "valid.csv", 150), (tmp_path / "few.csv", 90)):
        flags = ["--valid_predictions_csv", csv, "--threshold", "max_f1"]
        found.append(judge(*base, *flags)[1]["threshold"])
        assert found[-1]["n_fitted"] == n_rows
    assert found[0]["value"] != found[1]["value"]


def test_a_checkpoint_is_fitted_on_its_own_validation_rows(judge, checkpoint):
    csv = checkpoint.parent / "predictions_valid.csv"
    _, found = judge("--checkpoint", checkpoint, "--threshold", "youden")
    rows = read_predictions(csv, None)
    wanted = choose_threshold("youden", rows.labels == 1, rows.probabilities[:, 1])
    assert found["threshold"]["value"] == pytest.approx(wanted, abs=1e-12)
    assert found["threshold"]["n_fitted"] == len(rows.labels)


def test_another_csv_is_compared(judge, base, drawn):
    folder, found = judge(*base, "--compare", drawn / "other.csv", "--group_by", "sex")
    this = compute_metrics(read_predictions(folder / "predictions.csv", None))
    other = compute_metrics(read_predictions(drawn / "other.csv", None))
    comparison = found["comparison"]
    assert (comparison["name"], comparison["n"]) == ("other.csv", 150)
    for name, figure in comparison["differences"].items():
        assert same(figure["value"], this[name] - other[name]), name
    assert comparison["differences"]["auroc"]["low"] > 0, "it is the better model"
    auroc = comparison["differences"]["auroc"]["value"]
    assert comparison["delong"]["value"] == pytest.approx(auroc, abs=1e-12)
    assert {*comparison["by_group"]["sex"]} == {"female", "male", "unknown"}
    wrong = comparison["mcnemar"]["all"]
    more = wrong["only_this_right"] - wrong["only_other_right"]
    assert more == pytest.approx(150 * (this["accuracy"] - other["accuracy"]))
    assert measured(found, ["overall"]) == measured(judge(*base)[1], ["overall"])


@pytest.mark.parametrize("what", ["csv", "onnx", "folder", "checkpoint"])
@pytest.mark.parametrize("source", ["checkpoint", "predictions_csv"])
def test_a_model_is_compared_with_itself(
    judge, checkpoint, tiny_onnx, twice, isic_csv, source, what
):
    csv = checkpoint.parent / "predictions_test.csv"
    others = {"csv": csv, "onnx": tiny_onnx, "folder": twice, "checkpoint": checkpoint}
    judged = {"checkpoint": checkpoint, "predictions_csv": csv}[source]
    _, found = judge(f"--{source}", judged, "--metadata_csv", isic_csv, "--compare", others[what])
    comparison = found["comparison"]
    assert comparison["name"] == others[what].name
    for name in ("malignant_recall", "auroc", "brier"):
        assert comparison["differences"][name]["value"] == pytest.approx(0, abs=1e-3)
    assert comparison["mcnemar"]["all"]["p"] == 1


def test_wrong_images_are_shown_where_their_files_are(judge, full, fit, tmp_path):
    folder, evaluation = full
    assert evaluation["hard_cases"]
    picture = cv2.imread(str(folder / "hard_cases.png")).astype(int)
    is_gray = np.ptp(picture, axis=2) < 12
    assert is_gray.mean() < 0.95, "lesions are drawn in colors of skin"


def test_every_flag_is_tested_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [f.name for f in fields(Judging) if f"--{f.name}" not in text] == []


# mistakes


@pytest.fixture
def refuse(capsys, tmp_path):
    """Judge with flags that must be refused, with nothing written; the one line that is said."""

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
        ("--group_thresholds", "--group_thresholds: expected the rule that finds them"),
        ("--threshold youden", "--threshold: expected validation rows to fit on"),
        ("--calibration temperature", "--calibration: expected validation rows to fit on"),
        ("--valid_predictions_csv VALID", "expected --calibration or --threshold to fit"),
        ("--valid_predictions_csv VALID --threshold youdn", "did you mean 'youden'"),
        ("--valid_predictions_csv VALID --threshold sensitivity(leest=1)", "did you mean 'least'"),
        ("--valid_predictions_csv VALID --threshold sensitivity(least=2)", "at most 1"),
        ("--valid_predictions_csv VALID --threshold __import__('os')", "expected name"),
        ("--valid_predictions_csv VALID --calibration temprature", "did you mean 'temperature'"),
        ("--valid_predictions_csv VALID --calibration temperature(by='x')", "'all' or 'group'"),
        ("--valid_predictions_csv TEST --threshold youden", "150 of its images are judged too"),
        ("--valid_predictions_csv OTHER --threshold youden", "150 of its images are judged too"),
        ("--valid_predictions_csv VALID --threshold youden --compare OTHER", "two CSVs as they"),
        ("--group_by sexx", "--metadata_csv FILE"),
        ("--metadata_csv TABLE --group_by sexx", "did you mean 'sex'"),
        ("--metadata_csv TABLE --group_by sex*clinc", "did you mean 'clinic'"),
        ("--metadata_csv TABLE --group_by patient_id", "too many"),
        ("--metadata_csv TABLE --group_by age_approx:x", "expected numbers behind the colon"),
        (
            "--metadata_csv TABLE --group_by age_approx:30 age_approx:60",
            "age_approx is there twice",
        ),
        ("--resample_by clinic", "--resample_by: expected the table with it"),
        ("--metadata_csv TABLE --resample_by clinics", "did you mean 'clinic'"),
        ("--metadata_csv TABLE --metadata_image_column images", "did you mean 'image_id'"),
        ("--metadata_csv NOWHERE.csv", "NOWHERE.csv: no such file"),
        ("--image_folder NOWHERE", "NOWHERE: no such folder"),
        ("--compare NOWHERE.csv", "NOWHERE.csv: no such file"),
        ("--compare NOWHERE.onnx", "NOWHERE.onnx: no such ONNX file"),
        ("--compare NOWHERE.pth", "NOWHERE.pth: no such checkpoint"),
        ("--compare FOLDER", "no ONNX files in it"),
        ("--compare VALID", "--compare: it has no prediction for 150 images"),
        ("--compare MORE", "--compare: it also predicts 150 images"),
        ("--n_draws 99", "--n_draws 99: expected 100 to 100,000"),
        ("--n_draws 1000000000", "expected 100 to 100,000"),
        ("--n_draws many", "--n_draws is 'many': expected a whole number"),
        ("--n_bins 1", "--n_bins 1: expected 2 to 1,000"),
        ("--min_group 0", "--min_group 0: expected 1 to"),
        ("--seed -1", "--seed -1: expected 0"),
        ("--voting softt", "expected soft or majority; did you mean 'soft'"),
        ("--grup_by sex", "did you mean 'group_by'"),
        ("--device cuda", "judged on the CPU"),
    ],
)
def test_mistakes_end_in_one_line_with_nothing_written(refuse, drawn, tmp_path, flags, expected):
    more = pd.concat([pd.read_csv(drawn / f"{name}.csv") for name in ("test", "valid")])
    more.to_csv(tmp_path / "more.csv", index=False)
    files = {"MORE": tmp_path / "more.csv", "FOLDER": drawn}
    files |= {name.upper(): drawn / f"{name}.csv" for name in ("test", "valid", "other", "table")}
    words = [files.get(word, word) for word in flags.split(" ")]
    assert expected in refuse("--predictions_csv", drawn / "test.csv", *words)


def test_one_source_is_judged(refuse, drawn, checkpoint, tiny_onnx):
    assert "expected one of --checkpoint, --onnx_model_path, --predictions_csv; found 0" in refuse()
    sources = ["--checkpoint", checkpoint, "--onnx_model_path", tiny_onnx]
    assert "found 2 of them" in refuse(*sources)
    assert "found 3 of them" in refuse(*sources, "--predictions_csv", drawn / "test.csv")
    assert "found 0 of them" in refuse("--compare", drawn / "test.csv")


@pytest.mark.parametrize(
    "flags",
    [
        ["--image_folder", "x"],
        ["--label_column", "x"],
        ["--probability_columns", "x", "y"],
        ["--valid_predictions_csv", "x.csv", "--threshold", "youden"],
    ],
)
def test_flags_of_a_csv_go_with_a_csv(refuse, checkpoint, flags):
    line = refuse("--checkpoint", checkpoint, *flags)
    assert line == f"error: {flags[0]}: expected with --predictions_csv only"


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
