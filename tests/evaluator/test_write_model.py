"""A written model decides every image as the report says; what cannot be written is refused."""

from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest

from src.artifact.export import export_onnx
from src.artifact.network import load_contract, load_network, make_network
from src.core.errors import UserError
from src.evaluation.calibration import scaled
from src.evaluator.model_writer import MARGIN, away_from
from src.inference import SkinLesionPredictor
from src.inference.predictor import OnnxPredictor
from src.scripts import melanoma_eval, predict, predict_image
from tests.inference.test_predictor import foreign_model

FIT = ["--threshold", "sensitivity(least=0.9)", "--calibration", "temperature"]
BY_GROUP = ["--calibration", "temperature(by='group')"]


@pytest.fixture(scope="module")
def sources(tiny_run, tiny_onnx):
    """The same model as a checkpoint and as ONNX."""
    return {"checkpoint": tiny_run / "best_checkpoint.pth", "onnx_model_path": tiny_onnx}


def decided(model, demo, tmp_path):
    """What predict.py says of the test images, by their names."""
    tables = []
    for name in ("benign", "malignant"):
        output = tmp_path / f"{name}.csv"
        folder = demo / "isic2020" / "test" / name
        flags = {"--onnx_model_path": model, "--input_folder": folder, "--output_csv": output}
        flat = [str(part) for pair in flags.items() for part in pair]
        assert predict.main([*flat, "--probabilities"]) == 0
        tables.append(pd.read_csv(output).set_index("image_name"))
    return pd.concat(tables)


@pytest.mark.slow
def test_what_is_fitted_with_views_is_used_with_them(evaluate, sources, demo, tmp_path):
    """The written model says so itself: predict.py decides as the report, and no other way."""
    target = tmp_path / "fitted.onnx"
    views = ["--onnx_model_path", sources["onnx_model_path"], "--tta", "dihedral"]
    folder, found = evaluate(*views, *FIT, "--write_model", target)
    assert any("8 dihedral views" in note for note in found["notes"])
    report = pd.read_csv(folder / "predictions.csv").set_index("image_name")
    model = decided(target, demo, tmp_path).loc[report.index]
    assert model["target"].tolist() == report["target"].tolist()
    columns = [column for column in report if column.startswith("probability")]
    np.testing.assert_allclose(model[columns], report[columns], atol=1e-5)
    once = evaluate("--onnx_model_path", sources["onnx_model_path"], *FIT)[0]
    other = pd.read_csv(once / "predictions.csv").set_index("image_name").loc[report.index]
    assert not np.allclose(other[columns], report[columns], atol=1e-4)
    assert OnnxPredictor(target).contract.provenance["fitted"]["tta"] == "dihedral"
    with pytest.raises(UserError, match=r"--tta none: .* was fitted with --tta dihedral"):
        melanoma_eval.main(["--onnx_model_path", str(target), "--tta", "none"])
    checkpoint = ["--checkpoint", str(sources["checkpoint"]), "--tta", "flips"]
    with pytest.raises(UserError, match="--tta flips: expected with ONNX models only; export"):
        melanoma_eval.main(checkpoint)


