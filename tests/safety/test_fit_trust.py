"""fit_trust and predictions with trust, on a small trained model."""

import csv
import importlib
import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest

from src.artifact.contract import contract_from_json
from src.artifact.export import write_contract
from src.core.errors import UserError
from src.evaluation.evaluate import EvaluatedModel
from src.evaluation.predictions import from_columns
from src.inference.model import SkinLesionPredictor
from src.inference.predictor import OnnxPredictor
from src.inference.trust import COLUMNS, check_trust, predict_with_trust
from src.safety.fit import rows_of
from src.scripts import fit_trust, ood_detection, predict
from src.trust.triage import CATEGORIES
from tests.documented import commands

PROMISE = ["--max_miss", "0.7", "--confidence", "0.5", "--alpha", "0.2"]


@pytest.fixture(scope="module")
def trusted(tiny_onnx, tmp_path_factory):
    """The model with what was fitted."""
    path = tmp_path_factory.mktemp("trust") / "trusted.onnx"
    argv = ["--onnx_model_path", str(tiny_onnx), "--write_model", str(path), *PROMISE]
    assert fit_trust.main(argv) == 0
    return path


def test_what_was_fitted_is_in_the_file_and_the_model_predicts_as_before(trusted, tiny_onnx):
    before, after = OnnxPredictor(tiny_onnx), OnnxPredictor(trusted)
    trust = after.contract.trust
    assert before.contract.trust is None
    assert trust.conditions == after.contract.conditions
    assert trust.certificate.unit.startswith("patient_id") and not trust.certificate.refused
    certified = {found.group for found in trust.certificate.groups if found.certified}
    values = after.contract.rule.options["values"]
    for name, value in zip(after.contract.groups, values, strict=True):
        found = [f.threshold for f in trust.certificate.groups if f.group == name]
        assert name not in certified or 0 <= found[0] - value < 1e-4
    images = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    assert np.array_equal(before.outputs(images)[1], after.outputs(images)[1])
    assert after.features(images).shape == (3, len(trust.features.center))


def test_answers_say_whether_to_rely_on_them(trusted, demo, tmp_path):
    predictor = OnnxPredictor(trusted)
    lesions = sorted((demo / "isic2020").glob("test/*/*.jpg"))[:12]
    broken, noise = tmp_path / "broken.jpg", np.random.default_rng(1)
    broken.write_bytes(b"no image")
    strange = noise.integers(0, 255, (96, 128, 3)).astype(np.uint8)
    found = [*predict_with_trust(predictor, [*lesions, strange, broken], batch_size=5)]
    assert [one.name for one in found[:12]] == [path.name for path in lesions]
    assert {one.answer.category for one in found[:-1]} <= {*CATEGORIES}
    assert sum(one.abstain for one in found[:12]) < 12
    for one in found[:12]:
        flagged = one.class_name == predictor.contract.classes[predictor.contract.positive]
        assert one.abstain or flagged == (one.answer.category in ("urgent", "refer"))
        assert set(one.answer.classes) and one.answer.certificate.startswith("not certified")
    assert found[12].abstain and found[12].message
    assert (found[13].answer, found[13].abstain) == (None, True) and found[13].reason
    group = [0] * len(lesions)
    (first, *_) = predict_with_trust(predictor, lesions, group)
    certificate = predictor.contract.trust.certificate
    assert first.answer.certificate == certificate.of(predictor.contract.groups[0], "malignant")


def read(table):
    with table.open(newline="") as file:
        return [*csv.DictReader(file)]


def test_predict_py_writes_answers_of_a_model_that_has_them(
    trusted, tiny_onnx, demo, tmp_path, capsys
):
    folder, table = demo / "isic2020" / "test" / "malignant", tmp_path / "p.csv"
    argv = ["--input_folder", str(folder), "--output_csv", str(table), "--trust"]
    assert predict.main([*argv, "--onnx_model_path", str(trusted)]) == 0
    rows = read(table)
    assert {row["answer"] for row in rows} <= {*CATEGORIES} and {*COLUMNS} < {*rows[0]}
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("answers ")]
    told = line.partition(": ")[2].partition(";")[0].split(", ")
    assert sum(int(one.rpartition(" ")[2]) for one in told) == len(rows)
    paths = [folder / row["image_name"] for row in rows]
    alone = predict_with_trust(OnnxPredictor(trusted), paths, batch_size=3)
    for row, found in zip(rows, alone, strict=True):
        assert row["answer"] == found.answer.category
        assert row["answer_reason"] == found.answer.reason
        assert row["conformal_set"].split() == [*found.answer.classes]
        assert float(row["entropy"]) == pytest.approx(found.answer.entropy, abs=1e-4)
    ensemble = tmp_path / "two"
    ensemble.mkdir()
    for number in (1, 2):
        (ensemble / f"{number}.onnx").write_bytes(trusted.read_bytes())
    for extra, named in (
        (["--onnx_model_path", str(tiny_onnx)], "fit_trust"),
        (["--onnx_model_path", str(ensemble)], "ensemble"),
        (["--onnx_model_path", str(trusted), "--threshold", "0.5"], "--threshold"),
        (["--onnx_model_path", str(trusted), "--tta", "flips"], "--tta"),
    ):
        with pytest.raises(UserError, match=named):
            predict.main([*argv, *extra])


