"""What is known of the images of predictions CSVs: by metadata, and by the CSVs themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..core.errors import UserError
from ..core.image_files import image_stem
from ..datasets.splits import says_something
from ..evaluation.predictions import Predictions
from .metadata import Metadata, read_metadata


def known_images(
    names: Sequence[str], metadata: Metadata | None, paths: Sequence[Path], image_column: str = ""
) -> Metadata | None:
    """What the metadata say of these images and, in columns where they say nothing, the CSVs.

    The CSVs at `paths` name the images, each as `names` do. None where neither can say anything:
    without metadata, for a run's files in which several images may have one name.
    """
    if len(set(names)) < len(names):
        return metadata
    own = [read_metadata(path, image_column, key=str.strip) for path in paths]
    rows = pd.concat([table.rows for table in own]).fillna("")
    own = Metadata(paths[0], rows, key=str.strip)
    if metadata is None:
        return own
    said, others = metadata.rows_of(names), own.rows_of(names)
    is_kept = said.apply(says_something).any() | ~said.columns.isin(others)
    said = said.loc[:, is_kept]
    said = said.join(others[others.columns.difference(said.columns, sort=False)])
    return Metadata(metadata.path, said.set_axis(pd.Index(names, dtype=object)), key=str.strip)


def require_apart(valid: Predictions, judged: Predictions) -> None:
    """Raise `UserError` where images to fit on are among those judged, or have other classes."""
    fitted, known = ({image_stem(name) for name in t.names} for t in (valid, judged))
    shared = fitted & known
    if shared:
        raise UserError(
            f"--valid_predictions_csv: {len(shared)} of its images are judged too (first: "
            f"{min(shared)!r}): expected others, or the fit would know the answers"
        )
    if valid.classes != judged.classes:
        raise UserError("--valid_predictions_csv: expected the same classes as --predictions_csv")


def require_units_apart(known: Metadata | None, valid: Predictions, judged: Predictions) -> None:
    """Raise `UserError` where patients or lesions to fit on are among those judged."""
    if known is None:
        return
    units, what = known.units(valid.names + judged.names)
    fitted, rest = (set(part.tolist()) for part in np.split(units, [len(valid.names)]))
    shared = len(fitted & rest)
    if shared:
        raise UserError(
            f"--valid_predictions_csv: {shared:,} of its {len(fitted):,} units ({what}) are judged "
            "too: expected others, or the fit would know them; to fit all the same: "
            "--allow_leakage"
        )
