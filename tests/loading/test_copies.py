"""Virtual copies: how each moves an image, the longer table, and what is drawn and counted."""

import itertools

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest

from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table, table_hash
from src.datasets.table import make_table
from src.engine.checks import check_settings
from src.engine.parts import make_parts
from src.loading.augment import Augmentation
from src.loading.copies import COPIES, copy_names, moved, with_copies
from src.loading.loaders import LocalISICDataset, train_loader
from src.loading.sampler import SAMPLERS, EpochBatches
from src.preprocess.spec import parse_preprocessing

ALL = "original | horizontal_flip | vertical_flip | rotation | translation"
SIZES = [(1, 1), (1, 7), (2, 2), (33, 64), (301, 200)]
DRAWN = {"rotation": "rotation(degrees=0)", "translation": "translation(share=0.0)"}
SPEC = parse_preprocessing("resize || normalize(stats='half')", 32)


def noise(size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def matrices(call, size, n=1000):
    """The affine matrices of `n` draws, [n, 2, 3]."""
    return np.array(
        [COPIES.build(call, size=size, rng=np.random.default_rng(seed)) for seed in range(n)]
    )


def table_of(labels, classes=("benign", "malignant"), positive=1):
    names = [f"{letter}.jpg" for letter in "fbdhacge"[: len(labels)]]
    groups = np.arange(len(labels)) % 4
    rows = pd.DataFrame({"image": names, "label": labels, "group": groups, "mask": names})
    return make_table(rows.assign(split="train"), classes, positive)


@pytest.mark.parametrize("name", COPIES.names())
def test_every_copy_is_a_pure_function_of_image_and_seed(name):
    for size in SIZES:
        image = noise(size)
        for seed in (0, 5, 2**32 - 1):
            first = moved(image, name, seed)
            assert (first.dtype, first.shape) == (np.uint8, image.shape)
            np.testing.assert_array_equal(moved(image.copy(), name, seed), first)
        np.testing.assert_array_equal(image, noise(size))


@pytest.mark.parametrize("name", COPIES.names())
def test_another_seed_is_another_image_where_the_copy_is_drawn(name):
    found = {moved(noise((33, 64)), name, seed).tobytes() for seed in range(20)}
    assert len(found) == (20 if name in DRAWN else 1)


def test_original_and_flips_are_exact():
    for size, seed in itertools.product([*SIZES, (1500, 2001)], [0, 9]):
        image = noise(size)
        np.testing.assert_array_equal(moved(image, "original", seed), image)
        np.testing.assert_array_equal(moved(image, "horizontal_flip", seed), np.flip(image, axis=1))
        np.testing.assert_array_equal(moved(image, "vertical_flip", seed), np.flip(image, axis=0))


@pytest.mark.parametrize("call", DRAWN.values())
def test_a_copy_that_may_not_move_is_the_original(call):
    for seed in range(3):
        np.testing.assert_array_equal(moved(noise((33, 64)), call, seed), noise((33, 64)))


@pytest.mark.parametrize(("call", "degrees"), [("rotation", 15), ("rotation(degrees=40)", 40)])
@pytest.mark.parametrize("size", [(33, 64), (301, 200)], ids=str)
def test_rotation_turns_about_the_centre_within_its_range(call, degrees, size):
    found = matrices(call, size)
    angles = np.degrees(np.arctan2(found[:, 0, 1], found[:, 0, 0]))
    assert 0.98 * degrees < np.abs(angles).max() <= degrees
    assert kstest(angles, "uniform", (-degrees, 2 * degrees)).pvalue > 1e-3
    turns = found[:, :, :2]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), [np.eye(2)] * 1000, atol=1e-12)
    assert (np.linalg.det(turns) > 0).all()
    centre = (size[1] - 1) / 2, (size[0] - 1) / 2
    np.testing.assert_allclose(found @ [*centre, 1], [centre] * 1000, atol=1e-9)


@pytest.mark.parametrize(("call", "share"), [("translation", 0.1), ("translation(share=0.5)", 0.5)])
def test_translation_shifts_within_its_share_of_each_side(call, share):
    found = matrices(call, (40, 300))
    np.testing.assert_array_equal(found[:, :, :2], [np.eye(2)] * 1000)
    shifts = found[:, :, 2] / [300, 40]  # x of the width, y of the height
    for along in shifts.T:
        assert 0.98 * share < np.abs(along).max() <= share
        assert kstest(along, "uniform", (-share, 2 * share)).pvalue > 1e-3
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.2


