"""A split or folds that keep patients and lesions whole, stratified by class and tone group.

Reads a table of images, reports who appears in more than one `split` or `fold`, drops rows equal to
an earlier one and writes the CSV with a new `split` and, with --kfold, `fold`; other cells stay as
they are.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import require, run_main
from src.core.files import check_output, expect_file
from src.core.options import MAX_SEED, REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """split"""

    csv: Path = flag(REQUIRED, "table of images, separated by comma, semicolon or tab")
    output_csv: Path | None = flag(None, "CSV to write")
    valid_size: float | None = flag(
        None, "share of rows for validation (default: 0.15; with --kfold each fold validates)"
    )
    test_size: float = flag(
        0.15, "share of rows for the test set; with --kfold and 0 the table's own test set stays"
    )
    kfold: int = flag(0, "folds to assign to all rows but the test set (0: none)", least=0)
    seed: int = flag(0, "random seed: the same seed gives the same split", least=0, most=MAX_SEED)
    image_column: str = flag("", "column with the images' names (default: one with a usual name)")
    label_column: str = flag("", "column with the classes (default: one with a usual name)")
    patient_column: str = flag("", "column with the patients (default: patient_id)")
    lesion_column: str = flag("", "column with the lesions (default: lesion_id)")
    audit: bool = flag(
        False,
        "report only; exit code 2 where patients or lesions cross splits or folds, or without any",
    )
    keep_first: bool = flag(False, "where rows of one image differ, keep the first")

    def __post_init__(self):
        super().__post_init__()
        require(self.kfold != 1, "--kfold 1: expected 0 (no folds), or 2 or more")
        if self.kfold:
            told = f"--valid_size {self.valid_size}: leave it out with --kfold, each fold validates"
            require(self.valid_size is None, told)
        valid, test = self.shares
        fits = (self.kfold or valid > 0) and 0 <= test < 1 - valid
        require(fits, f"--valid_size {valid}, --test_size {test}: expected a sum below 1")
        has_output = self.audit or self.output_csv
        require(has_output, "no output: give --output_csv FILE, or --audit for a report only")

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of validation rows, 0 where each fold validates, and of test rows."""
        valid = 0.15 if self.valid_size is None else self.valid_size
        return (0.0 if self.kfold else valid), self.test_size


def main(argv: list[str] | None) -> int:
    """0 once `--output_csv` is written; with `--audit` 2 unless there is a split without leaks."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.csv, "--csv")
    if not options.audit:
        check_output(options.output_csv, options.csv)

    from preparer.new_split import read_rows, report, write_split

    columns = (options.image_column, options.label_column)
    units = (options.patient_column, options.lesion_column)
    rows = read_rows(options.csv, *columns, *units)
    text, leaks = report(rows)
    print(text)
    if options.audit:
        return 2 if leaks else 0
    new = (options.shares, options.kfold, options.seed)
    print(write_split(rows, options.output_csv, *new, options.keep_first))
    print(f"written to {options.output_csv}")
    return 0


if __name__ == "__main__":
    run_main(main)
