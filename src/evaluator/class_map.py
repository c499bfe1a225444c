"""`--class_map`: the class names of other data in those of a model."""

from collections.abc import Sequence

from ..core.cells import folded
from ..core.classes import positive_index
from ..core.errors import UserError
from .csv_cells import listed

REST, ALL_OTHERS = "rest", "*"


class ClassMap:
    """Names of other data to the classes of a model, written `melanoma=mel,nevus=nv`.

    `*=CLASS` is for all names that are neither classes nor mapped. Beside a `positive` class,
    `rest` is any class but it. Capital and small letters are the same.
    """

    def __init__(self, written: str, classes: Sequence[str], positive: str = ""):
        self.names = {folded(name): name for name in classes}
        self.shown = listed(classes)
        if positive:
            if folded(positive) not in self.names:
                raise UserError(f"--positive {positive}: expected one of {self.shown}")
            self.positive = positive_index(classes, self.names[folded(positive)])
            others = [name for place, name in enumerate(classes) if place != self.positive]
            self.names.setdefault(REST, others[0])
        self.given: dict[str, str] = {}
        for pair in filter(str.strip, written.split(",")):
            name, equals, wanted = pair.rpartition("=")
            if not equals or folded(name) in self.given:
                problem = "expected NAME=CLASS" if not equals else "names it twice"
                raise UserError(f"--class_map: {listed([pair])}: {problem}")
            if folded(wanted) not in self.names:
                raise UserError(
                    f"--class_map: {listed([pair])}: expected one of the classes {self.shown}"
                    f"{'' if positive else ' (or, with --positive CLASS, rest)'}"
                )
            self.given[folded(name)] = self.names[folded(wanted)]

    def class_of(self, name: str) -> str:
        """The class of a name, blank where there is none."""
        own = self.given.get(folded(name)) or self.names.get(folded(name))
        return own or self.given.get(ALL_OTHERS, "")

    def classes_of(self, names: Sequence[str]) -> list[str]:
        """The class of each name. Raises `UserError` for names that have none, or are not there."""
        found = [self.class_of(name) for name in names]
        strange = [name for name, own in zip(names, found, strict=True) if not own]
        if strange:
            pairs = ",".join(f"{name}=..." for name in strange[:3])
            raise UserError(
                f"the model's classes ({self.shown}) do not match the data's ({listed(names)}): "
                f"say what {listed(strange)} {'is' if len(strange) == 1 else 'are'} with "
                f"--class_map '{listed([pairs])}'; to detect one class against all others: "
                "--positive CLASS, and NAME=rest or *=rest"
            )
        absent = set(self.given) - {folded(name) for name in names} - {ALL_OTHERS}
        if absent:
            raise UserError(
                f"--class_map: {listed(sorted(absent))}: no such class in the data "
                f"({listed(names)})"
            )
        return found
