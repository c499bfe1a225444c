"""`estimate_ita`: a folder's skin tones as a CSV, against the angles the demo was drawn with."""

import shutil
import typing

import cv2
import numpy as np
import pandas as pd
import pytest

from src.batch.tone_estimates import COLOR_CONSTANCY, COLUMNS
from src.core.errors import UserError
from src.scripts.estimate_ita import Options, main
from src.skin.domains import DOMAINS
from src.skin.photographs import relit
from src.skin.tone import (
    COLOR_CAST,
    ITA_METHODS,
    SKIN_COLORS,
    TONE_CATEGORIES,
    ita_from_rgb,
    rgb_from_lab,
    tone_group,
)
from src.skin.view import WHITE_REFERENCES


def write(path, image):
    cv2.imwrite(str(path), cv2.cvtColor(np.uint8(image), cv2.COLOR_RGB2BGR))


def read(csv):
    return pd.read_csv(csv, keep_default_na=False, na_values={"ita": "", "ita_spread": ""})


@pytest.fixture(scope="module")
def estimated(demo, tmp_path_factory):
    csv = tmp_path_factory.mktemp("ita") / "ita.csv"
    assert main([str(demo / "isic2020"), "-o", str(csv), "--num_workers", "2"]) == 0
    return read(csv)


def test_every_image_has_its_row_in_order(demo, estimated):
    images = sorted(
        path.relative_to(demo / "isic2020").as_posix()
        for path in (demo / "isic2020").rglob("*.jpg")
    )
    assert list(estimated) == ["image", *COLUMNS, "status"]
    assert estimated["image"].tolist() == images
    assert set(estimated["status"]) == {"ok"}
    (source,) = set(estimated["tone_source"])
    assert source.startswith("estimate_ita(method=cielab, color=")


def test_the_angles_that_the_demo_was_drawn_with_come_back(demo, estimated):
    truth = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", decimal=",")
    names = estimated["image"].str.rpartition("/")[2]
    drawn = truth.set_index("image_name")["ita"].reindex(names).to_numpy()
    valid = estimated["valid"].to_numpy(bool)
    assert valid.mean() >= 0.95
    assert np.median(np.abs(estimated["ita"] - drawn)[valid]) <= 2
    assert (estimated["group"].to_numpy() == tone_group(drawn))[valid].mean() >= 0.95


def test_the_colour_of_a_row_has_its_angle(estimated):
    colors = estimated[["color_r", "color_g", "color_b"]].to_numpy()
    np.testing.assert_allclose(
        ita_from_rgb(colors), estimated["ita"], atol=1.5
    )  # colours are whole
    np.testing.assert_array_equal(estimated["group"], tone_group(estimated["ita"]))


def test_options_change_the_estimate(demo, tmp_path, estimated):
    folder = tmp_path / "few"
    folder.mkdir()
    for image in estimated["image"][:6]:
        shutil.copy(demo / "isic2020" / image, folder)
    angles = {}
    for options in (
        [],
        ["--method", "opencv8"],
        ["--color", "kmeans"],
        ["--color_constancy", "shades_of_grey"],
        ["--masks", str(demo / "ham10000" / "masks")],
    ):
        csv = tmp_path / "ita.csv"
        assert main([str(folder), "-o", str(csv), *options, "--num_workers", "0"]) == 0
        angles[" ".join(options)] = read(csv)["ita"].to_numpy()
    names = list(angles)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert not np.allclose(angles[one], angles[other], atol=1e-6), (one, other)
    for same in ("--color kmeans", names[-1]):
        assert np.median(np.abs(angles[same] - angles[""])) < 3, same


