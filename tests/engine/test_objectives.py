"""Every objective trains, is evaluated alike from each of its files, and goes on after a stop."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from src.artifact.export import export_onnx
from src.artifact.network import load_checkpoint, load_contract, load_network
from src.core.config import Config
from src.core.errors import UserError
from src.core.flags import load_config
from src.datasets.load import load_table
from src.engine.checks import check_settings, check_table
from src.engine.evaluate import test as evaluate_checkpoint
from src.engine.parts import make_parts
from src.engine.run import train
from src.loading.loaders import LocalISICDataset
from src.scripts import melanoma_eval, predict
from src.sweeps.objectives import every_objective
from tests.objectives.samples import CALLS, DOMAIN, batch, build, state_of

OWN = [f"{name}(decide='own')" for name in DOMAIN]
SHIFTED = [f"{name}(decide='prior_shift')" for name in DOMAIN]
CPU = torch.device("cpu")


def remembers(call: str) -> bool:
    """Whether training changes the objective's own state."""
    objective = build(call)
    before = state_of(objective)
    objective(*batch(objective))
    pairs = ((before[name], now) for name, now in state_of(objective).items())
    return not all(torch.allclose(*pair, equal_nan=True) for pair in pairs)


WITH_STATE = [call for call in CALLS if remembers(call)]


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Drawing them takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("src.report.files.plot_fairness", lambda *_: None)
        patch.setattr("src.report.files.write_figures", lambda *_: [])
        yield


def hide_groups_of_test(rows):
    """Every third test row has no known tone."""
    hidden = (rows["split"] == "test") & (rows.index % 3 == 0)
    rows.loc[hidden, ["group", "ita"]] = ""


def without_the_darkest(rows):
    """Their group is the next lighter one."""
    rows["group"] = rows["group"].replace("3", "2")


@pytest.fixture(scope="module")
def settings(tiny_settings, demo, tmp_path_factory):
    """A function that makes the configuration of a run of one epoch, on rows that `change` made."""

    def settings(change=hide_groups_of_test, **more):
        folder = tmp_path_factory.mktemp("objective")
        rows = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", dtype=str)
        change(rows)
        rows.to_csv(folder / "rows.csv", sep=";", index=False)
        base = {**tiny_settings, "epochs": 1, "model": "squeezenet1_1", "lr": 1e-2}
        base |= {"output_dir": str(folder), "skin_color_csv": str(folder / "rows.csv")}
        return Config().with_settings(**{**base, "run_name": "run", **more})

    return settings


def train_and_export(cfg):
    """(checkpoint, ONNX file) of a run."""
    checkpoint = train(cfg) / "best_checkpoint.pth"
    export_onnx(*load_network(checkpoint), checkpoint.with_suffix(".onnx"))
    return checkpoint, checkpoint.with_suffix(".onnx")


@pytest.fixture(scope="module")
def own_model(settings):
    """The files of a run whose heads are the groups' own."""
    return train_and_export(settings(objective=OWN[1]))


def evaluate(tmp_path, *flags):
    """(predictions, metrics by group) that melanoma_eval.py writes."""
    name = str(len(list(tmp_path.iterdir())))
    few = ["--n_resamples", "100", "--output_dir", str(tmp_path), "--run_name", name]
    melanoma_eval.main([*map(str, flags), *few])
    evaluation = read(tmp_path / name / "evaluation_metrics.json")
    parts = {"all": evaluation["overall"], **evaluation["groups"]["skin tone"]}
    metrics = {
        group: {metric: figure["value"] for metric, figure in part["metrics"].items()}
        for group, part in parts.items()
    }
    return pd.read_csv(tmp_path / name / "predictions.csv"), metrics


def read(path):
    return json.loads(path.read_text())


def probabilities(frame):
    return frame[["probability_benign", "probability_malignant"]].to_numpy()


