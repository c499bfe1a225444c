"""Any CSV as a data set: which of its columns are what, and where its images are."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..core.cells import tidy, visible
from ..core.errors import UserError, nearest, require
from ..core.image_files import image_keys
from .csv_files import numbers, read_csv, refuse_cells
from .fitzpatrick import tone_column, valid_angles, with_tone_groups
from .labels import (
    column_classes,
    is_unlabelled,
    log,
    numbered,
    one_hot_classes,
    one_hot_columns,
    suggested,
)
from .locate import find_images, folders_around, joined, masks_of
from .table import COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS, USUAL_COLUMNS, Table, Tones, make_table


def table(
    data_path: Path,
    *,
    csv: str,
    image: str = "",
    label: str | list | None = None,
    patient: str = "",
    lesion: str = "",
    group: str = "",
    ita: str = "",
    split: str = "",
    fold: str = "",
    mask: str = "",
    images: str | list | None = None,
    metadata: str = "",
    positive: str | int | None = None,
    classes: list | None = None,
    skip_unlabelled: bool = False,
) -> Table:
    """Any CSV (relative to `data_path`) with a column of images and one of class names.

    `image` and `label` name these columns; a list as `label`, or columns of 0 and 1 of which each
    row has one 1, are a column for each class. Other columns of the schema are used where they
    exist. `images` are folders to look in, else those in and beside the CSV's. `metadata` is a CSV
    with more columns. `classes` gives their order. `skip_unlabelled` leaves out rows without one.
    """
    source = data_path / csv
    labels = [*map(str, [label] if isinstance(label, str) else label or [])]
    given = {image, patient, lesion, group, ita, split, fold, mask, *labels}
    rows = read_csv(source, (), USUAL_COLUMNS, given)
    image, own_columns = _image_column(rows, image, source), set(rows)
    rows = _with_metadata(rows, image, data_path / metadata, given) if metadata else rows
    named = {"patient_id": patient, "lesion_id": lesion, "mask": mask, "split": split}
    named |= {"group": group, "ita": ita, "fold": fold, "uncertain": ""}
    given = _schema(rows, named, source)
    refuse_cells(source, rows, image, rows[image].isna(), "the name of an image")
    csvs = {source: own_columns, data_path / metadata: {*rows}}
    others = rows.drop(columns=labels, errors="ignore")
    given, tones = _with_tone_groups(given, others, group, csvs)
    given["class"] = _classes_of(rows, label, source, image, skip_unlabelled)
    unlabelled = tuple(rows[image][given["class"] == ""])
    given = _with_known_class(given.assign(name=rows[image]))
    found, bad = _with_images(given, data_path, source, images)
    found["label"], names, index = numbered(found["class"], positive, classes)
    return replace(make_table(found, names, index, bad, tones), unlabelled=unlabelled)


def _with_tone_groups(
    given: pd.DataFrame, rows: pd.DataFrame, group: str, csvs: dict[Path, set[str]]
) -> tuple[pd.DataFrame, Tones]:
    """(`given` with the numbers of its tone groups, what these are), by the column `group`, if any.

    `csvs` are the tables that the columns of `rows` are from, with their columns.
    """
    rows = rows.assign(**given.filter(["ita"]))
    group = group or tone_column(rows)
    csv = next((csv for csv, columns in csvs.items() if group in columns), Path())
    rows, tones = with_tone_groups(rows, group, csv)
    return given.assign(**rows.filter(["group"])), tones


def _with_images(rows: pd.DataFrame, data_path: Path, source: Path, images: str | list | None):
    """The rows whose image is found, with its path and mask, and (name, reason) of the others."""
    tiers = _tiers(data_path, source, images)
    rows = rows.assign(image=find_images(rows["name"].tolist(), *tiers))
    absent = rows["name"][rows["image"] == ""]
    bad = [(visible(name, 200), "no such image") for name in absent]
    found = rows[rows["image"] != ""]
    if found.empty:
        raise UserError(_no_image(source, bad, tiers))
    return found.assign(mask=_masks(found, data_path, source)), bad


def _image_column(rows: pd.DataFrame, wanted: str, source: Path) -> str:
    usual = [column for column in IMAGE_COLUMNS if column in rows]
    column = wanted or ("image" if "image" in rows else (usual or [""])[0])
    if column in rows:
        return column
    unique = [c for c in rows if rows[c].notna().all() and rows[c].is_unique]
    hint = suggested(rows, usual or unique, "image")
    what = f"image={wanted!r}: no such column" if wanted else "no column of images"
    raise UserError(f"{source}: {what} (found: {_listed(rows)}){hint}")


def _classes_of(
    rows: pd.DataFrame, label: str | list | None, source: Path, image: str, skip: bool
) -> pd.Series:
    """The class name of each row; `""` where the truth is unknown."""
    every = rows.index
    if isinstance(label, str) or (label is None and "label" in rows):
        label = label or "label"
        if label in rows:
            rows = rows[~(is_unlabelled(rows[label].fillna("")) & skip)]
            require(len(rows) > 0, "no row has a known class")
            return column_classes(rows, label, source).reindex(every, fill_value="")
        hint = nearest(label, rows.columns) or suggested(rows, LABEL_COLUMNS, "label")
        raise UserError(f"{source}: label={label!r}: no such column (found: {_listed(rows)}){hint}")
    columns = (
        list(label)
        if label
        else one_hot_columns(rows.drop(columns=[image, *COLUMNS], errors="ignore"))
    )
    usual = [column for column in LABEL_COLUMNS if column in rows and column not in columns]
    if columns and usual and not label:
        both = f"column {usual[0]!r} or {_listed(rows[columns])}"
        raise UserError(f"{source}: classes are in {both}: say which with label={usual[0]!r}")
    for column in columns:
        require(column in rows, f"{source}: label: no column {column!r} (found: {_listed(rows)})")
    if columns:
        is_blank = rows[columns].fillna("").map(tidy).isin(("", "0")).all(axis=1)
        rows = rows[~(is_blank & skip)]
        return one_hot_classes(rows, columns, source).reindex(every, fill_value="")
    few = [c for c in rows if 1 < rows[c].nunique() <= 20 and rows[c].notna().all()]
    hint = suggested(rows, LABEL_COLUMNS, "label") or suggested(rows, few, "label")
    raise UserError(f"{source}: no column 'label' (found: {_listed(rows)}){hint}")


def _with_known_class(rows: pd.DataFrame) -> pd.DataFrame:
    unknown = rows["class"] == ""
    if unknown.any():
        log.warning("%d of %d rows left out: unknown class", unknown.sum(), len(rows))
    require(not unknown.all(), "no row has a known class")
    return rows[~unknown].copy()


def _schema(rows: pd.DataFrame, named: dict[str, str], source: Path) -> pd.DataFrame:
    """The columns of the schema that the table has under their names or those given."""
    found, read = {}, {"ita": valid_angles, "fold": numbers}
    for column, given in named.items():
        option, name = column.removesuffix("_id"), given or column
        if given and name not in rows:
            raise UserError(
                f"{source}: {option}={name!r}: no such column{nearest(name, rows.columns)} "
                f"(found: {_listed(rows)})"
            )
        if name in rows:
            found[column] = read[column](rows, name, source) if column in read else rows[name]
    return pd.DataFrame(found, rows.index)


def _with_metadata(rows: pd.DataFrame, image: str, path: Path, given: set[str]) -> pd.DataFrame:
    """`rows` with the columns that only the table at `path` has, by the images' names."""
    more = read_csv(path, (), USUAL_COLUMNS, given)
    column = _image_column(more, image if image in more else "", path)
    refuse_cells(path, more, column, more[column].isna(), "the name of an image")
    keys = pd.Series(image_keys(more[column], rows[image].fillna(""))[0], more.index)
    refuse_cells(path, more, column, keys.duplicated(), "an image of no line above")
    lacking = more[[c for c in more if c not in rows and c != column]]
    return joined(rows, rows[image].fillna(""), lacking, more[column], path)