def test_an_image_of_no_valid_tone_says_why_and_has_no_group(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    write(folder / "violet.png", np.full((60, 80, 3), rgb_from_lab((65.0, 12.0, -9.0))))
    csv = tmp_path / "ita.csv"
    assert main([str(folder), "-o", str(csv), "--num_workers", "0"]) == 0
    (row,) = read(csv).itertuples()
    assert (row.valid, row.reason, row.group) == (False, COLOR_CAST, -1)
    assert row.ita > 90


def test_a_bad_image_is_listed_and_the_others_are_there(demo, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    source = next((demo / "ham10000" / "images").glob("*.jpg"))
    shutil.copy(source, folder / "good.jpg")
    (folder / "cut.jpg").write_bytes(source.read_bytes()[:2000])
    csv = tmp_path / "ita.csv"
    assert main([str(folder), "-o", str(csv), "--num_workers", "0"]) == 1
    rows = read(csv).set_index("image")["status"].to_dict()
    assert rows == {"cut.jpg": "truncated", "good.jpg": "ok"}
    assert "cut.jpg: truncated" in capsys.readouterr().out


def test_large_jpegs_are_decoded_at_reduced_scale_with_the_same_result(demo, tmp_path):
    source = next((demo / "ham10000" / "images").glob("*.jpg"))
    image = cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2RGB)
    folder = tmp_path / "images"
    folder.mkdir()
    write(folder / "small.png", image)
    write(folder / "large.jpg", cv2.resize(image, (3200, 2400), interpolation=cv2.INTER_CUBIC))
    csv = tmp_path / "ita.csv"
    assert main([str(folder), "-o", str(csv), "--num_workers", "0"]) == 0
    large, small = read(csv)["ita"]
    assert abs(large - small) < 1


def test_a_mask_is_taken_for_the_lesion(tmp_path):
    """Two tones side by side: the masked one is the lesion, whatever it looks like."""
    folder, masks = tmp_path / "images", tmp_path / "masks"
    folder.mkdir()
    masks.mkdir()
    light, tan = (rgb_from_lab(lab).round() for lab in ((72.0, 8.0, 16.0), (54.0, 12.0, 18.0)))
    image = np.full((90, 120, 3), light)
    image[:, 60:] = tan
    write(folder / "a.png", image)
    for side, skin in ((slice(0, 60), tan), (slice(60, 120), light)):
        mask = np.zeros((90, 120, 3), np.uint8)
        mask[:, side] = 255
        write(masks / "a_mask.png", mask)
        csv = tmp_path / "ita.csv"
        assert main([str(folder), "-o", str(csv), "--masks", str(masks), "--num_workers", "0"]) == 0
        assert read(csv)["ita"][0] == pytest.approx(ita_from_rgb(skin), abs=0.01)


def test_choices_are_the_registries():
    choices = {name: typing.get_args(kind) for name, kind in Options.__annotations__.items()}
    assert set(choices["method"]) == set(ITA_METHODS)
    assert set(choices["color"]) == set(SKIN_COLORS)
    assert set(choices["color_constancy"]) == set(COLOR_CONSTANCY)
    assert set(choices["domain"]) == {"auto", *DOMAINS}
    assert choices["white_reference"] == WHITE_REFERENCES


def test_wrong_options_are_named(demo, tmp_path):
    csv = tmp_path / "ita.csv"
    for flag, value in {"masks": "nowhere", "method": "hsv", "num_workers": "-1"}.items():
        with pytest.raises(UserError, match=f"--{flag}.*{value}"):
            main([str(demo / "ham10000" / "images"), "-o", str(csv), f"--{flag}", value])
    assert not csv.exists()


def test_an_image_without_a_mask_is_named(demo, tmp_path):
    masks = tmp_path / "masks"
    shutil.copytree(demo / "ham10000" / "masks", masks)
    missing = sorted(masks.iterdir())[5]
    missing.unlink()
    arguments = [str(demo / "ham10000" / "images"), "-o", str(tmp_path / "ita.csv")]
    with pytest.raises(UserError, match=missing.name.removesuffix("_segmentation.png")):
        main([*arguments, "--masks", str(masks)])


def test_a_mask_of_another_size_is_the_images_status(demo, tmp_path):
    folder, masks = tmp_path / "images", tmp_path / "masks"
    folder.mkdir()
    masks.mkdir()
    write(folder / "a.png", np.full((60, 80, 3), 150))
    write(masks / "a.png", np.full((80, 60, 3), 255))
    csv = tmp_path / "ita.csv"
    assert main([str(folder), "-o", str(csv), "--masks", str(masks), "--num_workers", "0"]) == 1
    assert read(csv)["status"][0] == "its mask has 60x80 pixels, the image 80x60"


def test_every_category_comes_back_from_flat_skin(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    angles = [62.0, 51.0, 44.0, 38.0, 31.0, 23.0, 14.0, -10.0, -45.0]
    for i, angle in enumerate(angles):
        lab = (50 + 15 * np.tan(np.radians(angle)), 10.0, 15.0)
        write(folder / f"{i}.png", np.full((60, 80, 3), rgb_from_lab(lab).round()))
    csv = tmp_path / "ita.csv"
    assert main([str(folder), "-o", str(csv), "--num_workers", "0"]) == 0
    rows = read(csv)
    assert rows["valid"].all()
    assert rows["group"].tolist() == [category.group for category in TONE_CATEGORIES]
    np.testing.assert_allclose(rows["ita"], angles, atol=1.5)


def test_domain_and_white_reference_decide_and_are_written(tmp_path):
    """Skin in half the light, before blue cloth, with a white ruler on it."""
    skin, folder = (176, 128, 96), tmp_path / "images"
    folder.mkdir()
    photograph = np.full((300, 400, 3), (80, 120, 170), np.uint8)
    photograph[70:] = skin
    photograph[210:246, 180:390] = 231  # relative luminance 0.8
    write(folder / "a.png", relit(photograph, 0.5))
    found = {}
    for domain, white in (
        ("auto", "brightness"),
        ("clinical", "brightness"),
        ("clinical", "none"),
        ("dermoscopy", "brightness"),
    ):
        csv = tmp_path / "ita.csv"
        flags = ["--domain", domain, "--white_reference", white, "--num_workers", "0"]
        assert main([str(folder), "-o", str(csv), *flags]) == 0
        found[domain, white] = pd.read_csv(csv).iloc[0]
    assert {key: row["domain"] for key, row in found.items()} == {
        ("auto", "brightness"): "clinical",
        ("clinical", "brightness"): "clinical",
        ("clinical", "none"): "clinical",
        ("dermoscopy", "brightness"): "dermoscopy",
    }
    corrected = found["clinical", "brightness"]
    assert corrected["white_gain"] == pytest.approx(2, rel=0.05)
    assert corrected["ita"] == pytest.approx(ita_from_rgb(skin), abs=2)
    assert found["clinical", "none"]["ita"] < corrected["ita"] - 20
    for key in (("clinical", "none"), ("dermoscopy", "brightness")):
        assert np.isnan(found[key]["white_gain"])
    assert found["dermoscopy", "brightness"]["ita_picture"] == corrected["ita_picture"]
