"""Data sets and loaders: rows as tensors, augmented by seed, alike in one process and in two."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.augment import AUGMENTATIONS
from src.datasets.datasets import LocalISICDataset
from src.datasets.loaders import eval_loader, n_processes, train_loader
from src.datasets.sampler import SAMPLERS, EpochBatches
from src.preprocess.image import read_image
from src.preprocess.spec import parse_preprocessing

SPEC = parse_preprocessing("resize || normalize(stats='imagenet')", 32)


@pytest.fixture
def table(isic):
    return DATASETS.build("isic2020", data_path=isic, skin_color_csv="")


def augmented(table):
    return LocalISICDataset(table, SPEC, AUGMENTATIONS.build("dermatoscopy"))


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
        transform = AUGMENTATIONS.build("dermatoscopy")
        loader = train_loader(table, SPEC, transform, batches, num_workers, pin_memory=False)
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
    loader = train_loader(table, SPEC, AUGMENTATIONS.build("none"), batches, 0, pin_memory=False)
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
