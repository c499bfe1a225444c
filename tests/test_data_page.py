"""The commands of docs/DATA.md, on small data in the layouts that the page names."""

from pathlib import Path

import pytest

from preparer import get_data, move, prepare_dermnet, prepare_ham10000, prepare_split
from preparer.sources import SOURCES
from src.artifact.network import load_checkpoint
from src.core.flags import load_config
from src.core.options import parse_options
from src.datasets.isic import HAM10000_CLASSES, ISIC2019_CLASSES
from src.datasets.load import load_table
from src.engine.run import train
from tests.datasets.small_isic import write_csv, write_image
from tests.documented import commands

COMMANDS = [command.words[1:] for command in commands("docs/DATA.md")]
N_ROWS, N_ACNE = 42, 6
PREPARERS = {
    f"preparer/{module.__name__.rpartition('.')[2]}.py": module.main
    for module in (move, prepare_dermnet, prepare_ham10000, prepare_split)
}
TINY = "--model test_resnet --pretrained false --input_size 32 --epochs 1 --batch_size 8"


def tables():
    """(CSV, one row of it by its number, the image of that row) of each layout."""
    word = ("nevus", "melanoma")
    yield "clinic/patients.csv", lambda i: {"image": f"{i}.jpg", "label": word[i % 2]}, "{}.jpg"
    yield (
        "clinic/export.csv",
        lambda i: {"Photo": f"P{i}", "Outcome": word[i % 2], "Person": i // 2, "Spot": i % 2},
        "{year}/P{}.tif",
    )
    yield (
        "ddi/ddi_metadata.csv",
        lambda i: (
            {"": i, "DDI_ID": i, "DDI_file": f"{i}.png", "skin_tone": (12, 34, 56)[i % 3]}
            | {"malignant": bool(i % 2), "disease": word[i % 2]}
        ),
        "{}.png",
    )
    yield (
        "isic2019/ISIC_2019_Training_GroundTruth.csv",
        lambda i: (
            {"image": f"ISIC_{i:07}"}
            | {name: float(name == ("MEL", "NV")[i % 2]) for name in (*ISIC2019_CLASSES, "UNK")}
        ),
        "ISIC_2019_Training_Input/ISIC_{:07}.jpg",
    )
    yield (
        "isic2019/ISIC_2019_Training_Metadata.csv",
        lambda i: {"image": f"ISIC_{i:07}", "age_approx": "", "lesion_id": f"L_{i}", "sex": ""},
        "",
    )
    yield (
        "siim/train.csv",
        lambda i: {"image_name": f"I_{i}", "patient_id": f"P_{i}", "target": i % 2},
        "jpeg/train/I_{}.jpg",
    )
    yield (
        "isic2024/train-metadata.csv",
        lambda i: {"isic_id": f"I_{i}", "target": i % 2, "patient_id": f"P_{i}"},
        "image/I_{}.jpg",
    )
    yield (
        "HAM10000/HAM10000_metadata.tab",
        lambda i: (
            {"lesion_id": f"L_{i}", "image_id": f"I_{i}"}
            | {"dx": "mel" if i % 2 else HAM10000_CLASSES[i // 2 % 7]}
        ),
        "HAM10000_images_part_{part2}/I_{}.jpg",
    )
    yield (
        "isic2020_download/ISIC_2020_Training_GroundTruth_v2.csv",
        lambda i: {"image_name": f"I_{i}", "patient_id": f"P_{i}", "target": i % 2},
        "train/I_{}.jpg",
    )
    yield (
        "pad/metadata.csv",
        lambda i: (
            {
                "patient_id": f"P_{i}",
                "lesion_id": i,
                "fitspatrick": f"{i % 6 + 1}.0",
                "img_id": f"P_{i}.png",
            }
            | {"diagnostic": ("NEV", "MEL")[i % 2]}
        ),
        "imgs_part_{part3}/P_{}.png",
    )
    yield (
        "fitzpatrick17k/fitzpatrick17k.csv",
        lambda i: (
            {"md5hash": f"{i:032x}", "fitzpatrick_scale": i % 8 - 1 or -1, "label": "x"}
            | {"three_partition_label": ("benign", "malignant")[i % 2]}
        ),
        "images/{:032x}.jpg",
    )


@pytest.fixture
def data(tmp_path, monkeypatch):
    for csv, row, image in tables():
        path = tmp_path / csv
        path.parent.mkdir(exist_ok=True)
        write_csv(path, [row(i) for i in range(N_ROWS)], "\t" if csv.endswith("tab") else ",")
        for i in range(N_ROWS if image else 0):
            parts = {"year": 2023 + i % 2, "part2": i % 2 + 1, "part3": i % 3 + 1}
            write_image(path.parent / image.format(i, **parts), i)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_every_command_of_the_page_runs_on_its_layout(data):
    for i in range(N_ACNE):
        folder = Path("dermnet/dermnet") / ("train", "test")[i % 2] / "Acne and Rosacea Photos"
        write_image(folder / f"acne-{i}.jpg", 1000 + i)
    seen = set()
    for program, *argv in COMMANDS:
        if program == "preparer/get_data.py":
            options = parse_options(argv, get_data.__doc__, get_data.Options)[0]
            assert SOURCES.build(options.source).page.startswith("https://")
            continue
        if program in PREPARERS:
            assert PREPARERS[program](argv) == 0, argv
            continue
        assert program == "melanoma_train.py"
        cfg = load_config(argv)
        table = load_table(cfg.data)
        assert len(table) == N_ROWS + N_ACNE * ("eight" in cfg.data.dataset), argv
        assert table.bad == ()
        assert set(table.rows["split"]) == {"train", "valid", "test"}
        positive = table.classes[table.positive].casefold()
        assert positive in ("melanoma", "mel", "malignant", "true", "1"), argv
        seen.add(cfg.data.data_path)
    assert len(seen) == 9
    sorted_images = [path.parent.name for path in Path("isic2020").rglob("*.jpg")]
    assert sorted_images.count("malignant") == sorted_images.count("benign") == N_ROWS // 2
    eight = next(argv for _, *argv in COMMANDS if "acne" in argv[-1])
    run = train(load_config([*eight, *TINY.split(), "--num_workers", "0", "--device", "cpu"]))
    header = (run / "predictions_test.csv").read_text().partition("\n")[0].split(",")
    scores = [name for name in header if name.startswith("probability_")]
    order = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df", "acne")
    assert scores == [f"probability_{name}" for name in order]
    assert load_checkpoint(run / "best_checkpoint.pth")["contract"]["classes"] == [*order]
