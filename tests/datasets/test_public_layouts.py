"""ISIC 2019, PAD-UFES-20, Fitzpatrick17k and DDI as published, from drawn images."""

from pathlib import Path

import pandas as pd
import pytest

from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.isic import HAM10000_IDS, ISIC2019_CLASSES, is_in_ham10000
from src.datasets.splits import assign_splits, connected_units
from tests.datasets.small_isic import write_csv, write_image

PAIRS = tuple(f"Fitzpatrick {pair}" for pair in ("I–II", "III–IV", "V–VI"))
TYPES = tuple(f"Fitzpatrick {name}" for name in ("I", "II", "III", "IV", "V", "VI"))


def build(text, folder, tones=""):
    return DATASETS.build(text, data_path=Path(folder), skin_color_csv=str(tones))


def named(table, column):
    """Class or group of each image by its stem."""
    names = {"label": table.classes, "group": table.groups}.get(column)
    values = table.rows[column]
    if names:
        values = values.map(lambda place: names[place] if place >= 0 else "")
    return dict(zip(table.rows["image"].map(lambda p: Path(p).stem), values, strict=True))


# HAM10000's first and last image, its neighbours, images of MSK and BCN, one of the test set's kind
NAMES = {
    "ISIC_0024306": ("NV", "HAM_0000550"),
    "ISIC_0034320": ("MEL", "HAM_0003521"),
    "ISIC_0024307": ("NV", "HAM_0000550"),
    "ISIC_0024305": ("BKL", ""),
    "ISIC_0034321": ("SCC", "BCN_0003884"),
    "ISIC_0000074_downsampled": ("AK", "MSK4_0010284"),
    "ISIC_0000075": ("VASC", "MSK4_0010285"),
    "ISIC_0060001": ("UNK", ""),
}


@pytest.fixture
def isic2019(tmp_path):
    columns = (*ISIC2019_CLASSES, "UNK")
    truth = [
        {"image": name} | {column: f"{column == label:.1f}" for column in columns}
        for name, (label, _) in NAMES.items()
    ]
    more = [
        {"image": name, "age_approx": "", "anatom_site_general": "", "lesion_id": lesion, "sex": ""}
        for name, (_, lesion) in reversed(NAMES.items())
    ]
    write_csv(tmp_path / "ISIC_2019_Training_GroundTruth.csv", truth, ",")
    write_csv(tmp_path / "ISIC_2019_Training_Metadata.csv", more, ",")
    for name in NAMES:
        write_image(tmp_path / "ISIC_2019_Training_Input" / f"{name}.jpg")
    return tmp_path


def test_isic2019_has_its_classes_lesions_and_unknown_images(isic2019):
    table = build("isic2019", isic2019)
    known = {name: cells for name, cells in NAMES.items() if cells[0] != "UNK"}
    assert named(table, "label") == {name: label for name, (label, _) in known.items()}
    assert named(table, "lesion_id") == {name: lesion for name, (_, lesion) in known.items()}
    assert (table.classes, table.positive) == (ISIC2019_CLASSES, 0)
    assert table.unlabelled == ("ISIC_0060001",)
    assert table.bad == ()
    units = connected_units(table.rows)
    same = [row for row, lesion in enumerate(table.rows["lesion_id"]) if lesion == "HAM_0000550"]
    assert len(same) == 2 and units[same[0]] == units[same[1]]
    melanoma = build("isic2019(task='melanoma')", isic2019)
    assert (melanoma.classes, melanoma.labels.sum()) == (("rest", "mel"), 1)


def test_isic2019_tells_images_of_ham10000_apart(isic2019):
    in_ham = {"ISIC_0024306", "ISIC_0034320", "ISIC_0024307"}
    others = {*NAMES} - in_ham - {"ISIC_0060001"}
    assert set(named(build("isic2019(ham10000='only')", isic2019), "label")) == in_ham
    left = build("isic2019(ham10000='leave_out')", isic2019)
    assert set(named(left, "label")) == others
    assert left.bad == (), "what was left out on purpose is not missing"
    with pytest.raises(UserError, match=r"ham10000='no'.*'keep' or 'leave_out' or 'only'"):
        build("isic2019(ham10000='no')", isic2019)
    assert len(HAM10000_IDS) == 10_015
    other = pd.Series(["isic_0030000_downsampled", "ISIC_00243060", "x_24306", ""])
    assert is_in_ham10000(other).tolist() == [True, False, False, False]


def test_isic2019_names_may_lack_downsampled_in_either_place(isic2019):
    folder = isic2019 / "ISIC_2019_Training_Input"
    (folder / "ISIC_0000074_downsampled.jpg").rename(folder / "ISIC_0000074.jpg")
    (folder / "ISIC_0000075.jpg").rename(folder / "ISIC_0000075_downsampled.jpg")
    metadata = isic2019 / "ISIC_2019_Training_Metadata.csv"
    metadata.write_text(metadata.read_text().replace("_downsampled", ""))
    lesions = named(build("isic2019", isic2019), "lesion_id")
    assert lesions["ISIC_0000074"] == "MSK4_0010284"
    assert lesions["ISIC_0000075_downsampled"] == "MSK4_0010285"


def test_isic2019_takes_a_split_of_its_own_ground_truth(isic2019, tmp_path):
    rows = [{"image": n, "UNK": 0, "split": "test" if "24" in n else "train"} for n in NAMES]
    csv = write_csv(tmp_path / "split.csv", rows, ",")
    found = named(build("isic2019", isic2019, csv), "split")
    assert found == {n: "test" if "24" in n else "train" for n in NAMES if n != "ISIC_0060001"}


