"""The figures of a folder's tones: which images they show, at which angles; what is refused."""

import os
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from src.core.errors import run_main
from src.core.options import parse_options
from src.report import skin_tone_examples
from src.report.skin_tone_examples import choose_examples, spread_over_angles
from src.scripts import estimate_ita, visualize_skin_tone
from src.scripts.visualize_skin_tone import Options
from src.skin.tone import rgb_from_lab

FIGURES = ["ita_histogram.png", "color_strips.png", "mask_overlays.png", "skin_former.png"]
ANGLES = (66, 58, 51, 45, 37, 30, 22, 14, -5, -40)


def write_image(path, ita=50.0, b=16.0, shape=(120, 160)):
    """Skin of an angle (degrees) and b* with a darker disc in the middle."""
    skin = rgb_from_lab((50 + b * np.tan(np.radians(ita)), 12.0, b))
    image = np.tile(np.rint(skin[::-1]).astype(np.uint8), (*shape, 1))
    cv2.circle(image, (shape[1] // 2, shape[0] // 2), shape[0] // 5, (30, 40, 60), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with ten tones, two colour casts and a broken file, and its estimates.

    Tests must not change it.
    """
    root = tmp_path_factory.mktemp("tones")
    for ita in ANGLES:
        write_image(root / "images" / "inner" / f"tone_{ita}.png", ita)
    for name in ("cast_1.png", "cast_2.png"):
        write_image(root / "images" / name, ita=80.0, b=2.0)
    (root / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    estimate(root)
    return root


def estimate(root):
    argv = [str(root / "images"), "-o", str(root / "ita.csv"), "--num_workers", "0"]
    estimate_ita.main(argv)


@pytest.fixture
def given(drawn, tmp_path):
    """A copy of `drawn` that a test may change."""
    shutil.copytree(drawn, tmp_path / "given")
    return tmp_path / "given"


def draw(root, *flags):
    """Exit code of the program on a folder with estimates; the figures go to `out`."""
    argv = [root / "images", "--ita_csv", root / "ita.csv", "--output_dir", root / "out", *flags]
    return visualize_skin_tone.main([str(argument) for argument in argv])


@pytest.fixture
def shown(monkeypatch):
    """What the program hands to the functions that plot, by their names; nothing is plotted."""
    found = {}
    for name in ("plot_histogram", "plot_strips", "plot_overlays", "plot_pairs"):

        def remember(*values, name=name):
            found[name] = values

        monkeypatch.setattr(skin_tone_examples, name, remember)
    return found


@pytest.fixture
def refuse(capsys):
    """The one line with which the program refuses a folder and flags."""

    def run(root, *flags):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_main(lambda _: draw(root, *flags))
        output = capsys.readouterr()
        assert stop.value.code == 2, output
        assert len(output.err.splitlines()) == 1, output.err
        assert not (root / "out").exists()
        return output.err

    return run


def edit(root, **cells):
    """Change cells of the first valid row of the estimates, as text."""
    rows = pd.read_csv(root / "ita.csv", dtype=str, keep_default_na=False)
    first = rows.index[rows["valid"] == "true"][0]
    for column, value in cells.items():
        rows.loc[first, column] = value
    rows.to_csv(root / "ita.csv", index=False)


def test_four_figures_are_written_and_a_line_is_said_of_each(given, capsys):
    assert draw(given, "--n_images", "3") == 0
    out = given / "out"
    assert capsys.readouterr().out.splitlines() == [
        f"{out / 'ita_histogram.png'}: 10 angles",
        f"{out / 'color_strips.png'}: 10 skin colours",
        f"{out / 'mask_overlays.png'}: 3 images",
        f"{out / 'skin_former.png'}: 3 light images",
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(FIGURES)
    for name in FIGURES:
        assert cv2.imread(str(out / name)).std() > 10


def test_distribution_is_that_of_the_valid_estimates(given, shown):
    draw(given)
    ita, left_out, path = shown["plot_histogram"]
    assert sorted(ita) == pytest.approx(sorted(ANGLES), abs=1)
    assert left_out == {"colour cast": 2, "not read": 1}
    assert path == given / "out" / "ita_histogram.png"
    angles, colors, _ = shown["plot_strips"]
    rows = pd.read_csv(given / "ita.csv").query("valid == True")
    assert angles.tolist() == rows["ita"].tolist()
    assert colors.tolist() == rows[["color_r", "color_g", "color_b"]].to_numpy().tolist()


def test_overlays_show_tones_and_reasons_with_the_masks_of_the_estimate(given, shown):
    draw(given, "--n_images", "4")
    panels, _ = shown["plot_overlays"]
    assert [panel.name for panel in panels][-1] == "cast_1.png"
    assert [panel.reason for panel in panels] == ["", "", "", "colour cast"]
    assert [panel.ita for panel in panels[:3]] == pytest.approx([66, 14, -40], abs=1)
    rows = pd.read_csv(given / "ita.csv").set_index("image")
    for panel in panels[:3]:
        row = rows.loc[f"inner/{panel.name}"]
        assert (panel.ita, panel.ita_spread) == (row["ita"], row["ita_spread"])
        disc = (panel.image == (60, 40, 30)).all(axis=2)
        assert disc.sum() > 1000 and panel.lesion[disc].mean() > 0.9
        assert not panel.skin[disc].any() and panel.skin[:10].all()


def test_few_pairs_are_spread_over_the_light_images_above_the_target(given, shown):
    draw(given, "--target", "48", "--n_images", "2")
    pairs, _, _ = shown["plot_pairs"]
    assert [pair.ita_before for pair in pairs] == pytest.approx([66, 51], abs=1)


@pytest.mark.parametrize("target", [10.0, -20.0, 48.0])
def test_pairs_are_light_images_at_the_target(given, shown, target):
    draw(given, "--target", str(target))
    pairs, said, _ = shown["plot_pairs"]
    assert said == target
    light = [angle for angle in ANGLES if angle > max(41, target)]
    assert [pair.ita_before for pair in pairs] == pytest.approx(light, abs=1)
    for pair in pairs:
        assert pair.ita_after == pytest.approx(target, abs=2)
        disc = (pair.before == (60, 40, 30)).all(axis=2)
        rim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(disc.shape) // 25 + 3,) * 2)
        inner = cv2.erode(disc.astype(np.uint8), rim).astype(bool)
        assert inner.any() and (pair.after[inner] == pair.before[inner]).all()
        assert pair.after[0, 0].sum() < pair.before[0, 0].sum()


def test_given_masks_replace_the_found_ones(given, shown):
    for path in given.glob("images/**/*.*"):
        mask = np.zeros((120, 160), np.uint8)
        mask[:30, :40] = 255
        (given / "masks").mkdir(exist_ok=True)
        (given / "masks" / f"{path.stem}_mask.png").write_bytes(cv2.imencode(".png", mask)[1])
    draw(given, "--masks", given / "masks")
    panels, _ = shown["plot_overlays"]
    for panel in panels:
        assert panel.lesion.sum() == 1200 and panel.lesion[:30, :40].all()
        assert not panel.skin[:30, :40].any()


def test_large_images_are_seen_at_the_size_of_the_estimate(tmp_path, shown):
    write_image(tmp_path / "images" / "large.jpg", shape=(600, 1000))
    estimate(tmp_path)
    assert draw(tmp_path) == 0
    (panel,), _ = shown["plot_overlays"]
    assert panel.image.shape == (240, 400, 3)
    assert panel.lesion.shape == panel.skin.shape == panel.hair.shape == (240, 400)


def table(ita, valid=True, reason=""):
    rows = pd.DataFrame({"ita": ita, "valid": valid, "reason": reason, "status": "ok"})
    return rows.assign(image=[f"{i}.jpg" for i in range(len(rows))])


def test_chosen_angles_are_evenly_spaced_between_their_outer_percents():
    shuffled = np.random.default_rng(0).permutation(101).astype(float)
    found = spread_over_angles(table(shuffled), 5)["ita"].tolist()
    assert found == [98, 74, 50, 26, 2]


def test_chosen_images_differ_even_where_angles_do_not():
    found = spread_over_angles(table([50.0] * 9 + [10.0]), 6)
    assert found["image"].nunique() == 6
    assert found["ita"].is_monotonic_decreasing


@pytest.mark.parametrize("n_most", [3, 7])
def test_few_images_are_all_chosen(n_most):
    found = spread_over_angles(table([20.0, 60.0, 40.0]), n_most)
    assert found["ita"].tolist() == [60, 40, 20]


@pytest.mark.parametrize(
    ("n_valid", "n_most", "n_chosen", "reasons"),
    [
        (20, 8, 6, ["b", "a"]),  # a quarter, the commonest first
        (20, 12, 10, ["b", "a"]),
        (20, 3, 3, []),
        (20, 64, 20, ["b", "a", "b", "a", "b"]),
        (2, 4, 2, ["b", "a"]),
        (0, 4, 0, ["b", "a", "b", "a"]),
    ],
)
def test_examples_are_valid_ones_then_each_reason(n_valid, n_most, n_chosen, reasons):
    valid = table(np.linspace(60, 0, n_valid))
    invalid = table([5.0] * 5, False, ["a", "b", "b", "b", "a"])
    unread = table([np.nan], False).assign(status="truncated", reason="none")
    rows = pd.concat([valid, invalid, unread], ignore_index=True)
    found = choose_examples(rows, n_most)
    assert found["valid"].tolist() == [True] * n_chosen + [False] * len(reasons)
    assert found["reason"].tolist() == [""] * n_chosen + reasons


def test_what_has_nothing_to_show_is_not_drawn_nor_left_from_before(given, capsys):
    assert draw(given) == 0
    for ita in ANGLES:
        (given / "images" / "inner" / f"tone_{ita}.png").unlink()
    estimate(given)
    capsys.readouterr()
    assert draw(given) == 1
    out = given / "out"
    assert capsys.readouterr().out.splitlines() == [
        f"{out / 'ita_histogram.png'}: not drawn, there is no angle to show",
        f"{out / 'color_strips.png'}: not drawn, there is no skin colour to show",
        f"{out / 'mask_overlays.png'}: 2 images",
        f"{out / 'skin_former.png'}: not drawn, there is no light image to show",
    ]
    assert [path.name for path in out.iterdir()] == ["mask_overlays.png"]


def test_estimates_with_semicolons_and_decimal_commas_are_the_same(given, shown):
    draw(given)
    expected = shown["plot_histogram"][0]
    pd.read_csv(given / "ita.csv").to_csv(given / "ita.csv", sep=";", decimal=",", index=False)
    draw(given)
    assert shown["plot_histogram"][0].tolist() == expected.tolist()


def test_what_was_not_read_counts_as_that_whatever_else_its_row_says(given, shown):
    edit(given, status="truncated")
    draw(given)
    ita, left_out, _ = shown["plot_histogram"]
    assert len(ita) == 9 and left_out == {"colour cast": 2, "not read": 2}


def test_a_name_that_is_no_utf8_is_one_that_was_not_read(given, shown):
    (given / "images" / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    estimate(given)
    draw(given)
    assert shown["plot_histogram"][1] == {"colour cast": 2, "not read": 2}


def test_images_without_an_estimate_are_told(given, shown, capsys):
    write_image(given / "images" / "new.png")
    assert draw(given) == 0
    told = f"{given / 'images'}: not in {given / 'ita.csv'}, so not shown: 1 (first: 'new.png')"
    assert told in capsys.readouterr().out.splitlines()
    assert len(shown["plot_histogram"][0]) == 10


def test_both_spellings_of_flags_and_their_defaults():
    def read(argv):
        return parse_options(argv, "figures", Options)[0]

    args = read(["in", "--ita-csv", "a.csv", "--output-dir", "out", "--n-images", "3"])
    assert (str(args.folder), str(args.ita_csv), str(args.output_dir)) == ("in", "a.csv", "out")
    assert (args.n_images, args.target, args.masks) == (3, 10, None)
    assert read(["in", "--ita_csv", "a", "--output_dir", "b"]).n_images == 8


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--n_images", "0"], "--n_images 0: expected 1 to 64"),
        (["--n_images", "65"], "--n_images 65: expected 1 to 64"),
        (["--target", "60"], "--target 60.0: expected -60 to 55"),
        (["--target", "nan"], "--target is 'nan': expected a number"),
        (["--masks", "nowhere"], "--masks nowhere: expected a folder"),
        (["--ita_csv", "nowhere.csv"], "--ita_csv nowhere.csv: expected a file"),
        (["--colour"], "--colour"),
    ],
)
def test_wrong_flags_are_refused_in_a_line(given, refuse, flags, said):
    assert said in refuse(given, *flags)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"ita": ""}, "line 5: ita '': expected -180 to 180, since the estimate is valid"),
        ({"ita": "180.1"}, "line 5: ita '180.1': expected"),
        ({"ita": "inf"}, "line 5: ita 'inf': expected"),
        ({"ita": "light"}, "column 'ita' holds 'light': expected a number"),
        ({"ita_spread": "-1"}, "line 5: ita_spread '-1': expected 0 to 360"),
        ({"color_g": "256"}, "line 5: color_g '256': expected 0 to 255"),
        ({"valid": "maybe"}, "line 5: valid 'maybe': expected true or false"),
        ({"image": ""}, "line 5: image '': expected the path of an image"),
        ({"image": "cast_1.png"}, "expected an image of no line above"),
        ({"image": "../ita.csv"}, "1 of its 13 images are not in"),
        ({"image": "a\nb.png"}, "(first: 'a\\nb.png')"),
        ({"image": "x" * 500}, f"(first: '{'x' * 57}...')"),
    ],
)
def test_wrong_cells_are_refused_with_their_line(given, refuse, cells, said):
    edit(given, **cells)
    assert said in refuse(given)


def test_an_absolute_path_in_the_estimates_is_refused(given, refuse):
    edit(given, image=str(given / "images" / "cast_1.png"))
    assert "1 of its 13 images are not in" in refuse(given)


@pytest.mark.parametrize("column", ["image", "ita_spread", "reason", "color_b", "status"])
def test_a_missing_column_is_named(given, refuse, column):
    pd.read_csv(given / "ita.csv").drop(columns=column).to_csv(given / "ita.csv", index=False)
    assert f"no column '{column}' (found: " in refuse(given)


def test_another_folders_estimates_are_refused(given, refuse, tmp_path):
    write_image(tmp_path / "other" / "images" / "one.png")
    shutil.copy(given / "ita.csv", tmp_path / "other")
    said = refuse(tmp_path / "other")
    assert "13 of its 13 images are not in" in said and "(first: 'broken.jpg')" in said


@pytest.mark.parametrize("folder", [None, "empty"])
def test_a_folder_without_images_is_refused(given, refuse, folder):
    shutil.rmtree(given / "images")
    if folder:
        (given / "images").mkdir()
    assert str(given / "images") in refuse(given)


def test_an_image_that_changed_since_its_estimate_is_refused(given, refuse):
    path = given / "images" / "inner" / "tone_66.png"
    path.write_bytes(path.read_bytes()[:-8])
    assert f"{path}: truncated; expected" in refuse(given)


def test_a_mask_of_another_size_is_refused(given, refuse):
    (given / "masks").mkdir()
    for path in given.glob("images/**/*.*"):
        write_image(given / "masks" / f"{path.stem}_mask.png", shape=(60, 80))
    assert "its mask has 80x60 pixels, the image 160x120" in refuse(
        given, "--masks", given / "masks"
    )


def test_an_image_without_a_mask_is_refused(given, refuse):
    write_image(given / "masks" / "tone_66_mask.png")
    said = refuse(given, "--masks", given / "masks")
    assert "no mask in" in said and "12 of 13" in said


@pytest.mark.parametrize("inside", [".", "inner/figures"])
def test_figures_do_not_go_among_the_images(given, refuse, inside):
    said = refuse(given, "--output_dir", given / "images" / inside)
    assert "expected a folder outside" in said


def test_an_output_that_is_a_file_is_refused(given, refuse):
    said = refuse(given, "--output_dir", given / "ita.csv")
    assert "ita.csv: cannot be written to" in said
