"""What runs at a site: a model on a folder and a CSV, and aggregate JSON. No torch, no network."""

import csv
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UserError, require
from ..core.files import expect_file, expect_folder, write_text
from ..core.options import REQUIRED, Section, flag, parse_options
from .disclosure import LEAST, auroc, cells_of, histogram, is_safe, safe_groups
from .signed import read_key, signed

VERSION = 1
MAX_CSV_BYTES = 100_000_000


@dataclass(frozen=True)
class Options(Section):
    """site"""

    input_folder: Path = flag(REQUIRED, "folder of images")
    csv: Path = flag(REQUIRED, "CSV image_name,label[,group]; label by its class name")
    key: Path = flag(REQUIRED, "file with the site's secret key, 16 bytes or more")
    site: str = flag(REQUIRED, "name of the site in the pooled report")
    output: Path = flag(Path("site.json"), "file to write")


def collect(argv: Sequence[str] | None, model: Path) -> int:
    """0 once the site's file is written; what is in it is all that leaves."""
    options = parse_options(None if argv is None else list(argv), collect.__doc__, Options)[0]
    expect_folder(options.input_folder, "--input_folder")
    expect_file(options.csv, "--csv")
    key = read_key(options.key)
    require(0 < len(options.site.strip()) <= 60, "--site: expected a name of up to 60 characters")
    content = site_content(options.site.strip(), model, options.input_folder, options.csv)
    write_text(options.output, signed(content, key))
    sys.stdout.write(
        f"{content['n']} images evaluated; {options.output} holds aggregates alone: read it\n"
    )
    return 0


def site_content(site: str, model: Path, folder: Path, table: Path) -> dict[str, Any]:
    """The aggregates of a site. Raises `UserError` for rows that cannot be evaluated."""
    from ..inference.batches import Work
    from ..inference.predictor import OnnxPredictor, predict_together

    predictor = OnnxPredictor(model)
    contract = predictor.contract
    rows = read_rows(table, folder, contract.classes)
    found = [one for (one,) in predict_together([predictor], [r[0] for r in rows], Work(32))]
    kept = [place for place, one in enumerate(found) if one.probabilities is not None]
    n_failed = len(found) - len(kept)
    require(len(kept) >= 4 * LEAST, f"{table}: {len(kept)} images can be evaluated; too few")
    probabilities = np.stack([found[place].probabilities for place in kept])
    positive = np.clip(probabilities[:, contract.positive].astype(float), 1e-6, 1 - 1e-6)
    return {
        "version": VERSION,
        "site": site,
        "model": hashlib.sha256(model.read_bytes()).hexdigest(),
        "positive": contract.classes[contract.positive],
        "n": len(kept),
        "n_failed": n_failed if n_failed == 0 or n_failed >= LEAST else f"fewer than {LEAST}",
    } | aggregates(
        scores=np.log(positive / (1 - positive)),
        target=np.array([rows[place][1] == contract.positive for place in kept]),
        decided=contract.decide(probabilities) == contract.positive,
        groups=[rows[place][2] for place in kept],
        threshold=_threshold(contract),
    )


def _threshold(contract: Any) -> float | None:
    """The logit at which a row is decided positive, where the rule is a threshold."""
    value = contract.rule.options.get("value") if contract.rule.name == "threshold" else None
    if value is None or not 0 < value < 1 or len(contract.classes) != 2:
        return None
    return float(np.log(value / (1 - value)))


def aggregates(
    scores: np.ndarray,
    target: np.ndarray,
    decided: np.ndarray,
    groups: Sequence[str],
    threshold: float | None,
) -> dict[str, Any]:
    """Counts, AUROC and histogram of all rows, and counts and AUROC of the groups that may be told.

    `scores` are logits [N], `target` and `decided` bool [N]. No cell is below `LEAST`, nor is one
    that follows from the others.
    """
    total = cells_of(target, decided)
    if not is_safe(total):
        nothing = {"edges": [], "positive": [], "negative": []}
        return {"cells": None, "auroc": None, "histogram": nothing, "groups": {}}
    names = np.array(groups)
    own = {name: names == name for name in sorted({*groups} - {""})}
    cells = {name: cells_of(target[rows], decided[rows]) for name, rows in own.items()}
    told = safe_groups(cells, total)
    return {
        "cells": total,
        "auroc": _rounded(auroc(scores, target)),
        "histogram": histogram(scores, target, threshold),
        "groups": {
            name: {
                "cells": cells[name],
                "auroc": _rounded(auroc(scores[own[name]], target[own[name]])),
            }
            for name in told
        },
    }


def _rounded(pair: tuple[float, float]) -> list[float]:
    return [round(value, 3) for value in pair]


def read_rows(table: Path, folder: Path, classes: Sequence[str]) -> list[tuple[Path, int, str]]:
    """(image file, class index, group or "") of each row. Raises `UserError` for bad rows."""
    require(table.stat().st_size <= MAX_CSV_BYTES, f"--csv {table}: too large")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error):
        raise UserError(f"--csv {table}: not a CSV in UTF-8") from None
    lacking = [c for c in ("image_name", "label") if not rows or c not in rows[0]]
    require(not lacking, f"--csv {table}: no column {', '.join(lacking)}, or no rows")
    known = {name: place for place, name in enumerate(classes)}
    found, seen, root = [], set(), folder.resolve()
    for line, row in enumerate(rows, 2):
        name, label = (row["image_name"] or "").strip(), (row["label"] or "").strip()
        where = f"--csv {table}, line {line}"
        require(
            label in known, f"{where}: label '{label[:40]}': expected one of {', '.join(classes)}"
        )
        path = (root / name).resolve()
        require(root in path.parents, f"{where}: '{name[:80]}' is not in {folder}")
        require(path.is_file(), f"{where}: no image {name[:80]} in {folder}")
        require(path not in seen, f"{where}: {name[:80]} is there twice")
        seen.add(path)
        found.append((path, known[label], (row.get("group") or "").strip()[:60]))
    return found