@pytest.mark.parametrize("call", [*every_objective(), *OWN, *SHIFTED])
def test_it_trains_and_is_evaluated_the_same_from_checkpoint_and_onnx(settings, tmp_path, call):
    checkpoint, onnx = train_and_export(settings(objective=call))
    logged = read(checkpoint.parent / "metrics.json")
    (entry,) = read(checkpoint.parent / "training_history.json")
    assert entry["valid"].items() <= logged["valid"].items()
    assert np.isfinite([entry["train_loss"], logged["valid"]["loss"], logged["test"]["loss"]]).all()
    found, metrics = evaluate(tmp_path, "--checkpoint", checkpoint)
    trained = {"all": logged["test"], **logged["test"]["groups"]}
    assert [*metrics] == [*trained]
    for group, figures in metrics.items():
        assert figures == {name: trained[group][name] for name in figures}
    of_onnx, metrics_of_onnx = evaluate(tmp_path, "--onnx_model_path", onnx)
    pd.testing.assert_frame_equal(found, of_onnx, atol=1e-4, rtol=0)
    assert metrics_of_onnx["all"] == pytest.approx(metrics["all"], abs=1e-3)
    assert {-1, 0, 1, 2, 3} == {*found["group"]}


@pytest.mark.parametrize("call", ["cross_entropy", "domain_discriminative"])
def test_priors_are_counted_from_the_training_rows(settings, call):
    folder = train(settings(objective=call))
    rows = pd.read_csv(folder / "train_split.csv")
    contract = load_contract(folder / "best_checkpoint.pth")
    counts = pd.crosstab(rows["group"], rows["label"])[list(contract.classes)].to_numpy()
    assert contract.provenance["group_counts"] == counts.tolist()
    assert contract.provenance["label_counts"] == counts.sum(axis=0).tolist()
    wanted = counts if call == "domain_discriminative" else counts.sum(axis=0, keepdims=True)
    np.testing.assert_allclose(contract.priors, wanted / len(rows), rtol=1e-12)


def test_known_groups_are_evaluated_by_their_head_and_others_by_the_mean(own_model, tmp_path, demo):
    checkpoint, onnx = own_model
    network, contract = load_network(checkpoint)
    table = load_table(Config().with_settings(**contract.provenance["config"]).data)
    rows = LocalISICDataset(table.split("test"), contract.preprocessing)
    images, _, groups = zip(*(rows[i] for i in range(len(rows))), strict=True)
    with torch.inference_mode():
        heads = network(torch.stack(images))[0].double().reshape(-1, 4, 2).softmax(2)
    means = heads.mean(1).numpy()
    wanted = [head[g] if g >= 0 else head.mean(0) for head, g in zip(heads, groups, strict=True)]
    found, _ = evaluate(tmp_path, "--onnx_model_path", onnx)
    np.testing.assert_allclose(probabilities(found), torch.stack(wanted), atol=1e-4)
    assert np.abs(probabilities(found) - means).max() > 0.01

    argv = ["--onnx_model_path", onnx, "--input_folder", demo / "isic2020" / "test" / "benign"]
    argv += ["--output_csv", tmp_path / "p.csv", "--probabilities"]
    assert predict.main(list(map(str, argv))) == 0
    folder = pd.read_csv(tmp_path / "p.csv").set_index("image_name")
    of_rows = found["image_name"].isin(folder.index)
    by_name = folder.loc[found["image_name"][of_rows]]
    np.testing.assert_allclose(probabilities(by_name), means[of_rows], atol=1e-4)


@pytest.mark.parametrize("source", ["--checkpoint", "--onnx_model_path"])
@pytest.mark.parametrize(
    "flags",
    [
        ["--objective", "domain_independent"],
        ["--objective", "domain_independent(decide='prior_shift')"],
        ["--objective", "domain_discriminative(decide='own')"],
        ["--focal_loss"],
        ["--no_conditional_accuracy"],
    ],
    ids=" ".join,
)
def test_a_rule_that_is_not_the_models_is_refused(own_model, tmp_path, source, flags):
    path = own_model[source == "--onnx_model_path"]
    with pytest.raises(UserError, match=r"^--objective .* was trained with another one"):
        evaluate(tmp_path, source, path, *flags)


