"""Classes: which one is to be detected, and what this software says of itself beside them."""

from collections.abc import Sequence

from .cells import folded, is_text, tidy, visible
from .errors import UserError, require

# said of every result
NOTICE = "For research and education. Not a medical device; its output is not a diagnosis."
BINARY_CLASSES = ("benign", "malignant")
MAX_CLASSES = 200  # of a table, for which intervals take seconds
# the last of these that is there is to be detected; beside one of the others, its counterpart
USUAL_NAMES = ("malignant", "mel", "melanoma")
_POSITIVE_OF_TWO = ("positive", "yes", "true")
_NEGATIVE_OF_TWO = ("benign", "negative", "no", "false", "0", "-1")


# of the names that public tables give their classes
_DESCRIPTIONS = {
    "benign": "benign lesion",
    "malignant": "malignant lesion",
    "acne": "acne",
    "ak": "actinic keratosis",
    "ack": "actinic keratosis",
    "akiec": "actinic keratosis or intraepithelial carcinoma (Bowen's disease)",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis (solar lentigo, seborrheic or lichen planus-like keratosis)",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nev": "melanocytic nevus",
    "nv": "melanocytic nevus",
    "scc": "squamous cell carcinoma",
    "sek": "seborrheic keratosis",
    "vasc": "vascular lesion (angioma, angiokeratoma, pyogenic granuloma, hemorrhage)",
}


def described(name: str) -> str:
    """What the name of a class stands for; the name itself where that is not known."""
    return _DESCRIPTIONS.get(folded(name), name)


def positive_index(classes: Sequence[str], wanted: str = "") -> int:
    """Index of the class `wanted`, else of the one with a usual name, else the last.

    Spellings as in `tidy` and in any case are the same, but a name written exactly so is first.
    """
    if wanted in classes:
        return list(classes).index(wanted)
    if wanted:
        names = [folded(name) for name in classes]
        if folded(wanted) not in names:
            raise UserError(f"positive='{wanted}': expected one of {', '.join(classes)}")
        return names.index(folded(wanted))
    usual = usual_index(classes)
    return len(classes) - 1 if usual is None else usual


def usual_index(classes: Sequence[str]) -> int | None:
    """Index of the class whose name, or that of the other of two, says that it is to be detected.

    Such are malignant, mel and melanoma; of two classes also positive, yes and true, and the one
    beside benign, negative, no, false, 0 or -1. None where no name says it.
    """
    names = [folded(name) for name in classes]
    usual = USUAL_NAMES if len(names) != 2 else (*_POSITIVE_OF_TWO, *USUAL_NAMES)
    found = [name for name in usual if name in names]
    if found:
        return names.index(found[-1])
    negative = [name in _NEGATIVE_OF_TWO for name in names]
    return negative.index(False) if len(names) == 2 and sum(negative) == 1 else None


def require_class_names(names: Sequence[str], source: str) -> tuple[str, ...]:
    """The names in one spelling (see `tidy`), which a model, a table or a flag gives its classes.

    Raises `UserError`, which begins with `source`, for an empty name, one that no file could hold,
    and two that differ in blanks and capital letters alone.
    """
    tidied = tuple(map(tidy, names))
    seen: dict[str, str] = {}
    for number, name in enumerate(tidied):
        require(bool(name), f"{source}: class {number} has no name")
        require(is_text(name), f"{source}: class {number}, {visible(name, 40)}, is not valid text")
        other = seen.setdefault(name.casefold(), f"{number} {name}")
        same = f"{visible(other, 40)!r} and '{number} {visible(name, 40)}'"
        require(other == f"{number} {name}", f"{source}: classes {same} have the same name")
    return tidied


def look_like_indices(classes: Sequence[str]) -> bool:
    """Whether a class has a number for its name, and not its own index."""
    named = ((tidy(name), str(index)) for index, name in enumerate(classes))
    return any(name.isdecimal() and name != index for name, index in named)
