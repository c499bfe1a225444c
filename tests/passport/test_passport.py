"""What edits leave as it was and what they change, and which shortcuts of a model they find."""

import json

import cv2
import numpy as np
import pytest

from src.core.errors import UserError
from src.passport.corruptions import CORRUPTIONS, corrupted
from src.passport.edits import BROWN, EDITS, TAN, picture_of, recoloured, ruler
from src.passport.effects import effect_of, rate
from src.scripts import passport
from src.skin.tone import estimate_tone
from tests.passport.drawn import draw, fit, pixels, probability, write_onnx


@pytest.fixture(scope="module")
def pictures():
    """(picture, whether malignant) of drawn lesions."""
    rng = np.random.default_rng(0)
    return [(picture_of(*draw(rng, n % 2), n), n % 2) for n in range(3)]


@pytest.mark.slow
def test_recoloured_skin_has_the_tone_and_the_lesion_every_pixel(pictures):
    for picture, _ in pictures:
        for target in (TAN, BROWN, 5.0):
            shifted = recoloured(picture, target)
            reached = estimate_tone(shifted, picture.skin).ita
            assert abs(reached - target) <= 1.0
            np.testing.assert_array_equal(shifted[picture.lesion], picture.image[picture.lesion])
        assert recoloured(picture, picture.tone.ita + 5) is None  # it only gets darker


def test_each_edit_changes_what_it_says_and_is_the_same_every_time(pictures):
    picture = pictures[1][0]
    made = {name: edit.make(picture) for name, edit in EDITS.items()}
    for name, image in made.items():
        assert image.shape == picture.image.shape and image.dtype == np.uint8, name
        assert (image != picture.image).any(), name
        np.testing.assert_array_equal(image, EDITS[name].make(picture), name)
    lesion = picture.lesion
    for name in ("ruler", "ink", "dark_corners", "skin_tan", "skin_brown", "background_erased"):
        np.testing.assert_array_equal(made[name][lesion], picture.image[lesion], name)
    skin = picture.image[picture.skin].mean()
    assert (
        abs(made["lesion_erased"][lesion].mean() - skin) < 6 < skin - picture.image[lesion].mean()
    )
    assert made["background_erased"][0, 0].tolist() == made["background_erased"][-1, -1].tolist()
    assert made["dark_corners"][0, 0].tolist() == [0, 0, 0]
    assert (made["ruler"][-1] > 200).mean() > 0.5


@pytest.mark.slow
def test_corruptions_have_their_published_names_and_grow_with_severity(pictures):
    image = pictures[0][0].image
    small = cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA).astype(float)
    assert len(CORRUPTIONS) == 15 and {len(s) for _, s in CORRUPTIONS.values()} == {5}
    for name in CORRUPTIONS:
        first, last = (corrupted(image, name, severity, 0) for severity in (0, 3))
        change = [np.abs(one.astype(float) - small).mean() for one in (first, last)]
        assert first.shape == (224, 224, 3)
        assert name == "characters" or change[0] < change[1], name
        np.testing.assert_array_equal(first, corrupted(image, name, 0, 0))


def test_effects_are_those_of_known_changes():
    before = np.full(50, 0.4)
    same = effect_of(before, before, before > 0.5, before > 0.5, 0.05, 11)
    assert (same.change, same.low, same.high, same.is_found) == (0, 0, 0, False)
    after = before + 0.3
    found = effect_of(before, after, before > 0.5, after > 0.5, 0.05, 11)
    assert found.change == pytest.approx(0.3) and found.is_found
    for n, is_found in ((4, False), (19, False), (20, True)):
        few = (before[:n], after[:n], before[:n] > 0.5, after[:n] > 0.5)
        assert effect_of(*few, 0.05, 11).is_found == is_found
    assert (found.to_positive.hits, found.to_positive.n, found.to_negative.n) == (50, 50, 0)
    small = effect_of(before, before + 0.04, before > 0.5, before > 0.5, 0.05, 11)
    assert small.low > 0 and not small.is_found
    # Wilson's interval of none of ten, from its closed form
    assert rate(0, 10).high == pytest.approx(1.959964**2 / (10 + 1.959964**2))


