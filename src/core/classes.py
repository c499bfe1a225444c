"""Which class of a data set is the one to detect."""

from collections.abc import Sequence

from src.core.errors import UserError

BINARY_CLASSES = ("benign", "malignant")
USUAL_NAMES = ("malignant", "mel", "melanoma")


def positive_index(classes: Sequence[str], wanted: str = "") -> int:
    """Index of the class `wanted`, else of the one with a usual name, else the last.

    Capital and small letters are the same, but a name written exactly so comes first.
    """
    if wanted in classes:
        return list(classes).index(wanted)
    folded = [name.casefold() for name in classes]
    if wanted and wanted.casefold() not in folded:
        raise UserError(f"positive='{wanted}': expected one of {', '.join(classes)}")
    usual = [name for name in USUAL_NAMES if name in folded]
    return folded.index(wanted.casefold() or (usual or folded)[-1])
