"""Merge what sites returned of one model: counts, AUROC, and how much the sites differ.

Writes `report.html`, `forest.png`, `sites.csv` and `sites.json` into --output_dir.
"""

from typing import Any

from ..core.errors import run_main
from ..core.files import check_output, expect_output_folder
from ..core.options import parse_options
from ..sites.options import MergeOptions


def parse(argv: list[str] | None) -> list[Any]:
    return parse_options(argv, __doc__, MergeOptions)


def main(argv: list[str] | None) -> int:
    (options,) = parse(argv)
    expect_output_folder(options.output_dir, "--output_dir")

    from ..sites.merge import merged, read_sites
    from ..sites.report import FILES, write_report

    for name in FILES:
        check_output(options.output_dir / name, *options.files)

    found = merged(read_sites(options))
    write_report(found, bool(options.keys), options.output_dir)
    print(f"{found['n_sites']} sites: {options.output_dir / 'report.html'}")
    return 0


if __name__ == "__main__":
    run_main(main)
