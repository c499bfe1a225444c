"""Dermoscopic data sets of the ISIC archive: HAM10000, ISIC 2019, ISIC 2020 and SIIM-ISIC."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..core.cells import known_id, visible
from ..core.classes import BINARY_CLASSES, positive_index
from ..core.errors import UserError, require
from ..core.image_files import image_stem
from .class_folders import labelled_images
from .csv_files import line_of, numbers, read_csv, refuse_cells
from .fitzpatrick import tone_column, valid_angles, with_tone_groups
from .labels import binary_truth, log, one_hot_classes
from .locate import REDUCED, joined, masks_of, partners, with_images
from .table import ANGLES, COLUMNS, IMAGE_COLUMNS, REST_MEL, Table, Tones, make_table, usual_column
from .tone_estimates import tone_source

HAM10000_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
ISIC2019_CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
TASKS = ("diagnosis", "melanoma")
HAM10000_IDS = range(24306, 34321)  # HAM10000 is ISIC_0024306 to ISIC_0034320, without a gap
SPLIT_COLUMNS = ("split", "fold")
TONE_COLUMNS = ("group", "ita", "uncertain")
_ISIC_ID = re.compile(r"ISIC_(\d+)", re.IGNORECASE)


def isic2020(data_path: Path, skin_color_csv: str) -> Table:
    """ISIC 2020 as `{train,valid|val,test}/{benign,malignant}/` with a CSV of skin colours.

    The CSV (`image_name`, `target`, optionally `group`, `ita`, `patient_id`, `split`) is
    `skin_color_csv`, else the folder's `ISIC_2020_full.csv`, else there is none and groups are
    unknown. Its `split` wins over the folder's name: a new split moves no file.
    """
    rows = labelled_images(data_path, required=BINARY_CLASSES)
    classes = BINARY_CLASSES
    rows["stem"] = [image_stem(Path(image).name) for image in rows["image"]]
    repeated = rows["image"][rows["stem"].duplicated()]
    if len(repeated):
        raise UserError(f"{repeated.iloc[0]}: two images have this name; remove or rename one")
    rows["class"] = rows["class"].map(known_id)
    strange = rows["image"][~rows["class"].isin(classes)]
    if len(strange):
        folder = Path(strange.iloc[0]).parent
        raise UserError(f"{folder}: expected the class folders {' and '.join(classes)} only")
    rows["label"] = rows["class"].map(classes.index)
    rows["mask"] = masks_of(rows["image"], data_path)
    csv = Path(skin_color_csv) if skin_color_csv else data_path / "ISIC_2020_full.csv"
    bad: list[tuple[str, str]] = []
    tones = ANGLES
    if skin_color_csv or csv.is_file():
        more, tones = _labelled_rows(csv)
        rows, bad = _joined_to_csv(rows, more, csv)
    return make_table(rows, classes, classes.index("malignant"), bad, tones)


def siim(data_path: Path, skin_color_csv: str, *, csv: str = "", images: str = "") -> Table:
    """The SIIM-ISIC Kaggle layout: `train.csv` (`image_name`, `target`) with `jpeg/train/`.

    Options `csv` and `images` give other places; `skin_color_csv` adds groups and a split.
    """
    source = Path(csv) if csv else data_path / "train.csv"
    folder = Path(images) if images else data_path / "jpeg" / "train"
    rows, tones = _with_tones(*_labelled_rows(source), skin_color_csv)
    rows, bad = with_images(rows, folder)
    rows["mask"] = masks_of(rows["image"], data_path)
    return make_table(rows, BINARY_CLASSES, 1, bad, tones)


def ham10000(data_path: Path, skin_color_csv: str, *, task: str = "diagnosis") -> Table:
    """HAM10000: `HAM10000_metadata.csv` or `.tab` beside `images/` or `HAM10000_images_part_1/2`.

    `task='diagnosis'` has the seven classes; `task='melanoma'` sets melanoma against the rest.
    `skin_color_csv` adds groups, patients and a split.
    """
    _require_choice("ham10000", "task", task, TASKS)
    files = [data_path / f"HAM10000_metadata{suffix}" for suffix in (".csv", ".tab", "")]
    source = next((file for file in files if file.is_file()), files[0])
    rows = read_csv(source, ("image_id", "lesion_id", "dx"), COLUMNS)
    _refuse_empty(rows, source, ("image_id", "dx"))
    rows["class"] = rows["dx"].map(known_id)
    wanted = f"one of {', '.join(HAM10000_CLASSES)}"
    refuse_cells(source, rows, "dx", ~rows["class"].isin(HAM10000_CLASSES), wanted)
    rows["stem"] = rows["image_id"].map(image_stem)
    rows, tones = _with_numbers(rows, source)
    rows, tones = _with_tones(rows, tones, skin_color_csv, ("patient_id",))
    parts = [data_path / f"HAM10000_images_part_{part}" for part in (1, 2)]
    places = [part for part in parts if part.is_dir()] or [data_path / "images"]
    rows, bad = with_images(rows, *places)
    return _diagnoses(rows, bad, data_path, HAM10000_CLASSES, task, tones)


def isic2019(
    data_path: Path, skin_color_csv: str, *, task: str = "diagnosis", ham10000: str = "keep"
) -> Table:
    """ISIC 2019: `ISIC_2019_Training_GroundTruth.csv` beside `ISIC_2019_Training_Input/`, or Test.

    Lesions are those of `ISIC_2019_Training_Metadata.csv`, if it is there. `task` is as in
    `ham10000`, whose images are among these, under the same lesions: `ham10000='leave_out'` leaves
    them out, `'only'` leaves out all others. Images of the class UNK are unlabelled.
    """
    _require_choice("isic2019", "task", task, TASKS)
    _require_choice("isic2019", "ham10000", ham10000, ("keep", "leave_out", "only"))
    starts = [f"ISIC_2019_{part}_" for part in ("Training", "Test")]
    start = next((s for s in starts if (data_path / f"{s}GroundTruth.csv").is_file()), starts[0])
    source = data_path / f"{start}GroundTruth.csv"
    rows = read_csv(source, ("image", *ISIC2019_CLASSES), ("UNK", *COLUMNS))
    _refuse_empty(rows, source, ("image",))
    columns = [*ISIC2019_CLASSES, *(["UNK"] if "UNK" in rows else [])]
    rows["class"] = one_hot_classes(rows, columns, source)
    rows["stem"] = rows["image"].map(image_stem)
    rows, tones = _with_numbers(rows, source)
    rows = _with_lesions(rows, data_path / f"{start}Metadata.csv")
    rows, tones = _with_tones(rows, tones, skin_color_csv, ("patient_id",))
    folder = data_path / f"{start}Input"
    rows, bad = with_images(rows, folder if folder.is_dir() else data_path / "images")
    is_ham = is_in_ham10000(rows["stem"])
    log.info("%s: %d of %d images are in HAM10000", source, is_ham.sum(), len(rows))
    if ham10000 != "keep":
        rows = rows[is_ham == (ham10000 == "only")]
    known = rows["class"] != ""
    if not known.all():
        log.warning("%d of %d rows left out: class UNK", (~known).sum(), len(rows))
    made = _diagnoses(rows[known], bad, data_path, ISIC2019_CLASSES, task, tones)
    return replace(made, unlabelled=tuple(rows["stem"][~known]))


def is_in_ham10000(stems: pd.Series) -> pd.Series:
    """Bool: whether an image of the ISIC archive, by its name, is one of HAM10000."""
    return pd.to_numeric(stems.str.extract(_ISIC_ID, expand=False)).isin(HAM10000_IDS)


def _diagnoses(
    rows: pd.DataFrame,
    bad: list,
    data_path: Path,
    classes: tuple[str, ...],
    task: str,
    tones: Tones,
) -> Table:
    """The `Table` of rows with a `class` each: all of `classes`, or melanoma against the rest."""
    rows = rows.assign(label=rows["class"].map(classes.index))
    rows["mask"] = masks_of(rows["image"], data_path)
    mel = classes[positive_index(classes)]
    made = make_table(rows, classes, classes.index(mel), bad, tones)
    return made.against_rest((mel,), REST_MEL) if task == "melanoma" else made


def _require_choice(name: str, option: str, value: str, known: tuple[str, ...]) -> None:
    one_of = " or ".join(map(repr, known))
    require(value in known, f"{name}({option}={value!r}): expected {one_of}")


def _labelled_rows(path: Path) -> tuple[pd.DataFrame, Tones]:
    """Rows of an ISIC 2020 style CSV: `stem`, `label` (0/1) and what else of the schema it has.

    With what its tone groups are. Raises `UserError` where an image has more than one row.
    """
    rows, tones = _image_rows(path, "target")
    return rows.assign(label=binary_truth(rows, "target", path)), tones


def _with_tones(
    rows: pd.DataFrame, own: Tones, tone_csv: str, more: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, Tones]:
    """`rows` with the tones, split and `more` that the CSV, if any, has, instead of their own.

    But tone groups that people gave them stay, unless the CSV has such ones too.
    """
    if not tone_csv:
        return rows, own
    csv = Path(tone_csv)
    given, tones = _image_rows(csv)
    columns = [c for c in (*TONE_COLUMNS, *more, *SPLIT_COLUMNS) if c in given]
    if own.source and not tones.source:
        columns.remove("group")
        tones = own._replace(source=f"{own.source}; beside them angles of {tone_source(csv)}")
    rest = rows.drop(columns=[column for column in columns if column in rows])
    names = given["name"].rename(usual_column(given, IMAGE_COLUMNS))
    return joined(rest, rest["stem"], given[columns], names, csv), tones


def _with_lesions(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """`rows` with the lesions of ISIC 2019's metadata, in which `_downsampled` may lack."""
    if not path.is_file():
        log.warning("%s: no such file: no lesions are known, each image counts alone", path)
        return rows
    more = _image_rows(path)[0]
    if "lesion_id" not in more:
        return rows
    plain = rows["stem"].str.removesuffix(REDUCED)
    names = more["stem"].str.removesuffix(REDUCED).rename("image")
    return joined(rows, plain, more[["lesion_id"]], names, path)


