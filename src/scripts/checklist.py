"""Fill a paper's reporting checklist from the files of a run: TRIPOD+AI, CLAIM 2024, CLEAR Derm.

Every item is answered from the run, with the files and their hashes, or left to the author. Writes
`checklist_<standard>.md`, `.html` and `.docx` into the folder of each run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import require, run_main
from ..core.files import expect_folder, make_folder
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """checklist"""

    runs: tuple[Path, ...] = flag(REQUIRED, "folders of runs", positional=True, metavar="RUN")
    standard: Literal["tripod_ai", "claim", "clear_derm"] = flag(
        "tripod_ai", "guideline: tripod_ai, claim or clear_derm"
    )
    output_dir: Path | None = flag(None, "folder to write to, for one RUN (default: RUN)")

    def __post_init__(self):
        super().__post_init__()
        is_one = len(self.runs) == 1
        require(is_one or self.output_dir is None, "--output_dir: expected with a single RUN")


def main(argv: list[str] | None) -> None:
    """None once the checklists are written."""
    options = parse_options(argv, __doc__, Options)[0]
    for folder in options.runs:
        expect_folder(folder, "RUN")

    from ..checklist.facts import Run
    from ..checklist.standards import STANDARDS
    from ..checklist.write import fill, write_checklist

    name = STANDARDS[options.standard][0]
    for folder in options.runs:
        answers = fill(Run(folder), options.standard)
        target = make_folder(options.output_dir or folder)
        title = f"{name} checklist of {folder.resolve().name}"
        paths = write_checklist(answers, title, target / f"checklist_{options.standard}")
        n_open = sum(one.is_open for one in answers)
        print(f"{folder}: {len(answers) - n_open} of {len(answers)} items answered from the run")
        print(f"  left to the author: {', '.join(one.number for one in answers if one.is_open)}")
        print(f"  written to {', '.join(map(str, paths))}")


if __name__ == "__main__":
    run_main(main)
