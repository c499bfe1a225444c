"""The device of a run, mixed precision on it, and the speed of its kernels."""

import os
import shutil

import torch

from ..core.config import Config, Run
from ..core.errors import UserError
from .distributed import SINGLE_PROCESS, Processes


def pick_device(name: str, processes: Processes = SINGLE_PROCESS) -> torch.device:
    """The device to run on; `auto` is a GPU where there is one, and each process has its own."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and processes.count > 1 and torch.cuda.is_available():
        # a launcher may show each process its own GPU alone
        device = torch.device("cuda", processes.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: expected auto, cpu, cuda or cuda:<index>")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise UserError(f"--device {name}: {found} GPUs found; use --device cpu or --device auto")
    return device


def check_device(cfg: Config, device: torch.device) -> None:
    """Raise `UserError` for what the device cannot do."""
    autocast_dtype(cfg.run, device)
    if cfg.learning.sync_bn and device.type == "cpu":
        raise UserError("--sync_bn: expected GPUs; batch statistics cannot be shared on CPUs")
    if cfg.run.compile and device.type == "cpu" and not shutil.which("g++"):
        raise UserError("--compile: no C++ compiler (g++) found; it is required on a CPU")


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
        raise UserError("--amp_dtype bfloat16: this GPU does not support bfloat16; use float16")
    return getattr(torch, name)


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
