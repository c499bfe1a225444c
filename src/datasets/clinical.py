"""Clinical photographs with skin tones that people gave: DDI, Fitzpatrick17k, PAD-UFES-20.

Their tones are groups of their own (see `fitzpatrick.py`). Labels are columns as published.
"""

from dataclasses import replace
from pathlib import Path

from ..core.classes import BINARY_CLASSES
from ..core.errors import require
from .own_table import table
from .table import REST_MEL, Table

PAD_UFES_20_CLASSES = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")
PAD_UFES_20_CANCERS = ("BCC", "MEL", "SCC")
FITZPATRICK17K_CLASSES = {
    "three_partition_label": ["non-neoplastic", "benign", "malignant"],
    "nine_partition_label": None,
    "label": None,
}


def ddi(data_path: Path) -> Table:
    """DDI: `ddi_metadata.csv` beside the images, or with them in `images/`.

    Classes are benign and malignant, groups the Fitzpatrick pairs I–II, III–IV and V–VI.
    """
    made = table(
        data_path,
        csv="ddi_metadata.csv",
        image="DDI_file",
        label="malignant",
        group="skin_tone",
        classes=["False", "True"],
    )
    return replace(made, classes=BINARY_CLASSES)


def fitzpatrick17k(
    data_path: Path, *, label: str = "three_partition_label", positive: str | None = None
) -> Table:
    """Fitzpatrick17k: `fitzpatrick17k.csv` and `<md5hash>.jpg` in `images/` or another folder.

    `label` is one of its columns: three or nine partitions, or `label`, the 114 conditions.
    Groups are the Fitzpatrick types I to VI. It names no patients.
    """
    known = " or ".join(map(repr, FITZPATRICK17K_CLASSES))
    require(label in FITZPATRICK17K_CLASSES, f"fitzpatrick17k(label={label!r}): expected {known}")
    return table(
        data_path,
        csv="fitzpatrick17k.csv",
        image="md5hash",
        label=label,
        group="fitzpatrick_scale",
        positive=positive,
        classes=FITZPATRICK17K_CLASSES[label],
    )


def pad_ufes_20(data_path: Path, *, task: str = "diagnosis") -> Table:
    """PAD-UFES-20: `metadata.csv` and images in `imgs_part_1` to `3`, maybe within `images/`.

    `task='diagnosis'` has the six diagnoses, `'cancer'` sets the three cancers (BCC, MEL, SCC)
    against the rest, `'melanoma'` melanoma alone. Groups are the Fitzpatrick types I to VI.
    """
    tasks = ("diagnosis", "cancer", "melanoma")
    known = " or ".join(map(repr, tasks))
    require(task in tasks, f"pad_ufes_20(task={task!r}): expected {known}")
    parts = [f"{above}imgs_part_{part}" for above in ("", "images/") for part in (1, 2, 3)]
    made = table(
        data_path,
        csv="metadata.csv",
        image="img_id",
        label="diagnostic",
        group="fitspatrick",
        images=[part for part in parts if (data_path / part).is_dir()] or None,
        classes=[*PAD_UFES_20_CLASSES],
    )
    if task == "cancer":
        return made.against_rest(PAD_UFES_20_CANCERS, ("rest", "cancer"))
    return made.against_rest(("MEL",), REST_MEL) if task == "melanoma" else made
