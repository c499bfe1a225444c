"""Write the reference of all flags, docs/FLAGS.md, from the options themselves."""

import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..cluster.options import Cluster
from ..core.config import SECTIONS
from ..core.errors import run_main
from ..core.files import check_output, write_text
from ..core.legacy_flags import LEGACY_FLAGS
from ..core.options import REQUIRED, flag, parse_options
from ..evaluator.flags import CsvColumns, EvaluationOptions, Source
from ..explanation.options import Explanations
from ..prediction.options import PredictionOptions

PROGRAMS = {
    "melanoma_train.py": tuple(SECTIONS.values()),
    "run_with_submitit.py (besides those of melanoma_train.py)": (Cluster,),
    "melanoma_eval.py": (Source, CsvColumns, EvaluationOptions),
    "predict.py": (PredictionOptions, Explanations),
}
HEAD = """# Flags

Written by `python -m src.scripts.flag_reference`, and compared with the options by a test: do not
edit. A flag of `melanoma_train.py` is also a key of its YAML files, and `--help` of any command
lists what that command takes.
"""


@dataclass(frozen=True)
class Options:
    """reference"""

    output: Path = flag(Path("docs/FLAGS.md"), "file to write")


def reference() -> str:
    """The text of docs/FLAGS.md."""
    parts = [HEAD]
    for program, sections in PROGRAMS.items():
        parts += [f"\n## {program}\n"]
        for section in sections:
            title = (section.__doc__ or "").partition("\n")[0]
            parts += [f"\n| {title[:1].upper()}{title[1:]} | default | meaning |\n|---|---|---|\n"]
            parts += [_row(f) for f in fields(section)]
    parts += ["\n## Flags of earlier systems\n\n| flag | meaning |\n|---|---|\n"]
    parts += [f"| `--{name}` | {_cell(old.help)} |\n" for name, old in LEGACY_FLAGS.items()]
    return "".join(parts)


def _row(option: Any) -> str:
    """A line of a table: the flag's spellings and choices, its default and its meaning."""
    names = (f"--{option.name}", *option.metadata["also"])
    if option.metadata["positional"]:
        names = (option.metadata["metavar"] or option.name.upper(),)
    meaning = option.metadata["help"]
    choices = [word for word in typing.get_args(option.type) if isinstance(word, str)]
    if choices:
        meaning += f" ({', '.join(choices)})"
    spellings = ", ".join(f"`{name}`" for name in names)
    return f"| {spellings} | {_default(option.default)} | {_cell(meaning)} |\n"


def _default(value: Any) -> str:
    if value is REQUIRED:
        return "required"
    if value in (None, "", ()):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, tuple):
        text = " ".join(map(str, value))
    return "`" + text.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main(argv: list[str] | None) -> None:
    """None once the file is written."""
    options = parse_options(argv, __doc__, Options)[0]
    check_output(options.output)
    write_text(options.output, reference())


if __name__ == "__main__":
    run_main(main)
