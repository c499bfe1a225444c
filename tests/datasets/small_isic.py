"""What writes a small ISIC 2020 folder, and reads CSVs with the csv module alone."""

import csv
from pathlib import Path

import cv2
import numpy as np

SPLITS = ("train", "valid", "test")


def write_image(path: Path, seed: int = 0) -> Path:
    """A 40 x 32 image of coloured squares, in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    squares = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), np.uint8)
    image = cv2.resize(squares, (32, 40), interpolation=cv2.INTER_NEAREST)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def write_csv(path: Path, rows: list[dict], separator: str = ";") -> Path:
    """The rows as a CSV with the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_rows(path: Path) -> list[dict]:
    """The rows of a CSV as text, read with the csv module alone."""
    with path.open(newline="", encoding="utf-8") as file:
        separator = ";" if ";" in file.readline() else ","
        file.seek(0)
        return list(csv.DictReader(file, delimiter=separator))


def isic_rows(n_patients: int = 12) -> list[dict]:
    """Two images of each patient, one benign and one malignant, whole patients in a split."""
    return [
        {
            "image_name": f"ISIC_{2 * patient + target}.jpg",
            "ita": "43,5",
            "group": patient % 4,
            "patient_id": f"IP_{patient}",
            "target": target,
            "split": SPLITS[patient % 3],
        }
        for patient in range(n_patients)
        for target in (0, 1)
    ]
