"""Checkpoints are hostile until they prove otherwise; writing one is all or nothing."""

import pickle

import pytest
import torch

import src.artifact.network as network_module
from src.artifact.network import (
    load_checkpoint,
    load_contract,
    load_network,
    make_network,
    save_checkpoint,
)
from src.core.errors import UserError
from src.evaluation.calibration import scaled
from src.models.melanoma_classifier import load_tensors
from tests.artifact.test_contract import make_contract


class Payload:
    """Runs code when unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def write_text(path):
    path.write_text("not a checkpoint")


def write_nothing(path):
    path.touch()


def write_payload(path):
    torch.save({"contract": Payload(), "model_state_dict": {}}, path)


def write_pickle(path):
    path.write_bytes(pickle.dumps(Payload()))


def write_foreign(path):
    torch.save({"conv.weight": torch.zeros(2)}, path)


def write_list(path):
    torch.save([1, 2], path)


@pytest.mark.parametrize(
    "write",
    [write_text, write_nothing, write_payload, write_pickle, write_foreign, write_list],
    ids=lambda write: write.__name__,
)
def test_what_is_no_checkpoint_is_refused_in_a_line(tmp_path, write):
    path = tmp_path / "x.pth"
    write(path)
    with pytest.raises(UserError, match=r"x\.pth: (not a checkpoint|no contract)") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


def test_a_truncated_checkpoint_is_refused(tiny_run, tmp_path):
    data = (tiny_run / "best_checkpoint.pth").read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="truncated"):
        load_network(path)


def test_weights_of_another_model_are_refused(tiny_run, tmp_path):
    content = load_checkpoint(tiny_run / "best_checkpoint.pth")
    content["contract"]["model"] = "resnet10t"
    save_checkpoint(tmp_path / "x.pth", content)
    with pytest.raises(UserError, match="do not fit its model resnet10t"):
        load_network(tmp_path / "x.pth")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.pth"
    save_checkpoint(path, {"contract": {}, "model_state_dict": {}, "epoch": 1})

    for error in (OSError(28, "No space left"), RuntimeError("PytorchStreamWriter failed writing")):

        def fail(content, file, error=error):
            file.write_bytes(b"half")
            raise error

        monkeypatch.setattr(network_module.torch, "save", fail)
        with pytest.raises(UserError, match=r"x\.pth: cannot be written"):
            save_checkpoint(path, {})
        assert load_checkpoint(path)["epoch"] == 1
        assert [file.name for file in tmp_path.iterdir()] == ["x.pth"]


def test_a_contract_is_read_without_the_weights(tiny_run, monkeypatch):
    expected = load_network(tiny_run / "best_checkpoint.pth")[1]
    read = []
    monkeypatch.setattr(
        network_module, "load_tensors", lambda *a, **o: read.append(o) or load_tensors(*a, **o)
    )
    assert load_contract(tiny_run / "best_checkpoint.pth") == expected
    assert read == [{"mmap": True}]


def test_temperature_scales_the_class_probabilities_as_the_evaluator_does(tiny_run):
    network, _ = load_network(tiny_run / "best_checkpoint.pth")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        logits, at_1 = network(images)
        network.temperature = 2.0
        same_logits, probabilities = network(images)
    assert torch.equal(logits, same_logits)
    assert torch.allclose(probabilities, (logits / 2.0).softmax(1))
    torch.testing.assert_close(probabilities, torch.from_numpy(scaled(at_1.numpy(), 2.0)).float())


@pytest.mark.parametrize("priors", [((0.5, 0.25), (0.0, 0.25)), ()], ids=["counted", "none"])
def test_the_rule_takes_the_priors_of_the_contract(priors):
    """Divided by the priors, summed over groups, then at temperature 2: by hand."""
    contract = make_contract(
        n_outputs=4, reduction="shifted_sum_over_groups", priors=priors, temperature=2.0
    )
    logits = torch.tensor([[0.0, 1.0, 8.0, 2.0]])
    _, found = make_network(contract, torch.nn.Identity())(logits)
    odds = logits[0].exp()
    if priors:
        odds = odds * torch.tensor([1 / 0.5, 1 / 0.25, 0.0, 1 / 0.25])
    wanted = torch.stack([odds[0] + odds[2], odds[1] + odds[3]]).sqrt()
    torch.testing.assert_close(found[0], wanted / wanted.sum())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reduction": "maximum"}, "unknown reduction 'maximum'"),
        ({"priors": [[1.0, 0.0], [0.0, 0.0]]}, "invalid contract: field priors"),
        ({"n_outputs": 4, "reduction": "x", "priors": []}, "do not fit its model test_resnet"),
        ({"head": "linnear"}, "no head is called 'linnear'; did you mean 'linear'"),
        ({"n_outputs": 10**12}, "invalid contract: field n_outputs"),
        ({"provenance": {"group_counts": "many"}}, "invalid contract: field provenance"),
    ],
    ids=str,
)
def test_a_checkpoint_with_a_spoilt_contract_is_refused_in_a_line(
    tiny_run, tmp_path, changes, expected
):
    content = load_checkpoint(tiny_run / "best_checkpoint.pth")
    content["contract"] |= changes
    save_checkpoint(tmp_path / "x.pth", content)
    with pytest.raises(UserError, match=expected) as error:
        load_network(tmp_path / "x.pth")
    assert "\n" not in str(error.value)
