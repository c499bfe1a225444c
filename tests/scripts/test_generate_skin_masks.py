"""`generate_skin_masks`: a mask file for every image, as large as it."""

import shutil
import subprocess
import sys
import time
import typing
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src.batch.mask_files import BY_DOMAIN
from src.core.errors import UserError
from src.scripts.generate_skin_masks import Options, main
from src.skin.domains import DOMAINS
from src.skin.masks import LESION_METHODS, MASK_KINDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def images(demo, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sorted((demo / "ham10000" / "images").glob("*.jpg"))[:12]:
        shutil.copy(path, folder)
    return folder


def generate(images, output, *options):
    arguments = ["--source_path", str(images), "--output_dir", str(output), *options]
    return main([*arguments, "--num_workers", "0"])


def mask_of(output, image):
    mask = cv2.imread(str(output / f"{image.stem}_mask.png"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(mask)) <= {0, 255}
    return mask > 127


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_white_is_what_was_asked_for(images, tmp_path, kind):
    output = tmp_path / "masks"
    assert generate(images, output, "--kind", kind) == 0
    rows = pd.read_csv(output / "masks.csv")
    for path, row in zip(sorted(images.iterdir()), rows.itertuples(), strict=True):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        found = mask_of(output, path)
        assert (found == MASK_KINDS[kind](image)).mean() > 0.99
        assert (row.image, row.mask, row.status) == (path.name, f"{path.stem}_mask.png", "ok")
        assert row.share == pytest.approx(found.mean(), abs=1e-6)


def test_lesions_of_the_demo_are_found(demo, images, tmp_path):
    assert generate(images, tmp_path / "masks") == 0
    overlaps = []
    for path in images.iterdir():
        drawn = demo / "ham10000" / "masks" / f"{path.stem}_segmentation.png"
        expert = cv2.imread(str(drawn), cv2.IMREAD_GRAYSCALE) > 127
        found = mask_of(tmp_path / "masks", path)
        overlaps.append((found & expert).sum() / (found | expert).sum())
    assert np.mean(overlaps) > 0.75


def test_the_method_decides_the_lesion(images, tmp_path):
    masks = {}
    for method in ("darker_than_skin", "blue_otsu", "value_otsu"):
        assert generate(images, tmp_path / method, "--method", method) == 0
        masks[method] = [mask_of(tmp_path / method, path) for path in sorted(images.iterdir())]
    assert any((a != b).any() for a, b in zip(masks["blue_otsu"], masks["value_otsu"], strict=True))
    default = masks["darker_than_skin"]
    assert any((a != b).any() for a, b in zip(masks["blue_otsu"], default, strict=True))


def test_a_mask_of_a_large_and_turned_jpeg_fits_its_image(images, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    source = Image.open(sorted(images.iterdir())[0])
    for size in ((2000, 1500), (1600, 1604), (1203, 805)):
        for orientation in (1, 3, 6, 8):
            exif = Image.Exif()
            exif[0x0112] = orientation
            name = f"{size[0]}_{orientation}.jpg"
            source.resize(size).save(folder / name, exif=exif)
    assert generate(folder, tmp_path / "masks") == 0
    for path in folder.iterdir():
        assert mask_of(tmp_path / "masks", path).shape == cv2.imread(str(path)).shape[:2], path.name


def test_a_killed_job_goes_on_and_ends_as_if_it_had_not_been(images, tmp_path):
    for i in range(150):
        shutil.copy(sorted(images.iterdir())[i % 12], images / f"more_{i:03}.jpg")
    whole = tmp_path / "whole"
    assert generate(images, whole) == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "src.scripts.generate_skin_masks", "--source_path", images]
    command += ["--output_dir", killed, "--num_workers", "0"]
    process = subprocess.Popen(command, cwd=ROOT)
    while not list(killed.glob("*_mask.png")):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (killed / "masks.csv").exists()
    done = {path: path.stat().st_mtime_ns for path in killed.glob("more_00*_mask.png")}
    assert generate(images, killed) == 0
    files = sorted(path.name for path in whole.iterdir())
    assert [
        name for name in files if (killed / name).read_bytes() != (whole / name).read_bytes()
    ] == []
    again = [path for path, written in done.items() if path.stat().st_mtime_ns != written]
    assert len(again) <= 1  # the one that was at work


def test_choices_are_the_registries():
    choices = {name: typing.get_args(kind) for name, kind in Options.__annotations__.items()}
    assert set(choices["kind"]) == set(MASK_KINDS)
    assert set(choices["method"]) == {BY_DOMAIN, *LESION_METHODS}
    assert set(choices["domain"]) == {"auto", *DOMAINS}


def test_two_images_of_one_stem_are_refused(images, tmp_path):
    (images / "other").mkdir()
    image = sorted(images.glob("*.jpg"))[0]
    shutil.copy(image, images / "other")
    with pytest.raises(UserError, match=f"both write {image.stem}_mask.png"):
        generate(images, tmp_path / "masks")
    assert not (tmp_path / "masks").exists()


def test_a_bad_image_is_listed_and_the_others_have_masks(images, tmp_path, capsys):
    (images / "empty.png").write_bytes(b"")
    assert generate(images, tmp_path / "masks") == 1
    assert len(list((tmp_path / "masks").glob("*_mask.png"))) == 12
    assert "empty.png: empty file" in capsys.readouterr().out


def test_no_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        generate(tmp_path / "nowhere", tmp_path / "masks")


def test_masks_among_the_images_are_refused(images, tmp_path):
    for output in (images, images / "found"):
        with pytest.raises(UserError, match="would be taken for images"):
            generate(images, output)
    assert generate(images, images / "masks") == 0
    assert generate(images, images / "masks") == 0
    assert len(list((images / "masks").glob("*_mask.png"))) == 12


def killed_job(images, output, kind):
    """A job killed after its first masks."""
    command = [sys.executable, "-m", "src.scripts.generate_skin_masks", "--source_path", images]
    command += ["--output_dir", output, "--kind", kind, "--num_workers", "0"]
    process = subprocess.Popen(command, cwd=ROOT)
    while len(list(output.glob("*_mask.png"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()


def test_masks_of_another_kind_or_that_are_gone_are_made_anew(images, tmp_path):
    for i in range(150):
        shutil.copy(sorted(images.iterdir())[i % 12], images / f"more_{i:03}.jpg")
    whole, mixed = tmp_path / "whole", tmp_path / "mixed"
    assert generate(images, whole) == 0
    killed_job(images, mixed, "lesion")
    assert generate(images, mixed, "--kind", "hair") == 0
    killed_job(images, mixed, "lesion")
    first = sorted(mixed.glob("*_mask.png"))[0]
    first.unlink()
    assert generate(images, mixed) == 0
    files = sorted(path.name for path in whole.iterdir())
    assert [n for n in files if (mixed / n).read_bytes() != (whole / n).read_bytes()] == []


def test_a_folder_called_masks_above_does_not_excuse_masks_among_images(images, tmp_path):
    nested = tmp_path / "masks" / "images"
    shutil.copytree(images, nested)
    with pytest.raises(UserError, match="would be taken for images"):
        generate(nested, nested / "found")


def test_the_domain_decides_how_a_lesion_is_found(images, tmp_path):
    shares = {}
    for domain in ("dermoscopy", "clinical"):
        output = tmp_path / domain
        flags = ["--domain", domain, "--num_workers", "0"]
        assert main(["--source_path", str(images), "--output_dir", str(output), *flags]) == 0
        rows = pd.read_csv(output / "masks.csv")
        assert set(rows["domain"]) == {domain}
        shares[domain] = rows["share"].tolist()
    assert shares["dermoscopy"] != shares["clinical"]
