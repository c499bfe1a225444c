"""Data sets as they are published, each read into a `Table` by one function."""

from pathlib import Path

import pandas as pd

from ..core.cells import known_id
from ..core.classes import BINARY_CLASSES
from ..core.errors import UserError, require
from ..core.image_files import IMAGE_SUFFIXES, describe_left_out, image_stem, left_out, list_images
from ..core.registry import Registry
from .csv_files import numbers, read_csv, refuse_cells
from .labels import binary_truth, in_order, log, merged
from .locate import folders_in, joined, masks_of, with_images
from .own_table import table
from .table import COLUMNS, SPLIT_ALIASES, SPLITS, Table, make_table

DATASETS = Registry("data set")
DATASETS.register(table)
HAM10000_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
NUMERIC_COLUMNS = ("group", "ita", "fold")
SPLIT_COLUMNS = ("split", "fold")
TONE_COLUMNS = ("group", "ita", "uncertain")


@DATASETS.register
def isic2020(data_path: Path, skin_color_csv: str) -> Table:
    """ISIC 2020 as `{train,valid|val,test}/{benign,malignant}/` with a CSV of skin colours.

    The CSV (`image_name`, `target`, optionally `group`, `ita`, `patient_id`, `split`) is
    `skin_color_csv`, else the folder's `ISIC_2020_full.csv`, else there is none and groups are
    unknown. Its `split` wins over the folder's name: a new split moves no file.
    """
    images = _labelled_folders(data_path, required=BINARY_CLASSES)
    classes = BINARY_CLASSES
    rows = pd.DataFrame(images, columns=["image", "class", "split"])
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
    bad = []
    if skin_color_csv or csv.is_file():
        rows, bad = _join(rows, read_isic_csv(csv), csv)
    return make_table(rows, classes, classes.index("malignant"), bad)


@DATASETS.register
def siim(data_path: Path, skin_color_csv: str, *, csv: str = "", images: str = "") -> Table:
    """The SIIM-ISIC Kaggle layout: `train.csv` (`image_name`, `target`) with `jpeg/train/`.

    Options `csv` and `images` give other places; `skin_color_csv` adds groups and a split.
    """
    source = Path(csv) if csv else data_path / "train.csv"
    folder = Path(images) if images else data_path / "jpeg" / "train"
    rows = read_isic_csv(source)
    if skin_color_csv:
        tone_csv = Path(skin_color_csv)
        tones = read_isic_csv(tone_csv)
        rows = _with_tones(rows, tones, (*TONE_COLUMNS, *SPLIT_COLUMNS), tone_csv)
    rows, bad = with_images(rows, folder)
    rows["mask"] = masks_of(rows["image"], data_path)
    return make_table(rows, BINARY_CLASSES, 1, bad)


@DATASETS.register
def ham10000(data_path: Path, skin_color_csv: str, *, task: str = "diagnosis") -> Table:
    """HAM10000: `HAM10000_metadata.csv` or `.tab` beside `images/` or `HAM10000_images_part_1/2`.

    `task='diagnosis'` has the seven classes; `task='melanoma'` sets melanoma against the rest.
    """
    require(
        task in ("diagnosis", "melanoma"),
        f"ham10000(task='{task}'): expected 'diagnosis' or 'melanoma'",
    )
    files = [data_path / f"HAM10000_metadata{suffix}" for suffix in (".csv", ".tab", "")]
    source = next((file for file in files if file.is_file()), files[0])
    rows = read_csv(source, ("image_id", "lesion_id", "dx"), COLUMNS)
    _refuse_empty(rows, source, ("image_id", "dx"))
    rows["dx"] = rows["dx"].map(known_id)
    wanted = f"one of {', '.join(HAM10000_CLASSES)}"
    refuse_cells(source, rows, "dx", ~rows["dx"].isin(HAM10000_CLASSES), wanted)
    rows["stem"] = rows["image_id"].map(image_stem)
    if skin_color_csv:
        csv = Path(skin_color_csv)
        tones = _unique(_tone_columns(read_csv(csv, ("image_name",), COLUMNS), csv), csv)
        rows = _with_tones(rows, tones, (*TONE_COLUMNS, "patient_id", *SPLIT_COLUMNS), csv)
    parts = [data_path / f"HAM10000_images_part_{part}" for part in (1, 2)]
    places = [part for part in parts if part.is_dir()] or [data_path / "images"]
    rows, bad = with_images(_with_numbers(rows, source), *places)
    rows["mask"] = masks_of(rows["image"], data_path)
    melanoma = rows["dx"] == "mel"
    if task == "melanoma":
        return make_table(rows.assign(label=melanoma.astype(int)), ("rest", "mel"), 1, bad)
    rows["label"] = rows["dx"].map(HAM10000_CLASSES.index)
    return make_table(rows, HAM10000_CLASSES, HAM10000_CLASSES.index("mel"), bad)


