"""What counts as a duplicate: the flags of the search."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError
from ..core.options import flag

HASH_BITS = 64


@dataclass(frozen=True)
class SearchOptions:
    """Duplicates"""

    images: Path | None = flag(
        None, "folder of images, searched at any depth, instead of --data_path", metavar="DIR"
    )
    # both chosen on HAM10000: docs/DUPLICATES.md
    max_distance: int = flag(
        14, "largest number of differing bits, of 64, between the hashes of duplicates"
    )
    min_similarity: float = flag(0.9, "smallest similarity of the details of duplicates, 0 to 1")

    def __post_init__(self):
        if not 0 <= self.max_distance <= HASH_BITS:
            raise UserError(f"--max_distance {self.max_distance}: expected 0 to {HASH_BITS}")
        if not 0 < self.min_similarity <= 1:
            raise UserError(
                f"--min_similarity {self.min_similarity}: expected more than 0, at most 1"
            )
