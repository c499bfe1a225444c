"""What counts as a duplicate: the flags of the search."""

from dataclasses import dataclass
from pathlib import Path

from ..core.options import Section, flag

HASH_BITS = 64


@dataclass(frozen=True)
class SearchOptions(Section):
    """Duplicates"""

    images: Path | None = flag(
        None, "folder of images, searched at any depth, instead of --data_path", metavar="DIR"
    )
    # both chosen on HAM10000: docs/DUPLICATES.md
    max_distance: int = flag(
        14,
        "largest number of differing bits, of 64, between the hashes of duplicates",
        least=0,
        most=HASH_BITS,
    )
    min_similarity: float = flag(
        0.9, "smallest similarity of the details of duplicates, 0 to 1", above=0, most=1
    )
