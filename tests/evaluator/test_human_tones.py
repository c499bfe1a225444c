"""Skin tones that people gave, from the table to the report, beside those of angles."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from src.artifact.export import export_onnx
from src.artifact.network import load_contract, load_network
from src.core.config import Config, Data
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checks import check_skin_former
from src.engine.folds import train_folds
from src.engine.run import train
from src.evaluator.model_writer import fitted_rules
from src.inference.model import joint_contract
from src.inference.predictor import OnnxPredictor
from src.scripts import melanoma_eval
from src.skin.tone import GROUP_NAMES
from tests.datasets.small_isic import SPLITS
from tests.evaluation.drawn_predictions import write_lesion

PAIRS = ["Fitzpatrick I–II", "Fitzpatrick III–IV", "Fitzpatrick V–VI"]
DATASET = "table(csv='typed.csv', label='malignant', group='skin_tone')"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """72 images of as many patients with types and, in `tones.csv`, groups of their angles."""
    folder = tmp_path_factory.mktemp("typed")
    rows = []
    for place in range(72):
        write_lesion(folder / f"{place:02}.png", f"t{place}")
        rows.append(
            {"image": f"{place:02}.png", "malignant": str(place % 2 == 0), "patient_id": place}
            | {"skin_tone": (12, 34, 56)[place // 2 % 3], "split": ["train", "test"][place > 47]}
        )
    table = pd.DataFrame(rows)
    table.to_csv(folder / "typed.csv", index=False)
    angles = pd.DataFrame({"image": table["image"], "group": table.index // 4 % 4})
    angles["uncertain"] = table.index % 3 == 0
    angles.to_csv(folder / "tones.csv", index=False)
    tones = angles[["group", "uncertain"]]
    split = table["split"].mask(table.index.isin(range(36, 48)), "valid")
    others = table.drop(columns="skin_tone").assign(split=split)
    others.join(tones).to_csv(folder / "ita.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def folds(typed, tiny_settings, tmp_path_factory):
    """Two folds that decide by the group's own head."""
    settings = tiny_settings | {"data_path": str(typed), "dataset": DATASET, "kfold": 2}
    settings |= {"epochs": 1, "batch_size": 8, "objective": "domain_independent(decide='own')"}
    folder = tmp_path_factory.mktemp("typed_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.report.files.plot_fairness", lambda *_: None)
        return train_folds(
            Config().with_settings(**settings, output_dir=str(folder), run_name="cv")
        )


def test_a_run_names_the_types_in_all_its_files(folds, typed):
    first = folds / "fold_0"
    assert list(load_contract(first / "best_checkpoint.pth").groups) == PAIRS
    found = json.loads((first / "metrics.json").read_text())["test"]
    assert list(found["groups"]) == PAIRS
    assert found["tone_source"].startswith("Fitzpatrick types in column skin_tone of typed.csv")
    for file in ("predictions_test.csv", "test_split.csv", "train_split.csv"):
        assert set(pd.read_csv(first / file)["group"]) == set(PAIRS), file
    pooled = json.loads((folds / "kfold.json").read_text())["oof"]
    assert list(pooled["groups"]) == PAIRS
    again = load_table(
        Data(
            data_path=str(typed), dataset=f"table(csv='{first / 'test_split.csv'}')", valid_size=0.3
        )
    )
    assert list(again.groups) == PAIRS
    own = pd.read_csv(typed / "typed.csv", index_col="image")["skin_tone"]
    names = again.rows["image"].map(lambda path: path[-6:])
    assert [(12, 34, 56)[group] for group in again.group_indices] == own[names].tolist()


