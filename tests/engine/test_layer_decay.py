"""Layer-wise decay: each layer's rate in closed form and by timm, every parameter in one group."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay

from src.core.errors import UserError
from src.engine.optim import layer_scales, make_optimizer
from src.models.melanoma_classifier import MelanomaClassifier


def classifier(name: str, **options) -> MelanomaClassifier:
    """A classifier without memory for its weights."""
    with torch.device("meta"):
        return MelanomaClassifier(name, 3, input_size=160, **options)


def vit_layer(name: str) -> int:
    """The embedding, 12 blocks of which the last has the norm behind it, the head."""
    if name.startswith("head."):
        return 13
    if name.startswith("backbone.norm."):
        return 12
    return int(name.split(".")[2]) + 1 if "blocks" in name else 0


def convnext_layer(name: str) -> int:
    """The stem, 18 blocks of which a stage's first has the downsampling before it, the head."""
    if "head." in name:
        return 19
    if "stem." in name:
        return 0
    _, _, stage, kind, block, *_ = name.split(".")
    return 1 + (0, 3, 6, 15)[int(stage)] + (int(block) if kind == "blocks" else 0)


@pytest.mark.parametrize(
    ("name", "layer_of", "n_layers"),
    [("dinov2_vit_small", vit_layer, 13), ("convnext_tiny", convnext_layer, 19)],
)
def test_rates_fall_by_the_factor_with_each_layer(name, layer_of, n_layers):
    model = classifier(name)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = make_optimizer("sgd", model, 0.1, 0.3, layer_decay=0.5).param_groups
    scales = {names[p]: group["lr_scale"] for group in groups for p in group["params"]}
    assert scales == {name: 0.5 ** (n_layers - layer_of(name)) for name in names.values()}
    assert scales["head.weight"] == scales["head.bias"] == 1
    assert len(set(scales.values())) == n_layers + 1
    assert all(group["lr"] == 0.1 * group["lr_scale"] for group in groups)


@pytest.mark.parametrize(
    "name",
    ["test_vit", "test_convnext", "test_resnet", "test_efficientnet", "tf_efficientnetv2_b0"],
)
def test_scales_are_those_of_timm_for_its_own_classifier(name):
    with torch.device("meta"):
        whole = timm.create_model(name, num_classes=3)
    names = {parameter: name for name, parameter in whole.named_parameters()}
    groups = param_groups_layer_decay(whole, layer_decay=0.7)
    wanted = {names[p]: group["lr_scale"] for group in groups for p in group["params"]}
    found = {
        name.removeprefix("backbone."): scale
        for name, scale in layer_scales(classifier(name), 0.7).items()
    }
    assert found.pop("head.weight") == found.pop("head.bias") == 1
    assert found == {name: wanted[name] for name in found}
    assert len(wanted) - len(found) == 2


@pytest.mark.parametrize("layer_decay", [1.0, 0.7])
@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet"])
def test_each_trainable_parameter_is_in_one_group(name, layer_decay):
    model = classifier(name)
    frozen = [p for p, _ in zip(model.backbone.parameters(), range(7), strict=False)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    groups = make_optimizer("adamw", model, 0.1, 0.3, layer_decay).param_groups
    grouped = [p for group in groups for p in group["params"]]
    assert len(grouped) == len(set(grouped)) == len(list(model.parameters())) - 7
    assert set(grouped) == set(model.parameters()) - set(frozen)
    for group in groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["decays"]}
        assert group["weight_decay"] == (0.3 if group["decays"] else 0.0)
    if layer_decay == 1:
        assert {group["lr_scale"] for group in groups} == {1.0}


def test_freezing_below_leaves_the_rates_above():
    whole, part = classifier("test_vit"), classifier("test_vit", freeze="patch_embed | blocks.0")
    names = {parameter: name for name, parameter in part.named_parameters()}
    scales = layer_scales(whole, 0.7)
    for group in make_optimizer("sgd", part, 0.1, 0.0, layer_decay=0.7).param_groups:
        assert {scales[names[p]] for p in group["params"]} == {group["lr_scale"]}


def test_unknown_layers_are_refused_in_words():
    with pytest.raises(UserError, match=r"^--layer_decay 0.7: the layers of SqueezeNet .*decay 1$"):
        make_optimizer("sgd", classifier("squeezenet1_1"), 0.1, 0.0, layer_decay=0.7)
