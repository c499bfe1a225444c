"""Every head on a convolutional network and a transformer: it learns, is kept and is exported."""

import numpy as np
import onnxruntime
import pytest
import torch

from src.artifact.export import export_onnx
from src.artifact.network import load_network, make_network, save_checkpoint
from src.core.config import Config
from src.core.errors import UserError
from src.engine.checks import check_settings
from src.engine.optim import make_optimizer
from src.models.backbones import create_backbone
from src.models.feature_maps import feature_map, prepare_for_map
from src.models.heads import HEADS, takes_map
from src.models.melanoma_classifier import MelanomaClassifier
from src.objectives.catalog import OBJECTIVES
from src.preprocess.spec import parse_preprocessing
from tests.artifact.test_contract import make_contract
from tests.objectives.samples import CLASSES, GROUPS, build

SMALL = {"cnn": "test_resnet", "transformer": "test_vit"}
SIDE = 64  # of images: the least of which both see several positions
OBJECTIVES_BY_WIDTH = {
    width: [build(name) for name in OBJECTIVES.names() if build(name).n_outputs == width]
    for width in (CLASSES, CLASSES * GROUPS)
}
OWN = [name for name in HEADS.names() if name != "simple"]  # which is another name of mlp's


def learns(classifier, objectives):
    """Two steps on each objective move all of the head; gradients reach everything that is free."""
    (top, *_) = make_optimizer("sgd", classifier, 0.01, 0.0, layer_decay=0.5).param_groups
    assert top["lr_scale"] <= 1
    rows = torch.arange(2 * CLASSES * GROUPS)
    targets, groups = rows % CLASSES, rows // CLASSES % GROUPS
    images = 1 + torch.randn(len(rows), 3, SIDE, SIDE)
    before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    for objective in objectives:
        optimizer = make_optimizer("sgd", classifier, 0.01, 0.0, layer_decay=1.0)
        for _ in range(2):
            loss = objective(classifier(images), targets, groups)
            assert loss.isfinite()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, parameter in classifier.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if name.startswith("head."):
            assert not torch.equal(parameter, before[name]), name


def outputs(network, images):
    with torch.no_grad():
        return [output.numpy() for output in network(images)]


def is_kept_and_exported(classifier, contract, folder):
    """A checkpoint gives the same numbers, an ONNX file nearly, at sizes of a batch unlike its."""
    network, images = make_network(contract, classifier).eval(), torch.randn(3, 3, SIDE, SIDE)
    content = {"contract": contract.to_json(), "model_state_dict": classifier.state_dict()}
    save_checkpoint(folder / "x.pth", content)
    loaded, read = load_network(folder / "x.pth")
    assert read == contract
    exported = export_onnx(network, contract, folder / "x.onnx")
    assert bool(exported.contract.evidence) == (exported.no_evidence == "")
    session = onnxruntime.InferenceSession(folder / "x.onnx")
    expected = outputs(network, images)
    np.testing.assert_array_equal(outputs(loaded, images)[0], expected[0])
    found = session.run(["output", "probabilities"], {"input": images.numpy()})
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("name", OWN)
def test_a_head_learns_with_every_objective_and_goes_into_checkpoint_and_onnx(name, kind, tmp_path):
    torch.manual_seed(0)
    exported = {"cnn": CLASSES, "transformer": CLASSES * GROUPS}[kind]
    for width, objectives in OBJECTIVES_BY_WIDTH.items():
        classifier = MelanomaClassifier(SMALL[kind], width, SIDE, head=name)
        assert classifier(torch.randn(2, 3, SIDE, SIDE)).shape == (2, width)
        learns(classifier, objectives)
        if width == exported:
            contract = make_contract(
                model=SMALL[kind],
                head=name,
                n_outputs=width,
                classes=("a", "b", "c"),
                reduction=objectives[0].reduction,
                preprocessing=parse_preprocessing("resize || normalize(stats='half')", SIDE),
                priors=((1 / width,) * CLASSES,) * (width // CLASSES),
            )
            is_kept_and_exported(classifier, contract, tmp_path)


def test_every_objective_has_one_of_the_widths_that_heads_are_trained_for():
    tried = [objective for found in OBJECTIVES_BY_WIDTH.values() for objective in found]
    assert len(tried) == len(OBJECTIVES.names())


def count(name, n_outputs=7):
    head = HEADS.build(name, width=20, channels=30, n_outputs=n_outputs)
    return sum(parameter.numel() for parameter in head.parameters())


def test_heads_have_the_parameters_of_their_layers():
    assert count("linear") == 20 * 7 + 7
    assert count("mlp") == (20 * 512 + 512) + 2 * 512 + (512 * 256 + 256) + 2 * 256 + (256 * 7 + 7)
    convolution, attention = 30 * 128 * 3 + 128, (64 * 16 + 16) + 16
    recurrence = 4 * (64 * 128 + 64 * 64 + 2 * 64)  # four gates, each with two biases
    assert count("acrnn") == convolution + recurrence + attention + (16 * 7 + 7)
    for name in HEADS.names():
        last = {"linear": 20, "acrnn": 16}.get(name, 256)
        assert count(name, 28) - count(name, 7) == 21 * (last + 1)
        assert HEADS[name].__doc__


def test_the_linear_head_starts_near_zero_and_keeps_its_names():
    classifier = MelanomaClassifier("test_resnet", 4, 32)
    names = [name for name in classifier.state_dict() if name.startswith("head")]
    assert names == ["head.weight", "head.bias"]
    assert classifier.head.weight.std() < 0.03
    assert not classifier.head.bias.any()


def test_simple_is_mlp_with_its_layers_in_the_documented_order():
    kinds = "Dropout Linear BatchNorm1d ReLU " * 2 + "Dropout Linear"
    for name in ("mlp", "simple"):
        layers = [*HEADS.build(f"{name}(dropout=0.1)", width=20, n_outputs=7)]
        assert [type(layer).__name__ for layer in layers] == kinds.split()
        assert [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)] == [0.1] * 3
    default = HEADS.build("simple", width=20, n_outputs=7)
    assert default[0].p == 0.35
    for wrong in (1.0, -0.1):
        with pytest.raises(UserError, match=r"mlp\(dropout="):
            HEADS.build(f"simple(dropout={wrong})", width=20, n_outputs=7)


