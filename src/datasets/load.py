"""From data settings to a checked table with a split."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.config import Data
from ..core.errors import UserError, require
from .adapters import DATASETS
from .checked import Check, digests_and_faults
from .splits import (
    assign_folds,
    assign_splits,
    audit,
    describe_doubts,
    describe_leaks,
    join_valid_to_train,
    published_folds,
    unit_numbers,
)
from .table import Table
from .tone_estimates import tone_source

log = logging.getLogger(__name__)
# where data sets find tone groups if neither --skin_color_csv nor an option `csv` names a table
TABLES_OF = {
    "isic2020": "ISIC_2020_full.csv",
    "siim": "train.csv",
    "ham10000": "HAM10000_metadata.csv",
}


def load_table(data: Data, check: Check | None = None) -> Table:
    """The data set's rows, each with a readable image and a split that does not leak.

    A data set without a split gets a grouped, stratified one. With `--kfold` the rows of `--fold`
    validate and all others but test rows train; with `--train_on_all` there are no validation
    rows. Raises `UserError` for what is wrong with the folder, its CSV, its split or its images.
    """
    table = split_table(data)
    rows = table.rows
    unchecked = int(((rows["patient_id"] == "") & (rows["lesion_id"] == "")).sum())
    if unchecked:
        which = "" if unchecked == len(rows) else f" in {unchecked} of {len(rows)} rows"
        log.warning(
            "No patient_id or lesion_id%s: cannot check whether patients appear in more than one "
            "split.",
            which,
        )
    for doubt in describe_doubts(rows):
        log.warning("%s", doubt)
    if (table.group_indices < 0).all():
        log.info("No tone groups in these data: no results by group.")
    if not data.allow_leakage:
        audit(table, data.kfold)
    elif leaks := describe_leaks(table, data.kfold):
        log.warning("data leakage between splits: results will be optimistic: %s", leaks)
    record = None if data.cache == "none" else Path(data.cache_dir)
    table = without_bad_images(table, data.max_bad_images, record, check)
    for name, reason in table.bad:
        log.warning("left out: %s: %s", name, reason)
    return table


def split_table(data: Data) -> Table:
    """The data set's rows in their splits, which may leak, with images that may be bad."""
    return with_split(read_rows(data), data)


def read_rows(data: Data) -> Table:
    """The data set's rows as it has them, with or without a split; no image is read."""
    path = Path(data.data_path)
    require(path.is_dir(), f"{path}: no such folder; give the data set's folder with --data_path")
    table = DATASETS.build(data.dataset, data_path=path, skin_color_csv=data.skin_color_csv)
    require_few(table.bad, data.max_bad_images)
    if data.skin_color_csv and "skin_color_csv" not in DATASETS.context_names(data.dataset):
        log.warning(
            "--skin_color_csv is not read for --dataset %s: its own table has the tones",
            data.dataset,
        )
    table = replace(table, tone_source=tone_source_of(table, data))
    return with_known_groups(table) if data.known_groups_only else table


def without_bad_images(
    table: Table, max_bad_images: int, record: Path | None = None, check: Check | None = None
) -> Table:
    """The table without rows whose image is missing or cannot be decoded.

    `bad` of the result lists them with their reasons; more than `max_bad_images` of them raise
    `UserError`. The column `content` of the others has the digests of their files, which the
    folder `record` remembers.
    """
    paths = table.rows["image"].tolist()
    digests, reasons = digests_and_faults(paths, record, check)
    bad = list(table.bad)
    bad += [(path, reason) for path, reason in zip(paths, reasons, strict=True) if reason]
    require_few(bad, max_bad_images)
    good = table.rows.assign(content=digests)[[not reason for reason in reasons]]
    return replace(table, rows=good.reset_index(drop=True), bad=tuple(bad))


def require_few(bad: Sequence[tuple[str, str]], max_bad_images: int) -> None:
    """Raise `UserError` that names the first of more than `max_bad_images` bad images."""
    if len(bad) > max_bad_images:
        first = "; ".join(f"{name}: {reason}" for name, reason in bad[:3])
        more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise UserError(
            f"{len(bad)} bad images, expected at most {max_bad_images} ({first}{more}): repair "
            f"them, or leave them out with --max_bad_images {len(bad)}"
        )


def tone_source_of(table: Table, data: Data) -> str:
    """The `tone_source` of the table that the data set's tone groups are of, empty without any."""
    if table.tone_source:
        return table.tone_source
    call = DATASETS.resolve(data.dataset)
    takes_tones = "skin_color_csv" in DATASETS.context_names(data.dataset)
    name = (data.skin_color_csv if takes_tones else "") or call.options.get("csv")
    name = name or TABLES_OF.get(call.name)
    if not name or (table.group_indices < 0).all():
        return ""
    places = (Path(data.data_path) / name, Path(name))
    path = next((path for path in places if path.is_file()), None)
    return tone_source(path) if path else ""


def with_split(table: Table, data: Data) -> Table:
    """The rows in the splits or folds that the settings ask for, new ones where there are none."""
    unsplit = table.rows["split"] == ""
    require(
        unsplit.all() or not unsplit.any(),
        f"{unsplit.sum()} rows have no split; either all rows or none must have one",
    )
    has_folds = (table.rows["fold"] >= 0).any()
    if data.kfold and has_folds:
        log.info("The folds are those of the data's column fold.")
        return published_folds(table, data.kfold, data.fold)
    if data.kfold:
        return assign_folds(table, data.kfold, data.fold, data.split_seed)
    if has_folds:
        log.info("The data's column fold is not used: it takes --kfold.")
    if unsplit.all():
        log.info(describe_new_split(table, data))
        table = assign_splits(table, data.valid_size, data.test_size, data.split_seed)
    return join_valid_to_train(table) if data.train_on_all else table


def describe_new_split(table: Table, data: Data) -> str:
    """One sentence: the shares of a new split, what stays whole in it, and its seed."""
    sizes = (data.train_size, data.valid_size, data.test_size)
    shares = "/".join(f"{100 * size:.3g}" for size in sizes)
    unit = unit_numbers(table.rows)[1].replace("_id", "")
    return f"The data have no split; creating one ({shares}, by {unit}, seed {data.split_seed})."


def with_known_groups(table: Table) -> Table:
    """The rows whose tone group is known. Raises `UserError` where there is none."""
    known = table.group_indices >= 0
    require(
        known.any(), "--known_groups_only: no row has a tone group; give them with --skin_color_csv"
    )
    if not known.all():
        log.info("%d of %d rows left out: no tone group", (~known).sum(), len(table))
    return table.with_rows(table.rows[known])


def table_hash(table: Table) -> str:
    """A digest of names, labels, groups, splits and the images' bytes, whatever their folder."""
    names = table.rows["image"].map(lambda path: Path(path).name)
    rows = table.rows.assign(image=names)[["image", "label", "group", "split", "content"]]
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()
