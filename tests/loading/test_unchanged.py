"""Images that skin-former can never change: counted in the log and listed in the run's folder."""

import logging

import cv2
import numpy as np
import pandas as pd

from src.datasets.table import make_table
from src.loading.unchanged import FILE, list_unchanged
from src.preprocess.spec import parse_preprocessing

SPEC = parse_preprocessing("resize || normalize(stats='half')", 64)
LIGHT, DARK, GREY = (232, 196, 172), (96, 68, 52), (180, 180, 180)
CASES = {  # colour of the skin, whether its mask shows a lesion, group, split, what is told
    "good": (LIGHT, True, 0, "train", ""),
    "cast": (GREY, True, 1, "train", "colour cast"),
    "dark": (DARK, True, 0, "train", "skin as dark already"),
    "bare": (LIGHT, False, 1, "train", "no lesion found"),
    "else": (GREY, True, 3, "train", ""),  # not of a group that is darkened
    "test": (GREY, True, 0, "test", ""),
}


def write(folder):
    """The table of `CASES`, its images and masks in the folder."""
    rows = []
    lesion = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 12, 255, -1)
    for name, (color, has_lesion, group, split, _) in CASES.items():
        image = np.where(lesion[..., None] > 0, (110, 60, 45), color).astype(np.uint8)
        paths = [folder / f"{name}{end}.png" for end in ("", "_mask")]
        cv2.imwrite(str(paths[0]), image[..., ::-1])
        cv2.imwrite(str(paths[1]), lesion * has_lesion)
        rows.append((str(paths[0]), str(paths[1]), 0, group, split))
    frame = pd.DataFrame(rows, columns=["image", "mask", "label", "group", "split"])
    return make_table(frame, ("benign", "malignant"), 1)


def test_what_can_never_be_changed_is_counted_and_listed(tmp_path, caplog):
    table = write(tmp_path)
    with caplog.at_level(logging.INFO):
        list_unchanged(table, SPEC, "skin_former | flips", tmp_path)
        list_unchanged(table, SPEC, "skin_former | flips", tmp_path)  # of a run that is resumed
        list_unchanged(table, SPEC, "flips", tmp_path / "none")
    listed = pd.read_csv(tmp_path / FILE)
    found = {
        path.split("/")[-1][:-4]: reason for path, reason in listed[["image", "reason"]].values
    }
    assert found == {name: case[4] for name, case in CASES.items() if case[4]}
    (line,) = [r.getMessage() for r in caplog.records if "skin_former" in r.getMessage()]
    assert line.startswith(
        "skin_former can change 1 of 4 training images of its tone groups; not 3 ("
    )
    assert "colour cast 1" in line and FILE in line