def test_the_attention_of_acrnn_is_a_weighted_mean_over_positions():
    """With equal scores, of all positions; with one score far above the others, of that one."""
    head = HEADS.build("acrnn", channels=5, n_outputs=3).eval()
    features = torch.randn(2, 5, 6)
    with torch.no_grad():
        sequence = torch.relu(head.convolution(features)).transpose(1, 2)
        states = torch.tanh(head.attention(head.recurrence(sequence)[0]))
        head.score.weight.zero_()
        torch.testing.assert_close(head(features), head.output(states.mean(1)))
        head.score.weight[0, 4] = 1e6
        best = states[torch.arange(2), states[..., 4].argmax(1)]
        torch.testing.assert_close(head(features), head.output(best))


def test_pooling_a_map_gives_the_features_that_the_backbone_pools_itself():
    """Whatever the layout: channels first, channels last, tokens; timm's and torchvision's."""
    images = torch.randn(2, 3, 64, 64)
    for name in ("test_resnet", "test_byobnet", "mobilenet_v2", "shufflenetv2", "squeezenet1_1"):
        backbone, width = create_backbone(name, 64, pretrained=False)
        assert prepare_for_map(backbone, 64) == width
        backbone.eval()
        with torch.no_grad():
            found = feature_map(backbone, images)
            torch.testing.assert_close(found.mean(2), backbone(images), rtol=1e-3, atol=1e-4)
    tokens, _ = create_backbone("test_vit", 64, pretrained=False)
    with torch.no_grad():
        found = feature_map(tokens.eval(), images)
        torch.testing.assert_close(found[:, :, 0], tokens(images))  # pools by the class token
    assert found.shape[2] == 1 + (64 // 16) ** 2


@pytest.mark.slow
def test_channels_last_and_unusual_backbones_are_known_or_refused():
    with torch.device("meta"):
        swin = MelanomaClassifier("swin_tiny_patch4_window7_224", 2, 224, head="acrnn")
        assert swin.head.convolution.in_channels == 768
        mobile = MelanomaClassifier("mobilenetv3_small", 2, 64, head="acrnn")
        assert mobile.head.convolution.in_channels == 576
        frozen = {name for name, p in mobile.named_parameters() if not p.requires_grad}
        assert frozen == {"backbone.conv_head.weight", "backbone.conv_head.bias"}
        with pytest.raises(UserError, match="CoaT has no feature map"):
            MelanomaClassifier("coat_tiny", 2, 224, head="acrnn")


def test_features_that_are_computed_once_are_refused_for_a_head_on_the_map():
    assert [name for name in HEADS.names() if takes_map(name)] == ["acrnn"]
    settings = {"freeze_model": True, "feature_views": 2, "pretrained": False}
    check_settings(Config().with_settings(**settings, head="mlp"))
    with pytest.raises(UserError, match="--feature_views and --head acrnn"):
        check_settings(Config().with_settings(**settings, head="acrnn"))
