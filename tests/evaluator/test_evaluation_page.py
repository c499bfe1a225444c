"""The commands of docs/EVALUATION.md on data of other origin and ensembles, on small data."""

import pytest

from src.artifact.export import export_onnx
from src.artifact.network import load_network
from src.core.config import Config
from src.engine.run import train
from src.scripts import melanoma_eval
from tests.datasets.small_isic import write_csv, write_image
from tests.documented import commands
from tests.evaluator.readings import strict_json


@pytest.fixture
def at_hand(tmp_path, monkeypatch, demo, tiny_run, tiny_settings, cross_validated):
    """A folder with the runs and the data that the page names."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(tiny_run)
    (tmp_path / "runs" / "folds").symlink_to(cross_validated["unsplit"])
    rows = []
    for place in range(12):
        write_image(tmp_path / "HAM10000" / "images" / f"H{place}.jpg", 200 + place)
        diagnosis = ("nv", "mel", "bcc")[place % 3]
        rows.append({"lesion_id": f"L{place}", "image_id": f"H{place}", "dx": diagnosis})
    write_csv(tmp_path / "HAM10000" / "HAM10000_metadata.csv", rows, ",")
    seven = {"dataset": "ham10000", "data_path": str(demo / "ham10000"), "epochs": 1}
    seven |= {"output_dir": str(tmp_path / "runs"), "run_name": "diagnoses"}
    folder = train(Config().with_settings(**{**tiny_settings, **seven}))
    export_onnx(*load_network(folder / "best_checkpoint.pth"), folder / "best_checkpoint.onnx")
    rows = []
    for place in range(24):
        write_image(tmp_path / "clinic" / f"c{place}.jpg", 100 + place)
        label = ("benign", "malignant")[place % 2]
        rows.append({"image": f"c{place}.jpg", "label": label, "patient_id": f"clinic {place}"})
    write_csv(tmp_path / "clinic" / "clinic.csv", rows)
    rows[0]["label"] = ""
    write_csv(tmp_path / "clinic" / "with_gaps.csv", rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("src.report.files.write_figures", lambda *_: [])
    return tmp_path


@pytest.mark.slow
def test_every_command_on_external_data_and_ensembles_runs(at_hand):
    found = {}
    for title in ("External validation", "Ensembles"):
        for place, command in enumerate(commands("docs/EVALUATION.md", title)):
            name, flags = f"{title} {place}", ["--n_resamples", "100", "--output_dir", "found"]
            melanoma_eval.main([*command.argv, *flags, "--run_name", name])
            found[name] = strict_json(at_hand / "found" / name / "evaluation_metrics.json")
    counts = {name: of["overall"]["n"] for name, of in found.items()}
    assert counts == {
        "External validation 0": 24,
        "External validation 1": 12,
        "External validation 2": 24,
        "External validation 3": 23,
        "Ensembles 0": 60,
        "Ensembles 1": 60,
        "Ensembles 2": 60,
        "Ensembles 3": 24,
    }
    assert found["External validation 2"]["source"]["classes"] == ["rest", "mel"]
    for name in ("External validation 0", "Ensembles 3"):
        assert "was used in training" in found[name]["notes"][0], found[name]["notes"]
