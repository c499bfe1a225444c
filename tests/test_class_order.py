"""Each system's order of classes survives training, every report and every export.

Seven classes of as many colours and of unequal counts: a permutation anywhere gives some class the
count, the probability or the row of another.
"""

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file

from src.artifact.network import load_checkpoint
from src.core.config import Config
from src.core.flags import load_config
from src.datasets.adapters import DATASETS
from src.datasets.isic import HAM10000_CLASSES
from src.engine.run import train
from src.inference import SkinLesionPredictor
from src.preprocess.image import read_image, write_png
from src.scripts import export_model, melanoma_eval, predict
from tests.datasets.small_isic import write_csv

ORDER = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df")  # of the eight-class system
COUNTS = dict(zip(ORDER, (11, 9, 8, 7, 5, 4, 3), strict=True))  # of test images; thrice to train
COLORS = {
    "nv": (200, 40, 40), "mel": (40, 40, 40), "bkl": (40, 200, 40), "bcc": (40, 40, 200),
    "akiec": (200, 200, 40), "vasc": (200, 40, 200), "df": (230, 230, 230),
}  # fmt: skip


DATASET = f"table(csv='table.csv', classes={[*ORDER]})"
WRONG = {
    "nv_test_0": "mel",
    "nv_test_1": "mel",
    "nv_test_2": "mel",
    "vasc_test_0": "bcc",
}  # colours


