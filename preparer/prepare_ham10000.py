"""HAM10000 as downloaded, checked: every image opened, duplicates found, `labels.csv` written.

Reads HAM10000_metadata (.csv, or Dataverse's .tab) and the images in `images/` or in
`HAM10000_images_part_1` and `2`. Images that are missing or cannot be read, and copies of an image
under another name, are named and left out. `labels.csv` has `image`, `label`, `lesion_id`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import run_main
from src.core.files import check_output, expect_folder
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """HAM10000"""

    data_path: Path = flag(REQUIRED, "folder of HAM10000, with its metadata and images")
    output_csv: Path | None = flag(None, "CSV to write (default: labels.csv in --data_path)")


def main(argv: list[str] | None) -> int:
    """0 once the CSV is written, 1 where images were left out that are missing or damaged."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.data_path, "--data_path")
    output = options.output_csv or options.data_path / "labels.csv"
    metadata = [options.data_path / f"HAM10000_metadata{s}" for s in (".csv", ".tab", "")]
    check_output(output, *metadata)

    from preparer.labels_csv import checked, describe, write_labels
    from src.datasets.isic import ham10000

    found = checked(ham10000(options.data_path, ""))
    write_labels(output, found.rows)
    print(describe(found))
    print(f"written to {output}")
    return 1 if found.bad else 0


if __name__ == "__main__":
    run_main(main)
