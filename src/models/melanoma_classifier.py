"""The classifier: a backbone and a head of the width that the objective asks for, and its file."""

import torch
from torch import nn

from ..core.errors import UserError
from .backbones import create_backbone
from .feature_maps import feature_map, prepare_for_map
from .heads import HEADS, takes_map
from .weights import mismatch, names_in_words, plain_names, read_state_dict

MIN_MATCHED = 0.5


class MelanomaClassifier(nn.Module):
    """`forward`: images [N, 3, H, W], or pooled features [N, width], to logits [N, n_outputs].

    `input_size` is (height, width), or one number for both.

    Frozen is the whole backbone (`freeze_model`), or its parameters whose names begin with one of
    the prefixes in `freeze`, joined by |. They have no gradients, and modules frozen as a whole
    keep their batch statistics in training.
    """

    def __init__(
        self,
        model_name: str,
        n_outputs: int,
        input_size: int | tuple[int, int] = 224,
        head: str = "linear",
        pretrained: bool = False,
        in_22k: bool = False,
        freeze_model: bool = False,
        freeze: str = "",
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.backbone, width = create_backbone(
            model_name, input_size, pretrained, in_22k, drop_path
        )
        self.dropout = nn.Dropout(dropout)
        self.takes_map = takes_map(head)
        channels = prepare_for_map(self.backbone, input_size) if self.takes_map else 0
        self.head = HEADS.build(head, width=width, channels=channels, n_outputs=n_outputs)
        if freeze:
            _freeze(self.backbone, freeze)
        if freeze_model:
            self.backbone.requires_grad_(False)
        self.train()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.ndim == 2:
            features = images
        elif self.takes_map:
            features = feature_map(self.backbone, images)
        else:
            features = self.backbone(images)
        return self.head(self.dropout(features))

    def train(self, mode: bool = True) -> "MelanomaClassifier":
        super().train(mode)
        for module in self.backbone.modules():
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
        return self

    def load_backbone(self, path: str) -> str:
        """Take the backbone's weights from a state dict file; returns what matched, in a line.

        Names may carry the prefixes of wrappers; the file's own classifier is left out. Raises
        `UserError` for a file that is no state dict or fits less than half of the backbone.
        """
        wanted = self.backbone.state_dict()
        given, prefix = plain_names(read_state_dict(path), wanted, f"--weights {path}")
        fitting = {k: v for k, v in given.items() if k in wanted and v.shape == wanted[k].shape}
        unlike = [k for k in given if k in wanted and k not in fitting]
        if len(fitting) < MIN_MATCHED * len(wanted):
            raise UserError(
                f"--weights {path}: {len(fitting)} of the backbone's {len(wanted)} tensors are in "
                f"it; expected the weights of this --model ({mismatch(given, wanted, prefix)})"
            )
        self.backbone.load_state_dict(fitting, strict=False)
        return (
            f"weights from {path}: {len(fitting)} of {len(wanted)} backbone tensors matched"
            + _some("not in the file", [k for k in wanted if k not in given])
            + _some("of another shape", unlike)
            + _some("left out", [k for k in given if k not in wanted])
        )


def _freeze(backbone: nn.Module, prefixes: str) -> None:
    """Freeze the parameters whose names begin with one of `prefixes`, in whole parts of a name."""
    named = dict(backbone.named_parameters())
    for prefix in map(str.strip, prefixes.split("|")):
        chosen = [name for name in named if f"{name}.".startswith(f"{prefix}.")]
        if not chosen:
            known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in named))
            raise UserError(
                f"--freeze '{prefixes}': no backbone parameter's name begins with '{prefix}' "
                f"(names begin with: {known})"
            )
        for name in chosen:
            named[name].requires_grad_(False)


def _some(what: str, names: list[str]) -> str:
    return f"; {len(names)} {what} ({names_in_words(names)})" if names else ""
