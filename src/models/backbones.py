"""Backbones by name: the names that users know, over timm and torchvision."""

import math
import socket
from functools import partial
from typing import Any
from urllib.parse import urlparse

import huggingface_hub
import timm
import torch
import torchvision
from timm.layers import PatchEmbed
from torch import nn

from ..core.errors import UserError, first_line, nearest

CONVNEXT = [f"convnext_{size}" for size in ("tiny", "small", "base", "large", "xlarge")]
CONVNEXT_V2 = [
    f"convnextv2_{size}"
    for size in ("atto", "femto", "pico", "nano", "tiny", "small", "base", "large", "huge")
]
# names whose timm name differs
TIMM_NAMES = {
    **{
        f"efficientnetv2_{size}": f"tf_efficientnetv2_{size}"
        for size in ("b0", "b1", "b2", "b3", "s", "m", "l", "xl")
    },
    "dinov2_vit_small": "vit_small_patch14_dinov2",
    "dinov2_vit_base": "vit_base_patch14_dinov2",
    "dinov2_vit_large": "vit_large_patch14_dinov2",
    "dinov2_vit_giant2": "vit_giant_patch14_dinov2",
    "mobilenetv3": "mobilenetv3_large_100",
    "mobilenetv3_large": "mobilenetv3_large_100",
    "mobilenetv3_small": "mobilenetv3_small_100",
}
# names taken from torchvision: its name, and the classifier that the features replace
TORCHVISION_NAMES = {
    "mobilenet_v2": ("mobilenet_v2", "classifier"),
    "shufflenetv2": ("shufflenet_v2_x1_0", "fc"),
    "shufflenet_v2_x1_0": ("shufflenet_v2_x1_0", "fc"),
    "squeezenet1_1": ("squeezenet1_1", "classifier"),
    "efficientnet_v2_s": ("efficientnet_v2_s", "classifier"),
    "efficientnet_v2_m": ("efficientnet_v2_m", "classifier"),
    "efficientnet_v2_l": ("efficientnet_v2_l", "classifier"),
}
_DINOV2_NAMES = {name for known, name in TIMM_NAMES.items() if known.startswith("dinov2")}
NAMED_BACKBONES = [*CONVNEXT, *CONVNEXT_V2, *TIMM_NAMES, *TORCHVISION_NAMES]

# timm's weights by preference: trained on ImageNet-1k alone where there are such, and on 22k
_TAGS_1K = ("fb_in1k", "fcmae_ft_in1k", "in1k", "fb_in22k_ft_in1k", "in21k_ft_in1k", "lvd142m")
_DINOV2_PATCH = 14
_TAGS_22K = ("fb_in22k", "fcmae_ft_in22k_in1k", "fcmae_ft_in22k_in1k_384", "in21k", "miil_in21k")


def check_name(name: str) -> None:
    """Raise `UserError` that suggests the nearest name unless `name` is a backbone's."""
    if name in NAMED_BACKBONES:
        return
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        known = [*NAMED_BACKBONES, *timm.list_models()]
        raise UserError(f"--model '{name}': no such backbone{nearest(name, known)}")
    tagged = timm.list_models(f"{base}.*", include_tags=True)
    if tag and name not in tagged:
        raise UserError(f"--model '{name}': {base} has no such weights{nearest(name, tagged)}")


