"""What a sheet of training images shows: its flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.options import Section, flag


@dataclass(frozen=True)
class SheetOptions(Section):
    """Sheet"""

    output: Path = flag(Path("images.png"), "PNG to write", also=("-o",))
    split: Literal["train", "valid", "test"] = flag("train", "rows to choose from")
    n_images: int = flag(8, "rows to show, of all classes and tone groups", least=1, most=40)
    views: int = flag(4, "augmented versions of each", least=0, most=12)
