"""Images whole on a device: the same draws change them as on the CPU, within a rounding."""

import cv2
import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.core.settings import Data
from src.datasets.load import load_table
from src.loading import resident
from src.loading.augment import AUGMENTATIONS, Augmentation, AugmentedImage
from src.loading.batches import CPU
from src.loading.loaders import eval_loader
from src.loading.prepared import prepare_images
from src.loading.resident import ResidentImages, augmented, check_resident
from src.preprocess.spec import parse_preprocessing

SPEC = parse_preprocessing("resize || normalize(stats='imagenet')", 32)
Y, X = np.mgrid[0:60, 0:80]
LESION = np.exp(-((Y - 30) ** 2 + (X - 38) ** 2) / 300)[..., None]
SKIN = (
    LESION * (110, 60, 45) + (1 - LESION) * (222, 182, 158) + 6 * np.sin(X / 9)[..., None]
).astype(np.uint8)
ON_DEVICE = (
    "none",
    "flips",
    "dihedral",
    "dermatoscopy",
    "lumen",
    "malignant_only",
    "flips | dermatoscopy",
    "malignant_only(policy='lumen(strength=1.5)') | flips",
)
POSITIVE = [seed % 3 == 0 for seed in range(64)]


def inside(images):
    """Where no black edge is near: there a thirty-second of a pixel, OpenCV's grid, is a lot."""
    black = [cv2.dilate((i < 30).all(-1).astype(np.uint8), np.ones((5, 5))) for i in images]
    return np.stack(black) == 0


@pytest.mark.parametrize("text", ON_DEVICE)
def test_the_same_seeds_change_images_as_on_the_cpu(text):
    """Within 3 of 255, 0.5 on average."""
    chain, seeds = Augmentation(text), list(range(64))
    samples = [AugmentedImage(SKIN, -1, positive=is_one) for is_one in POSITIVE]
    expected = np.stack([chain(*pair).image for pair in zip(samples, seeds, strict=True)])
    planes = torch.from_numpy(SKIN).permute(2, 0, 1).float().expand(64, 3, 60, 80).clone()
    found = augmented(planes, chain.steps, seeds, POSITIVE).permute(0, 2, 3, 1).numpy()
    assert found.min() >= 0 and found.max() <= 255.001
    difference, place = np.abs(found - expected), inside(expected)
    assert place.mean() > 0.6
    assert difference[place].max() <= 3 and difference[place].mean() <= 0.5
    assert difference.mean() <= 0.7
    if text != "none":
        assert len({image.tobytes() for image in expected}) > 3


def test_every_kind_of_change_is_told_apart():
    """Of noise, in which every pixel counts, a change that was left out would be far off."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), np.uint8)
    noise = np.stack([cv2.GaussianBlur(image, (5, 5), 1.5) for image in noise])
    for text in ("dermatoscopy(cutout=1)", "lumen"):
        chain, seeds = Augmentation(text), [3, 5, 8, 13]
        for step in chain.steps:
            for change in step.pixels.changes:
                images = [
                    change(i, np.random.default_rng(s)) for i, s in zip(noise, seeds, strict=True)
                ]
                drawn = [change.draw((24, 32), np.random.default_rng(s)) for s in seeds]
                some = [place for place, value in enumerate(drawn) if value is not None]
                if some:
                    planes = torch.from_numpy(noise[some]).permute(0, 3, 1, 2).float()
                    made = resident._BATCHED[change.apply](planes, [drawn[i] for i in some])
                    found = made.permute(0, 2, 3, 1).numpy()
                    assert np.abs(found - np.stack(images)[some]).max() <= 1.01, change.apply


@pytest.fixture
def rows(isic, tmp_path):
    settings = Data(data_path=str(isic), cache="disk", cache_dir=str(tmp_path / "cache"))
    table = load_table(settings)
    return table, prepare_images(table, SPEC, settings)


def test_without_augmentation_batches_are_those_of_a_loader_bit_by_bit(rows):
    table, prepared = rows
    images = ResidentImages(prepared, SPEC, CPU)
    keys = [range(0, 7), range(7, 24)]
    expected = eval_loader(table, SPEC, 7, 0, False)
    expected = [torch.cat(parts) for parts in zip(*expected, strict=True)]
    found = [torch.cat(parts) for parts in zip(*images.batches(table, keys), strict=True)]
    assert all(map(torch.equal, found, expected))
    keys = [[(row, 9) for row in part] for part in keys]
    found = [*images.batches(table, keys, Augmentation("none"))]
    assert torch.equal(torch.cat([part for part, *_ in found]), expected[0])
    for part, *_ in found:
        assert part.is_contiguous(memory_format=torch.channels_last)


def test_a_row_is_changed_by_its_seed_alone(rows):
    table, prepared = rows
    images, chain = ResidentImages(prepared, SPEC, CPU), Augmentation("dermatoscopy")

    def one(*keys):
        return next(iter(images.batches(table, [list(keys)], chain)))[0]

    both = one((3, 7), (5, 1))
    torch.testing.assert_close(both[0], one((3, 7))[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(both[1], one((4, 2), (5, 1))[1], atol=1e-5, rtol=0)
    assert not torch.allclose(both[0], one((3, 8))[0], atol=0.1)


def test_malignant_only_leaves_other_rows_bit_identical(rows):
    table, prepared = rows
    images, chain = ResidentImages(prepared, SPEC, CPU), Augmentation("malignant_only")
    keys = [[(row, row + 1) for row in range(24)]]
    (plain, labels, _), (found, *_) = (
        next(iter(images.batches(table, keys, some))) for some in (Augmentation("none"), chain)
    )
    changed = (plain != found).flatten(1).any(1)
    assert torch.equal(changed, labels == table.positive) and 0 < changed.sum() < 24


def test_what_a_device_cannot_do_is_refused(rows, monkeypatch):
    for name in AUGMENTATIONS.names():
        if name in ON_DEVICE:
            check_resident(SPEC, name)
    with pytest.raises(UserError, match="--resident: --augment"):
        check_resident(SPEC, "skin_former(masks='estimated') | flips")
    for text in (
        "resize || center_crop | normalize(stats='half')",
        "resize || to_lab",
        "resize ||",
    ):
        with pytest.raises(UserError, match=r"--resident: .* \|\|"):
            check_resident(parse_preprocessing(text, 32), "none")
    monkeypatch.setattr(resident, "free_bytes", lambda: 100_000)
    with pytest.raises(UserError, match=r"--resident: 24 images take 7.39e-05 GB, and cpu"):
        ResidentImages(rows[1], SPEC, CPU)
