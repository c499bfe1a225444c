"""Data sets and loaders: rows as tensors, augmented by seed, alike in one process and in two."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.loading.augment import Augmentation
from src.loading.batches import n_processes
from src.loading.loaders import LocalISICDataset, eval_loader, train_loader
from src.loading.sampler import SAMPLERS, EpochBatches
from src.preprocess.image import read_image
from src.preprocess.spec import parse_preprocessing
from src.skin.skin_former import inner_lesion

SPEC = parse_preprocessing("resize || normalize(stats='imagenet')", 32)


@pytest.fixture
def table(isic):
    return DATASETS.build("isic2020", data_path=isic, skin_color_csv="")


def augmented(table):
    return LocalISICDataset(table, SPEC, Augmentation("dermatoscopy"))


def test_item_is_the_rows_image_label_and_group(table):
    dataset = LocalISICDataset(table, SPEC)
    assert len(dataset) == len(table) == 24
    for row in range(len(dataset)):
        image, label, group = dataset[row]
        assert (image.dtype, image.shape) == (torch.float32, (3, 32, 32))
        expected = SPEC(read_image(table.rows["image"][row]))
        np.testing.assert_array_equal(image.numpy(), expected)
        assert (label, group) == (table.labels[row], table.group_indices[row])
        assert type(label) is type(group) is int


def test_unknown_group_is_minus_one(isic):
    (isic / "ISIC_2020_full.csv").unlink()
    table = DATASETS.build("isic2020", data_path=isic, skin_color_csv="")
    assert LocalISICDataset(table, SPEC)[3][2] == -1


def test_only_a_seed_augments_and_each_in_its_own_way(table):
    dataset, plain = augmented(table), LocalISICDataset(table, SPEC)
    assert torch.equal(dataset[4][0], plain[4][0])
    assert torch.equal(plain[4, 9][0], plain[4][0])
    first = dataset[4, 9][0]
    assert not torch.equal(first, plain[4][0])
    dataset[5, 1]
    assert torch.equal(dataset[4, 9][0], first)
    assert len({dataset[4, seed][0].numpy().tobytes() for seed in range(8)}) == 8
    assert dataset[4, 9][1:] == plain[4][1:]


def test_torchs_random_state_is_left_alone(table):
    before = torch.random.get_rng_state()
    augmented(table)[0, 5]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_image_that_went_bad_is_named(table):
    dataset = LocalISICDataset(table, SPEC)
    Path(table.rows["image"][2]).write_bytes(b"")
    with pytest.raises(UserError, match=r"ISIC_\d+\.jpg: empty file"):
        dataset[2]


def test_training_batches_are_alike_with_and_without_processes(table):
    def epoch(num_workers):
        batches = EpochBatches(SAMPLERS.build("oversample", labels=table.labels), 5, seed=2)
        batches.epoch = 1
        chain = Augmentation("dermatoscopy")
        loader = train_loader(table, SPEC, chain, batches, num_workers, pin_memory=False)
        assert len(loader) == 5
        return list(loader)

    alone, shared = epoch(0), epoch(2)
    assert len(alone) == len(shared) == 5
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert alone[0][0].shape == (5, 3, 32, 32)


def test_training_rows_follow_the_order_of_the_batches(table):
    batches = EpochBatches(SAMPLERS.build("random", labels=table.labels), 7, seed=0)
    rows = [row for batch in batches for row, _ in batch]
    loader = train_loader(table, SPEC, Augmentation("none"), batches, 0, pin_memory=False)
    images, labels, groups = (torch.cat(part) for part in zip(*loader, strict=True))
    assert labels.tolist() == table.labels[rows].tolist()
    assert groups.tolist() == table.group_indices[rows].tolist()
    plain = LocalISICDataset(table, SPEC)
    assert torch.equal(images, torch.stack([plain[row][0] for row in rows]))


def test_evaluation_takes_every_row_once_in_order(table):
    loader = eval_loader(table, SPEC, batch_size=23, num_workers=0, pin_memory=False)
    images, labels, groups = (torch.cat(part) for part in zip(*loader, strict=True))
    plain = LocalISICDataset(table, SPEC)
    assert torch.equal(images, torch.stack([plain[row][0] for row in range(24)]))
    assert labels.tolist() == table.labels.tolist()
    assert groups.tolist() == table.group_indices.tolist()


def test_loading_processes_are_at_most_one_per_core(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert [n_processes(n) for n in (0, 2, 3, 8)] == [0, 2, 3, 3]


WHOLE = parse_preprocessing("resize(height=150, width=200)", 32)  # the drawn images as they are
SHIFT = "skin_former(probability=(1, 1, 1, 0))"


@pytest.fixture(scope="module")
def skins(demo):
    """Every third training row of the drawn set: its skin has a tone, its lesions have masks."""
    table = DATASETS.build("isic2020", data_path=demo / "isic2020", skin_color_csv="")
    return table.with_rows(table.split("train").rows[::3])


def test_group_is_another_exactly_where_the_image_is(skins):
    plain = LocalISICDataset(skins, SPEC)
    shifted = LocalISICDataset(skins, SPEC, Augmentation("skin_former"))
    changed = []
    for row in range(len(skins)):
        (image, label, group), (before, _, old) = shifted[row, row + 5], plain[row]
        changed.append(not torch.equal(image, before))
        assert label == skins.labels[row]
        assert (old, type(group)) == (skins.group_indices[row], int)
        assert group == (3 if changed[-1] else old)
        assert torch.equal(shifted[row][0], before), "without a seed nothing is augmented"
    changed = np.array(changed)
    assert not changed[skins.group_indices == 3].any()
    assert 0.2 < changed[skins.group_indices < 2].mean() < 0.8


def test_only_skin_outside_of_the_mask_changes(skins):
    plain, shifted = (LocalISICDataset(skins, WHOLE, Augmentation(t)) for t in ("none", SHIFT))
    rows = np.flatnonzero(skins.group_indices < 3)[:12]
    n_shifted = 0
    for row in rows:
        mask = cv2.imread(skins.rows["mask"][row], cv2.IMREAD_GRAYSCALE) == 255
        before, after = plain[row, 1][0].numpy(), shifted[row, 1][0].numpy()
        inner = inner_lesion(mask)  # the rim's colour decides whether it is skin
        np.testing.assert_array_equal(before[:, inner], after[:, inner])
        n_shifted += (before[:, ~mask] != after[:, ~mask]).mean() > 0.8
    assert n_shifted >= 10


def test_rows_of_other_groups_neither_change_nor_need_a_mask(skins):
    groups = np.resize([-1, 3], len(skins))
    others = skins.with_rows(skins.rows.assign(group=groups, mask=""))
    plain, shifted = (
        LocalISICDataset(others, SPEC),
        LocalISICDataset(others, SPEC, Augmentation(SHIFT)),
    )
    for row in range(0, len(others), 4):
        assert torch.equal(shifted[row, 3][0], plain[row][0])
        assert shifted[row, 3][1:] == plain[row][1:] == (others.labels[row], groups[row])


def test_a_shifted_row_is_a_function_of_row_and_seed(skins):
    dataset = LocalISICDataset(skins, SPEC, Augmentation(f"{SHIFT} | flips"))
    row = int(np.flatnonzero(skins.group_indices == 0)[0])
    first = dataset[row, 9]
    dataset[row + 1, 4], dataset[row, 8]
    again = LocalISICDataset(skins, SPEC, Augmentation(f"{SHIFT} | flips"))[row, 9]
    assert torch.equal(first[0], again[0])
    assert first[1:] == again[1:] == (skins.labels[row], 3)
    assert len({dataset[row, seed][0].numpy().tobytes() for seed in range(6)}) == 6


def test_batches_of_shifted_groups_are_alike_with_and_without_processes(skins):
    def epoch(num_workers):
        batches = EpochBatches(SAMPLERS.build("random", labels=skins.labels), 16, seed=1)
        chain = Augmentation("skin_former | dermatoscopy")
        return list(train_loader(skins, SPEC, chain, batches, num_workers, pin_memory=False))

    alone, shared = epoch(0), epoch(2)
    for one, other in zip(alone, shared, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    groups = torch.cat([groups for *_, groups in alone])
    assert groups.dtype == torch.int64
    n_shifted = (groups == 3).sum() - (skins.group_indices == 3).sum()
    assert 5 < n_shifted < len(skins) - 5


class Spy:
    """An augmentation that needs every mask and keeps the samples it gets."""

    def __init__(self):
        self.samples = []

    def needs_mask(self, group):
        return True

    def __call__(self, sample, seed):
        self.samples.append(sample)
        return sample


def masked(table, tmp_path, image, mask):
    """The table's first row with these pixels for its image and its mask, as PNG files."""
    for name, pixels in (("image", image), ("mask", mask)):
        (tmp_path / f"{name}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    rows = table.rows[:1]
    return table.with_rows(
        rows.assign(image=str(tmp_path / "image.png"), mask=str(tmp_path / "mask.png"))
    )


def seen(table, steps):
    """The sample that an augmentation gets of the first row after these steps of *prepare*."""
    spy = Spy()
    spec = parse_preprocessing(f"{steps} || resize | normalize(stats='half')", 16)
    LocalISICDataset(table, spec, spy)[0, 0]
    return spy.samples[0]


BLOB = np.zeros((40, 32), np.uint8)
BLOB[4:22, 9:15] = BLOB[15:22, 9:30] = 255  # unlike any of its mirror images


@pytest.mark.parametrize(
    "steps",
    [
        "resize(size=64)",
        "resize(height=17, width=50)",
        "pad_resize(size=48)",
        "pad_resize(height=20, width=50)",
        "center_crop(size=24)",
        "center_crop(height=60, width=20)",
        "pad_resize(size=64) | center_crop(size=50) | resize(size=33)",
        "",
    ],
)
def test_mask_moves_as_its_image_does(table, tmp_path, steps):
    """An image that is its own mask says where each pixel went."""
    sample = seen(masked(table, tmp_path, BLOB, BLOB), steps)
    assert sample.lesion.dtype == bool
    np.testing.assert_array_equal(sample.lesion, sample.image[..., 0] > 127)
    assert 0 < sample.lesion.sum() < sample.lesion.size


@pytest.mark.parametrize("steps", ["remove_hair", "shades_of_grey", "segment_out_skin(value=255)"])
def test_mask_is_not_painted_on(table, tmp_path, steps):
    """A black image, in which these steps do what they do, leaves the mask alone."""
    sample = seen(masked(table, tmp_path, BLOB * 0, BLOB), f"{steps} | center_crop(size=30)")
    np.testing.assert_array_equal(sample.lesion, BLOB[5:35, 1:31] > 0)


@pytest.mark.parametrize(("value", "counts"), [(0, False), (1, True), (128, True), (255, True)])
def test_padding_that_is_not_black_counts_as_lesion(table, tmp_path, value, counts):
    """It is no skin to measure the tone on, nor to darken."""
    sample = seen(masked(table, tmp_path, BLOB, BLOB), f"pad_resize(size=40, value={value})")
    assert (sample.lesion[:, :4] == counts).all()
    assert (sample.lesion[:, 36:] == counts).all()
    np.testing.assert_array_equal(sample.lesion[:, 4:36], BLOB > 0)


@pytest.mark.parametrize("value", [0, 60, 120, 250])
def test_skin_is_shifted_whatever_it_is_padded_with(skins, value):
    spec = parse_preprocessing(f"pad_resize(size=64, value={value})", 64)
    plain, shifted = (LocalISICDataset(skins, spec, Augmentation(t)) for t in ("none", SHIFT))
    for row in np.flatnonzero(skins.group_indices < 3)[:4]:
        (before, *_), (after, _, group) = plain[row, 1], shifted[row, 1]
        assert group == 3
        assert torch.equal(before[:, :7], after[:, :7])
        assert (before != after)[:, 8:56].float().mean() > 0.5


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (BLOB[:30], "mask.png: 32x30 pixels, but its image .*image.png has 32x40"),
        (BLOB.T, "mask.png: 40x32 pixels, but its image .*image.png has 32x40"),
        (BLOB // 255, r"mask.png: its brightest sample is 1, expected the lesion in white \(255\)"),
        (BLOB // 2, r"mask.png: its brightest sample is 127, expected the lesion in white"),
    ],
    ids=["cut", "turned", "ones", "grey"],
)
def test_mask_that_does_not_fit_is_named_when_its_row_is_read(table, tmp_path, mask, expected):
    spoilt = masked(table, tmp_path, BLOB, mask)
    dataset = LocalISICDataset(spoilt, SPEC, Spy())
    with pytest.raises(UserError, match=expected):
        dataset[0, 1]
    assert dataset[0][0].shape == (3, 32, 32), "unused without a seed"


def test_mask_of_no_lesion_is_one(table, tmp_path):
    assert not seen(masked(table, tmp_path, BLOB, BLOB * 0), "resize(size=20)").lesion.any()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"GIF89a", "not a JPEG, PNG, TIFF, WebP or BMP file"),
        (None, "No such file"),
    ],
)
def test_unreadable_mask_is_named_with_its_reason(table, tmp_path, content, reason):
    spoilt = masked(table, tmp_path, BLOB, BLOB)
    path = tmp_path / "mask.png"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=f"mask.png: {reason}"):
        LocalISICDataset(spoilt, SPEC, Spy())[0, 1]


def test_malignant_only_changes_rows_of_the_positive_class_and_leaves_others_bit_by_bit(table):
    """Whichever class that is, and for every seed."""
    for positive in (0, 1):
        rows = LocalISICDataset(
            replace(table, positive=positive), SPEC, Augmentation("malignant_only(policy='lumen')")
        )
        for row in range(len(rows)):
            plain = rows[row]
            changed = [not torch.equal(rows[row, seed][0], plain[0]) for seed in (1, 2, 3)]
            assert changed == [plain[1] == positive] * 3