def _tiers(data_path: Path, source: Path, images: str | list | None) -> list[list[Path]]:
    if not images:
        return folders_around(data_path, source)
    tier = []
    for name in [images] if isinstance(images, str) else images:
        require(isinstance(name, str), f"images={images!r}: expected the names of folders")
        choices = [data_path / name, source.parent / name]
        places = [place for place in choices if place.is_dir()]
        require(bool(places), f"images: {choices[0]}: no such folder; expected the images there")
        tier.append(places[0])
    return [tier, [data_path], [source.parent]]


def _no_image(source: Path, bad: list[tuple[str, str]], tiers: list[list[Path]]) -> str:
    places = dict.fromkeys(str(place) for tier in tiers for place in tier if place.is_dir())
    first = ", ".join(name for name, _ in bad[:3]) + (", ..." if len(bad) > 3 else "")
    return (
        f"{len(bad)} bad images, none of the table {source} was found ({first}; looked in "
        f"{', '.join([*places][:4])}): name the folders with images=[...]"
    )


def _masks(rows: pd.DataFrame, data_path: Path, source: Path) -> list[str]:
    """The masks that the column names, else those in the folder `masks`."""
    if "mask" not in rows:
        return masks_of(rows["image"], data_path)
    names = rows["mask"].fillna("").tolist()
    roots = ([data_path], [source.parent], [data_path / "masks"], [source.parent / "masks"])
    found = iter(find_images([name for name in names if name], *roots))
    masks = [next(found) if name else "" for name in names]
    # a mask that is nowhere keeps its path: reading it tells the reason
    return [
        mask if mask != image and (mask or not name) else str(data_path / name)
        for mask, image, name in zip(masks, rows["image"], names, strict=True)
    ]


def _listed(rows: pd.DataFrame) -> str:
    names = [visible(column, 40) for column in rows.columns[:12]]
    return ", ".join(names) + (", ..." if len(rows.columns) > 12 else "")
