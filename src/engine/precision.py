"""Mixed precision and the speed of kernels, by settings that say so."""

import os
from contextlib import AbstractContextManager

import torch

from ..core.config import Run
from ..core.errors import UserError


def autocast_dtype(run: Run, device: torch.device) -> torch.dtype | None:
    """The type that training computes in where it may, or None for full precision.

    Raises `UserError` for a type that the device does not have.
    """
    if not run.use_amp:
        return None
    on_cpu = device.type == "cpu"
    name = run.amp_dtype if run.amp_dtype != "auto" else "bfloat16" if on_cpu else "float16"
    if on_cpu and name == "float16":
        raise UserError("--amp_dtype float16: expected a GPU; use bfloat16 on a CPU")
    if not on_cpu and name == "bfloat16" and not torch.cuda.is_bf16_supported(False):
        raise UserError("--amp_dtype bfloat16: this GPU has none; use float16")
    return getattr(torch, name)


def autocast(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager:
    """The context of a forward pass in `dtype`."""
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def make_scaler(dtype: torch.dtype | None, device: torch.device) -> torch.amp.GradScaler:
    """A scaler of gradients, at work for float16 only: its small ones would become 0."""
    return torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)


def set_kernels(run: Run) -> None:
    """Choose between repeatable and fast kernels for the whole process."""
    if run.deterministic:
        # without it cuBLAS refuses; it is read when the first matrix product is computed
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(run.deterministic)
    torch.backends.cudnn.deterministic = run.deterministic
    torch.backends.cudnn.benchmark = run.fast_mode
    torch.backends.cudnn.allow_tf32 = run.tf32
    torch.backends.cuda.matmul.allow_tf32 = run.tf32