@pytest.mark.slow
def test_a_checkpoint_predicts_as_its_onnx_file(sources, demo, capsys):
    """Through the Python API and the command for single images."""
    images = sorted((demo / "isic2020" / "test" / "malignant").iterdir())[:3]
    by_kind = {}
    for kind, path in sources.items():
        by_kind[kind] = SkinLesionPredictor(path).predict(images)
        assert predict_image.main(["--checkpoint", str(path), "--image", *map(str, images)]) == 0
        printed = capsys.readouterr().out.splitlines()
        first = by_kind[kind][0]
        assert printed[0].startswith(f"{images[0]}: {first['predicted_class']} (")
        assert printed[1] == f"  benign: {first['probabilities']['benign']:.3f}"
    for one, other in zip(*by_kind.values(), strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
        assert one["predicted_class_description"] in ("benign lesion", "malignant lesion")
    with pytest.raises(UserError, match="says itself how it is used: leave out --normalize"):
        SkinLesionPredictor(sources["checkpoint"], normalize="half")


@pytest.mark.parametrize("kind", ["checkpoint", "onnx_model_path"])
@pytest.mark.parametrize("fit", [FIT, FIT[:2], FIT[2:]], ids=["both", "threshold", "temperature"])
def test_predictions_of_the_written_model_are_those_of_the_report(
    evaluate, sources, demo, tmp_path, kind, fit
):
    target = tmp_path / "deep" / "fitted.onnx"
    folder, found = evaluate(f"--{kind}", sources[kind], *fit, "--write_model", target)
    report = pd.read_csv(folder / "predictions.csv").set_index("image_name")
    model = decided(target, demo, tmp_path).loc[report.index]
    assert model["target"].tolist() == report["target"].tolist()
    columns = [column for column in report if column.startswith("probability")]
    np.testing.assert_allclose(model[columns], report[columns], atol=1e-5)
    contract = OnnxPredictor(target).contract
    if "--calibration" in fit:
        assert contract.temperature == found["calibration"]["temperature"]["value"] != 1
    if "--threshold" in fit:
        threshold = found["threshold"]["value"]
        assert contract.rule.name == "threshold" and threshold != 0.5
        assert contract.rule.options["value"] == pytest.approx(threshold, abs=1.01 * MARGIN)
    before = decided(sources["onnx_model_path"], demo, tmp_path)
    moved = (before["target"] != model["target"].loc[before.index]).any()
    assert moved == ("--threshold" in fit), "a temperature alone moves no decision"


def test_thresholds_by_group_decide_by_the_groups_and_overall_without(
    evaluate, sources, demo, tmp_path, capsys
):
    target = tmp_path / "fitted.pth"
    flags = ["--threshold", "max_f1", "--group_thresholds", "--min_group", "1"]
    folder, found = evaluate("--checkpoint", sources["checkpoint"], *flags, "--write_model", target)
    assert found["threshold"]["groups"]
    contract = load_contract(target)
    assert contract.rule.name == "thresholds_by_group"
    assert [rule.name for rule in contract.other_rules] == ["threshold"]
    again, _ = evaluate("--checkpoint", target)
    first, second = (pd.read_csv(f / "predictions.csv") for f in (folder, again))
    pd.testing.assert_frame_equal(first, second)
    exported = tmp_path / "fitted.onnx"
    export_onnx(*load_network(target), exported)
    capsys.readouterr()
    rows = decided(exported, demo, tmp_path)
    told = "tone groups of its training: ISIC_2020_full.csv (SHA-256 "
    assert told in capsys.readouterr().out
    positive = rows["probability_malignant"] >= contract.rule.options["overall"]
    assert rows["target"].tolist() == positive.astype(int).tolist()


def test_fitting_again_multiplies_the_temperature(evaluate, sources, tmp_path):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    evaluate("--onnx_model_path", sources["onnx_model_path"], *FIT, "--write_model", first)
    _, found = evaluate("--onnx_model_path", first, *FIT, "--write_model", second)
    assert found["calibration"]["temperature"]["value"] == pytest.approx(1, abs=1e-4)
    contracts = [OnnxPredictor(path).contract for path in (first, second)]
    assert contracts[1].temperature == pytest.approx(contracts[0].temperature, rel=1e-4)
    graph = onnx.load(second).graph
    assert [tensor.name for tensor in graph.initializer].count("temperature") == 1


@pytest.mark.parametrize("reduction", ["sum_over_groups", "mean_over_groups"])
def test_a_group_aware_model_is_calibrated_after_its_reduction(tiny_run, tmp_path, reduction):
    """As the evaluator scales: the class probabilities, not the logits of groups and classes."""
    network, contract = load_network(tiny_run / "best_checkpoint.pth")
    wide = replace(contract, n_outputs=4, reduction=reduction, temperature=2.5, priors=())
    model = type(network.classifier)(contract.model, 4, 32)
    at_1, at_t = tmp_path / "1.onnx", tmp_path / "t.onnx"
    for path, of in ((at_1, replace(wide, temperature=1.0)), (at_t, wide)):
        export_onnx(make_network(of, model), of, path)
    images = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    expected = scaled(OnnxPredictor(at_1).outputs(images)[1], 2.5)
    np.testing.assert_allclose(OnnxPredictor(at_t).outputs(images)[1], expected, atol=1e-6)


def test_a_threshold_keeps_its_decisions_and_its_distance():
    rng = np.random.default_rng(0)
    scores = np.round(rng.random(200), 2)
    for threshold in [*scores[:20], *np.nextafter(scores[:20], 2), 0.123456, 0.0, 1.0, -0.0]:
        moved = away_from(scores, threshold)
        assert abs(moved - threshold) <= 1.01 * MARGIN
        np.testing.assert_array_equal(scores >= moved, scores >= threshold)
        rounded = np.clip(scores + rng.uniform(-1, 1, len(scores)) * MARGIN / 4, 0, 1)
        np.testing.assert_array_equal(rounded >= moved, scores >= threshold)
    for pair in ([0.3, 0.3 + 1e-9], [0.3, np.nextafter(0.3, 1)]):
        moved = away_from(np.array(pair), pair[1])
        assert pair[0] < moved <= pair[1]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--onnx_model_path", "m.onnx", *FIT, "--write_model", "x.pth"], ".onnx"),
        (["--checkpoint", "m.pth", *FIT, "--write_model", "x.csv"], ".onnx or .pth"),
        (["--checkpoint", "m.pth", *FIT, "--write_model", "./m.pth"], "another file"),
        (["--predictions_csv", "p.csv", "--threshold", "fixed", "--write_model", "x.onnx"], "CSV"),
        (["--onnx_model_path", ".", *FIT, "--write_model", "x.onnx"], "ensemble"),
        (["--checkpoint", "m.pth", "--write_model", "x.onnx"], "nothing is fitted"),
        (["--checkpoint", "m.pth", *BY_GROUP, "--write_model", "x.onnx"], "one temperature"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(flags, named, tmp_path):
    with pytest.raises(UserError, match=rf"^--write_model .*{named}") as error:
        melanoma_eval.main([*flags, "--output_dir", str(tmp_path)])
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_model_without_a_contract_is_not_written(evaluate, demo, tmp_path):
    path, target = foreign_model(tmp_path / "x.onnx"), tmp_path / "y.onnx"
    with pytest.raises(UserError, match="no contract"):
        evaluate("--onnx_model_path", path, "--threshold", "fixed", "--write_model", target)
    assert not target.exists()


def test_a_models_own_threshold_and_a_new_temperature_contradict(evaluate, sources, tmp_path):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    evaluate("--onnx_model_path", sources["onnx_model_path"], *FIT[:2], "--write_model", first)
    with pytest.raises(UserError, match="give --threshold as well"):
        evaluate("--onnx_model_path", first, *FIT[2:], "--write_model", second)
    assert not second.exists()


def test_a_graph_whose_temperature_does_nothing_is_not_written(evaluate, sources, tmp_path):
    model = onnx.load(sources["onnx_model_path"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1.0), "temperature"))
    path, target = tmp_path / "x.onnx", tmp_path / "y.onnx"
    onnx.save(model, path)
    with pytest.raises(UserError, match="cannot be changed"):
        evaluate("--onnx_model_path", path, *FIT, "--write_model", target)
    assert not target.exists()
