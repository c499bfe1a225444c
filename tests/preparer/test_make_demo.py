"""The demo data: same seed same bytes, honest skin tones, whole patients, nobody's files lost."""

import cv2
import numpy as np
import pandas as pd
import pytest

from preparer.demo_cases import isic_table, plan_cases
from preparer.demo_files import MARKER
from preparer.draw_dermoscopy import HEIGHT, WIDTH, lab_from_rgb
from preparer.draw_lesion import ATYPIA, PAINTERS, draw_lesion
from preparer.make_demo import main
from src.core.errors import UserError
from src.skin.tone import GROUP_NAMES, ita_from_lab, ita_from_rgb, tone_group

pytestmark = pytest.mark.slow

N_IMAGES = 80
ISIC_COLUMNS = [
    "image_name",
    "ita",
    "color_r",
    "color_g",
    "color_b",
    "fitzpatrick",
    "group",
    "patient_id",
    "sex",
    "age_approx",
    "anatom_site_general_challenge",
    "diagnosis",
    "benign_malignant",
    "target",
    "duplicate",
    "group_str",
    "group_str_org",
    "split",
]


def make(folder, seed=0, n_images=4):
    main(["--output_dir", str(folder), "--seed", str(seed), "--n_images", str(n_images)])
    return folder


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "demo", n_images=N_IMAGES)


@pytest.fixture(scope="module")
def table(demo):
    return pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", decimal=",")


def read(path, flags=cv2.IMREAD_UNCHANGED):
    return cv2.imdecode(np.fromfile(path, np.uint8), flags)


def test_same_seed_gives_same_bytes_and_another_seed_does_not(tmp_path):
    first, second, other = (make(tmp_path / f"run{n}", seed) for n, seed in enumerate((3, 3, 4)))
    assert contents(first) == contents(second)
    shared = "ham10000/images/ISIC_9000000.jpg"
    assert (first / shared).read_bytes() != (other / shared).read_bytes()


def test_isic_table_has_the_published_columns_and_decimal_comma(demo, table):
    text = (demo / "isic2020" / "ISIC_2020_full.csv").read_text().splitlines()
    assert text[0].split(";") == ISIC_COLUMNS
    assert "," in text[1].split(";")[1]
    assert table["ita"].dtype == float
    assert len(table) == N_IMAGES
    assert table["image_name"].is_unique
    assert ((table["diagnosis"] == "melanoma") == (table["target"] == 1)).all()
    assert ((table["benign_malignant"] == "malignant") == (table["target"] == 1)).all()


def test_both_layouts_hold_the_same_images_and_masks(demo, table):
    ham = pd.read_csv(demo / "ham10000" / "HAM10000_metadata.csv")
    assert list(ham.columns) == [
        "lesion_id",
        "image_id",
        "dx",
        "dx_type",
        "age",
        "sex",
        "localization",
    ]
    assert (ham["image_id"] + ".jpg").tolist() == table["image_name"].tolist()
    for row in table.itertuples():
        stem = row.image_name.removesuffix(".jpg")
        place = f"{row.split}/{row.benign_malignant}/{stem}"
        isic_files = (f"{place}.jpg", f"masks/{place}.png")
        ham_files = (f"images/{stem}.jpg", f"masks/{stem}_segmentation.png")
        for isic_file, ham_file in zip(isic_files, ham_files, strict=True):
            isic_bytes = (demo / "isic2020" / isic_file).read_bytes()
            assert isic_bytes == (demo / "ham10000" / ham_file).read_bytes()
    assert len(contents(demo)) == 4 * N_IMAGES + 3


def test_recorded_angle_is_that_of_the_recorded_color(table):
    ita = ita_from_rgb(table[["color_r", "color_g", "color_b"]].to_numpy())
    np.testing.assert_allclose(table["ita"], ita, atol=0.01)
    np.testing.assert_array_equal(table["group"], tone_group(table["ita"]))
    assert table["group_str"].tolist() == [GROUP_NAMES[group] for group in table["group"]]