def test_pixels_come_from_where_the_matrix_says_and_the_edges_are_reflected():
    """Of an image that is linear in x, y and their sum, whatever interpolates linearly is exact."""
    for seed, call in itertools.product(
        range(4), [*COPIES.names(), "translation(share=1.0)", "rotation(degrees=90)"]
    ):
        height, width = 40, 60
        y, x = np.mgrid[:height, :width].astype(float)
        matrix = COPIES.build(call, size=(height, width), rng=np.random.default_rng(seed))
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        from_x, from_y = np.tensordot(inverse, np.stack([x, y, np.ones_like(x)]), axes=1)
        from_x = (width - 1) - np.abs((width - 1) - np.abs(from_x))
        from_y = (height - 1) - np.abs((height - 1) - np.abs(from_y))
        expected = np.stack([4 * from_x, 6 * from_y, 2 * from_x + 3 * from_y], axis=-1)
        image = np.stack([4 * x, 6 * y, 2 * x + 3 * y], axis=-1).astype(np.uint8)
        difference = np.abs(moved(image, call, seed) - expected)
        assert np.quantile(difference, 0.9) < 1  # of rounding
        assert difference.max() < 6.5  # at a kink, within a pixel


@pytest.mark.parametrize("k", range(1, 6))
def test_the_positive_class_is_as_many_times_as_frequent_as_there_are_copies(k):
    table = table_of([0, 1, 0, 2, 1, 0, 2], ("nevus", "melanoma", "keratosis"), positive=2)
    names = ALL.split(" | ")[:k]
    longer = with_copies(table, " | ".join(names))
    assert np.bincount(longer.labels).tolist() == [3, 2, 2 * k]
    assert len(longer) == len(longer.rows) == len(longer.group_indices) == 5 + 2 * k
    for _, row in table.rows.iterrows():
        of_row = longer.rows[longer.rows["image"] == row["image"]]
        assert of_row["copy"].tolist() == (names if row["label"] == 2 else ["original"])
        for column in table.rows:
            same = of_row[column].isna() if pd.isna(row[column]) else of_row[column] == row[column]
            assert same.all(), column
    assert longer.rows["image"].is_monotonic_increasing
    assert longer.rows.index.tolist() == list(range(5 + 2 * k))
    assert (longer.classes, longer.positive, longer.groups) == (table.classes, 2, table.groups)
    assert "copy" not in table.rows


@pytest.mark.parametrize("text", ["", "  ", "|"])
def test_without_copies_the_table_is_the_same(text):
    table = table_of([0, 1, 0])
    assert with_copies(table, text) is table


@pytest.mark.parametrize(("label", "n"), [(0, 3), (1, 9)])
def test_tables_of_one_class_have_copies_too(label, n):
    longer = with_copies(table_of([label] * 3), "original | rotation | vertical_flip")
    assert longer.labels.tolist() == [label] * n


def test_copies_without_the_original_replace_it():
    longer = with_copies(table_of([0, 1, 0]), "vertical_flip")
    assert sorted(longer.rows["copy"]) == ["original", "original", "vertical_flip"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("original | rotate", "'rotate'; did you mean 'rotation'"),
        ("rotation(degree=3)", "did you mean 'degrees'"),
        ("rotation(degrees='x')", "'degrees'"),
        ("rotation(degrees=-15)", r"rotation\(degrees=-15\)"),
        ("rotation(degrees=181)", r"rotation\(degrees=181\)"),
        ("original | translation(share=-0.1)", r"translation\(share=-0.1\)"),
        ("translation(share=1e300)", "translation.share="),
        ("original | original", "--malignant_copies 'original . original'"),
        ("rotation | rotation( degrees = 15.0 )", "--malignant_copies"),
        ("original, rotation", "'original, rotation'"),
    ],
)
def test_wrong_copies_are_refused_before_data_are_read(text, named):
    for refuse in (
        copy_names,
        lambda t: check_settings(Config().with_settings(malignant_copies=t)),
    ):
        with pytest.raises(UserError, match=named) as error:
            refuse(text)
        assert "\n" not in str(error.value)


def test_copies_of_one_kind_with_other_options_are_two():
    names = copy_names(" rotation |rotation(degrees=5)| original")
    assert names == ["rotation", "rotation(degrees=5)", "original"]


@pytest.fixture
def train(isic):
    """The table of the small ISIC folder: eight training rows, four of them malignant."""
    return load_table(Config().with_settings(data_path=str(isic)).data)


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_an_epoch_draws_the_labels_and_copies_of_the_longer_table(train, n_ranks):
    rows = with_copies(train.split("train"), ALL)
    assert np.bincount(rows.labels).tolist() == [4, 20]
    order = SAMPLERS.build("random", labels=rows.labels)
    drawn = []
    for rank in range(n_ranks):
        batches = EpochBatches(order, 4, 0, rank, n_ranks)
        loader = train_loader(rows, SPEC, Augmentation("none"), batches, 0, pin_memory=False)
        labels = torch.cat([labels for _, labels, _ in loader])
        places = [row for batch in batches for row, _ in batch]
        assert labels.tolist() == rows.labels[places].tolist()
        drawn += places
    assert rows.rows["copy"].iloc[drawn].value_counts().to_dict() == (
        rows.rows["copy"].value_counts().to_dict()
    )
    assert np.bincount(rows.labels[drawn]).tolist() == [4, 20]


