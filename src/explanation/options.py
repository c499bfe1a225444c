"""The flags of predict.py that ask for explanations; imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from ..core.files import expect_output_folder
from ..core.options import Section, flag


@dataclass(frozen=True)
class Explanations(Section):
    """Explanations"""

    explain: Path | None = flag(
        None, "folder for an overlay of each image: the evidence for and against its class"
    )
    evidence_in_lesion: bool = flag(
        False, "add a column with the share of the positive evidence inside of the lesion found"
    )

    @property
    def given(self) -> str:
        """The flag that asks for explanations, empty where none does."""
        return "--explain" if self.explain else "--evidence_in_lesion" * self.evidence_in_lesion

    def check(self, images: Path) -> None:
        """Raise `UserError` where overlays cannot be written, or would lie among the `images`."""
        if self.explain:
            expect_output_folder(self.explain, "--explain", images)
