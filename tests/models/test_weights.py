"""Files of weights: names with any prefix fit, what unpacks to more than itself is refused."""

import os
import zipfile

import pytest
import torch

from src.artifact.network import with_weights
from src.core.errors import UserError
from src.models.melanoma_classifier import MelanomaClassifier
from src.models.weights import load_tensors, plain_names, read_state_dict
from tests.artifact.test_contract import make_contract

NAMES = ("conv1.weight", "bn1.weight", "layer1.0.bn1.weight", "head.bias")


def state(prefix="", middle="", names=NAMES):
    return {prefix + name.replace("layer1.", f"layer1.{middle}"): torch.ones(1) for name in names}


def test_whatever_stands_before_the_names_is_taken_off():
    for prefix, middle in (
        ("", ""),
        ("_orig_mod.", ""),
        ("module._orig_mod.", ""),
        ("_orig_mod.module.", "_orig_mod."),
        ("model.", ""),
        ("model.module.backbone.", ""),
        ("net.encoder.", "_orig_mod."),
    ):
        found, seen = plain_names(state(prefix, middle) | {"n_averaged": 1}, NAMES, "x")
        assert set(found) == {*NAMES, "n_averaged"}, prefix
        assert seen == prefix.replace("_orig_mod.", "")


def test_weights_of_two_models_are_refused_by_their_prefixes():
    both = state("student.") | state("teacher.")
    with pytest.raises(UserError, match=r"x: .*student\. and teacher\."):
        plain_names(both, NAMES, "x")
    for mixed in (state() | state("ema."), state("ema.") | state()):
        found, seen = plain_names(mixed, NAMES, "x")
        assert seen == "" and set(NAMES) < set(found)


def test_tensors_are_found_in_any_nesting(tmp_path):
    path = tmp_path / "w.pth"
    tensors = state("model.")
    content = tensors
    for keys in (["state_dict"], ["model"], ["model_state_dict", "model", "state_dict"]):
        content = tensors
        for key in keys:
            content = {key: content, "epoch": 3}
        torch.save(content, path)
        assert set(read_state_dict(path)) == set(tensors)
    content = {"model": {}}
    content["model"]["model"] = content  # a file may hold itself
    torch.save(content, path)
    assert read_state_dict(path) == {}


def test_a_checkpoint_takes_names_with_prefixes_and_says_what_is_missing():
    contract = make_contract(model="test_resnet")
    weights = MelanomaClassifier("test_resnet", 2, 32).state_dict()
    prefixed = {f"module._orig_mod.{name}": tensor for name, tensor in weights.items()}
    found = with_weights(contract, prefixed, "x.pth").classifier.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    del prefixed["module._orig_mod.head.bias"]
    with pytest.raises(UserError, match=r"after the prefix 'module\.': 1 of .*\(head\.bias\)"):
        with_weights(contract, prefixed, "x.pth")
    with pytest.raises(UserError, match=r"are missing .*others are named other\.weight"):
        with_weights(contract, {"other.weight": torch.ones(1)}, "x.pth")


def test_a_file_that_unpacks_to_more_than_itself_is_not_unpacked(tmp_path, monkeypatch):
    path, bomb, twice = (tmp_path / name for name in ("w.pth", "bomb.pth", "twice.pth"))
    torch.save({"model": {"w": torch.zeros(100_000)}}, path)
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in good.infolist():
            packed.writestr(entry.filename, good.read(entry))
    assert load_tensors(path, "checkpoint")["model"]["w"].sum() == 0
    data = path.read_bytes()
    size = (400_000).to_bytes(4, "little")
    assert data.count(size) >= 2
    twice.write_bytes(data.replace(size, (2**30).to_bytes(4, "little")))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("was unpacked"))
    for file in (bomb, twice):
        with pytest.raises(UserError, match="not a checkpoint: it would unpack from"):
            load_tensors(file, "checkpoint")


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    for path in (tmp_path / "pipe.pth", "/dev/zero", tmp_path):
        with pytest.raises(UserError, match="no such checkpoint; found a folder, pipe or device"):
            load_tensors(path, "checkpoint")
    for path in ("a\0b.pth", "\udc80.pth"):
        with pytest.raises(UserError, match="no such checkpoint"):
            load_tensors(path, "checkpoint")
