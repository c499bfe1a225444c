"""Every configuration trains: two steps of each, on drawn images, with a small network."""

import pytest
import yaml

from src.core.flags import load_config
from src.datasets.isic import HAM10000_CLASSES
from src.engine.run import train
from tests.datasets.small_isic import isic_rows, write_csv, write_image
from tests.documented import ROOT

CONFIGS = sorted(ROOT.glob("configs/*.yaml"))
N_ROWS, BATCH = 48, 16
SMALL = (
    f"--model test_resnet --pretrained false --input_size 32 --epochs 1 --batch_size {BATCH} "
    "--num_workers 0 --device cpu --scheduler constant --kfold 0 --cache none --use_amp false"
).split()
KEPT = ("objective", "class_weights", "preprocess", "augment", "sampler", "head", "opt", "monitor")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with ISIC 2020, HAM10000 and a table of eight classes of the same images."""
    folder = tmp_path_factory.mktemp("data")
    rows = isic_rows(2 * N_ROWS // 4)
    for number, row in enumerate(rows):
        row["split"] = "train" if number < 2 * BATCH else ("valid", "test")[number % 4 // 2]
        label = ("benign", "malignant")[row["target"]]
        for place in (f"{row['split']}/{label}", "images"):  # of ISIC 2020, of HAM10000
            write_image(folder / place / row["image_name"], number)
    write_csv(folder / "ISIC_2020_full.csv", rows)
    names = (*HAM10000_CLASSES, "acne")
    for name, n_classes in (("HAM10000_metadata.csv", 7), ("eight_split.csv", 8)):
        images = [
            {"image_id": row["image_name"], "dx": names[place % n_classes], "label": ""}
            | {"lesion_id": f"L{place}", "split": row["split"], "group": row["group"]}
            for place, row in enumerate(rows)
        ]
        for image in images:
            image["label"] = image["dx"]
        write_csv(folder / name, images, ",")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_trains_two_steps(path, data, tmp_path):
    given = yaml.safe_load(path.read_text())
    where = ["--data_path", str(data), "--output_dir", str(tmp_path), "--log_dir", str(tmp_path)]
    where += [] if "skin_color_csv" in given else ["--skin_color_csv", ""]
    if path.stem == "ham10000_objectives":
        where = [*where[:-1], str(data / "HAM10000_metadata.csv")]
    flags = [*where, *SMALL, "--weights", "", "--freeze", ""]
    cfg = load_config(["--config", str(path), *flags])
    whole = load_config(["--config", str(path)]).flat()
    assert {name: cfg.flat()[name] for name in KEPT} == {name: whole[name] for name in KEPT}
    run = train(cfg)
    (epoch,) = (run / "log.txt").read_text().splitlines()
    assert '"epoch": 0' in epoch
    n_rows = (run / "train_split.csv").read_text().count("\n") - 1
    assert -(-n_rows // BATCH) >= 2