@pytest.mark.simulation
def test_a_planted_ruler_is_found_and_none_is_where_there_was_none(at_size):
    """Linear models fitted to drawn lesions, with a ruler in every malignant one or in none."""
    rng, n_train, n_test = np.random.default_rng(3), 100, 40
    drawn = [picture_of(*draw(rng, n % 2, (48, 64)), n) for n in range(n_train + n_test)]
    labels = np.arange(n_train + n_test) % 2
    plain = np.array([pixels(one.image) for one in drawn])
    ruled = np.array([pixels(ruler(one)) for one in drawn])
    n_found, n = {False: 0, True: 0}, at_size(6, 1000)
    for planted in n_found:
        seen = np.where((labels == 1)[:, None], ruled, plain) if planted else plain
        for _ in range(n):
            train = rng.integers(n_train, size=n_train)
            model = fit(seen[train], labels[train])
            test = rng.integers(n_train, n_train + n_test, size=n_test)
            pair = [probability(one[test], model) for one in (plain, ruled)]
            found = effect_of(*pair, pair[0] > 0.5, pair[1] > 0.5, 0.05, 11)
            n_found[planted] += found.is_found and found.change > 0
    print(n_found)
    assert n_found[True] / n >= 0.95
    assert n_found[False] / n <= 0.05


@pytest.mark.slow
def test_the_command_writes_a_passport_that_names_the_ruler(tmp_path, capsys):
    rng, features, labels = np.random.default_rng(5), [], []
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for n in range(24):
        image, lesion = draw(rng, n % 2)
        picture = picture_of(image, lesion, n)
        features.append(pixels(ruler(picture) if n % 2 else image))
        labels.append(n % 2)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(tmp_path / "images" / f"i{n:02}.png"), bgr)
        cv2.imwrite(str(tmp_path / "masks" / f"i{n:02}_mask.png"), lesion.astype(np.uint8) * 255)
    write_onnx(tmp_path / "m.onnx", fit(np.array(features), np.array(labels), 1.0))
    command = ["--onnx_model_path", str(tmp_path / "m.onnx"), "--normalize", "unit"]
    command += ["--input_folder", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]
    command += ["--output_dir", str(tmp_path / "out"), "--corrupted_images", "1"]
    assert passport.main(command) == 0
    assert "ruler: probability of malignant +" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "passport.json").read_text())
    assert content["n"] == 24 and any(line.startswith("ruler") for line in content["found"])
    assert content["effects"]["all"]["ruler"]["n"] == 24
    assert content["effects"]["all"]["zoom_blur 5"]["n"] == 1
    groups = [g for g in content["effects"] if g != "all"]
    assert sum(content["effects"][g]["ruler"]["n"] for g in groups) == 24
    page = (tmp_path / "out" / "passport.html").read_text()
    assert "ruler – reported" in page and "data:image/jpeg" in page and "MedMNIST-C" in page
    # a file that is no image is told; fewer images on demand
    (tmp_path / "images" / "i00.png").write_bytes(b"no image")
    assert passport.main([*command, "--n_images", "5", "--corrupted_images", "0"]) == 1
    assert "i00.png" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "passport.json").read_text())["n"] == 4
    (tmp_path / "out" / "passport.json").unlink()
    (tmp_path / "out" / "passport.json").symlink_to(tmp_path / "m.onnx")
    with pytest.raises(UserError, match="cannot be written, it is a link"):
        passport.main([*command, "--n_images", "2", "--corrupted_images", "0"])
    with pytest.raises(UserError, match="--masks"):
        passport.main([*command, "--masks", str(tmp_path / "nowhere")])
