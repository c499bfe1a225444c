"""Options that all jobs on folders of images share."""

import os
from dataclasses import dataclass

from ..core.errors import UserError
from ..core.options import flag


@dataclass(frozen=True)
class Workers:
    """processes"""

    num_workers: int = flag(os.cpu_count() or 1, "worker processes, at most one per CPU core")

    def __post_init__(self):
        if self.num_workers < 0:
            raise UserError(f"--num_workers {self.num_workers}: expected 0 or more")