def _image_rows(path: Path, *required: str) -> tuple[pd.DataFrame, Tones]:
    """Rows of a CSV with a usual column of images: `name` and `stem`, `group` and `ita` as numbers.

    With what its tone groups are, people's before those of angles. Raises `UserError` where an
    image has no name, more than one row, or no `required` cell.
    """
    rows = read_csv(path, required, (*COLUMNS, *IMAGE_COLUMNS))
    column = usual_column(rows, IMAGE_COLUMNS)
    if not column:
        found = ", ".join(map(visible, rows.columns[:12]))
        raise UserError(
            f"{path}: no column of images (found: {found}): expected {', '.join(IMAGE_COLUMNS)}"
        )
    _refuse_empty(rows, path, (column, *required))
    rows = rows.assign(name=rows[column], stem=rows[column].map(image_stem))
    repeated = rows["stem"][rows["stem"].duplicated()]
    if len(repeated):
        raise UserError(
            f"{path}: {len(repeated)} rows repeat an image (first: {repeated.iloc[0]}); expected "
            "one row for each image: preparer/prepare_split.py --keep_first drops the others"
        )
    rows, tones = _with_numbers(rows, path)
    absent = {name: float("nan") for name in ("group", "ita") if name not in rows}
    return rows.assign(**absent), tones


