"""`evaluate_masks` and `benchmark_skin_tone`: what they count and what they print."""

import re
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from src.batch import benchmark
from src.batch.mask_agreement import DEFAULT, overlap, summary
from src.core.errors import UserError
from src.scripts import benchmark_skin_tone
from src.scripts.evaluate_masks import main


@pytest.fixture
def few(demo, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((demo / "ham10000" / "images").glob("*.jpg"))[:14]:
        shutil.copy(path, folder)
    return folder


def test_overlap_is_intersection_over_union():
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert overlap(one, other) == 1.0
    one[:2] = True
    assert overlap(one, other) == 0.0
    other[1:3] = True
    assert overlap(one, other) == pytest.approx(4 / 12)
    assert overlap(one, one) == 1.0


def test_the_demo_against_its_drawn_masks(demo, few, tmp_path, capsys):
    masks, output = demo / "ham10000" / "masks", tmp_path / "out"
    arguments = [str(few), "--masks", str(masks), "--output_dir", str(output)]
    assert main([*arguments, "--num_workers", "0"]) == 0
    rows = pd.read_csv(output / "masks_by_image.csv")
    assert len(rows) == 14
    assert rows[DEFAULT].between(0, 1).all()
    darkened = rows[rows["ita_darkened"].notna()]
    assert len(darkened) >= 5
    assert ((darkened["ita_darkened"] - 10).abs() < 3).all()
    assert darkened["lesion_untouched"].astype(bool).all()
    assert cv2.imread(str(output / "worst_masks.png")).shape[:2] == (864, 1440)
    printed = capsys.readouterr().out
    mean = re.search(rf"{DEFAULT} +mean (\S+),", printed).group(1)
    assert float(mean) == pytest.approx(rows[DEFAULT].mean(), abs=5e-4)
    listed = re.findall(r"ISIC_\d+\.jpg", printed)
    assert listed == rows.sort_values(DEFAULT, kind="stable")["image"].tolist()[:12]


def test_the_summary_counts_by_hand():
    rows = pd.DataFrame(
        {
            "darker_than_skin": [1.0, 0.4, 0.7],
            "blue_otsu": [0.5, 0.5, 0.5],
            "value_otsu": [0.1, 0.2, 0.9],
            "spot_on_skin": [0.3, 0.3, 0.3],
            "ita_expert": [50.0, 20.0, np.nan],
            "ita_found": [51.0, 23.0, 40.0],
            "group_expert": [1, 3, -1],
            "group_found": [1, 2, 2],
            "ita_darkened": [10.5, 8.0, np.nan],
            "lesion_untouched": [True, False, None],
        }
    )
    text = summary(rows)
    assert "darker_than_skin   mean 0.700, median 0.700, 33.3% below .5" in text
    assert "2 images valid in both (1 in one only)" in text
    assert "median absolute difference 2.00 degrees" in text
    assert "50.0% in the same group" in text
    assert "2 images: median distance 1.25 degrees" in text
    assert "untouched in 1" in text


def test_an_image_without_an_experts_mask_is_named(demo, few, tmp_path):
    masks = tmp_path / "masks"
    shutil.copytree(demo / "ham10000" / "masks", masks)
    stem = sorted(few.iterdir())[3].stem
    (masks / f"{stem}_segmentation.png").unlink()
    with pytest.raises(UserError, match=stem):
        main([str(few), "--masks", str(masks), "--output_dir", str(tmp_path / "out")])


def test_the_benchmark_times_both_ways(few, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "SMALL", (40, 30))
    monkeypatch.setattr(benchmark, "LARGE", (80, 60))
    threads = cv2.getNumThreads()
    benchmark_skin_tone.main([str(few), "--n_rounds", "2"])
    cv2.setNumThreads(threads)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "skin tone at 40x30",
        "lesion mask at 80x60",
    ]
    assert all(re.search(r"ratio [\d.]+ \([\d.]+-[\d.]+\), 2 rounds", line) for line in lines)


def test_the_benchmark_refuses_in_one_line(few):
    for rounds in ("0", "99"):
        with pytest.raises(UserError, match="--n_rounds"):
            benchmark_skin_tone.main([str(few), "--n_rounds", rounds])


def test_no_readable_image_is_one_line(few, demo, tmp_path):
    for path in few.iterdir():
        path.write_bytes(b"")
    arguments = [str(few), "--masks", str(demo / "ham10000" / "masks")]
    with pytest.raises(UserError, match="none of 14 images could be read"):
        main([*arguments, "--output_dir", str(tmp_path / "out"), "--num_workers", "0"])
