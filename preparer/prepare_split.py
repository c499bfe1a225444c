"""A split that keeps patients whole, stratified by class and tone group; reports what leaks.

Reads a CSV in the style of ISIC 2020, reports who appears in more than one `split`, drops rows
equal to an earlier one and writes the CSV with a new split; other cells stay as they are.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import UserError, run_main
from src.core.files import check_output, expect_file
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """split"""

    csv: Path = flag(REQUIRED, "table in the style of ISIC 2020, separated by ; or ,")
    output_csv: Path | None = flag(None, "CSV to write")
    valid_size: float = flag(0.15, "share of rows for validation")
    test_size: float = flag(0.15, "share of rows for the test set")
    seed: int = flag(0, "random seed: the same seed gives the same split")
    audit: bool = flag(False, "report only; exit code 2 where patients or lesions cross splits")
    keep_first: bool = flag(False, "where rows of one image differ, keep the first")

    def __post_init__(self):
        valid, test = self.valid_size, self.test_size
        if not (0 < valid < 1 and 0 <= test < 1 - valid):
            raise UserError(f"--valid_size {valid}, --test_size {test}: expected a sum below 1")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed {self.seed}: expected 0 to {2**32 - 1}")
        if not (self.audit or self.output_csv):
            raise UserError("no output: give --output_csv FILE, or --audit for a report only")


def main(argv: list[str] | None) -> int:
    """0 once `--output_csv` is written; with `--audit` 2 where the split leaks, else 0."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.csv, "--csv")
    if not options.audit:
        check_output(options.output_csv, options.csv)

    from preparer.new_split import read_rows, report, write_split

    rows = read_rows(options.csv)
    text, leaks = report(rows, options.csv)
    print(text)
    if options.audit:
        return 2 if leaks else 0
    sizes = (options.valid_size, options.test_size)
    print(
        write_split(options.csv, rows, options.output_csv, sizes, options.seed, options.keep_first)
    )
    print(f"written to {options.output_csv}")
    return 0


if __name__ == "__main__":
    run_main(main)
