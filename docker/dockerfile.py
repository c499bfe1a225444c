"""The instructions of a Dockerfile, in its stages."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """`FROM base AS name` and what follows it: (instruction, its text), in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def texts(self, instruction: str) -> list[str]:
        """The texts of all its steps of one kind."""
        return [text for kind, text in self.steps if kind == instruction]

    def copies(self) -> list[tuple[str, list[str], str]]:
        """(stage to copy from or "", sources, target) of each COPY."""
        found = []
        for text in self.texts("COPY"):
            words = shlex.split(text)
            origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
            found.append((origin, words[:-1], words[-1]))
        return found


def read_dockerfile(path: Path) -> list[Stage]:
    """The stages of a Dockerfile. Raises `ValueError` for a line that is no instruction."""
    stages: list[Stage] = []
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in filter(str.strip, re.sub(r"\\\n\s*", " ", text).splitlines()):
        kind, _, rest = line.partition(" ")
        if kind == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif kind.isupper() and stages:
            stages[-1].steps.append((kind, rest.strip()))
        else:
            raise ValueError(f"{path}: expected an instruction, found {line!r}")
    return stages