def test_a_copy_moves_the_augmented_image_and_only_where_there_is_a_seed(train):
    rows = with_copies(train.split("train"), ALL)
    plain, copied = (
        LocalISICDataset(table, SPEC, Augmentation("dermatoscopy"))
        for table in (rows.with_rows(rows.rows.drop(columns="copy")), rows)
    )
    for row, name in enumerate(rows.rows["copy"]):
        assert torch.equal(copied[row][0], plain[row][0])
        before = np.rint((plain[row, 7][0].numpy().transpose(1, 2, 0) + 1) * 127.5)
        after = SPEC.finish(moved(before.astype(np.uint8), name, 7))
        np.testing.assert_array_equal(copied[row, 7][0].numpy(), after)
        assert copied[row, 7][1:] == plain[row, 7][1:] == copied[row][1:]


def test_skin_former_reads_the_mask_before_the_copy_moves_the_image(tmp_path):
    """The mask's lesion is far off the centre: through a moved mask other skin would be darker."""
    y, x = np.mgrid[:64, :64]
    lesion = np.hypot(y - 16, x - 12) < 9
    texture = np.random.default_rng(0).integers(-4, 5, (64, 64, 3))
    image = np.where(lesion[..., None], (110, 60, 45), (232, 196, 172)) + texture
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1].astype(np.uint8))
    cv2.imwrite(str(tmp_path / "mask.png"), lesion * np.uint8(255))
    files = {"image": str(tmp_path / "a.png"), "mask": str(tmp_path / "mask.png")}
    table = make_table(
        pd.DataFrame([{**files, "label": 1, "group": 0, "split": "train"}]), ("b", "m"), 1
    )
    chain = Augmentation("skin_former(target=(-10.0, -10.0), probability=(1, 1, 1, 1))")
    spec = parse_preprocessing("resize || normalize(stats='half')", 64)
    rows = with_copies(table, "original | horizontal_flip | vertical_flip")
    dataset = LocalISICDataset(rows, spec, chain)
    found = [dataset[row, 3][0].numpy() for row in range(3)]
    assert [dataset[row, 3][2] for row in range(3)] == [3, 3, 3]
    np.testing.assert_array_equal(found[1], np.flip(found[0], axis=2))
    np.testing.assert_array_equal(found[2], np.flip(found[0], axis=1))
    before = spec(image.astype(np.uint8))
    inner = np.hypot(y - 16, x - 12) < 6  # than which the rim may change
    np.testing.assert_array_equal(found[0][:, inner], before[:, inner])
    assert (found[0] < before - 0.3)[:, np.hypot(y - 16, x - 12) > 20].all()


def test_counts_weights_and_priors_of_a_run_are_those_of_the_copies(train):
    settings = {"model": "test_resnet", "pretrained": False, "input_size": 32, "num_workers": 0}
    settings |= {"augment": "none", "batch_size": 8, "class_weights": "inverse_frequency"}
    settings |= {"objective": "domain_discriminative", "device": "cpu"}
    cfg = Config().with_settings(**settings, malignant_copies=ALL)
    parts = make_parts(cfg, check_settings(cfg), train, torch.device("cpu"))
    counts = np.zeros((4, 2))
    for row in train.rows[train.rows["split"] == "train"].itertuples():
        counts[row.group, row.label] += 5 if row.label == 1 else 1
    assert counts.sum(axis=0).tolist() == [4, 20]
    assert parts.contract.provenance["label_counts"] == [4, 20]
    assert parts.contract.provenance["group_counts"] == counts.tolist()
    np.testing.assert_allclose(parts.contract.priors, counts / 24)
    np.testing.assert_allclose(parts.evaluator.objective.weight, [[24 / 8, 24 / 40]])
    assert len(parts.loader) == parts.trainer.settings.steps_per_epoch == 3
    assert sum(len(labels) for _, labels, _ in parts.loader) == 24
    predictions, metrics = parts.evaluator(parts.network, "valid")
    assert set(predictions.names) == {f"ISIC_{n}.jpg" for n in (2, 3, 8, 9, 14, 15, 20, 21)}
    assert metrics["n"] == 8
    assert parts.contract.provenance["table"] == table_hash(train)