def pad_rows():
    labels = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")
    for i in range(12):
        yield {
            "patient_id": f"PAT_{i // 2}",
            "lesion_id": i % 2 + 1,  # numbered within patients
            "fitspatrick": f"{i % 6 + 1}.0" if i else "",
            "diagnostic": labels[i % 6],
            "img_id": f"PAT_{i // 2}_{i}.png",
            "biopsed": True,
        }


@pytest.mark.parametrize("above", ["", "images"])
def test_pad_ufes_20_has_its_diagnoses_types_and_patients(tmp_path, above):
    rows = [*pad_rows()]
    write_csv(tmp_path / "metadata.csv", rows, ",")
    for i, row in enumerate(rows):
        write_image(tmp_path / above / f"imgs_part_{i % 3 + 1}" / row["img_id"])
    table = build("pad_ufes_20", tmp_path)
    stems = [Path(row["img_id"]).stem for row in rows]
    assert named(table, "label") == dict(zip(stems, (r["diagnostic"] for r in rows), strict=True))
    groups = {stem: TYPES[i % 6] if i else "" for i, stem in enumerate(stems)}
    assert (named(table, "group"), table.groups) == (groups, TYPES)
    assert "fitspatrick of metadata.csv" in table.tone_source
    assert (table.classes[table.positive], table.bad) == ("MEL", ())
    assert len(set(connected_units(table.rows))) == 6
    for task, cancers in {"cancer": {"BCC", "MEL", "SCC"}, "melanoma": {"MEL"}}.items():
        two = build(f"pad_ufes_20(task='{task}')", tmp_path)
        wanted = {stem: row["diagnostic"] in cancers for stem, row in zip(stems, rows, strict=True)}
        assert {s: n == two.classes[1] for s, n in named(two, "label").items()} == wanted
        assert (two.positive, two.groups) == (1, TYPES)


def test_fitzpatrick17k_has_partitions_and_conditions(tmp_path):
    parts = ("non-neoplastic", "benign", "malignant")
    rows = [
        {
            "md5hash": f"{i:032x}",
            "fitzpatrick_scale": (1, 2, 3, 4, 5, 6, -1)[i % 7],
            "fitzpatrick_centaur": 3,
            "label": ("acne", "melanoma")[i % 2],
            "nine_partition_label": ("inflammatory", "malignant melanoma")[i % 2],
            "three_partition_label": parts[i % 3],
            "qc": "",
            "url": "https://example.org/a.jpg",
        }
        for i in range(14)
    ]
    write_csv(tmp_path / "fitzpatrick17k.csv", rows, ",")
    for row in rows:
        write_image(tmp_path / "images" / f"{row['md5hash']}.jpg")
    table = build("fitzpatrick17k", tmp_path)
    assert named(table, "label") == {r["md5hash"]: r["three_partition_label"] for r in rows}
    assert (table.classes, table.positive) == (parts, 2)
    types = {r["md5hash"]: TYPES[r["fitzpatrick_scale"] - 1] for r in rows}
    unknown = {r["md5hash"]: "" for r in rows if r["fitzpatrick_scale"] == -1}
    assert (named(table, "group"), table.groups) == (types | unknown, TYPES)
    fine = build("fitzpatrick17k(label='label')", tmp_path)
    assert (fine.classes, fine.positive) == (("acne", "melanoma"), 1)
    nine = "fitzpatrick17k(label='nine_partition_label', positive='malignant melanoma')"
    assert build(nine, tmp_path).classes[build(nine, tmp_path).positive] == "malignant melanoma"
    with pytest.raises(UserError, match="label='qc'"):
        build("fitzpatrick17k(label='qc')", tmp_path)


def test_ddi_is_benign_and_malignant_in_pairs_of_types(tmp_path):
    rows = [
        {"": i, "DDI_ID": i, "DDI_file": f"{i:06}.png", "skin_tone": (12, 34, 56)[i % 3]}
        | {"malignant": i % 4 == 0, "disease": "melanoma" if i % 4 == 0 else "nevus"}
        for i in range(1, 13)
    ]
    write_csv(tmp_path / "ddi_metadata.csv", rows, ",")
    for row in rows:
        write_image(tmp_path / "images" / row["DDI_file"])
    table = build("ddi", tmp_path)
    wanted = {f"{r['DDI_ID']:06}": ("benign", "malignant")[r["malignant"]] for r in rows}
    assert (named(table, "label"), table.classes) == (wanted, ("benign", "malignant"))
    groups = {f"{r['DDI_ID']:06}": PAIRS[(12, 34, 56).index(r["skin_tone"])] for r in rows}
    assert (named(table, "group"), table.groups) == (groups, PAIRS)
    assert table.positive == 1


def test_groups_of_people_keep_their_names_through_a_split(tmp_path):
    rows = [*pad_rows()]
    write_csv(tmp_path / "metadata.csv", rows, ",")
    for row in rows:
        write_image(tmp_path / "imgs_part_1" / row["img_id"])
    table = assign_splits(build("pad_ufes_20", tmp_path), 0.2, 0.2, 0)
    assert table.groups == TYPES
    assert table.rows["split"].groupby(connected_units(table.rows)).nunique().max() == 1
