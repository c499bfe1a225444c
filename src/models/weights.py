"""Reading files of tensors, which are hostile until they prove otherwise."""

from pathlib import Path
from typing import Any

import torch

from ..core.errors import UserError


def load_tensors(path: str | Path, what: str) -> Any:
    """The content of a torch file, on the CPU; nothing in it is executed.

    Raises `UserError` that calls the file no `what` for any other.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such {what}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a {what}, or a truncated one ({reason[:120]})") from None
