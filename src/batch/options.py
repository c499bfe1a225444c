"""Options of commands that work through a folder of images."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError
from ..core.options import REQUIRED, flag


@dataclass(frozen=True)
class ImageFolder:
    """Images"""

    folder: Path = flag(
        REQUIRED, "folder of images, searched at any depth", positional=True, metavar="DIR"
    )


@dataclass(frozen=True)
class Workers:
    """Processes"""

    num_workers: int = flag(os.cpu_count() or 1, "worker processes, at most one per CPU core")

    def __post_init__(self):
        if self.num_workers < 0:
            raise UserError(f"--num_workers {self.num_workers}: expected 0 or more")