def test_numbers_by_both_sources_stand_side_by_side(folds, typed, evaluate):
    more = ["--metadata_csv", typed / "tones.csv", "--group_by", "group"]
    for source in (
        ["--checkpoint", folds / "fold_0" / "best_checkpoint.pth"],
        ["--onnx_model_path", folds / "ensemble"],
        ["--predictions_csv", folds / "fold_0" / "predictions_test.csv"],
    ):
        _, found = evaluate(*source, *more, figures="--checkpoint" in source)
        assert list(found["groups"]["skin tone"]) == PAIRS
        assert list(found["groups"]["skin tone in tones.csv"]) == list(GROUP_NAMES)
        sizes = [part["n"] for part in found["groups"]["skin tone"].values()]
        assert sizes == [8, 8, 8]
    report = (evaluate(*["--predictions_csv", source[1]], *more)[0] / "report.html").read_text(
        "utf-8"
    )
    assert all(name in report for name in (*PAIRS, "skin tone in tones.csv"))


def test_groups_of_other_scales_are_not_taken_for_those_of_the_model(folds, typed, tmp_path):
    checkpoint = folds / "fold_0" / "best_checkpoint.pth"
    others = f"--data_path {typed} --dataset table(csv='ita.csv',label='malignant')"
    of_csv = f"--predictions_csv {folds}/fold_0/predictions_test.csv"
    fitted = f"--valid_predictions_csv {tmp_path}/valid.csv --threshold youden"
    cases = {
        "decides by the tone groups Fitz": f"--checkpoint {checkpoint} --external {others}",
        "its tone groups are Very light": f"{of_csv} {fitted} --group_thresholds true",
    }
    valid = pd.read_csv(folds / "fold_0" / "predictions_valid.csv")
    valid.assign(group=valid.index % 4).to_csv(tmp_path / "valid.csv", index=False)
    for said, flags in cases.items():
        with pytest.raises(UserError, match=said):
            melanoma_eval.main([*flags.split(), "--output_dir", str(tmp_path)])


def test_models_of_other_groups_do_not_vote_together_and_get_no_thresholds_of_these(folds):
    contract = load_contract(folds / "fold_0" / "best_checkpoint.pth")
    other = replace(contract, groups=("Monk 1", "Monk 2", "Monk 3"))
    with pytest.raises(UserError, match="different tone groups"):
        joint_contract([contract, other], "folder")
    predictions = SimpleNamespace(group_names=tuple(PAIRS), probabilities=np.full((2, 2), 0.5))
    evaluated = SimpleNamespace(predictions=predictions, valid=None)
    threshold = {"value": 0.4, "groups": {PAIRS[0]: 0.3}}
    rule = fitted_rules(contract, evaluated, threshold, 1.0)[0]
    assert rule.options["values"] == pytest.approx([0.3, 0.4, 0.4], abs=1e-3)
    with pytest.raises(UserError, match="--write_model: thresholds of the tone groups Fitz"):
        fitted_rules(other, evaluated, threshold, 1.0)


def test_skin_former_wants_groups_of_angles(typed):
    table = load_table(Data(data_path=str(typed), dataset=DATASET, valid_size=0.3))
    with pytest.raises(UserError, match="skin_former darkens the groups Very light"):
        check_skin_former(table, "skin_former(masks='estimated')")


