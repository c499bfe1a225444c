"""What a device makes of uint8 batches is what preprocessing makes of each image."""

import multiprocessing

import numpy as np
import pandas as pd
import pytest
import torch

from src.datasets.table import make_table
from src.loading.batches import DeviceBatches
from src.loading.loaders import LocalISICDataset, eval_loader
from src.preprocess.spec import parse_preprocessing
from tests.datasets.small_isic import write_image

SPECS = {
    "resize || normalize(stats='imagenet')": torch.uint8,
    "resize || center_crop(size=24) | normalize(stats='half')": torch.uint8,
    "resize(height=24, width=40) || normalize(mean=(0.1, 0.9, 0.3), std=(3, 1, 0.7))": torch.uint8,
    "resize || to_lab | normalize(mean=(50, 0, 0), std=(9, 9, 9))": torch.float32,
    "resize || normalize(stats='half') | pad_resize": torch.float32,
    "resize ||": torch.float32,
}


@pytest.fixture
def table(tmp_path):
    paths = [str(write_image(tmp_path / f"{n}.jpg", n)) for n in range(5)]
    rows = pd.DataFrame({"image": paths, "label": [0, 1, 0, 1, 1]})
    return make_table(rows, ("a", "b"), 1)


def test_batches_are_the_finished_images_bit_by_bit(table):
    for text, handed_over in SPECS.items():
        spec = parse_preprocessing(text, 32)
        loader = eval_loader(table, spec, 2, num_workers=0, pin_memory=True)
        images = torch.cat([images for images, *_ in loader])
        rows = LocalISICDataset(table, spec)
        expected = np.stack([rows[row][0].numpy() for row in range(len(table))])
        np.testing.assert_array_equal(images.numpy(), expected, err_msg=text)
        for batch, labels, groups in loader:
            assert batch.is_contiguous(memory_format=torch.channels_last), text
            assert labels.dtype == groups.dtype == torch.int64
        assert next(iter(loader._loader))[0].dtype == handed_over, text


@pytest.mark.slow
def test_processes_that_start_early_take_the_keys_of_the_time_through(table):
    asked = []

    class Keys(list):
        def __iter__(self):
            asked.append(1)
            return super().__iter__()

    before, keys = multiprocessing.active_children(), Keys([[0, 1], [2, 3]])
    rows = LocalISICDataset(table, parse_preprocessing("resize ||", 32))
    loader = DeviceBatches(rows, keys, 1, pin_memory=False, device=torch.device("cpu"))
    loader.start()
    assert len(multiprocessing.active_children()) == len(before) + 1
    assert not asked, "nothing is loaded for nobody"
    keys[0] = [4, 0]  # as an order of rows that is known only when an epoch begins
    for _ in range(2):
        assert [labels.tolist() for _, labels, _ in loader] == [[1, 0], [0, 1]]
    assert len(multiprocessing.active_children()) == len(before) + 1
