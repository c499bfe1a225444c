"""The benchmark of a training measures what a training does, and keeps nothing of it."""

import json

import numpy as np
import pytest

from src.preprocess.spec import parse_preprocessing
from src.scripts.benchmark import main
from src.timing.benchmark import PARTS, RATIOS, spread_of
from src.timing.recipe import plain_sample


@pytest.fixture
def flags(tiny_settings, tmp_path):
    settings = {**tiny_settings, "output_dir": tmp_path / "out", "batch_size": 8, "num_workers": 1}
    settings |= {"num_batches": 2, "n_runs": 3, "json": tmp_path / "found.json"}
    return [f"--{name}={value}" for name, value in settings.items()]


def test_every_part_is_measured_and_told(flags, tmp_path, capsys):
    main([*flags, "--update_freq", "2"])
    text, found = capsys.readouterr().out, json.loads((tmp_path / "found.json").read_text())
    assert set(found["ms_per_image"]) == set(PARTS) and set(found["ratios"]) == set(RATIOS)
    for value in (*found["ms_per_image"].values(), *found["ratios"].values()):
        assert 0 < value["least"] <= value["median"] <= value["most"]
    for words in (*PARTS.values(), *RATIOS.values(), "an epoch of training"):
        assert words in text
    parts = [found["ms_per_image"][name]["most"] for name in ("forward", "backward", "update")]
    assert found["ms_per_image"]["resident_step"]["median"] < sum(parts) * 1.001
    assert (found["model"], found["device"], found["gpu_mb"]) == ("test_resnet", "cpu", None)
    assert found["process_mb"] > 0 and found["peak_mb"] > found["process_mb"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.json"]


def test_a_spread_is_of_all_runs():
    assert vars(spread_of([3.0, 1.0, 2.0])) == {"median": 2.0, "least": 1.0, "most": 3.0}


def test_the_plain_recipe_gives_what_a_network_takes(demo):
    path = next((demo / "ham10000" / "images").glob("*.jpg"))
    image = plain_sample((32, 40))(path).numpy()
    expected = parse_preprocessing("resize || normalize(stats='imagenet')", 32)(
        np.zeros((4, 4, 3), np.uint8)
    )
    assert image.shape == (3, 32, 40) and image.dtype == expected.dtype
    assert image.min() >= expected.min() - 1e-5
