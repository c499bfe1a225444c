"""Training images that an augmentation of the skin can never change: counted, named, listed."""

import logging
from pathlib import Path

import numpy as np

from ..core.cells import csv_text
from ..core.files import write_text
from ..core.progress import in_threads
from ..datasets.table import Table
from ..preprocess.spec import Preprocessing
from .augment import Augmentation
from .loaders import LocalISICDataset

log = logging.getLogger(__name__)
FILE = "skin_former_unchanged.csv"


def list_unchanged(table: Table, spec: Preprocessing, augment: str, folder: Path) -> None:
    """Write `folder/FILE` (`image,group,reason`) and say in one line of the log what it holds.

    Of the training images in the tone groups that `augment` darkens. Nothing where it darkens none,
    and where a run that is resumed has the file.
    """
    augmentation = Augmentation(augment)
    if augmentation.groups is None or (folder / FILE).exists():
        return
    rows = LocalISICDataset(table.split("train"), spec, augmentation)
    chosen = np.flatnonzero(np.isin(rows.groups, [*augmentation.groups])).tolist()
    reasons = [*in_threads(rows.why_unchanged, chosen, "skin-former", "image")]
    left = table.split("train").rows[["image", "group"]].iloc[chosen].assign(reason=reasons)
    left = left[left["reason"] != ""]
    write_text(folder / FILE, csv_text(left))
    counts = ", ".join(f"{reason} {n:,}" for reason, n in left["reason"].value_counts().items())
    log.info(
        "skin_former can change %s of %s training images of its tone groups%s",
        f"{len(chosen) - len(left):,}",
        f"{len(chosen):,}",
        f"; not {len(left):,} ({counts}), listed in {folder / FILE}" if len(left) else "",
    )
