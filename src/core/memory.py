"""Memory: what this process took, and what is left."""

import ctypes
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def peak_megabytes() -> float:
    """The most memory that this process has held, in 10^6 bytes; NaN where nobody counts."""
    if resource is None:
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def anonymous_megabytes() -> float:
    """Memory of this process that is no file's, in 10^6 bytes; NaN but on Linux."""
    return _kilobytes(Path("/proc/self/status"), "RssAnon") * 1024 / 1e6


def own_megabytes(process: int) -> float:
    """Memory that a process shares with no other, in 10^6 bytes; NaN but on Linux."""
    return _kilobytes(Path(f"/proc/{process}/smaps_rollup"), "Private_Dirty") * 1024 / 1e6


def free_bytes() -> int:
    """Bytes that can still be taken on this machine, or in the control group that bounds it.

    Of Linux alone.
    """
    free = int(_kilobytes(Path("/proc/meminfo"), "MemAvailable")) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        most, used = (int((group / f"memory.{k}").read_text()) for k in ("max", "current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, most - used + int(stat["inactive_file"]))
    except (OSError, ValueError, KeyError):  # not bounded: its limit is the word `max`
        return free


def give_back() -> None:
    """Return memory that is freed but still held to the system, which glibc does not by itself.

    Each of its arenas, of which threads have their own, keeps what the largest image took.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)


def _kilobytes(path: Path, name: str) -> float:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return float("nan")
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