def draw(folder):
    rng, rows = np.random.default_rng(0), []
    for name, count in COUNTS.items():
        for split, times in (("train", 3), ("valid", 1), ("test", 1)):
            for number in range(count * times):
                stem = f"{name}_{split}_{number}"
                color = COLORS[WRONG.get(stem, name)]
                pixels = np.array(color) + rng.integers(-25, 26, (32, 32, 3))
                write_png(folder / split / f"{stem}.png", pixels.clip(0, 255).astype(np.uint8))
                rows.append({"image": stem, "label": name, "patient_id": stem, "split": split})
    order = rng.permutation(len(rows))
    write_csv(folder / "table.csv", [rows[i] for i in order])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(data, the folder of a run that has learned the colours)."""
    root = tmp_path_factory.mktemp("order")
    data = root / "data"
    for split in ("train", "valid", "test"):
        (data / split).mkdir(parents=True)
    draw(data)
    settings = {
        **{"dataset": DATASET, "data_path": str(data), "output_dir": str(root), "run_name": "run"},
        **{"model": "test_resnet", "pretrained": False, "input_size": 32, "device": "cpu"},
        **{"epochs": 6, "lr": 1e-2, "batch_size": 16, "num_workers": 0, "monitor": "accuracy"},
        **{"augment": "dihedral", "preprocess": "resize || normalize(stats='half')"},
    }
    return data, train(Config().with_settings(**settings))


def rows_of(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_probabilities(rows, prefix="probability_"):
    """Of each test image the column of its own class is the largest, and the order is kept."""
    names = [column for column in rows[0] if column.startswith(prefix)]
    assert names == [f"{prefix}{name}" for name in ORDER]
    for row in rows:
        image = next(value for value in row.values() if "_test_" in value)
        stem = Path(image).stem
        name = WRONG.get(stem, stem.partition("_")[0])
        assert max(names, key=lambda column: float(row[column])) == f"{prefix}{name}", image


@pytest.fixture(scope="module")
def exported(run):
    """The folder of its ONNX file and of its Hugging Face folder."""
    folder = run[1] / "exported"
    checkpoint = ["--checkpoint_path", str(run[1] / "best_checkpoint.pth")]
    formats = ["--formats", "onnx", "huggingface"]
    export_model.main([*checkpoint, "--output_dir", str(folder), *formats])
    return folder


@pytest.mark.slow
def test_training_keeps_the_order_of_its_classes(run):
    contract = load_checkpoint(run[1] / "best_checkpoint.pth")["contract"]
    assert contract["classes"] == [*ORDER] != sorted(ORDER)
    assert contract["positive"] in (1, "mel")
    assert contract["provenance"]["label_counts"] == [3 * n for n in COUNTS.values()]
    check_probabilities(rows_of(run[1] / "predictions_test.csv"))
    for row in rows_of(run[1] / "predictions_test.csv"):
        assert ORDER[int(row["label"])] == row["image_name"].partition("_")[0]


@pytest.mark.slow
def test_onnx_outputs_predict_and_hugging_face_keep_it(run, exported):
    session = onnxruntime.InferenceSession(str(exported / "best_checkpoint.onnx"))
    contract = json.loads(session.get_modelmeta().custom_metadata_map["melanoma_contract"])
    assert contract["classes"] == [*ORDER]
    predictor = SkinLesionPredictor(exported / "best_checkpoint.onnx")
    for place, name in enumerate(ORDER):
        path = run[0] / "valid" / f"{name}_valid_1.png"
        image = read_image(path).transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        probabilities = session.run(["probabilities"], {"input": image})[0][0]
        assert probabilities.argmax() == place
        found = predictor.predict(path)
        assert found["predicted_class"] == name
        assert [*found["probabilities"]] == [*ORDER]
        np.testing.assert_allclose([*found["probabilities"].values()], probabilities, atol=1e-5)
    flags = ["--onnx_model_path", str(exported / "best_checkpoint.onnx"), "--probabilities"]
    flags += ["--input_folder", str(run[0] / "test"), "--output_csv"]
    for name, options in (("indices.csv", []), ("names.csv", ["--target_names"])):
        assert predict.main([*flags, str(exported / name), *options]) == 0
        rows = rows_of(exported / name)
        check_probabilities(rows)
        for row in rows:
            stem = Path(row["image_name"]).stem
            seen = WRONG.get(stem, stem.partition("_")[0])
            assert row["target"] == (seen if options else str(ORDER.index(seen)))
    config = json.loads((exported / "huggingface" / "config.json").read_text())
    assert config["label_names"] == [*ORDER]  # transformers numbers them in this order: id2label
    head = load_file(exported / "huggingface" / "model.safetensors")["fc.weight"]
    state = load_checkpoint(run[1] / "best_checkpoint.pth")["model_state_dict"]
    weight = next(v for k, v in state.items() if k.startswith("head.") and k.endswith("weight"))
    np.testing.assert_allclose(head, weight.numpy(), atol=1e-6)


@pytest.mark.slow
def test_a_report_keeps_it_in_every_table_and_figure(run, exported, drawn):
    flags = ["--onnx_model_path", str(exported / "best_checkpoint.onnx"), "--dataset", DATASET]
    flags += ["--data_path", str(run[0]), "--n_resamples", "100"]
    melanoma_eval.main([*flags, "--output_dir", str(exported), "--run_name", "report"])
    folder = exported / "report"
    check_probabilities(rows_of(folder / "predictions.csv"))
    found = json.loads((folder / "evaluation_metrics.json").read_text())
    assert found["source"]["classes"] == [*ORDER]
    matrix = np.diag([*COUNTS.values()])
    for stem, seen in WRONG.items():
        row = ORDER.index(stem.partition("_")[0])
        matrix[row, row] -= 1
        matrix[row, ORDER.index(seen)] += 1
    assert found["overall"]["confusion_matrix"] == matrix.tolist()
    by_class = found["overall"]["per_class"]
    assert [*by_class] == [*ORDER]
    for name, counts, column in zip(ORDER, matrix, matrix.T, strict=True):
        own = counts[ORDER.index(name)]
        assert by_class[name]["n"] == COUNTS[name]
        assert by_class[name]["sensitivity"]["value"] == pytest.approx(own / counts.sum())
        assert by_class[name]["precision"]["value"] == pytest.approx(own / column.sum())
    figures = {figure_names(folder)[i]: figure for i, figure in enumerate(drawn)}
    check_figures(figures, matrix)


def figure_names(folder):
    """The names of the figures in the order in which they were saved."""
    return [path.stem for path in sorted(folder.glob("*.png"), key=lambda p: p.stat().st_mtime_ns)]


def check_figures(figures, matrix):
    """Labels, counts and cells of the confusion matrix; names, counts and dots of each class."""
    axes = figures["confusion_matrix"].axes[0]
    rows = [f"{name}\n{count}" for name, count in COUNTS.items()]
    assert [label.get_text() for label in axes.get_yticklabels()] == rows
    assert [label.get_text() for label in axes.get_xticklabels()] == [*ORDER]
    cells = [int(text.get_text().partition("\n")[0]) for text in axes.texts]
    assert cells == matrix.ravel().tolist()
    for figure, place, first in (
        ("per_class_metrics", 0, 0),
        ("roc_curves", 1, 2),
        ("pr_curves", 1, 2),
    ):
        texts = figures[figure].axes[place].texts
        at = {(text.get_text(), text.get_position()[1]) for text in texts}
        for y, (name, count) in enumerate(COUNTS.items(), first):
            assert {(name, y), (str(count), y)} <= at, figure


def test_each_data_set_has_its_own_order():
    """Of all of them the order of classes is written down, not that in which they are met."""
    assert HAM10000_CLASSES == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    flags = ["--config", "configs/derm_x_mobilenetv2.yaml"]
    classes = DATASETS.resolve(load_config(flags).data.dataset).options["classes"]
    assert tuple(classes) == (*ORDER, "acne")
