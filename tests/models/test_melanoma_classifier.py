"""The classifier: its head, a frozen backbone, and weights from files of many makes."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.models.melanoma_classifier import MelanomaClassifier
from src.models.weights import read_state_dict

NAME = "test_resnet"  # timm's smallest with batch norm


def classifier(seed: int = 0, n_outputs: int = 3, **options) -> MelanomaClassifier:
    torch.manual_seed(seed)
    return MelanomaClassifier(NAME, n_outputs, input_size=32, **options)


@pytest.fixture(scope="module")
def donor() -> dict[str, torch.Tensor]:
    """Backbone weights to load, unlike those of seed 0."""
    return classifier(seed=1).backbone.state_dict()


def prefixed(state: dict, prefix: str) -> dict:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def assert_same_weights(model: MelanomaClassifier, wanted: dict) -> None:
    for name, tensor in model.backbone.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name], rtol=0, atol=0)


@pytest.mark.parametrize("n_outputs", [1, 2, 28])
def test_logits_have_the_width_that_was_asked_for(n_outputs):
    logits = classifier(n_outputs=n_outputs)(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, n_outputs)
    assert logits.isfinite().all()


def test_dropout_acts_in_training_only():
    model = classifier(dropout=0.5, freeze_model=True)
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


@pytest.mark.parametrize("told_to_train", [True, False], ids=["train()", "as made"])
def test_frozen_backbone_stays_while_the_head_learns(told_to_train):
    model = classifier(freeze_model=True)
    if told_to_train:
        model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(5 + torch.randn(4, 3, 32, 32)).square().mean().backward()
    optimizer.step()
    assert all(p.grad is None for p in model.backbone.parameters())
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"head.weight", "head.bias"}


def test_free_backbone_learns_and_counts_its_batches():
    model = classifier().train()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    model(5 + torch.randn(4, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None for p in model.backbone.parameters())
    changed = {k for k, v in model.backbone.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if "running" in k or "num_batches" in k}


FROZEN = ("conv1.", "bn1.", "layer2.0.")


@pytest.mark.parametrize("told_to_train", [True, False], ids=["train()", "as made"])
def test_frozen_prefixes_stay_while_the_rest_learns(told_to_train):
    model = classifier(freeze="conv1 | bn1|layer2.0 ")
    if told_to_train:
        model.eval().train()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # at first the norms behind shortcuts are zero and pass nothing on
        model(5 + torch.randn(4, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    changed = {k for k, v in model.backbone.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {name for name in before if not name.startswith(FROZEN)}
    with_gradient = {k for k, p in model.backbone.named_parameters() if p.grad is not None}
    assert with_gradient == {
        k for k, _ in model.backbone.named_parameters() if not k.startswith(FROZEN)
    }


def test_modules_frozen_as_a_whole_are_in_evaluation_mode():
    model = classifier(freeze="bn1.weight | bn1.bias | layer1.0.bn1 | layer1.0.bn2.weight | layer3")
    modes = {name: module.training for name, module in model.backbone.named_modules()}
    layer3 = {name for name in modes if name.split(".")[0] == "layer3"}
    norms = {"bn1", "layer1.0.bn1"}
    inside = {name for name in modes if name.rpartition(".")[0] in norms}
    assert {name for name, training in modes.items() if not training} == layer3 | norms | inside
    assert not any(module.training for module in model.eval().modules())


def test_a_prefix_matches_whole_parts_of_a_name():
    with torch.device("meta"):
        model = MelanomaClassifier("vit_tiny_patch16_224", 2, freeze="blocks.1|cls_token")
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {".".join(name.split(".")[:3]) for name in frozen} == {
        "backbone.blocks.1",
        "backbone.cls_token",
    }


def test_every_prefix_is_the_same_as_the_whole_backbone():
    parts = classifier(freeze="conv1 | bn1 | layer1 | layer2 | layer3 | layer4")
    whole = classifier(freeze_model=True)
    for one, other in zip(parts.named_modules(), whole.named_modules(), strict=True):
        assert (one[0], one[1].training) == (other[0], other[1].training)
    frozen = [p.requires_grad for p in parts.parameters()]
    assert frozen == [p.requires_grad for p in whole.parameters()]
    assert sum(frozen) == 2


@pytest.mark.parametrize(
    ("freeze", "culprit"),
    [
        ("layer", "layer"),
        ("conv1 | stem", "stem"),
        ("conv1 |", ""),
        ("backbone.conv1", "backbone.conv1"),
        ("act1", "act1"),
    ],
)
def test_prefix_without_parameters_is_refused_in_words(freeze, culprit):
    with pytest.raises(UserError) as caught:
        classifier(freeze=freeze)
    assert str(caught.value) == (
        f"--freeze '{freeze}': no backbone parameter's name begins with '{culprit}' "
        "(names begin with: conv1, bn1, layer1, layer2, layer3, layer4)"
    )


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone."])
@pytest.mark.parametrize("nested", [None, "model_state_dict", "state_dict", "model"])
def test_weights_load_under_usual_names(prefix, nested, donor, tmp_path):
    state = prefixed(donor, prefix)
    path = tmp_path / "weights.pth"
    torch.save({nested: state, "epoch": 3} if nested else state, path)
    model = classifier()
    line = model.load_backbone(str(path))
    assert f"{len(donor)} of {len(donor)} backbone tensors matched" in line
    assert_same_weights(model, donor)


def test_own_checkpoint_loads_without_its_head(tmp_path):
    trained, model = classifier(seed=1, n_outputs=28), classifier()
    path = tmp_path / "checkpoint_latest.pth"
    content = {"model_state_dict": trained.state_dict(), "contract": {"classes": ["a"]}, "epoch": 0}
    torch.save(content, path)
    head = model.head.weight.clone()
    line = model.load_backbone(str(path))
    assert line.endswith("2 left out (head.weight, head.bias)")
    assert_same_weights(model, trained.backbone.state_dict())
    assert torch.equal(model.head.weight, head)


def test_half_precision_weights_become_single_precision(donor, tmp_path):
    path = tmp_path / "half.pth"
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in donor.items()}, path)
    model = classifier()
    model.load_backbone(str(path))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model.backbone.state_dict(), donor, rtol=1e-3, atol=1e-3)


def test_what_did_not_match_is_counted_and_named(donor, tmp_path):
    first, second, *_ = donor
    state = {k: v for k, v in donor.items() if k != first}
    state |= {second: torch.zeros(1, 2, 3), "fc.weight": torch.zeros(1000, 2)}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    model = classifier()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    line = model.load_backbone(str(path))
    assert f"{len(donor) - 2} of {len(donor)} backbone tensors matched" in line
    assert f"1 not in the file ({first})" in line
    assert f"1 of another shape ({second})" in line
    assert "1 left out (fc.weight)" in line
    assert_same_weights(model, {**donor, first: before[first], second: before[second]})


@pytest.mark.parametrize(("share", "refused"), [(0.4, True), (0.6, False)])
def test_less_than_half_of_a_backbone_is_refused(share, refused, donor, tmp_path):
    kept = list(donor)[: round(share * len(donor))]
    path = tmp_path / "part.pth"
    torch.save({name: donor[name] for name in kept}, path)
    model = classifier()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    if refused:
        with pytest.raises(UserError, match=f"{len(kept)} of the backbone's {len(donor)} tensors"):
            model.load_backbone(str(path))
        assert_same_weights(model, before)
    else:
        assert f"{len(kept)} of {len(donor)}" in model.load_backbone(str(path))


@pytest.mark.parametrize(
    "content",
    [
        nn.Linear(3, 3).state_dict(),
        MelanomaClassifier("test_convnext", 3, input_size=32).state_dict(),
        {},
        torch.zeros(3),
        [torch.zeros(3)],
        {"model": {"epoch": 3}},
    ],
    ids=["linear", "other backbone", "empty", "tensor", "list", "no tensors"],
)
def test_weights_of_another_model_are_refused(content, tmp_path):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"other.pth: \d+ of the backbone's .* this --model"):
        classifier().load_backbone(str(path))


class Payload:
    """Makes a file when a pickle of it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", ["torch zip", "torch legacy", "pickle"])