def _with_numbers(rows: pd.DataFrame, where: Path) -> tuple[pd.DataFrame, Tones]:
    read = {"ita": valid_angles, "fold": numbers}
    given = {column: function for column, function in read.items() if column in rows}
    rows = rows.assign(**{name: function(rows, name, where) for name, function in given.items()})
    return with_tone_groups(rows, tone_column(rows), where)


def _joined_to_csv(
    rows: pd.DataFrame, metadata: pd.DataFrame, csv: Path
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """`rows` of a folder with the columns of a CSV; what lacks its partner is listed as bad."""
    places = pd.Series(partners(rows["stem"].tolist(), metadata["stem"].tolist()), rows.index)
    absent = metadata.drop(index=metadata.index[places[places >= 0]])
    bad = [(image, f"no row in {csv.name}") for image in rows["image"][places < 0]]
    bad += [(name, f"a row in {csv.name}, but no image") for name in absent["name"]]
    known = (*TONE_COLUMNS, "patient_id", "lesion_id", *SPLIT_COLUMNS)
    more = metadata[[column for column in known if column in metadata]]
    keep = rows.rename(columns={"split": "folder_split"})[places >= 0]
    found = more.assign(target_label=metadata["label"]).iloc[places[places >= 0]]
    joined = keep.join(found.set_axis(keep.index))
    stated = joined["split"] if "split" in joined else joined["folder_split"]
    joined["split"] = stated.where(stated.fillna("").map(known_id) != "", joined["folder_split"])
    wrong = joined[joined["label"] != joined["target_label"]]
    if len(wrong):
        raise UserError(
            f"{csv}: target and folder disagree for {len(wrong)} images "
            f"(first: {wrong['image'].iloc[0]}); correct the CSV or move the images"
        )
    return joined, bad


def _refuse_empty(rows: pd.DataFrame, path: Path, columns: tuple[str, ...]) -> None:
    for column in columns:
        empty = rows[column].isna()
        if empty.any():
            line = line_of(path, int(empty.idxmax()))
            raise UserError(f"{path}: line {line} has no {column}")
