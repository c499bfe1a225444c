"""Tone groups for a table: from its colours, or from the angles that estimate_ita wrote.

Sets the columns ita, fitzpatrick, group, group_str and tone_source and reports how images move
between groups. Other cells stay as they are.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import require, run_main
from src.core.files import check_output, expect_file
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """tone groups"""

    csv: Path = flag(REQUIRED, "table of images, separated by ; or ,")
    output_csv: Path | None = flag(
        None, "CSV to write, the table with tone groups (default: report only)"
    )
    ita_csv: Path | None = flag(
        None, "CSV that estimate_ita wrote (default: angles of the table's colours)"
    )
    method: Literal["cielab", "opencv8"] | None = flag(
        None, "conversion from colour to angle (default: cielab; opencv8: that of earlier work)"
    )
    compare_csv: Path | None = flag(
        None, "another CSV of estimate_ita, to compare the new groups with"
    )

    def __post_init__(self):
        require(
            not (self.method and self.ita_csv),
            "--method is for the table's colours: leave it or --ita_csv out",
        )


def main(argv: list[str] | None) -> None:
    """None once the report is printed and `--output_csv`, if given, is written."""
    options = parse_options(argv, __doc__, Options)[0]
    inputs = (options.csv, options.ita_csv, options.compare_csv)
    for name, path in zip(("--csv", "--ita_csv", "--compare_csv"), inputs, strict=True):
        expect_file(path, name)
    if options.output_csv:
        check_output(options.output_csv, *filter(None, inputs))

    from preparer.tone_groups import new_tones, read_metadata, report, write_tones

    rows, stems = read_metadata(options.csv)
    tones = new_tones(rows, stems, options.csv, options.ita_csv, options.method or "cielab")
    print(report(rows, stems, tones, options.csv, options.compare_csv))
    if options.output_csv:
        write_tones(options.csv, rows, stems, tones, options.output_csv)
        print(f"written to {options.output_csv}")


if __name__ == "__main__":
    run_main(main)