def test_code_in_a_pickle_is_never_executed(save, tmp_path):
    trap, path = tmp_path / "executed", tmp_path / "weights.pth"
    content = {"state_dict": {"conv1.weight": torch.zeros(1)}, "extra": Payload(trap)}
    if save == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=save == "torch zip")
    with pytest.raises(UserError, match=r"weights.pth: not a state dict") as caught:
        read_state_dict(str(path))
    assert not trap.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n", b"PK\x03\x04"], ids=["empty", "text", "png", "zip"]
)
def test_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights.pth: not a state dict") as caught:
        classifier().load_backbone(str(path))
    assert "\n" not in str(caught.value)


def test_truncated_checkpoint_is_refused(donor, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(donor, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="not a state dict"):
        classifier().load_backbone(str(path))


@pytest.mark.parametrize("place", ["absent.pth", "."], ids=["missing", "folder"])
def test_missing_file_is_refused(place, tmp_path):
    with pytest.raises(UserError, match="no such state dict"):
        classifier().load_backbone(str(tmp_path / place))


def test_real_weights_match_every_tensor(real_data):
    model = MelanomaClassifier("mobilenet_v2", 2, input_size=64)
    line = model.load_backbone(str(real_data / "weights" / "mobilenet_v2_imagenet.pth"))
    assert "312 of 312 backbone tensors matched" in line
    assert line.endswith("2 left out (classifier.1.weight, classifier.1.bias)")