def create_backbone(
    name: str,
    input_size: int | tuple[int, int],
    pretrained: bool,
    in_22k: bool = False,
    drop_path: float = 0.0,
) -> tuple[nn.Module, int]:
    """(module from [N, 3, H, W] to pooled features [N, width], width).

    `input_size`, (height, width) or a number for both, matters to vision transformers, whose
    position embedding is made for it, and to networks that need some size to pool over.
    Raises `UserError` for unknown names, options the backbone lacks, sizes it cannot take, and
    weights that cannot be fetched.
    """
    check_name(name)
    if isinstance(input_size, int):
        input_size = (input_size, input_size)
    if name in TORCHVISION_NAMES:
        return _torchvision_backbone(name, input_size, pretrained, in_22k, drop_path)
    timm_name = TIMM_NAMES.get(name, name)
    if pretrained:
        timm_name = _with_tag(timm_name, in_22k)
    options: dict[str, Any] = {"num_classes": 0}
    if drop_path:
        options["drop_path_rate"] = drop_path
    if timm_name.partition(".")[0] in _DINOV2_NAMES:
        # any input size: padded up to whole patches, the position embedding resampled to them
        padded = tuple(math.ceil(side / _DINOV2_PATCH) * _DINOV2_PATCH for side in input_size)
        embed = partial(PatchEmbed, strict_img_size=False)
        options |= {"img_size": padded, "dynamic_img_pad": True, "embed_layer": embed}

    def create():
        return timm.create_model(timm_name, pretrained=pretrained, **options)

    try:
        module = _fetch(name, create) if pretrained else create()
    except TypeError:
        if not drop_path:
            raise
        raise UserError(f"--drop_path {drop_path}: {name} has no stochastic depth") from None
    return module, _feature_width(name, module, input_size)


def _torchvision_backbone(
    name: str, input_size: tuple[int, int], pretrained: bool, in_22k: bool, drop_path: float
):
    torchvision_name, classifier = TORCHVISION_NAMES[name]
    if in_22k:
        raise UserError(f"--in_22k: there are no ImageNet-22k weights of {name}")
    options = {}
    if drop_path:
        if not name.startswith("efficientnet_v2"):
            raise UserError(f"--drop_path {drop_path}: {name} has no stochastic depth")
        options["stochastic_depth_prob"] = drop_path
    weights = "DEFAULT" if pretrained else None

    def create():
        return torchvision.models.get_model(torchvision_name, weights=weights, **options)

    module = _fetch(name, create) if pretrained else create()
    squeezes = name == "squeezenet1_1"  # its classifier is what pools
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    setattr(module, classifier, pool if squeezes else nn.Identity())
    return module, _feature_width(name, module, input_size)


def _with_tag(timm_name: str, in_22k: bool) -> str:
    """timm's name with the tag of the weights to fetch."""
    if "." in timm_name:
        return timm_name
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{timm_name}.*")]
    wanted = [tag for tag in (_TAGS_22K if in_22k else _TAGS_1K) if tag in tags]
    if in_22k and not wanted:
        raise UserError(f"--in_22k: there are no ImageNet-22k weights of {timm_name}")
    if not tags:
        raise UserError(
            f"--pretrained true: nobody has published weights of {timm_name}; "
            "give a file with --weights FILE, or train from scratch with --pretrained false"
        )
    return f"{timm_name}.{wanted[0]}" if wanted else timm_name


def _fetch(name: str, create):
    """What `create` returns; a download that fails ends in one line with the two other ways."""
    try:
        socket.getaddrinfo(urlparse(huggingface_hub.constants.ENDPOINT).hostname, 443)
    except OSError:  # no network: the local cache at once, without a minute of retries
        huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        return create()
    except TypeError:  # an option that the backbone lacks
        raise
    except Exception as error:  # every hub client raises its own kinds
        raise UserError(
            f"--pretrained true: the weights of {name} could not be fetched ({first_line(error)}); "
            "give a file with --weights FILE, or train from scratch with --pretrained false"
        ) from None


def _feature_width(name: str, module: nn.Module, input_size: tuple[int, int]) -> int:
    """Width of the pooled features, measured: some timm models pool to more than num_features."""
    was_training = module.training
    try:
        with torch.no_grad():
            width = module.eval()(torch.zeros(1, 3, *input_size)).shape[1]
    except (AssertionError, RuntimeError) as error:
        size = input_size[0] if len({*input_size}) == 1 else f"{input_size[0]}x{input_size[1]}"
        raise UserError(
            f"--input_size {size}: {name} takes other sizes ({first_line(error)})"
        ) from None
    module.train(was_training)
    return width
