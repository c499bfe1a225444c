"""`evaluate_tones` on drawn images whose tone is known."""

import json

import pandas as pd
import pytest

from src.core.errors import UserError
from src.scripts.evaluate_tones import main


@pytest.fixture(scope="module")
def typed(demo, tmp_path_factory):
    """A table of pairs of types, made from the angles that the demo was drawn with."""
    truth = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", decimal=",")
    pairs = pd.cut(truth["ita"], [-180, 19, 41, 180], labels=["56", "34", "12"])
    csv = tmp_path_factory.mktemp("types") / "types.csv"
    table = pd.DataFrame({"image_name": truth["image_name"], "skin_tone": pairs})
    table.assign(patient_id=truth["patient_id"]).to_csv(csv, index=False)
    return csv


def test_drawn_tones_agree(demo, typed, tmp_path, capsys):
    argv = ["--csv", str(typed), "--fitzpatrick_column", "skin_tone", "--n_resamples", "20"]
    images = ["--images", str(demo / "ham10000" / "images"), "--num_workers", "2"]
    assert main([*argv, *images, "--output_dir", str(tmp_path / "a")]) == 0
    assert "estimate less whole picture" in capsys.readouterr().out
    told = json.loads((tmp_path / "a" / "tone_agreement.json").read_text())
    assert told["unit"] == "patient_id"
    assert told["subsets"]["valid"]["agreement"]["estimate"]["exact"][0] > 0.9
    assert (tmp_path / "a" / "worst_tones.png").is_file()
    rows = pd.read_csv(tmp_path / "a" / "types_by_image.csv")
    assert rows["domain"].eq("dermoscopy").mean() > 0.97
    csv = ["--ita_csv", str(tmp_path / "a" / "ita.csv"), "--fit", "true"]
    assert main([*argv, *csv, "--output_dir", str(tmp_path / "b")]) == 0
    fitted = json.loads((tmp_path / "b" / "tone_agreement.json").read_text())
    assert fitted["map"]["types"] == [2, 1, 0]
    assert not (tmp_path / "b" / "worst_tones.png").exists()


def test_mistakes_are_named(demo, typed, tmp_path):
    ita = tmp_path / "ita.csv"
    ita.write_text("image,ita\nother.jpg,3\n")
    base = ["--csv", str(typed), "--output_dir", str(tmp_path / "out")]
    for argv, said in (
        (["--fitzpatrick_column", "skin_tone"], "--ita_csv, --images"),
        (["--fitzpatrick_column", "tone", "--ita_csv", str(ita)], "no column 'tone'"),
        (["--fitzpatrick_column", "skin_tone", "--ita_csv", str(ita)], "0 of its images"),
        (["--fitzpatrick_column", "skin_tone", "--ita_csv", "nowhere"], "--ita_csv"),
    ):
        with pytest.raises(UserError, match=said):
            main([*base, *argv])
