"""A site's CSV: which images are positive, whose they are, and in which groups; needs no pandas."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.cells import folded, known_id, one_spelling, says_nothing, tidy, visible
from ..core.errors import UserError, first_line, require
from ..core.files import expect_file
from ..core.image_files import image_keys
from .options import SiteOptions

MAX_BYTES = 500_000_000
SEPARATORS = ",;\t"
UNKNOWN = "unknown"
MOST_GROUPS = 50


@dataclass(frozen=True)
class Rows:
    """`paths` [N] of images, whether each is `positive`, its patient and its group, if any."""

    paths: list[Path]
    positive: np.ndarray  # bool [N]
    patients: np.ndarray  # str [N]
    groups: np.ndarray | None  # str [N]
    without_row: int  # images of the folder that no line names


def read_rows(
    options: SiteOptions, paths: Sequence[Path], classes: Sequence[str], positive: int
) -> Rows:
    """The images of the CSV that are in the folder.

    Raises `UserError` for a missing column, a line without a class of the model, an image that is
    not there and one that two lines name.
    """
    lines = _lines(options)
    named = [tidy(line[options.image_column]) for line in lines]
    listed = [path.relative_to(options.input_folder).as_posix() for path in paths]
    wanted, there = image_keys(named, listed)
    twice = len(wanted) - len(set(wanted))
    require(not twice, f"--csv {options.csv}: {twice} lines name an image that another one names")
    require(len(set(there)) == len(there), "--input_folder: holds images of one name and folder")
    place = dict(zip(there, range(len(paths)), strict=True))
    absent = [name for name, key in zip(named, wanted, strict=True) if key not in place]
    first = visible(absent[0], 80) if absent else ""
    where = f"--csv {options.csv}: {len(absent)} images are not in {options.input_folder}"
    require(not absent, f"{where} (first: {first})")
    labels = [line[options.label_column] for line in lines]
    patients = _patients(options, lines)
    column = options.group_by
    groups = _groups([line[column] for line in lines], column) if column else None
    return Rows(
        [paths[place[key]] for key in wanted],
        _positive(labels, classes, positive, f"--csv {options.csv}"),
        patients,
        groups,
        len(paths) - len(wanted),
    )


def _lines(options: SiteOptions) -> list[dict[str, str]]:
    expect_file(options.csv, "--csv")
    size = options.csv.stat().st_size
    require(size <= MAX_BYTES, f"--csv {options.csv}: larger than {MAX_BYTES:,} bytes")
    try:
        with options.csv.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            separator = max(SEPARATORS, key=header.count)
            reader = csv.DictReader(file, delimiter=separator, restval="")
            names = [tidy(name) for name in reader.fieldnames or ()]
            reader.fieldnames = names
            _require_columns(options, names)
            lines = list(reader)
    except (OSError, UnicodeError, csv.Error) as error:
        raise UserError(f"--csv {options.csv}: not a CSV ({first_line(error)})") from None
    require(bool(lines), f"--csv {options.csv}: no lines below the header")
    return lines


def _require_columns(options: SiteOptions, names: Sequence[str]) -> None:
    wanted = [("--image_column", options.image_column), ("--label_column", options.label_column)]
    wanted += [("--patient_column", options.patient_column)] * bool(options.patient_column)
    wanted += [("--group_by", options.group_by)] * bool(options.group_by)
    found = visible(", ".join(names[:12]))
    for given, name in wanted:
        count = names.count(name)
        told = f"{given} {visible(name, 60)}: {options.csv} has {count} such columns"
        require(count == 1, f"{told}, expected one (found: {found})")


def _positive(texts: Sequence[str], classes: Sequence[str], positive: int, source: str):
    """bool [N]. The classes are named as in the model; of two classes 0 and 1 are understood."""
    found = {folded(text) for text in texts}
    by_name = {folded(name): index for index, name in enumerate(classes)}
    by_number = {"0": 1 - positive, "1": positive}
    if len(classes) == 2 and found <= by_number.keys() and not found <= by_name.keys():
        by_name = by_number
    strange = sorted(found - by_name.keys())
    names = ", ".join(by_name)
    told = visible(strange[0], 60) if strange else ""
    require(not strange, f"{source}: '{told}' is no class: expected {visible(names, 200)}")
    return np.array([by_name[folded(text)] == positive for text in texts])


def _patients(options: SiteOptions, lines: list[dict[str, str]]) -> np.ndarray:
    """Images of an unknown patient are patients of their own."""
    if not options.patient_column:
        return np.arange(len(lines)).astype(str)
    ids = (known_id(line[options.patient_column]) for line in lines)
    return np.array([f"id {one}" if one else f"line {n}" for n, one in enumerate(ids)])


def _groups(texts: Sequence[str], column: str) -> np.ndarray:
    tidied = [UNKNOWN if says_nothing(text) else tidy(text) for text in texts]
    used, _ = one_spelling(tidied)
    n_groups = len(set(used.values()))
    few = f"expected at most {MOST_GROUPS}: a column of dates or ids names patients"
    require(n_groups <= MOST_GROUPS, f"--group_by {column}: {n_groups} values, {few}")
    return np.array([used[text] for text in tidied])
