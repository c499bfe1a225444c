"""The flags of skin tone in training: what the network sees, the groups it learns, refusals."""

from itertools import combinations

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from src.artifact.export import export_onnx
from src.artifact.network import load_checkpoint, load_network
from src.core.config import Config
from src.core.errors import UserError
from src.core.flags import load_config, to_yaml
from src.datasets.load import load_table
from src.engine.checks import check_settings, check_table
from src.engine.loop import Position
from src.engine.parts import make_parts
from src.engine.run import train
from src.loading.augment import Augmentation
from src.loading.loaders import LocalISICDataset, with_statistics
from src.scripts import predict
from src.skin.masks import lesion_mask

CIELAB, SHIFT, SEGMENT = "--cielab", "--skin_former", "--segment_out_skin"
SETS = [flags for n in range(3) for flags in combinations((CIELAB, SHIFT, SEGMENT), n)]
SETS.remove((SHIFT, SEGMENT))  # refused
CLASSES = ["probability_benign", "probability_malignant"]


@pytest.fixture(scope="module")
def table(demo):
    return load_table(Config().with_settings(data_path=str(demo / "isic2020")).data)


@pytest.fixture(scope="module")
def few(table):
    """Eight light training rows."""
    rows = table.split("train").rows
    return table.with_rows(rows[rows["group"] < 2][:8])


def inputs(rows, *flags, seed=3):
    """The network's input [rows, 3, 32, 32] with these flags, and the groups that go with it."""
    cfg = load_config(["--input_size", "32", *flags])
    spec = with_statistics(check_settings(cfg), rows)
    dataset = LocalISICDataset(rows, spec, Augmentation(cfg.data.augment))
    images, _, groups = zip(*(dataset[row, seed] for row in range(len(rows))), strict=True)
    return torch.stack(images), list(groups)


def opened(path):
    """RGB uint8 by OpenCV alone, stretched to 32 x 32."""
    rgb = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    return cv2.resize(rgb, (32, 32), interpolation=cv2.INTER_AREA)


def differ(one, other):
    """Rows whose tensors differ."""
    return (one != other).flatten(1).any(dim=1)


@pytest.mark.parametrize("augment", ["none", "flips"])
def test_every_flag_changes_the_input_alone_and_beside_the_others(few, augment):
    found = {flags: inputs(few, "--augment", augment, *flags)[0] for flags in SETS}
    for flags in SETS:
        for more in {CIELAB, SEGMENT} - set(flags):
            both = tuple(f for f in (CIELAB, SHIFT, SEGMENT) if f in (*flags, more))
            if both in found:
                assert differ(found[flags], found[both]).all(), more
    for flags in ((), (CIELAB,)):
        assert differ(found[flags], found[(*flags, SHIFT)]).any()


def test_skin_former_relabels_what_it_changes_under_every_flag(few):
    for flags in SETS:
        if SHIFT not in flags:
            continue
        rest = [flag for flag in flags if flag != SHIFT]
        plain, groups = inputs(few, "--augment", "none", *rest)
        shifted, new_groups = inputs(few, "--augment", "none", *flags)
        changed = differ(plain, shifted).tolist()
        assert groups == few.group_indices.tolist()
        assert new_groups == [3 if c else g for c, g in zip(changed, groups, strict=True)]
        assert any(changed)


@pytest.mark.parametrize("mark", ["segment_out_skin | resize ||", "resize || segment_out_skin |"])
def test_shifting_skin_that_is_segmented_out_is_refused(mark):
    cfg = load_config([SHIFT, "--preprocess", f"{mark} normalize(stats='half')"])
    with pytest.raises(UserError, match="skin_former and segment_out_skin"):
        check_settings(cfg)


def test_segmenting_happens_in_the_whole_image_before_all_else(few):
    steps = "resize || normalize(stats='half')"
    found, _ = inputs(few, SEGMENT, "--preprocess", steps, "--augment", "none")
    for path, tensor in zip(few.rows["image"], found, strict=True):
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        image[~lesion_mask(image)] = 0
        small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
        expected = small.transpose(2, 0, 1) / 127.5 - 1
        np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-5)
        assert (small == 0).all(axis=2).mean() > 0.2


