"""A model's evaluation at a site: images and CSV in, signed aggregates out; no row leaves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..artifact.contract import Contract
from ..core.errors import require
from ..core.files import check_output, expect_folder, file_sha256, write_text
from ..core.image_files import list_images
from ..core.progress import in_threads, progress
from ..inference.batches import Work, predict_batches
from ..inference.model import SkinLesionPredictor
from ..preprocess.image import ImageError, read_reduced
from ..skin.shapes import HAIR_SIDE, reduced
from ..skin.tone import GROUP_NAMES, estimate_tone
from ..skin.view import skin_in_view
from .disclosure import FLAGGED, LEAST, NUMBER, histogram, what_is_told
from .options import SiteOptions
from .ranking import auroc_by_patient
from .rows import UNKNOWN, Rows, read_rows
from .signature import read_key, signed

FORMAT = "melanoma site 1"
SKIN_TONE = "skin tone, estimated"
REST = ""  # the groups of which nothing is told, together
CLASSES = ("positive", "negative")


def evaluate_site(options: SiteOptions, model_path: Path) -> dict[str, Any]:
    """Write the signed aggregates of `options.output_json`; what they are."""
    expect_folder(options.input_folder, "--input_folder")
    key = read_key(options.key_file, "--key_file")
    paths = list_images(options.input_folder, recursive=True)
    require(bool(paths), f"--input_folder {options.input_folder}: no images in it")
    check_output(options.output_json, options.csv, options.key_file, model_path, *paths)
    model = SkinLesionPredictor(model_path)
    contract = model.contract
    rows = read_rows(options, paths, contract.classes, contract.positive)
    scores, decisions = _predicted(model, rows.paths, options.batch_size)
    read = np.flatnonzero(decisions >= 0)
    least = f"expected {LEAST} or more, so that something may be told"
    require(len(read) >= LEAST, f"{len(read)} images with a prediction: {least}")
    name = options.group_by or SKIN_TONE
    groups = _tones(rows.paths) if rows.groups is None else rows.groups
    flagged = decisions[read] == contract.positive
    content = _head(options, model_path, contract, rows, len(rows.paths) - len(read))
    content |= aggregates(
        scores[read], flagged, rows.positive[read], rows.patients[read], name, groups[read]
    )
    write_text(options.output_json, signed(content, key))
    return content


def aggregates(
    scores: np.ndarray,
    flagged: np.ndarray,
    positive: np.ndarray,
    patients: np.ndarray,
    name: str,
    groups: np.ndarray,
) -> dict[str, Any]:
    """What may be told of N images: counts of `all`, `by_group` of the grouping called `name`,
    `histograms` of the scores by class and group, and the `auroc_standard_error` over patients.

    `scores` [N] are the positive class's probabilities, `flagged` [N] the decisions. There is one
    grouping: counts by several could be subtracted from each other.
    """
    by_group = _table(flagged, positive, groups)
    kinds = dict(zip(CLASSES, (positive, ~positive), strict=True))
    return {
        "all": _table(flagged, positive, np.full(len(scores), ""))[""],
        "grouping": name,
        "by_group": {group: told for group, told in by_group.items() if any(told.values())},
        "histograms": {
            kind: _histograms(scores[part], flagged[part], groups[part], by_group, kind)
            for kind, part in kinds.items()
        },
        "auroc_standard_error": _standard_error(scores, positive, patients),
    }


def _standard_error(scores: np.ndarray, positive: np.ndarray, patients: np.ndarray) -> float | None:
    """In two digits; None where a class is too small, or ranked so well that it would tell."""
    if min(positive.sum(), (~positive).sum()) < LEAST:
        return None
    by_class = (patients[positive], patients[~positive])
    error = auroc_by_patient(scores[positive], scores[~positive], by_class)[1]
    return float(f"{error:.1e}") if error > 0 else None


def _table(flagged: np.ndarray, positive: np.ndarray, texts: np.ndarray) -> dict[str, dict]:
    """Of each group and class what is told: the number `n`, and how many were `flagged`."""
    names = sorted(set(texts.tolist()))
    table: dict[str, dict] = {name: {} for name in names}
    for kind, is_kind in zip(CLASSES, (positive, ~positive), strict=True):
        yes = [int((flagged & is_kind & (texts == name)).sum()) for name in names]
        no = [int((~flagged & is_kind & (texts == name)).sum()) for name in names]
        _, levels = what_is_told(yes, no)
        for name, level, n_yes, n_no in zip(names, levels, yes, no, strict=True):
            table[name][kind] = {
                **({"n": n_yes + n_no} if level >= NUMBER else {}),
                **({"flagged": n_yes} if level >= FLAGGED else {}),
            }
    return table


def _histograms(
    scores: np.ndarray, flagged: np.ndarray, texts: np.ndarray, table: dict, kind: str
) -> dict[str, dict]:
    """Of a class's images: a histogram of each group whose number is told, and of the others."""
    told = [name for name, counts in table.items() if "n" in counts[kind]]
    parts = {name: texts == name for name in told}
    rest = ~np.isin(texts, told)
    if rest.sum() >= LEAST:
        parts[REST] = rest
    found = {}
    for name, part in parts.items():
        hidden = name == REST or "flagged" not in table[name][kind]
        secret = [int((part & ~flagged).sum())] if hidden else []
        found[name] = histogram(scores[part], secret)
    return found


def _predicted(
    model: SkinLesionPredictor, paths: Sequence[Path], batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """(the positive class's probability, NaN without one; the decided class, -1 without) [N]."""
    starts = range(0, len(paths), batch_size)
    batches = (paths[start : start + batch_size] for start in starts)
    found = predict_batches(model.predictors, batches, Work(batch_size, tta=model.tta))
    scores, decisions = [], []
    for batch in progress(found, "predicting", len(starts), "batch"):
        for one, decision in model.decided(batch):
            is_good = decision >= 0
            scores.append(one.probabilities[model.contract.positive] if is_good else np.nan)
            decisions.append(decision)
    return np.array(scores, np.float64), np.array(decisions)


def _tones(paths: Sequence[Path]) -> np.ndarray:
    return np.array(list(in_threads(_tone, paths, "skin tones", "image")))


def _tone(path: Path) -> str:
    """The name of an image's tone group, `UNKNOWN` where it has no valid one."""
    try:
        image = reduced(read_reduced(path, HAIR_SIDE)[0])
    except ImageError:
        return UNKNOWN
    seen = skin_in_view(image)
    tone = estimate_tone(seen.image, seen.skin, domain=seen.domain)
    return GROUP_NAMES[tone.group] if tone.valid else UNKNOWN


def _head(
    options: SiteOptions, model_path: Path, contract: Contract, rows: Rows, n_unread: int
) -> dict[str, Any]:
    """What the counts are of."""
    rule = contract.rule
    return {
        "format": FORMAT,
        "version": __version__,
        "site": options.site,
        "model": file_sha256(model_path),
        "positive": contract.classes[contract.positive],
        "rule": str(rule),
        "threshold": rule.options["value"] if rule.name == "threshold" else None,
        "least_cell": LEAST,
        "patients_known": bool(options.patient_column),
        "unread": _about(n_unread),
        "images_without_a_line": _about(rows.without_row),
    }


def _about(count: int) -> int | str:
    return count if count == 0 or count >= LEAST else f"fewer than {LEAST}"
