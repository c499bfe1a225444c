"""A small ISIC 2020 folder that a test may change."""

from pathlib import Path

import pytest

from tests.datasets.small_isic import isic_rows, read_rows, write_csv, write_image


@pytest.fixture
def isic(tmp_path) -> Path:
    """An ISIC 2020 folder with `ISIC_2020_full.csv`: 24 images of 12 patients."""
    root = tmp_path / "isic"
    rows = isic_rows()
    for number, row in enumerate(rows):
        label = ("benign", "malignant")[row["target"]]
        write_image(root / row["split"] / label / row["image_name"], number)
    write_csv(root / "ISIC_2020_full.csv", rows)
    return root


@pytest.fixture
def edit_csv(isic):
    """A function that rewrites the CSV of `isic` by changing its list of rows in place."""

    def edit(change, separator: str = ";") -> Path:
        path = isic / "ISIC_2020_full.csv"
        rows = read_rows(path)
        change(rows)
        return write_csv(path, rows, separator)

    return edit
