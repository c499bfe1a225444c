"""Explanations without torch: evidence by hand, the head that decided, overlays and the column."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from src.artifact.contract import CONTRACT_KEY, contract_from_json
from src.artifact.evidence_output import add_evidence
from src.core.errors import UserError
from src.explanation.folder import caption
from src.explanation.maps import _shares, explain, share_inside
from src.inference.predictor import OnnxPredictor
from src.objectives.reductions import REDUCTIONS
from src.scripts import predict
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import WEIGHTS, with_contract

SIDE = 32
BY_GROUP = {
    "n_outputs": 6,
    "groups": ("Light", "Tan", "Dark"),
    "priors": ((0.4, 0.1), (0.0, 0.0), (0.3, 0.2)),
}


def explaining(path, contract=None, weights=WEIGHTS[2], side=SIDE, **changes):
    """A model of the colours' means whose cells are its pixels; `changes` are of its evidence."""
    contract = contract or make_contract()
    with_contract(path, contract, weights, side, side)
    model = onnx.load(path)
    evidence = replace(add_evidence(model), **changes)
    content = json.dumps(replace(contract, evidence=evidence).to_json())
    helper.set_model_props(model, {CONTRACT_KEY: content})
    onnx.save(model, path)
    return path


@pytest.fixture
def images(tmp_path):
    """Two images of a dark disc on skin, one in a subfolder."""
    pixels = np.full((96, 96, 3), (225, 180, 160), np.uint8)
    cv2.circle(pixels, (40, 52), 20, (90, 50, 40), -1)
    data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
    for name in ("images/a.png", "images/deeper/=b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path / "images"


def run(model, images, *more, expected=0):
    output = images.parent / "out.csv"
    flags = ["--onnx_model_path", model, "--input_folder", images, "--output_csv", output]
    assert predict.main([*map(str, [*flags, "--recursive", *more])]) == expected
    if "--shard" in more:
        return []
    with output.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_cell_has_its_share_of_each_logit(tmp_path):
    predictor = OnnxPredictor(explaining(tmp_path / "x.onnx"))
    images = np.random.default_rng(0).normal(size=(3, 3, SIDE, SIDE)).astype(np.float32)
    logits, cells = predictor.evidence(images)
    expected = np.einsum("nchw,ck->nkhw", images, np.array(WEIGHTS[2])) / SIDE**2
    np.testing.assert_allclose(cells, expected, atol=1e-6)
    total = cells.sum((2, 3)) + np.array(predictor.contract.evidence.bias)
    np.testing.assert_allclose(total, logits, atol=1e-5)
    np.testing.assert_allclose(logits, predictor.outputs(images)[0])


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_head_that_decided_is_that_with_most_of_the_probability(reduction):
    wide = {} if reduction == "softmax" else BY_GROUP
    contract = make_contract(reduction=reduction, **wide)
    logits = np.random.default_rng(1).normal(0, 3, contract.n_outputs)
    priors = torch.tensor(contract.equal_or_given_priors())
    expected = REDUCTIONS[reduction](priors)(torch.tensor(logits[None]))[0]
    shares = _shares(contract, logits)
    np.testing.assert_allclose(shares.sum(0), expected, atol=1e-6)
    cells = np.random.default_rng(2).normal(size=(contract.n_outputs, 2, 3))
    for place, name in enumerate(contract.classes):
        found = explain(contract, logits, cells, place)
        group = shares[:, place].argmax()
        assert found.class_name == name
        assert found.head == ("" if reduction == "softmax" else contract.groups[group])
        rows = cells if "mean" not in reduction else cells[2 * group : 2 * group + 2]
        own = (2 * group + place) if "mean" not in reduction else place
        others = (rows.sum(0) - rows[own]) / (len(rows) - 1)
        np.testing.assert_allclose(found.cells, rows[own] - others)
        told = caption(contract, found, 0.25)
        assert name in told[0] and "25%" in told[1] and told[2] == contract.notice
        assert (f"the head of group {found.head}" in told[0]) == (found.head != "")


def test_a_cell_counts_by_the_part_of_it_inside():
    mask = np.zeros((4, 8), bool)
    mask[:2, :2] = True  # half of the first of 2 x 2 cells
    cells = np.array([[3.0, -5.0], [1.0, 0.0]])
    assert share_inside(cells, mask) == pytest.approx(1.5 / 4)
    assert share_inside(-np.ones((2, 2)), mask) is None
    assert share_inside(cells, np.zeros((4, 8), bool)) is None


def test_predict_writes_overlays_and_the_column(images, tmp_path):
    model = explaining(tmp_path / "x.onnx", weights=[[9.0, 0.0]] * 3)  # bright is benign
    rows = run(model, images, "--explain", tmp_path / "why", "--evidence_in_lesion")
    assert [row["image_name"] for row in rows] == ["a.png", "deeper/=b.png"]
    assert [row["target"] for row in rows] == ["0", "0"]
    shares = [float(row["evidence_in_lesion"]) for row in rows]
    assert shares[0] == shares[1] < np.pi * 20**2 / 96**2  # of the disc, which is dark
    written = sorted(path.relative_to(tmp_path / "why") for path in (tmp_path / "why").rglob("*"))
    assert [*map(str, written)] == ["a.png.png", "deeper", "deeper/=b.png.png"]
    drawn = cv2.imread(tmp_path / "why" / "a.png.png").astype(int)
    assert drawn.shape[0] > 256 and drawn.shape[1] == 512
    plain, shown = drawn[:256, :256], drawn[:256, 256:]
    skin, disc = np.s_[:40, 120:], np.s_[130:150, 95:115]
    assert (shown[skin] - plain[skin])[..., 2].mean() < -50  # turquoise on bright skin
    assert abs(shown[disc] - plain[disc]).mean() < abs(shown[skin] - plain[skin]).mean()
    assert "evidence_in_lesion" not in run(model, images, "--explain", tmp_path / "why")[0]


def test_explaining_reads_and_runs_an_image_once_and_is_shared_by_parts(
    images, tmp_path, monkeypatch
):
    model, runs, read = explaining(tmp_path / "x.onnx"), [], []
    outputs, content = OnnxPredictor.outputs, Path.read_bytes
    (images / "bad.png").write_bytes(b"no image")
    why = tmp_path / "why"
    asked = ["--explain", why, "--evidence_in_lesion", "--batch_size", "2"]

    def counted(self, batch, *more):
        runs.append(len(batch))
        return outputs(self, batch, *more)

    def counted_read(self):
        read.append(self.name)
        return content(self)

    with monkeypatch.context() as patched:
        patched.setattr(OnnxPredictor, "outputs", counted)
        patched.setattr(Path, "read_bytes", counted_read)
        rows = run(model, images, *asked, expected=1)
    assert sum(runs) == 3
    assert sorted(name for name in read if name.endswith("png")) == ["=b.png", "a.png", "bad.png"]
    drawn = {path: path.read_bytes() for path in why.rglob("*.png")}
    whole = (tmp_path / "out.csv").read_bytes()
    assert len(drawn) == len(rows) == 2 and rows[0]["evidence_in_lesion"]
    (tmp_path / "out.csv").unlink()
    for path in drawn:
        path.unlink()
    for number in (1, 2):
        run(model, images, *asked, "--shard", f"{number}/2")
    assert {path: path.read_bytes() for path in why.rglob("*.png")} == drawn
    run(model, images, *asked, "--resume", expected=1)
    assert (tmp_path / "out.csv").read_bytes() == whole


def test_what_cannot_be_explained_is_told_before_anything_is_predicted(images, tmp_path):
    plain = with_contract(tmp_path / "plain.onnx", make_contract(), height=SIDE, width=SIDE)
    folder = tmp_path / "models"
    folder.mkdir()
    model = explaining(folder / "x.onnx")
    (folder / "y.onnx").write_bytes(model.read_bytes())
    for path, flags, named in (
        (plain, ["--evidence_in_lesion"], "--evidence_in_lesion: this model has no evidence"),
        (folder, ["--explain", tmp_path / "why"], "--explain: expected one ONNX file, found 2"),
        (model, ["--explain", images], "--explain: is the folder of images"),
        (model, ["--explain", model], "--explain"),
    ):
        with pytest.raises(UserError, match=named):
            run(path, images, *flags)
        assert not (tmp_path / "out.csv").exists()


def test_evidence_of_other_shapes_than_the_contract_says_is_refused(images, tmp_path):
    model = explaining(tmp_path / "x.onnx", grid=(SIDE, SIDE + 1))
    with pytest.raises(UserError, match=r"x\.onnx: its evidence is not"):
        run(model, images, "--evidence_in_lesion")
    content = OnnxPredictor(model).contract.to_json()
    for change in (
        {"grid": [0, 4]},
        {"grid": [2**20, 2**20]},
        {"bias": [0.0]},
        {"bias": [0.0, float("nan")]},
        {"method": "guess"},
        {"output": "other"},
        {"more": 1},
    ):
        with pytest.raises(UserError, match="field evidence"):
            contract_from_json(content | {"evidence": content["evidence"] | change}, "x")
    older = {key: value for key, value in content.items() if key != "evidence"}
    assert contract_from_json(older, "x").evidence is None
