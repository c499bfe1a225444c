"""`visualize_images`: the pictures of the sheet are the numbers that the network is given."""

import cv2
import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.core.settings import Data
from src.datasets.load import split_table
from src.loading.augment import Augmentation
from src.loading.loaders import LocalISICDataset
from src.preprocess.image import read_image, write_png
from src.preprocess.spec import parse_preprocessing
from src.scripts.visualize_images import main
from src.viewing.sheet import FILE, FOUND, as_seen, choose, look, outlined


@pytest.fixture
def train(isic):
    return split_table(Data(data_path=str(isic))).split("train")


def test_a_picture_is_the_networks_input_with_its_scaling_undone(train):
    spec = parse_preprocessing("clahe | pad_resize || normalize(stats='imagenet')", 48)
    rows = LocalISICDataset(train, spec, Augmentation("lumen"))
    seen = [*look(train, rows, seed=5, n_views=2)]
    mean, std = (np.float32(spec.steps[-1].options[name]) for name in ("mean", "std"))
    for place, row in enumerate(seen):
        view_seeds = np.random.SeedSequence([5, place]).generate_state(2).tolist()
        for (picture, _), seed in zip(row.augmented, view_seeds, strict=True):
            tensor = rows[place, seed][0].permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(picture, np.rint((tensor * std + mean) * 255))
        np.testing.assert_array_equal(row.prepared, spec.prepare(read_image(rows.paths[place])))
        assert row.label == train.classes[rows.labels[place]]
        assert row.is_positive == (row.label == "malignant")
        assert len({picture.tobytes() for picture, _ in row.augmented}) == 2
    lab = parse_preprocessing("resize || to_lab", 48)
    picture = as_seen(lab, lab.prepare(read_image(rows.paths[0])))
    planes = torch.from_numpy(lab(read_image(rows.paths[0])))
    assert np.corrcoef(picture[..., 0].ravel(), planes[0].numpy().ravel())[0, 1] > 0.999


def test_rows_are_of_all_classes_and_groups_and_the_same_for_a_seed(train):
    chosen = choose(train, 4, seed=1)
    assert sorted(chosen.labels) == [0, 0, 1, 1]
    everything = choose(train, 99, seed=1)
    assert sorted(everything.rows["image"]) == sorted(train.rows["image"])
    groups = set(train.group_indices)
    assert set(choose(train, 2 * len(groups), seed=3).group_indices) == groups
    again, other = choose(train, 4, seed=1), choose(train, 4, seed=2)
    assert [*again.rows["image"]] == [*chosen.rows["image"]] != [*other.rows["image"]]


def test_outlines_are_of_the_mask_file_and_of_the_lesion_found(tmp_path):
    image = np.full((150, 200, 3), (215, 165, 145), np.uint8)
    cv2.circle(image, (100, 75), 35, (110, 70, 55), -1)
    mask = np.zeros((150, 200), np.uint8)
    cv2.circle(mask, (60, 60), 20, 255, -1)
    write_png(tmp_path / "mask.png", mask)
    drawn = outlined(image, str(tmp_path / "mask.png"))
    y, x = np.nonzero((drawn == FILE).all(-1))
    assert np.abs(np.hypot(y - 60, x - 60) - 20).max() < 4 and len(y) > 80
    y, x = np.nonzero((drawn == FOUND).all(-1))
    assert np.abs(np.hypot(y - 75, x - 100) - 35).max() < 6 and len(y) > 100
    assert not (outlined(image, "") == FILE).all(-1).any()


@pytest.mark.slow
def test_the_command_draws_what_its_flags_say_and_tells_what_it_cannot_read(isic, tmp_path, capsys):
    output = tmp_path / "sheet.png"
    config = tmp_path / "c.yaml"
    config.write_text("epochs: 3\npreprocess: resize || normalize(stats='train')\naugment: lumen\n")
    flags = ["--data_path", str(isic), "--config", str(config), "-o", str(output), "--input_size"]
    flags += ["32", "--n_images", "2", "--views", "1"]
    assert main(flags) == 0
    first = read_image(output)
    assert main([*flags, "--augment", "none"]) == 0
    assert (read_image(output) != first).any()
    assert main([*flags, "--views", "4"]) == 0
    assert read_image(output).shape[1] > first.shape[1]
    for wrong, named in (
        (["--lr", "1"], "lr"),
        (["--augment", "lumens"], "lumens"),
        (["--preprocess", "resise"], "resise"),
        (["-o", str(tmp_path / "x.jpg")], "x.jpg"),
        (["--views", "99"], "views"),
    ):
        with pytest.raises(UserError, match=named):
            main([*flags, *wrong])
    for path in isic.rglob("*_1.jpg"):
        path.write_bytes(b"\xff\xd8")
    capsys.readouterr()
    assert main([*flags, "--n_images", "40"]) == 1
    assert "ISIC_1.jpg" in capsys.readouterr().out
