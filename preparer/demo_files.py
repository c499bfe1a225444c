"""The files of the demo data set: drawn beside their place, then moved there as a whole.

The folder is known by a marker, so that nothing is written over others' files.
"""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from preparer.demo_cases import SPLIT_SHARES, case_paths, ham_table, isic_table, plan_cases
from preparer.draw_dermoscopy import photograph
from preparer.draw_lesion import draw_lesion
from src.core.errors import UserError, require
from src.core.files import clear_unfinished, unfinished
from src.core.progress import in_threads

MARKER = ".demo_data.json"
OWN_FILE = re.compile(
    r"ISIC_9\d{6}(_segmentation)?\.(jpg|png)|ISIC_2020_full\.csv|HAM10000_metadata\.csv"
)
ISIC_TABLE = "isic2020/ISIC_2020_full.csv"
HAM_TABLE = "ham10000/HAM10000_metadata.csv"
VERSION = 2  # raise it when the drawing changes, so that older output is drawn anew
JPEG_QUALITY = 92


def make_demo(output: Path, seed: int, n_images: int) -> str:
    """What `output` holds, once it has the demo data; `UserError` where it holds others' files."""
    target = output.resolve()
    refuse_foreign_files(target)
    settings = {"seed": seed, "n_images": n_images, "version": VERSION}
    cases = plan_cases(seed, n_images)
    if is_complete(target, settings, cases):
        return f"{output} already holds this demo data: {len(cases)} images"
    # A name of this process keeps two runs at once from writing into one folder.
    partial, old = unfinished(target), unfinished(target.with_name(f"{target.name}.old"))
    for name in (target.name, f"{target.name}.old"):
        clear_unfinished(target.parent, name)
    try:
        write_demo(partial, settings, cases)
        if target.exists():
            target.rename(old)
        partial.rename(target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written to ({error.strerror})") from None
    finally:
        if old.exists() and not target.exists():  # stopped between the two
            old.rename(target)
        for folder in (partial, old):
            shutil.rmtree(folder, ignore_errors=True)
    return f"{output}: {len(cases)} images of {cases['patient_id'].nunique()} patients"


def refuse_foreign_files(target: Path) -> None:
    """None where `target` is missing, empty or holds nothing but this maker's output."""
    if not target.exists():
        return
    require(
        target.is_dir(), f"expected a folder, found a file: {target}; choose another --output_dir"
    )
    found = [path for path in target.rglob("*") if not path.is_dir() and path.name != MARKER]
    has_marker = (target / MARKER).is_file()
    foreign = [path for path in found if not (has_marker and OWN_FILE.fullmatch(path.name))]
    if foreign:
        raise UserError(
            f"expected an empty folder or demo data in {target}, found {len(foreign)} other "
            f"file(s) such as {foreign[0].relative_to(target)}; choose another --output_dir"
        )


def is_complete(target: Path, settings: dict, cases: pd.DataFrame) -> bool:
    """Whether `target` holds every file of a run with these settings."""
    marker = target / MARKER
    paths = [path for case in cases.itertuples() for path in case_paths(case)]
    is_same = marker.is_file() and marker.read_text() == marker_text(settings)
    return is_same and all((target / path).is_file() for path in [*paths, ISIC_TABLE, HAM_TABLE])


def marker_text(settings: dict) -> str:
    return json.dumps({"made_by": "preparer/make_demo.py", **settings}, indent=2) + "\n"


def write_demo(folder: Path, settings: dict, cases: pd.DataFrame) -> None:
    """None once `folder` holds both layouts and, written last, the marker."""
    for split in SPLIT_SHARES:
        for name in ("benign", "malignant"):
            (folder / "isic2020" / split / name).mkdir(parents=True)
            (folder / "isic2020" / "masks" / split / name).mkdir(parents=True)
    for name in ("images", "masks"):
        (folder / "ham10000" / name).mkdir(parents=True)
    lesions = [photographs for _, photographs in cases.groupby("lesion")]
    draw = partial(write_lesion, folder, settings["seed"])
    for _ in in_threads(draw, lesions, "drawing", "lesion"):
        pass
    isic_table(cases).to_csv(folder / ISIC_TABLE, sep=";", decimal=",", index=False)
    ham_table(cases).to_csv(folder / HAM_TABLE, index=False)
    (folder / MARKER).write_text(marker_text(settings))


def write_lesion(folder: Path, seed: int, photographs: pd.DataFrame) -> None:
    """None once a lesion is drawn and all its photographs lie in both layouts."""
    lesion = photographs["lesion"].iloc[0]
    pigment = draw_lesion(photographs["dx"].iloc[0], np.random.default_rng([seed, 1, lesion]))
    for case in photographs.itertuples():
        write_case(folder, case, pigment, seed)


def write_case(folder: Path, case: Any, pigment: np.ndarray, seed: int) -> None:
    """None once the case is photographed and its image and mask lie in both layouts."""
    skin_rgb = np.uint8([case.color_r, case.color_g, case.color_b])
    image, mask = photograph(pigment, skin_rgb, np.random.default_rng([seed, 2, case.Index]))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    png = cv2.imencode(".png", mask)[1].tobytes()
    for path, content in zip(case_paths(case), (jpeg, png, jpeg, png), strict=True):
        (folder / path).write_bytes(content)
