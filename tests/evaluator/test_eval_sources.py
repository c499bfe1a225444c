"""A checkpoint, an ONNX model, an ensemble and a CSV are evaluated alike, by any processes."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from src.artifact.decisions import make_rule
from src.artifact.export import export_onnx
from src.artifact.network import load_network
from tests.engine.processes import finish, start
from tests.evaluator.readings import leaves, measured, strict_json, values

pytestmark = pytest.mark.slow


def test_a_checkpoint_and_the_csv_of_its_run_are_evaluated_alike(evaluate, checkpoint, isic_csv):
    _, one = evaluate("--checkpoint", checkpoint)
    csv = checkpoint.parent / "predictions_test.csv"
    _, two = evaluate("--predictions_csv", csv, "--metadata_csv", isic_csv)
    assert one["source"]["cluster"] == two["source"]["cluster"] == "patient_id"
    assert one["source"]["split"] == "test"
    assert leaves(measured(one)) == pytest.approx(leaves(measured(two)), abs=1e-6)
    logged = strict_json(checkpoint.parent / "metrics.json")["test"]
    assert values(one["overall"]) == {name: logged[name] for name in one["overall"]["metrics"]}
    for level, part in one["groups"]["skin tone"].items():
        assert values(part) == {name: logged["groups"][level][name] for name in part["metrics"]}


def test_an_onnx_model_is_evaluated_as_its_checkpoint(evaluate, checkpoint, tiny_onnx):
    _, one = evaluate("--checkpoint", checkpoint)
    folder, two = evaluate("--onnx_model_path", tiny_onnx)
    assert two["source"]["kind"] == "ONNX model" and two["source"]["name"] == "model.onnx"
    assert two["source"]["model"] == one["source"]["model"] == "test_resnet"
    assert two["provenance"] == one["provenance"] != {}
    for name, figure in one["overall"]["metrics"].items():
        assert two["overall"]["metrics"][name] == pytest.approx(figure, abs=1e-3), name
    found = pd.read_csv(folder / "predictions.csv")
    logged = pd.read_csv(checkpoint.parent / "predictions_test.csv")
    pd.testing.assert_frame_equal(found, logged, atol=1e-4, rtol=0)


@pytest.mark.parametrize("voting", ["soft", "majority"])
def test_an_ensemble_of_one_model_twice_is_the_model(evaluate, tiny_onnx, twice, voting):
    _, one = evaluate("--onnx_model_path", tiny_onnx)
    _, two = evaluate("--onnx_model_path", twice, "--voting", voting)
    assert two["source"]["kind"] == "ensemble"
    assert two["source"]["model"] == "test_resnet"
    assert measured(one) == measured(two)


def test_an_ensembles_voting_decides(evaluate, checkpoint, tmp_path):
    """Two models that always find something against one that never does."""
    rows = pd.read_csv(checkpoint.parent / "predictions_test.csv")
    middle = rows["probability_malignant"].median()
    network, contract = load_network(checkpoint)
    for name, threshold in (("a", 0.3), ("c", 3 * middle - 0.6)):
        rule = make_rule("threshold", {"value": float(threshold)})
        export_onnx(network, replace(contract, rule=rule), tmp_path / f"{name}.onnx")
    shutil.copy(tmp_path / "a.onnx", tmp_path / "b.onnx")
    found = {
        voting: evaluate("--onnx_model_path", tmp_path, "--voting", voting)
        for voting in ("soft", "majority")
    }
    soft, majority = (pd.read_csv(folder / "predictions.csv") for folder, _ in found.values())
    assert majority["target"].tolist() == [1] * len(rows)
    assert soft["target"].sum() == pytest.approx(len(rows) / 2, abs=2), "their mean threshold"
    score = "probability_malignant"
    assert soft[score][soft["target"] == 1].min() > soft[score][soft["target"] == 0].max()
    pd.testing.assert_series_equal(soft[score], majority[score])


def test_two_processes_evaluate_as_one(evaluate, checkpoint, tmp_path):
    folder, _ = evaluate("--checkpoint", checkpoint)
    settings = {"checkpoint": checkpoint, "output_dir": tmp_path, "run_name": "two"}
    found = finish(start({**settings, "n_resamples": 100}, 2, program="melanoma_eval.py"))
    assert [code for code, _, _ in found] == [0, 0], found
    assert "AUROC" in found[0][1] and found[1][1] == "", "only the main process speaks"
    for name in ("evaluation_metrics.json", "predictions.csv", "metrics_by_group.csv"):
        assert (tmp_path / "two" / name).read_bytes() == (folder / name).read_bytes()
