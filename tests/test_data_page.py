"""The commands of docs/DATA.md, on small data in the layouts that the page names."""

import re
import shlex
from pathlib import Path

import pytest

from preparer import prepare_split
from src.core.flags import load_config
from src.datasets.load import load_table
from src.engine.run import train
from tests.datasets.small_isic import write_csv, write_image

PAGE = Path(__file__).resolve().parents[1] / "docs" / "DATA.md"
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python ")
]
N_ROWS = 24
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
        lambda i: {"image": f"I_{i}", "MEL": float(i % 2), "NV": 1.0 - i % 2, "UNK": 0.0},
        "ISIC_2019_Training_Input/I_{}.jpg",
    )
    yield (
        "isic2019/ISIC_2019_Training_Metadata.csv",
        lambda i: {"image": f"I_{i}", "age_approx": "", "lesion_id": f"L_{i}", "sex": ""},
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
        lambda i: {"lesion_id": f"L_{i}", "image_id": f"I_{i}", "dx": ("nv", "mel")[i % 2]},
        "HAM10000_images_part_{part2}/I_{}.jpg",
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
    seen = set()
    for program, *argv in COMMANDS:
        if program == "preparer/prepare_split.py":
            assert prepare_split.main(argv) == 0
            continue
        assert program == "melanoma_train.py"
        cfg = load_config(argv)
        table = load_table(cfg.data)
        assert len(table) == N_ROWS, argv
        assert table.bad == ()
        assert set(table.rows["split"]) == {"train", "valid", "test"}
        positive = table.classes[table.positive].casefold()
        assert positive in ("melanoma", "mel", "malignant", "true", "1"), argv
        seen.add(cfg.data.data_path)
    assert len(seen) == 8
    cfg = load_config([*COMMANDS[1][1:], *TINY.split(), "--num_workers", "0", "--device", "cpu"])
    assert (train(cfg) / "best_checkpoint.pth").is_file()