@pytest.mark.parametrize("source", ["--checkpoint", "--onnx_model_path"])
def test_the_models_own_rule_may_be_said_again(own_model, tmp_path, source):
    path = own_model[source == "--onnx_model_path"]
    report = evaluate(tmp_path, source, path, "--conditional_accuracy")
    pd.testing.assert_frame_equal(report[0], evaluate(tmp_path, source, path)[0])


@pytest.mark.parametrize("source", ["--checkpoint", "--onnx_model_path"])
def test_a_table_of_training_rows_alone_evaluates_nothing(own_model, settings, tmp_path, source):
    cfg = settings(lambda rows: rows.__setitem__("split", "train"))
    path = own_model[source == "--onnx_model_path"]
    with pytest.raises(UserError, match="expected test or validation rows"):
        evaluate(tmp_path, source, path, "--skin_color_csv", cfg.data.skin_color_csv)


def test_groups_beyond_the_head_count_as_unknown(settings, tmp_path):
    cfg = settings(without_the_darkest, num_groups=3, objective=OWN[1])
    checkpoint, onnx = train_and_export(cfg)
    flags = ["--skin_color_csv", settings().data.skin_color_csv]
    found, _ = evaluate(tmp_path, "--checkpoint", checkpoint, *flags)
    of_onnx, _ = evaluate(tmp_path, "--onnx_model_path", onnx, *flags)
    pd.testing.assert_frame_equal(found, of_onnx, atol=1e-4, rtol=0)
    flags += ["--test", "--checkpoint", str(checkpoint), "--output_dir", str(tmp_path)]
    cfg = load_config(flags, cfg.flat())
    metrics = evaluate_checkpoint(cfg, load_contract(cfg.run.checkpoint))
    assert np.isfinite(metrics["test"]["loss"])
    argv = ["--onnx_model_path", onnx, "--output_csv", tmp_path / "p.csv", "--probabilities"]
    argv += ["--input_folder", Path(cfg.data.data_path) / "test" / "benign"]
    assert predict.main(list(map(str, argv))) == 0
    rule = pd.read_csv(tmp_path / "p.csv").set_index("image_name")
    beyond = found[found["image_name"].isin(rule.index) & (found["group"] == 3)]
    assert len(beyond)
    by_rule = probabilities(rule.loc[beyond["image_name"]])
    np.testing.assert_allclose(probabilities(beyond), by_rule, atol=1e-4)


@pytest.mark.parametrize("call", WITH_STATE)
def test_a_stopped_run_goes_on_with_what_the_objective_remembers(settings, call):
    cfg = settings(objective=call, epochs=2, batch_size=16, lr=1e-3)
    folder = train(cfg)

    def stop(history):
        raise KeyboardInterrupt

    other = cfg.with_settings(output_dir=f"{cfg.run.output_dir}/other", resume="auto")
    with pytest.raises(KeyboardInterrupt):
        train(other, after_epoch=stop)
    resumed = train(other)
    one, two = (load_checkpoint(f / "checkpoint_latest.pth") for f in (folder, resumed))
    for part in ("model_state_dict", "objective_state_dict"):
        torch.testing.assert_close(one[part], two[part], rtol=0, atol=0)
    losses = [[entry["train_loss"] for entry in content["history"]] for content in (one, two)]
    assert losses[0] == losses[1]
    assert read(folder / "metrics.json") == read(resumed / "metrics.json")


@pytest.mark.parametrize("call", WITH_STATE)
def test_evaluating_a_run_changes_nothing_that_the_objective_remembers(settings, call):
    cfg = settings(objective=call)
    table = load_table(cfg.data)
    check_table(table, cfg)
    parts = make_parts(cfg, check_settings(cfg), table, CPU)
    objective = parts.evaluator.objective
    objective(*batch(objective, classes=2))
    before = state_of(objective)
    _, metrics = parts.evaluator(parts.network, "valid")
    torch.testing.assert_close(state_of(objective), before, rtol=0, atol=0, equal_nan=True)
    assert np.isfinite(metrics["loss"])


def test_objectives_that_remember_are_among_those_tested():
    assert {"group_dro", "recall_cross_entropy(momentum=0.9)"} <= set(WITH_STATE)
