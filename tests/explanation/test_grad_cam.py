"""Grad-CAM: the layer of each family, maps by closed forms, the pointing game, the command."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from src.artifact.network import save_checkpoint
from src.core.errors import UserError
from src.explanation.grad_cam import grad_cam, last_map
from src.explanation.grad_cam_folder import HEADER
from src.explanation.overlay import contact_sheet
from src.explanation.pointing import at_center, point, pointing_game
from src.models.melanoma_classifier import MelanomaClassifier
from src.preprocess.spec import parse_preprocessing
from src.scripts import gradcam
from tests.artifact.test_contract import make_contract
from tests.explanation.test_explanation import explaining

AGAINST_FIRST = np.array([-1.0, 1.0])
# the layer of each family: before the pooling, and of a class token what it still looks at
LAYERS = {
    "test_resnet": (64, "layer4"),
    "test_efficientnet": (64, "bn2"),
    "test_convnext": (64, "norm_pre"),
    "mobilenetv3_small_050": (64, "blocks"),  # conv_head comes after the pooling
    "test_vit": (160, "blocks.5.norm1"),  # of the class token
    "test_vit3": (160, "norm"),  # of an attention over all tokens
    "test_mambaout": (64, "stages"),  # channels last
    "mobilenet_v2": (64, "features"),
    "shufflenetv2": (64, "conv5"),
    "squeezenet1_1": (64, "features"),
}


def classifier(name="test_resnet", size=64, **options):
    torch.manual_seed(0)
    return MelanomaClassifier(name, 2, size, **options).eval()


def noise(n, size):
    return np.random.default_rng(0).normal(size=(n, 3, size, size)).astype(np.float32)


@pytest.mark.slow
def test_the_layer_is_the_last_that_tells_positions_apart():
    for name, (size, wanted) in LAYERS.items():
        model, images = classifier(name, size), noise(2, size)
        layer, shaped = last_map(model, torch.from_numpy(images[:1]), torch.tensor([-1.0, 1.0]))
        names = {module: n for n, module in model.backbone.named_modules()}
        assert names[layer] == wanted, name
        outputs = []
        hook = layer.register_forward_hook(lambda _, __, out, kept=outputs: kept.append(out))
        model(torch.from_numpy(images))
        hook.remove()
        n, channels, height, width = shaped(outputs[0]).shape
        assert (n, height) == (2, width) and height > 1 and channels > 8, name
        # for the one class and against it: where one map is zero, the other is not
        maps = [grad_cam(model, images[:1], [sign * AGAINST_FIRST])[0] for sign in (1, -1)]
        found = [one for one in maps if one is not None]
        assert found, name
        assert all(one.shape == (size, size) and one.max() > 0.99 for one in found), name
    recurrent = classifier("test_resnet", head="acrnn")
    maps = [grad_cam(recurrent, noise(1, 64), [sign * AGAINST_FIRST])[0] for sign in (1, -1)]
    assert any(one is not None for one in maps)


def test_of_averaged_cells_it_is_each_cells_own_share():
    model, images = classifier(), noise(2, 64)
    with torch.no_grad():
        features = model.backbone.forward_features(torch.from_numpy(images)).numpy()
    weights = (AGAINST_FIRST @ model.head.weight.detach().numpy())[None, :, None, None]
    shares = (weights * features).sum(axis=1)
    for found, share in zip(grad_cam(model, images, [AGAINST_FIRST] * 2), shares, strict=True):
        expected = cv2.resize(share.clip(0), (64, 64))
        if share.max() <= 0:
            assert found is None
        else:
            np.testing.assert_allclose(found, expected / expected.max(), atol=1e-3)


def test_a_map_of_zeros_is_none_and_a_network_that_sees_nothing_an_error():
    model = classifier()
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand_as(model.head.weight))
    assert grad_cam(model, noise(1, 64), [AGAINST_FIRST]) == [None]  # features are not negative
    assert grad_cam(model, noise(1, 64), [-AGAINST_FIRST])[0] is not None
    with torch.no_grad():
        model.head.weight.zero_()
    with pytest.raises(UserError, match="Grad-CAM"):
        grad_cam(model, noise(1, 64), [AGAINST_FIRST])


def test_a_map_points_at_its_strongest_cell():
    lesion = np.zeros((40, 80), bool)
    lesion[20:, :20] = True
    cells = np.zeros((2, 4))
    cells[1, 0], cells[0, 3] = 2.0, 1.0
    found = point(cells, lesion)
    assert found.hits and found.share == pytest.approx(2 / 3)
    assert not point(cells[::-1], lesion).hits
    assert not at_center(lesion).hits and at_center(lesion).share == lesion.mean()
    assert at_center(~lesion[:, ::-1]).hits
    told = pointing_game("x", [found, point(cells[::-1], lesion)])
    assert told.startswith("x 1 of 2 (50.0%, 95 % CI 1.3%–98.7%)")  # Clopper & Pearson


def test_a_sheet_has_its_overlays_in_rows():
    shades = [np.full((2, 3, 3), shade, np.uint8) for shade in (10, 20, 30)]
    sheet = contact_sheet(shades, 2)
    assert sheet.shape == (4, 6, 3)
    assert [sheet[0, 0, 0], sheet[0, 3, 0], sheet[2, 0, 0], sheet[2, 3, 0]] == [10, 20, 30, 255]


@pytest.fixture
def photographs(tmp_path):
    """Images with a dark disc, one of them in a subfolder, and their masks."""
    masks = tmp_path / "masks"
    for number, name in enumerate(("a.png", "b.png", "deeper/c.png")):
        pixels = np.full((64, 96, 3), (160, 180, 225), np.uint8)
        cv2.circle(pixels, (30 + 8 * number, 30), 14, (40, 50, 90), -1)
        mask = (pixels[..., :1] < 100).astype(np.uint8) * 255
        for path, image in ((tmp_path / "images" / name, pixels), (masks / name[-5:], mask)):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    return tmp_path / "images", masks


def run(tmp_path, *flags):
    return gradcam.main([*map(str, flags), "--output_dir", str(tmp_path / "out")])


@pytest.mark.slow
def test_the_command_draws_and_plays(photographs, tmp_path, capsys):
    folder, masks = photographs
    spec = parse_preprocessing("resize || normalize(stats='imagenet')", 64)
    contract = make_contract(model="test_resnet", preprocessing=spec)
    weights, checkpoint = classifier().state_dict(), tmp_path / "x.pth"
    save_checkpoint(checkpoint, {"contract": contract.to_json(), "model_state_dict": weights})
    usual = [folder, "--checkpoint_path", checkpoint]
    assert run(tmp_path, *usual, "--n_images", "2") == 0
    assert not (tmp_path / "out" / "pointing_game.csv").exists()
    assert "all:" not in capsys.readouterr().out

    (folder / "broken.png").write_bytes(b"no image")
    (masks / "broken.png").write_bytes(b"no image")
    onnx = explaining(tmp_path / "x.onnx", contract, side=64)
    assert run(tmp_path, *usual, "--masks", masks, "--onnx_model_path", onnx) == 1
    said = capsys.readouterr()
    assert "broken.png" in said.err and "all: Grad-CAM " in said.out and "centre point" in said.out
    with (tmp_path / "out" / "pointing_game.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert tuple(rows[0]) == HEADER
    explained = [row for row in rows if row["map"] == "Grad-CAM"]
    assert {row["image_name"] for row in explained} <= {"a.png", "b.png", "deeper/c.png"}
    assert len([row for row in rows if row["map"] == "exact evidence"]) == len(explained) > 0
    for row in explained:
        drawn = cv2.imread(str(tmp_path / "out" / "overlays" / f"{row['image_name']}.png"))
        assert drawn.shape[1] == 3 * 256
    assert (tmp_path / "out" / "contact_sheet.png").is_file()

    for flags, named in (
        ([*usual, "--masks", tmp_path / "none"], "--masks"),
        ([*usual, "--masks", folder / "deeper"], "no mask"),
        ([folder, "--checkpoint_path", onnx], "x.onnx"),
        ([*usual, "--n_images", "0"], "--n_images"),
    ):
        with pytest.raises(UserError, match=named):
            run(tmp_path, *flags)
    other = replace(contract, classes=("no", "yes"))
    save_checkpoint(checkpoint, {"contract": other.to_json(), "model_state_dict": weights})
    with pytest.raises(UserError, match="--onnx_model_path"):
        run(tmp_path, *usual, "--onnx_model_path", onnx)
