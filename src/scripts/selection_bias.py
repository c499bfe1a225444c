"""Estimate how optimistic the best of many runs and epochs is on the rows that chose it.

Reads the validation predictions that the trainer keeps of every epoch, and repeats the choice
without a quarter of the patients, 80 times: what the winner gains by being chosen on the very rows
that it is evaluated on is the winner's curse. Writes `selection_bias.json`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import expect_folder, make_folder, to_strict_json, write_text
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """selection"""

    runs: tuple[Path, ...] = flag(
        REQUIRED, "folder of a sweep, or folders of runs", positional=True, metavar="RUN"
    )
    metric: str = flag("", "metric that the best is chosen by (default: --monitor of the runs)")
    output_dir: Path | None = flag(None, "folder to write to (default: the first RUN)")

    def __post_init__(self):
        differ = len({path.resolve() for path in self.runs}) == len(self.runs)
        require(differ, "RUN: a folder is given twice; expected different ones")


def main(argv: list[str] | None) -> int:
    """0 once all is told; 1 where some files could not be read or some runs not assessed."""
    options = parse_options(argv, __doc__, Options)[0]
    for folder in options.runs:
        expect_folder(folder, "RUN")

    from ..runs.selection import assess_all, find_kept, sentences

    found, problems = find_kept(options.runs)
    where = ", ".join(map(str, options.runs))
    require(
        bool(found) or bool(problems),
        f"{where}: no validation predictions of epochs found; expected runs of this version of the "
        "trainer that have validation rows",
    )
    tried, left_out = assess_all(found, options.metric)
    for line in [*problems, *left_out]:
        print(f"left out: {line}", file=sys.stderr)
    require(bool(tried), f"{where}: no runs left to assess")
    folder = make_folder(options.output_dir or options.runs[0])
    content = [vars(one) | {"optimism": vars(one.optimism)} for one in tried]
    content = [
        one | {"corrected": t.optimism.corrected, "is_told_apart": t.is_told_apart}
        for one, t in zip(content, tried, strict=True)
    ]
    write_text(folder / "selection_bias.json", to_strict_json(content, indent=2))
    print("\n\n".join("\n".join(sentences(one)) for one in tried))
    print(f"written to {folder / 'selection_bias.json'}")
    return 1 if problems or left_out else 0


if __name__ == "__main__":
    run_main(main)