@DATASETS.register
def folders(data_path: Path, *, positive: str | int | None = None) -> Table:
    """Class folders, `<class>/` or `{train,valid|val,test}/<class>/`, any class names.

    `positive` names the class to detect; else malignant, mel or melanoma where there is one,
    else the last.
    """
    images = _labelled_folders(data_path, required=())
    rows = pd.DataFrame(images, columns=["image", "class", "split"])
    rows["class"] = merged(rows["class"], f"{data_path}: class folders")
    classes, index = in_order(rows["class"], positive)
    rows["label"] = rows["class"].map(classes.index)
    rows["mask"] = masks_of(rows["image"], data_path)
    return make_table(rows, classes, index)


def read_isic_csv(path: Path) -> pd.DataFrame:
    """`isic_rows`, refused where an image has more than one row."""
    return _unique(isic_rows(path), path)


def isic_rows(path: Path) -> pd.DataFrame:
    """Rows of an ISIC 2020 style CSV: `stem`, `label` (0/1) and what else of the schema it has."""
    rows = read_csv(path, ("image_name", "target"), COLUMNS)
    _refuse_empty(rows, path, ("target",))
    return _tone_columns(rows.assign(label=binary_truth(rows, "target", path)), path)


def _tone_columns(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    _refuse_empty(rows, path, ("image_name",))
    absent = {column: float("nan") for column in ("group", "ita") if column not in rows}
    rows = rows.assign(stem=rows["image_name"].map(image_stem), **absent)
    return _with_numbers(rows, path)


def _with_numbers(rows: pd.DataFrame, where: Path) -> pd.DataFrame:
    given = [column for column in NUMERIC_COLUMNS if column in rows]
    return rows.assign(**{column: numbers(rows, column, where) for column in given})


def _with_tones(
    rows: pd.DataFrame, tones: pd.DataFrame, wanted: tuple[str, ...], csv: Path
) -> pd.DataFrame:
    """`rows` with the `wanted` columns that `tones` has, by stem, instead of their own."""
    columns = [column for column in wanted if column in tones]
    own = rows.drop(columns=[column for column in columns if column in rows])
    return joined(own, own["stem"], tones[columns], tones["image_name"], csv)


def _unique(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    repeated = rows["stem"][rows["stem"].duplicated()]
    if len(repeated):
        raise UserError(
            f"{path}: {len(repeated)} rows repeat an image (first: {repeated.iloc[0]}); expected "
            "one row for each image: preparer/prepare_split.py --keep_first drops the others"
        )
    return rows


def _labelled_folders(root: Path, required: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(path, class, split) of every image in `split/class/` or `class/` folders."""
    require(root.is_dir(), f"{root}: no such folder; give the data set's folder with --data_path")
    splits = [(SPLIT_ALIASES.get(known_id(d.name), known_id(d.name)), d) for d in folders_in(root)]
    parents = [(name, folder) for name, folder in splits if name in SPLITS] or [("", root)]
    found, others = [], []
    beside = [d.name for name, d in splits if name not in (*SPLITS, "masks")]
    if beside and parents != [("", root)]:
        log.warning("%s: folders that are no split are left out: %s", root, ", ".join(beside))
    for split, parent in parents:
        class_folders = [d for d in folders_in(parent) if d.name != "masks"]
        absent = [
            name for name in required if name not in {known_id(d.name) for d in class_folders}
        ]
        if absent or not class_folders:
            wanted = " and ".join(required) or "a folder for each class"
            raise UserError(
                f"{parent}: expected {wanted}, found no {' and no '.join(absent) or 'folder'}"
            )
        for folder in class_folders:
            images = list_images(folder, recursive=True)
            require(images, f"{folder}: empty; expected {', '.join(IMAGE_SUFFIXES)} images")
            found += [(str(image), folder.name, split) for image in images]
            others += [folder / name for name in left_out(folder, recursive=True)]
    if others:
        log.warning("%s", describe_left_out([p.relative_to(root).as_posix() for p in others]))
    return found


def _join(rows: pd.DataFrame, metadata: pd.DataFrame, csv: Path):
    """`rows` of a folder with the columns of a CSV; what lacks its partner is listed as bad."""
    lonely = rows[~rows["stem"].isin(metadata["stem"])]
    absent = metadata[~metadata["stem"].isin(rows["stem"])]
    bad = [(image, f"no row in {csv.name}") for image in lonely["image"]]
    bad += [(name, f"a row in {csv.name}, but no image") for name in absent["image_name"]]
    known = (*TONE_COLUMNS, "patient_id", "lesion_id", *SPLIT_COLUMNS)
    columns = [column for column in known if column in metadata]
    partner = metadata.set_index("stem").rename(columns={"label": "target_label"})
    keep = rows.rename(columns={"split": "folder_split"})
    joined = keep.join(partner[[*columns, "target_label"]], on="stem", how="inner")
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
        if rows[column].isna().any():
            line = int(rows[column].isna().idxmax()) + 2
            raise UserError(f"{path}: line {line} has no {column}")
