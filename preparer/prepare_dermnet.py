"""DermNet's acne as one more class: its images opened, duplicates found, rows for a table.

Looks for folders whose names contain `acne`, such as `train/Acne and Rosacea Photos`, at any depth.
With --labels_csv, that of prepare_ham10000.py for example, the rows are added to it: eight classes.
DermNet names no patients, and its own train and test folders share some, so they are no split.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.core.errors import require, run_main
from src.core.files import check_output, expect_file, expect_folder
from src.core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """DermNet"""

    dermnet: Path = flag(REQUIRED, "folder of DermNet, or that of its acne images")
    output_csv: Path = flag(REQUIRED, "CSV to write")
    labels_csv: Path | None = flag(None, "CSV with image, label and lesion_id to add the rows to")
    label: str = flag("acne", "class of the images")
    folder_name: str = flag("acne", "what the name of a folder of theirs contains, in any case")
    file_name: str = flag("", "what the name of an image contains, in any case (default: anything)")

    def __post_init__(self):
        require(bool(self.label.strip()), "--label: expected the name of a class")


def main(argv: list[str] | None) -> int:
    """0 once the CSV is written, 1 where images were left out that cannot be read."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.dermnet, "--dermnet")
    expect_file(options.labels_csv, "--labels_csv")
    check_output(options.output_csv, *filter(None, [options.labels_csv]))

    from preparer.labels_csv import checked, describe, images_of_class, joined, write_labels

    names = (options.folder_name, options.file_name)
    found = checked(images_of_class(options.dermnet, options.label, *names))
    print(describe(found))
    rows = joined(options.labels_csv, found.rows) if options.labels_csv else found.rows
    write_labels(options.output_csv, rows)
    print(f"written to {options.output_csv}: {len(rows):,} images")
    return 1 if found.bad else 0


if __name__ == "__main__":
    run_main(main)
