"""Tone groups for a table: from its colours, or from the angles that estimate_ita wrote.

Sets the columns ita, fitzpatrick, group and group_str and reports how images move between groups.
Other cells stay as they are.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import UserError, run_main
from src.core.files import check_output, expect_file
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """tone groups"""

    csv: Path = flag(REQUIRED, "table of images, separated by ; or ,", metavar="CSV")
    output_csv: Path | None = flag(
        None, "CSV to write, the table with tone groups (default: report only)", metavar="CSV"
    )
    ita_csv: Path | None = flag(
        None, "CSV that estimate_ita wrote (default: angles of the table's colours)", metavar="CSV"
    )
    method: Literal["cielab", "opencv8"] | None = flag(
        None, "conversion from colour to angle (default: cielab; opencv8: that of earlier work)"
    )
    compare_csv: Path | None = flag(
        None, "another CSV of estimate_ita, to compare the new groups with", metavar="CSV"
    )

    def __post_init__(self):
        if self.method and self.ita_csv:
            raise UserError("--method is for the table's colours: leave it or --ita_csv out")


def parse(argv: list[str] | None) -> Options:
    """The command line. Raises `UserError` for a mistake in it."""
    return parse_options(argv, __doc__, Options)[0]


def main(argv: list[str] | None) -> None:
    """None once the report is printed and `--output_csv`, if given, is written."""
    options = parse(argv)
    inputs = {"--csv": options.csv, "--ita_csv": options.ita_csv}
    inputs = {
        n: path for n, path in (inputs | {"--compare_csv": options.compare_csv}).items() if path
    }
    for name, path in inputs.items():
        expect_file(path, name)
    if options.output_csv:
        check_output(options.output_csv, *inputs.values())

    from preparer.tone_group_report import report
    from preparer.tone_groups import new_tones, read_metadata, write_tones

    rows, stems = read_metadata(options.csv)
    tones = new_tones(rows, stems, options.csv, options.ita_csv, options.method or "cielab")
    print(report(rows, stems, tones, options.csv, options.compare_csv))
    if options.output_csv:
        write_tones(options.csv, rows, stems, tones["ita"].to_numpy(), options.output_csv)
        print(f"written to {options.output_csv}")


if __name__ == "__main__":
    run_main(main)