def test_drawn_skin_has_the_recorded_angle_and_masks_fit(demo, table):
    errors = []
    for row in table.itertuples():
        stem = row.image_name.removesuffix(".jpg")
        image = read(demo / "ham10000" / "images" / row.image_name)
        mask = read(demo / "ham10000" / "masks" / f"{stem}_segmentation.png")
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert mask.shape == (HEIGHT, WIDTH)
        assert set(np.unique(mask)) == {0, 255}
        assert 0.03 <= (mask == 255).mean() <= 0.60
        skin = np.median(image[mask == 0], axis=0)[::-1]
        errors.append(abs(ita_from_lab(lab_from_rgb(skin)) - row.ita))
    # The rest lies under hair or dark corners.
    assert np.mean(np.array(errors) <= 4.0) >= 0.9


def test_pigment_stays_visible_on_every_tone(demo, table):
    contrast = {group: [] for group in range(len(GROUP_NAMES))}
    for row in table[table["diagnosis"].isin(["nevus", "melanoma"])].itertuples():
        stem = row.image_name.removesuffix(".jpg")
        lightness = lab_from_rgb(read(demo / "ham10000" / "images" / row.image_name)[..., ::-1])
        mask = read(demo / "ham10000" / "masks" / f"{stem}_segmentation.png")
        skin, lesion = (np.median(lightness[mask == value, 0]) for value in (0, 255))
        contrast[row.group].append(skin - lesion)
    assert min(np.median(values) for values in contrast.values()) > 8.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_default_plan_fills_every_cell_and_keeps_patients_whole(seed):
    cases = plan_cases(seed, 720)
    assert len(cases) == 720
    for whole in ("split", "group"):
        assert (cases.groupby("patient_id")[whole].nunique() == 1).all()
    assert (cases.groupby("lesion_id")[["patient_id", "dx"]].nunique() == 1).all(axis=None)
    assert cases.groupby("lesion_id").size().between(1, 3).all()
    assert cases.groupby("patient_id")["lesion_id"].nunique().between(1, 4).all()
    assert set(cases["dx"]) == set(ATYPIA)

    table = isic_table(cases)
    assert len(table.groupby(["split", "target", "group"])) == 3 * 2 * 4
    assert table["target"].mean() == pytest.approx(0.28, abs=0.02)
    shares = table["split"].value_counts(normalize=True)
    assert shares[["train", "valid", "test"]].tolist() == pytest.approx([0.65, 0.15, 0.2], abs=0.04)
    by_group = table.groupby("group")["target"].mean()
    assert by_group.max() - by_group.min() < 0.06


@pytest.mark.parametrize("diagnosis", PAINTERS)
def test_pigment_map_changes_nothing_outside_its_lesion(diagnosis):
    pigment = draw_lesion(diagnosis, np.random.default_rng(7))
    outside = pigment[..., 3] == 0
    assert 0.0 <= pigment[..., 3].min() < pigment[..., 3].max() <= 1.0
    np.testing.assert_array_equal(pigment[outside][:, :3], np.float32([[1, 0, 0]] * outside.sum()))


def test_second_run_returns_at_once_and_another_seed_replaces(tmp_path, capsys):
    folder = make(tmp_path / "demo")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    make(folder)
    assert "already holds" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")} == before

    (folder / "ham10000" / "images" / "ISIC_9000000.jpg").unlink()
    make(folder)
    assert "already holds" not in capsys.readouterr().out
    make(folder, seed=1)
    assert contents(folder) == contents(make(tmp_path / "fresh", seed=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "fresh"]


@pytest.mark.parametrize("marked", [False, True])
def test_folder_with_other_files_is_refused_and_left_alone(tmp_path, marked):
    folder = make(tmp_path / "demo") if marked else tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "notes.txt").write_text("mine")
    before = contents(folder)
    with pytest.raises(UserError, match=r"notes\.txt"):
        make(folder, seed=9)
    assert contents(folder) == before


def test_own_names_without_the_marker_are_refused(tmp_path):
    folder = make(tmp_path / "demo")
    (folder / MARKER).unlink()
    with pytest.raises(UserError, match="other file"):
        make(folder)


def test_failure_leaves_nothing_half_made(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("preparer.demo_files.photograph", fail)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [["--seed", "-1"], ["--n_images", "0"]])
def test_impossible_numbers_are_refused(tmp_path, flags):
    with pytest.raises(UserError, match="expected"):
        main(["--output_dir", str(tmp_path / "demo"), *flags])
