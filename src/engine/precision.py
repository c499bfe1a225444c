"""The device of a run, mixed precision on it, and the speed of its kernels."""

import os
import shutil

import torch

from ..core.config import Config, Run
from ..core.errors import UserError
from ..core.memory import peak_megabytes
from .distributed import SINGLE_PROCESS, Processes


def pick_device(name: str, processes: Processes = SINGLE_PROCESS) -> torch.device:
    """The device to run on, of which each process has its own.

    `auto` is a GPU of NVIDIA where there is one, else Apple's (MPS) for a single process, else the
    CPU.
    """
    has_mps, alone = torch.backends.mps.is_available(), processes.count == 1
    if name == "auto":
        found = {"cuda": torch.cuda.is_available(), "mps": has_mps and alone, "cpu": True}
        name = next(kind for kind, is_there in found.items() if is_there)
    if name == "cuda" and processes.count > 1 and torch.cuda.is_available():
        # a launcher may show each process its own GPU alone
        device = torch.device("cuda", processes.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device {name}: expected auto, cpu, mps, cuda or cuda:<index>")
    if device.type == "mps" and not (has_mps and alone):
        why = "no Apple GPU found" if alone else "several processes cannot share an Apple GPU"
        raise UserError(f"--device {name}: {why}; use --device cpu or --device auto")
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= n_gpus:
        raise UserError(f"--device {name}: {n_gpus} GPUs found; use --device cpu or --device auto")
    return device


def check_device(cfg: Config, device: torch.device) -> None:
    """Raise `UserError` for what the device cannot do."""
    autocast_dtype(cfg.run, device)
    if cfg.learning.sync_bn and device.type != "cuda":
        raise UserError("--sync_bn: expected NVIDIA GPUs; no others can share batch statistics")
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
    if device.type == "cuda" and name == "bfloat16" and not torch.cuda.is_bf16_supported(False):
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


def forget_peak(device: torch.device) -> None:
    """Count `peak_gb` from now on, where the device can; a CPU's is of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gb(device: torch.device) -> float:
    """The most memory in use since `forget_peak`, in 10^9 bytes; an Apple GPU's is that of now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 1e9
    return peak_megabytes() / 1e3
