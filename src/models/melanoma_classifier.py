"""The classifier: a backbone and a head of the width that the objective asks for, and its file."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.errors import UserError, first_line
from .backbones import create_backbone
from .heads import HEADS

_NESTED_KEYS = ("model_state_dict", "state_dict", "model")
_PREFIXES = ("module.", "backbone.")
MIN_MATCHED = 0.5


class MelanomaClassifier(nn.Module):
    """`forward`: images [N, 3, H, W], or their features [N, width], to logits [N, n_outputs].

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
        self.head = HEADS.build(head, width=width, n_outputs=n_outputs)
        if freeze:
            _freeze(self.backbone, freeze)
        if freeze_model:
            self.backbone.requires_grad_(False)
        self.train()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = images if images.ndim == 2 else self.backbone(images)
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

        Names may carry the prefix of a wrapper; the file's own classifier is left out. Raises
        `UserError` for a file that is no state dict or fits less than half of the backbone.
        """
        given = _strip_prefixes(read_state_dict(path))
        wanted = self.backbone.state_dict()
        fitting = {k: v for k, v in given.items() if k in wanted and v.shape == wanted[k].shape}
        unlike = [k for k in given if k in wanted and k not in fitting]
        if len(fitting) < MIN_MATCHED * len(wanted):
            raise UserError(
                f"--weights {path}: {len(fitting)} of the backbone's {len(wanted)} tensors are in "
                "it; expected the weights of this --model"
            )
        self.backbone.load_state_dict(fitting, strict=False)
        return (
            f"weights from {path}: {len(fitting)} of {len(wanted)} backbone tensors matched"
            + _some("not in the file", [k for k in wanted if k not in given])
            + _some("of another shape", unlike)
            + _some("left out", [k for k in given if k not in wanted])
        )


def load_tensors(path: str | Path, what: str, **options: Any) -> Any:
    """The content of a torch file, on the CPU; nothing in it is executed.

    `options` are those of `torch.load`. Raises `UserError` that calls the file no `what` for any
    other.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such {what}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, **options)
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        raise UserError(f"{path}: not a {what}, or a truncated one ({first_line(error)})") from None


def read_state_dict(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by name, on the CPU as stored."""
    content = load_tensors(path, "state dict")
    if isinstance(content, dict):
        nested = next((content[k] for k in _NESTED_KEYS if isinstance(content.get(k), dict)), None)
        content = content if nested is None else nested
    tensors = content.items() if isinstance(content, dict) else ()
    return {str(k): v for k, v in tensors if isinstance(v, torch.Tensor)}


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


def _strip_prefixes(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for prefix in _PREFIXES:
        if any(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _some(what: str, names: list[str]) -> str:
    return f"; {len(names)} {what} ({', '.join(names[:3])})" if names else ""
