"""Runs of the programs in processes of their own: alone, several at once, stopped and killed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(
    settings: dict, count: int = 1, env: dict | None = None, program: str = "melanoma_train.py"
) -> list[subprocess.Popen]:
    """`count` processes of one program with these flat settings, as torchrun starts them."""
    flags = [f"--{name}={value}" for name, value in settings.items()]
    command = [sys.executable, program, *flags]
    base = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **(env or {})}
    places = [{}]
    if count > 1:
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        places = [
            {**shared, "WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)}
            for rank in range(count)
        ]
    return [started(command, base | place) for place in places]


def started(command: list[str], env: dict | None = None) -> subprocess.Popen:
    """A program in a process of its own, in the root of the repository."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=env, **pipes)


def finish(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """(exit code, stdout, stderr) of each; all are ended when one takes too long."""
    try:
        outputs = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *texts) for p, texts in zip(processes, outputs, strict=True)]


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