@pytest.fixture(scope="module")
def labelled(tiny_settings, tmp_path_factory):
    """(a run of isic2020 whose `--skin_color_csv` has types and angles, that CSV)."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = [
        {"image_name": f"i{place:02}", "target": place % 2, "patient_id": place}
        | {"split": SPLITS[place // 24], "ita": (60, 50, 30, 0)[place // 2 % 4]}
        | {"uncertain": place % 3 == 0}
        | {"fitzpatrick_skin_type": ("II", "IV", "", "5")[place // 6 % 4]}
        for place in range(72)
    ]
    for row in rows:
        place = folder / "data" / row["split"] / ("benign", "malignant")[row["target"]]
        place.mkdir(parents=True, exist_ok=True)
        write_lesion(place / f"{row['image_name']}.png", row["image_name"])
    csv = folder / "people.csv"
    pd.DataFrame(rows).to_csv(csv, index=False)
    settings = tiny_settings | {"data_path": str(folder / "data"), "epochs": 1, "batch_size": 8}
    settings |= {"dataset": "isic2020", "skin_color_csv": str(csv), "augment": "none"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.report.files.plot_fairness", lambda *_: None)
        cfg = Config().with_settings(**settings, output_dir=str(folder), run_name="run")
        return train(cfg), csv


def test_a_tone_csvs_types_go_through_training_contract_and_evaluation(
    labelled, evaluate, tmp_path
):
    """With figures by angle beside them, from every source, each of which names where both are."""
    run, csv = labelled
    told = "Fitzpatrick types in column fitzpatrick_skin_type of people.csv (SHA-256 "
    types = [f"Fitzpatrick {name}" for name in ("I", "II", "III", "IV", "V", "VI")]
    contract = load_contract(run / "best_checkpoint.pth")
    assert list(contract.groups) == types
    assert contract.provenance["tone_source"].startswith(told)
    predictions = pd.read_csv(run / "predictions_test.csv")
    assert predictions["tone_source"].str.startswith(told).all()
    assert predictions["tone_source"].str.endswith("; beside them angles in its column ita").all()
    by_group = pd.read_csv(run / "metrics_by_group_test.csv")
    beside = "skin tone by angle"
    names = ["skin tone", beside, f"{beside}, certain only"]
    assert [*dict.fromkeys(by_group["attribute"])] == ["all", *names]
    export_onnx(*load_network(run / "best_checkpoint.pth"), tmp_path / "model.onnx")
    saved = OnnxPredictor(tmp_path / "model.onnx").contract
    assert (list(saved.groups), saved.provenance["tone_source"]) == (
        types,
        predictions["tone_source"][0],
    )
    predictions.drop(columns="group").to_csv(tmp_path / "unnamed.csv", index=False)
    metadata = ["--metadata_csv", csv]
    for source, says in (
        (["--checkpoint", run / "best_checkpoint.pth"], told),
        (["--onnx_model_path", tmp_path / "model.onnx"], told),
        (["--predictions_csv", run / "predictions_test.csv", *metadata], "in column group of"),
        (["--predictions_csv", tmp_path / "unnamed.csv", *metadata], told),
    ):
        folder, found = evaluate(*source)
        assert list(found["groups"]) == names, source
        sizes = {name: part["n"] for name, part in found["groups"]["skin tone"].items()}
        assert sizes == {types[1]: 6, types[3]: 6, types[4]: 6, "unknown": 6}
        assert [part["n"] for part in found["groups"][beside].values()] == [6, 6, 6, 6]
        assert found["groups"][names[2]]["unknown"]["n"] == 8
        assert says in found["source"]["tone_source"], source
        assert told in found["source"]["tone_source"], source
        page = (folder / "report.html").read_text("utf-8")
        assert "Skin tones are from Fitzpatrick types in column" in page
        assert beside in page


def test_figures_by_angle_are_given_without_the_uncertain_ones_too(
    typed, tiny_settings, evaluate, tmp_path, monkeypatch
):
    monkeypatch.setattr("src.report.files.plot_fairness", lambda *_: None)
    settings = tiny_settings | {"data_path": str(typed), "epochs": 1, "batch_size": 8}
    settings |= {"dataset": "table(csv='ita.csv', label='malignant')", "augment": "none"}
    run = train(Config().with_settings(**settings, output_dir=str(tmp_path), run_name="ita"))
    by_group = pd.read_csv(run / "metrics_by_group_test.csv")
    assert set(by_group["attribute"]) == {"all", "skin tone", "skin tone, certain only"}
    unnamed = pd.read_csv(run / "predictions_test.csv").drop(columns="group")
    unnamed.to_csv(tmp_path / "p.csv", index=False)
    sources = (
        ["--checkpoint", run / "best_checkpoint.pth"],
        ["--predictions_csv", tmp_path / "p.csv", "--metadata_csv", typed / "tones.csv"],
    )
    for source in sources:
        groups = evaluate(*source)[1]["groups"]
        assert list(groups) == ["skin tone", "skin tone, certain only"]
        assert [part["n"] for part in groups["skin tone"].values()] == [8, 8, 4, 4]
        assert groups["skin tone, certain only"]["unknown"]["n"] == 8
