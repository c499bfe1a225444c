"""Cross-validation: a run for each fold, what they show together, and continuing it."""

import json

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import src.engine.folds as folds_module
import src.engine.run as run_module
from src.artifact.network import load_contract
from src.core.config import Config
from src.core.errors import UserError
from src.core.files import to_strict_json
from src.engine.folds import spread_csv, spread_lines, train_folds
from src.evaluation.measure import spread_of
from src.evaluation.results import point_estimates, row_digests
from src.evaluator.predictions_csv import read_predictions
from src.scripts import melanoma_train


def read(path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def folds_settings(tiny_settings):
    return {**tiny_settings, "epochs": 1, "kfold": 2}


@pytest.fixture(scope="module")
def folds(folds_settings, tmp_path_factory):
    """The folder of a finished cross-validation; tests must not change it."""
    folder = tmp_path_factory.mktemp("folds")
    cfg = Config().with_settings(**folds_settings, output_dir=str(folder), run_name="cv")
    return train_folds(cfg)


def test_each_fold_is_a_run_of_its_own(folds):
    for fold in (0, 1):
        config = read(folds / f"fold_{fold}" / "config.json")
        assert (config["kfold"], config["fold"]) == (2, fold)
        rows = pd.read_csv(folds / f"fold_{fold}" / "valid_split.csv")
        assert set(rows["fold"]) == {fold}


def test_out_of_fold_predictions_are_every_row_once_from_the_fold_that_left_it_out(folds):
    pooled = pd.read_csv(folds / "predictions_oof.csv", dtype=str).set_index("image_name")
    parts = [pd.read_csv(folds / f"fold_{i}" / "predictions_valid.csv", dtype=str) for i in (0, 1)]
    trained = pd.read_csv(folds / "fold_0" / "train_split.csv", dtype=str)
    assert pooled.index.is_unique
    assert len(pooled) == sum(map(len, parts)) == len(parts[0]) + len(trained)
    for part in parts:
        own = part.set_index("image_name")
        assert pooled.loc[own.index].equals(own)


def test_pooled_metrics_are_those_of_the_pooled_predictions(folds):
    predictions = read_predictions(folds / "predictions_oof.csv", None)
    found = point_estimates(predictions) | row_digests(predictions, "oof")
    pooled = read(folds / "kfold.json")["oof"]
    assert pooled.pop("tone_source").startswith("ISIC_2020_full.csv (SHA-256 ")
    assert pooled == json.loads(to_strict_json(found))
    assert (folds / "metrics_by_group_oof.csv").is_file()
    assert (folds / "by_group_oof.png").is_file()


@pytest.mark.parametrize("split", ["valid", "test"])
def test_spread_is_that_of_the_folds(folds, split):
    values = [read(folds / f"fold_{i}" / "metrics.json")[split]["auroc"] for i in (0, 1)]
    found = read(folds / "kfold.json")[split]["auroc"]
    assert found["values"] == values
    assert found["mean"] == pytest.approx(sum(values) / 2)
    assert found["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    lines = pd.read_csv(folds / "kfold.csv").set_index(["split", "metric"])
    assert lines.loc[(split, "auroc"), ["fold_0", "fold_1"]].tolist() == pytest.approx(values)


def test_ensemble_is_the_best_model_of_each_fold(folds):
    for fold in (0, 1):
        session = onnxruntime.InferenceSession(str(folds / "ensemble" / f"fold_{fold}.onnx"))
        contract = json.loads(session.get_modelmeta().custom_metadata_map["melanoma_contract"])
        best = load_contract(folds / f"fold_{fold}" / "best_checkpoint.pth")
        assert contract["evidence"]
        assert contract | {"evidence": {}} == json.loads(json.dumps(best.to_json()))


def test_undefined_values_are_counted_and_left_out():
    folds = [{"auroc": value, "groups": {}} for value in (0.5, None, 0.9)]
    found = spread_of(folds)
    assert list(found) == ["auroc"]
    assert found["auroc"]["mean"] == pytest.approx(0.7)
    assert found["auroc"]["sd"] == pytest.approx(0.08**0.5)
    assert found["auroc"]["n"] == 2
    assert json.loads(to_strict_json(found))["auroc"]["values"] == [0.5, None, 0.9]
    one = spread_of([{"auroc": None}, {"auroc": 0.8}])["auroc"]
    assert (one["mean"], one["n"]) == (0.8, 1)
    assert np.isnan(one["sd"])
    none = spread_of([{"auroc": None}])["auroc"]
    assert none["n"] == 0
    assert np.isnan(none["mean"])


def test_summary_says_where_folds_are_missing(monkeypatch):
    monkeypatch.setattr(folds_module, "SHOWN", ("auroc", "f1"))
    folds = [{"auroc": 0.5, "f1": 0.1}, {"auroc": 0.7, "f1": None}]
    spread = {"test": spread_of(folds)}
    assert spread_lines(spread) == "test  AUROC 0.600 ± 0.141  F1 0.100 (1 of 2 folds)"
    assert spread_csv(spread).splitlines()[2] == "test,f1,0.1,,0.1,,1"


def test_stopped_folds_continue_and_finished_ones_are_kept(
    folds, folds_settings, tmp_path, monkeypatch
):
    settings = {**folds_settings, "output_dir": str(tmp_path), "resume": "auto"}
    cfg = Config().with_settings(**settings)
    trained, exported, real_train = [], [], folds_module.train
    monkeypatch.setattr(folds_module, "export_onnx", lambda _, __, path: exported.append(path.name))

    def stop_in_fold_1(cfg):
        if cfg.data.fold == 1:
            raise KeyboardInterrupt
        trained.append(cfg.data.fold)
        return real_train(cfg)

    monkeypatch.setattr(folds_module, "train", stop_in_fold_1)
    with pytest.raises(KeyboardInterrupt):
        train_folds(cfg)

    def go_on(cfg):
        trained.append(cfg.data.fold)
        return real_train(cfg)

    monkeypatch.setattr(folds_module, "train", go_on)
    folder = train_folds(cfg)
    assert trained == [0, 1]
    assert exported == ["fold_0.onnx", "fold_1.onnx"]
    assert read(folder / "kfold.json") == read(folds / "kfold.json")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert train_folds(cfg.with_settings(resume=str(folder))) == folder
    assert trained == [0, 1]
    rows = pd.read_csv(folder / "fold_1" / "valid_split.csv")
    rows.iloc[1:].to_csv(folder / "fold_1" / "valid_split.csv", index=False)
    with pytest.raises(UserError, match="rows differ from the other folds"):
        train_folds(cfg)


def test_folds_of_other_settings_are_not_continued(folds, folds_settings, tmp_path):
    settings = {**folds_settings, "output_dir": str(folds.parent), "run_name": "cv"}
    cfg = Config().with_settings(**settings)
    with pytest.raises(UserError, match="holds a run"):
        train_folds(cfg)
    with pytest.raises(UserError, match=r"other settings \(lr\)"):
        train_folds(cfg.with_settings(resume="auto", lr=0.5))
    with pytest.raises(UserError, match="expected auto or the folder of a cross-validation"):
        train_folds(cfg.with_settings(resume=str(tmp_path)))


def test_trainer_runs_all_folds_or_the_one_that_is_named(monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr(run_module, "train", lambda cfg: called.append("train"))
    monkeypatch.setattr(folds_module, "train_folds", lambda cfg: called.append("train_folds"))
    for flags in ([], ["--kfold", "3"], ["--kfold", "3", "--fold", "0"]):
        melanoma_train.main(["--data_path", str(tmp_path), *flags])
    assert called == ["train", "train_folds", "train"]


def test_a_model_of_a_fold_is_evaluated_as_it_was(folds, tmp_path):
    checkpoint = str(folds / "fold_1" / "best_checkpoint.pth")
    argv = ["--test", "--checkpoint", checkpoint, "--output_dir", str(tmp_path)]
    melanoma_train.main(argv)
    melanoma_train.main(argv)
    reports = sorted(tmp_path.iterdir())
    name = "fold_1_best_checkpoint_test"
    assert [report.name for report in reports] == [name, f"{name}_2"], "nothing is replaced"
    for report in reports:
        found = read(report / "metrics.json")["test"]
        assert found == read(folds / "fold_1" / "metrics.json")["test"]
