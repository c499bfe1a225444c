"""Which class of a data set is the one to detect."""

from collections.abc import Sequence

from src.core.errors import UserError

USUAL_NAMES = ("malignant", "mel", "melanoma")


def positive_index(classes: Sequence[str], wanted: str = "") -> int:
    """Index of the class `wanted`, else of the one with a usual name, else the last."""
    if wanted and wanted not in classes:
        raise UserError(f"positive='{wanted}': expected one of {', '.join(classes)}")
    usual = [name for name in USUAL_NAMES if name in classes]
    return list(classes).index(wanted or (usual or classes)[-1])