def test_trust_of_views_answers_with_them(tiny_onnx, demo, tmp_path):
    path = tmp_path / "views.onnx"
    argv = ["--onnx_model_path", str(tiny_onnx), "--write_model", str(path), *PROMISE]
    assert fit_trust.main([*argv, "--tta", "flips", "--feature_gate", "false"]) == 0
    predictor = OnnxPredictor(path)
    lesions = sorted((demo / "isic2020").glob("test/*/*.jpg"))[:4]
    model = SkinLesionPredictor(path)
    assert model.tta == "flips"
    plain = OnnxPredictor(tiny_onnx)
    for found, lesion in zip(predict_with_trust(predictor, lesions), lesions, strict=True):
        expected = model.predict(lesion)["probabilities"]
        assert found.probabilities == pytest.approx(expected, abs=1e-6)
        (alone,) = plain.predict([lesion])
        assert [*expected.values()] != pytest.approx(alone.probabilities, abs=1e-6)
    check_trust([predictor], "flips")
    with pytest.raises(UserError, match="--tta flips"):
        check_trust([predictor], "none")


def test_ood_detection_fits_first_where_it_is_asked_to(trusted, tmp_path, monkeypatch, capsys):
    target, fitted = tmp_path / "t.onnx", []

    def fit(given, options):
        options.write_model.write_bytes(trusted.read_bytes())
        fitted.append((given, options))
        return "as fit_trust says"

    monkeypatch.setattr("src.safety.fit.fit_trust", fit)
    usual = ["--onnx_model_path", str(trusted)]
    to_write = ["--write_model", str(target)]
    ood_detection.main([*usual, "--fit", *to_write, "--data_path", "here"])
    ((given, options),) = fitted
    assert given["data_path"] == "here" and options.onnx_model_path == trusted
    assert capsys.readouterr().out == f"as fit_trust says\nwritten to {target}\n"
    folders = ["--input_folder", str(tmp_path), "--strange_folder", str(tmp_path)]
    for flags, named in (
        (["--fit"], "--write_model"),
        ([], "--input_folder"),
        (["--input_folder", str(tmp_path)], "--input_folder"),
        ([*folders, *to_write], "--input_folder"),
    ):
        with pytest.raises(UserError, match=named):
            ood_detection.main([*usual, *flags])
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    for flags, named in ((to_write, "--write_model"), (["--data_path", "x"], "--data_path")):
        with pytest.raises(UserError, match=named):
            ood_detection.main([*usual, *folders, *flags])


def test_a_model_that_was_changed_since_or_never_fitted_gives_no_answers(
    trusted, tiny_onnx, tmp_path
):
    black = [np.zeros((64, 64, 3), np.uint8)]
    with pytest.raises(UserError, match="fit_trust"):
        next(predict_with_trust(OnnxPredictor(tiny_onnx), black))
    model, contract = onnx.load(trusted), OnnxPredictor(trusted).contract
    write_contract(model, replace(contract, temperature=2 * contract.temperature))
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(UserError, match="temperature"):
        next(predict_with_trust(OnnxPredictor(tmp_path / "changed.onnx"), black))


def with_dropout(source, target):
    """The contract of `source`, written to `target` as if it had been trained with dropout."""
    model, contract = onnx.load(source), OnnxPredictor(source).contract
    write_contract(model, replace(contract, trust=replace(contract.trust, dropout=0.5)))
    onnx.save(model, target)
    return contract


def test_passes_with_dropout_differ_from_each_other_and_are_the_same_again(
    trusted, tiny_onnx, demo, tmp_path
):
    with pytest.raises(UserError, match="dropout"):
        next(
            predict_with_trust(
                OnnxPredictor(trusted), [np.zeros((64, 64, 3), np.uint8)], n_passes=2
            )
        )
    contract = with_dropout(trusted, path := tmp_path / "dropout.onnx")
    predictor, plain = OnnxPredictor(path), OnnxPredictor(tiny_onnx)
    images = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
    width = len(contract.trust.features.center)
    kept, none = np.ones((1, width), np.float32), np.zeros((1, width), np.float32)
    passes = predictor.passes(images, [kept, none])
    assert np.array_equal(passes[0], plain.outputs(images)[1])
    assert np.array_equal(passes[1][0], passes[1][1])  # without features the bias alone
    lesions = sorted((demo / "isic2020").glob("test/*/*.jpg"))[:4]
    found, again = ([*predict_with_trust(predictor, lesions, n_passes=20)] for _ in range(2))
    assert found == again or str(found) == str(again)
    for one in found:
        assert 0 < one.answer.mutual_information < one.answer.entropy