def test_cielab_is_normalized_by_the_training_rows_alone(table):
    def moments(rows):
        floats = [np.float32(opened(path)) / 255 for path in rows["image"]]
        lab = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2Lab) for image in floats])
        return lab.mean(axis=(0, 1, 2), dtype=float), lab.std(axis=(0, 1, 2), dtype=float)

    rows = table.split("train")
    cfg = load_config([CIELAB, "--input_size", "32"])
    (name, found) = with_statistics(check_settings(cfg), rows).to_json()["steps"][-1]
    mean, std = moments(rows.rows)
    assert name == "normalize"
    np.testing.assert_allclose(found["mean"], mean, atol=1e-3)
    np.testing.assert_allclose(found["std"], std, atol=1e-3)
    others = moments(table.rows)[0]
    assert np.abs(others - mean).max() > 0.02, "other rows would have given other numbers"
    tensor, _ = inputs(table.with_rows(rows.rows[:3]), CIELAB, "--augment", "none")
    assert tensor.mean(dim=(0, 2, 3)).abs().max() < 1e-4


def test_statistics_are_of_what_segmenting_leaves_and_not_of_shifted_skin(few):
    def constants(*flags):
        cfg = load_config([*flags, "--input_size", "32"])
        return with_statistics(check_settings(cfg), few).to_json()["steps"][-1][1]

    assert constants(CIELAB, SHIFT) == constants(CIELAB)
    assert constants(CIELAB, SEGMENT)["mean"][0] < constants(CIELAB)["mean"][0] - 10


@pytest.fixture(scope="module")
def run(tiny_settings, tmp_path_factory):
    """(settings, folder) of a run of one epoch with two of the flags."""
    settings = {**tiny_settings, "epochs": 1, "output_dir": str(tmp_path_factory.mktemp("runs"))}
    cfg = load_config([CIELAB, SEGMENT], settings)
    return cfg, train(cfg)


def test_a_run_writes_its_steps_with_their_constants(run, table):
    cfg, folder = run
    steps = load_checkpoint(folder / "best_checkpoint.pth")["contract"]["preprocessing"]["steps"]
    size = {"height": 32, "width": 32}
    segmented = ["segment_out_skin", {"value": 0, "domain": "dermoscopy"}]
    assert steps[:3] == [segmented, ["resize", size], ["to_lab", {}]]
    expected = with_statistics(check_settings(cfg), table.split("train")).to_json()["steps"]
    assert steps[3:] == expected[3:]


def test_a_runs_config_gives_the_same_run_again(run, capsys):
    cfg, folder = run
    argv = ["--config", str(folder / "config.yaml")]
    again = load_config(argv)
    assert again.data == cfg.data
    assert again.data.augment == "flips"
    assert again.data.preprocess.startswith("segment_out_skin | resize || to_lab | ")
    with pytest.raises(SystemExit):
        load_config([*argv, CIELAB, SEGMENT, "--print_config"])
    assert capsys.readouterr().out == to_yaml(again)


def test_predict_of_raw_files_says_what_the_checkpoint_says(run, demo, tmp_path, capsys):
    _, folder = run
    export_onnx(*load_network(folder / "best_checkpoint.pth"), tmp_path / "model.onnx")
    images = tmp_path / "images"
    images.mkdir()
    for path in (demo / "isic2020" / "test").glob("*/*.jpg"):
        (images / path.name).symlink_to(path)
    flags = ["--onnx_model_path", tmp_path / "model.onnx", "--input_folder", images]
    argv = [*flags, "--output_csv", tmp_path / "out.csv", "--probabilities"]
    assert predict.main(list(map(str, argv))) == 0
    assert "images predicted" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "out.csv").set_index("image_name")
    expected = pd.read_csv(folder / "predictions_test.csv").set_index("image_name")
    expected = expected.loc[found.index]
    assert len(found) > 30
    np.testing.assert_allclose(found[CLASSES], expected[CLASSES], atol=1e-4)
    assert found[CLASSES[1]].std() > 1e-4
    assert found["target"].tolist() == expected["target"].tolist()


def test_evaluated_rows_keep_their_groups(run, table):
    for split in ("valid", "test"):
        rows = table.split(split)
        groups = pd.read_csv(run[1] / f"predictions_{split}.csv")["group"]
        assert groups.tolist() == rows.group_indices.tolist()


def test_the_objective_sees_the_new_groups(tiny_settings, table):
    flags = ["--domain_discriminative_loss", "--augment", "skin_former(probability=(1, 1, 0.5, 0))"]
    cfg = load_config(flags, tiny_settings)
    parts = make_parts(cfg, check_settings(cfg), table, torch.device("cpu"))
    seen = []
    parts.evaluator.objective.register_forward_pre_hook(lambda _, given: seen.append(given[2]))
    for _ in parts.trainer.epoch(parts.loader, Position(), []):
        pass
    draws = [draw for batch in parts.batches for draw in batch]
    dataset = parts.loader.rows
    assert torch.cat(seen).tolist() == [dataset[draw][2] for draw in draws]
    before = table.split("train").group_indices[[row for row, _ in draws]]
    after = torch.cat(seen).numpy()
    assert (after[before == 3] == 3).all()
    assert (after[before < 2] == 3).mean() > 0.8
    assert 0 < (after[before == 2] == 3).mean() < 1
    assert ((after == before) | (after == 3)).all()


FORMER = Config().with_settings(augment="skin_former | flips", num_workers=0)


def refusal(table, cfg=FORMER):
    with pytest.raises(UserError) as error:
        check_table(table, cfg)
    assert "\n" not in str(error.value)
    return str(error.value)


def without_mask(table, where):
    rows = table.rows.copy()
    rows.loc[where(rows), "mask"] = ""
    return table.with_rows(rows)


def test_a_missing_mask_names_its_image(table):
    light = table.rows[(table.rows["split"] == "train") & (table.rows["group"] < 3)]
    for image in light["image"].iloc[[0, 7, -1]]:
        message = refusal(without_mask(table, lambda rows, image=image: rows["image"] == image))
        assert message.startswith(f"{image}: no mask")
        assert f"(1 of {len(light)} images have none)" in message
        assert "generate_skin_masks" in message
        assert "masks='estimated'" in message


def test_no_masks_at_all_name_the_first_image(table):
    message = refusal(without_mask(table, lambda rows: rows["image"] != ""))
    light = table.rows[(table.rows["split"] == "train") & (table.rows["group"] < 3)]
    assert message.startswith(f"{light['image'].iloc[0]}: no mask")
    assert f"({len(light)} of {len(light)} images have none)" in message


@pytest.mark.parametrize("place", ["nowhere.png", "", "nul\0.png"], ids=repr)
def test_a_mask_that_a_table_states_but_is_not_there_is_missing(table, tmp_path, place):
    rows = table.rows.copy()
    first = rows.index[(rows["split"] == "train") & (rows["group"] == 1)][0]
    rows.loc[first, "mask"] = str(tmp_path / place)  # a folder is none either
    assert refusal(table.with_rows(rows)).startswith(f"{rows['image'][first]}: no mask")


def spared(rows):
    """Rows whose mask nothing reads."""
    return (rows["split"] != "train") | ~rows["group"].isin([0, 1, 2])


def test_masks_of_other_splits_and_of_groups_not_drawn_may_be_missing(table):
    check_table(without_mask(table, spared), FORMER)
    dark = table.rows[(table.rows["split"] == "train") & (table.rows["group"] == 3)]
    darkest = FORMER.with_settings(augment="skin_former(probability=(0, 0, 0, 0.1))")
    assert refusal(without_mask(table, spared), darkest).startswith(dark["image"].iloc[0])
    unknown = table.with_rows(
        table.rows.assign(group=table.rows["group"].where(table.rows.index % 2 == 0, -1))
    )
    check_table(without_mask(unknown, spared), FORMER)


def test_estimated_masks_need_no_files(table):
    nothing = without_mask(table, lambda rows: rows["image"] != "")
    check_table(nothing, FORMER.with_settings(augment="skin_former(masks='estimated') | flips"))
    check_table(nothing, FORMER.with_settings(augment="flips"))


@pytest.mark.parametrize("group", [-1, 3])
def test_training_rows_without_a_group_to_shift_are_refused(table, group):
    """Whatever the groups of validation rows."""
    groups = table.rows["group"].where(table.rows["split"] != "train", group)
    message = refusal(table.with_rows(table.rows.assign(group=groups)))
    assert message.startswith("--augment 'skin_former | flips': no training image belongs to")
    assert "--skin_color_csv" in message


def test_nothing_is_written_where_training_is_refused(tiny_settings, demo, tmp_path):
    """HAM10000 has masks, but its metadata says nothing of skin."""
    settings = {**tiny_settings, "data_path": str(demo / "ham10000"), "dataset": "ham10000"}
    cfg = Config().with_settings(**{**settings, "augment": "skin_former"})
    with pytest.raises(
        UserError, match="no training image belongs to a skin-tone group that skin_former"
    ):
        train(cfg.with_settings(output_dir=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