def test_a_damaged_contract_is_refused_in_one_line(trusted):
    content = OnnxPredictor(trusted).contract.to_json()
    assert contract_from_json(content, "x").trust == OnnxPredictor(trusted).contract.trust
    for place, value in (
        (("version",), 9),
        (("rows",), 5),
        (("coverage",), float("inf")),
        (("conformal", "score"), "best"),
        (("conformal", "by_group"), [0.1]),
        (("conformal", "quantile"), "0.5"),
        (("certificate", "groups", 0, "n"), 2.5),
        (("certificate", "promise", "max_miss"), 0),
        (("features", "scales"), [1.0]),
        (("features", "center"), [[1.0]]),
        (("features", "extra"), 1),
        (("triage",), None),
    ):
        damaged = json.loads(json.dumps(content))
        inner = damaged["trust"]
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        with pytest.raises(UserError) as error:
            contract_from_json(damaged, "file.onnx")
        assert str(error.value).startswith("file.onnx: ") and "\n" not in str(error.value), place


def test_rows_that_chose_the_model_and_rows_of_unknown_patients_certify_nothing():
    rows = from_columns(
        ["a", "b"], np.array([0, 1]), np.array([0, 0]), np.array([0, 1]), None, (), ("light",)
    )
    model = EvaluatedModel("", "", "valid", "", rows, np.arange(2), "patient_id")
    assert "chose the model" in rows_of(model).refused and rows_of(model).certifying is None
    tested = replace(model, split="test", valid=rows)
    assert rows_of(tested).refused == ""
    assert "patients" in rows_of(replace(tested, cluster="image")).refused


def test_the_pages_commands_run(tiny_onnx, demo, tmp_path, monkeypatch, capsys):
    documented = commands("docs/TRUST.md")
    fit, measure = documented[:3], documented[3:]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best_checkpoint.onnx").write_bytes(tiny_onnx.read_bytes())
    image = next((demo / "isic2020").glob("test/malignant/*.jpg"))
    (tmp_path / "lesion.jpg").write_bytes(image.read_bytes())
    run(fit)
    said = capsys.readouterr().out
    assert "FAILED" not in said and "cannot be certified" in said
    assert "lesion.jpg: " in said and "not a diagnosis" in said
    with_dropout(tmp_path / "trusted.onnx", tmp_path / "trusted.onnx")
    lesions, others = tmp_path / "lesions", tmp_path / "others"
    for folder in (lesions, others):
        folder.mkdir()
    for number, path in enumerate(sorted((demo / "isic2020").glob("test/*/*.jpg"))[:6]):
        (lesions / f"{number}.jpg").write_bytes(path.read_bytes())
        noise = np.random.default_rng(number).integers(0, 255, (96, 128, 3)).astype(np.uint8)
        cv2.imwrite(str(others / f"{number}.png"), noise)
    evaluations = []  # the report of melanoma_eval.py has tests of its own
    monkeypatch.setattr("src.evaluator.run.run_evaluation", lambda *args: evaluations.append(args))
    run(measure)
    ((_, source, options, _),) = evaluations
    assert (source.path, options.calibration) == ("best_checkpoint.onnx", "temperature")
    assert options.write_model == "calibrated.onnx"
    said = capsys.readouterr().out
    assert "mutual information 0." in said
    assert {line.partition(":")[0] for line in said.splitlines()} >= {"features", "energy", "msp"}
    assert "passes the feature gate: " in said


def run(documented):
    for command in documented:
        assert not importlib.import_module(command.program).main(command.argv), command.text


def test_wrong_flags_are_named(tmp_path):
    for argv, named in (
        ([], "--onnx_model_path"),
        (["--onnx_model_path", "a.pth", "--write_model", "b.onnx"], "a.pth"),
        (["--onnx_model_path", "a.onnx", "--write_model", "b.onnx"], "a.onnx"),
        (["--onnx_model_path", "a.onnx"], "--write_model"),
        (["--alpha", "1"], "--alpha"),
        (["--certify", "x"], "--certify"),
    ):
        with pytest.raises(UserError) as error:
            fit_trust.main(argv)
        assert named in str(error.value)
