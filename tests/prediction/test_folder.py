"""A folder to a CSV: which columns, which errors; killed and resumed, in parts, on a cluster."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from src.artifact.decisions import make_rule
from src.core.errors import UserError
from src.inference.model import SkinLesionPredictor
from src.prediction.folder import columns
from src.prediction.options import PredictionOptions
from src.preprocess.spec import parse_preprocessing
from src.scripts import predict
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import WEIGHTS, with_contract

ROOT = Path(__file__).resolve().parents[2]
SHARP = (40 * np.array(WEIGHTS[2])).tolist()


@pytest.fixture
def model(tmp_path):
    return with_contract(tmp_path / "x.onnx", make_contract(), height=32, width=32)


@pytest.fixture
def images(tmp_path):
    """60 images in two folders, some of them of the same name, and one bad of each of ten kinds."""
    folder, rng = tmp_path / "images", np.random.default_rng(0)
    for number in range(60):
        pixels = rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)
        path = folder / ("one", "two")[number % 2] / f"{number // 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    good = (folder / "one" / "0.png").read_bytes()
    jpeg = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    huge = bytearray(good)
    huge[16:24] = (100_000).to_bytes(4, "big") * 2
    bad = {
        "empty.jpg": b"",
        "text.jpg": b"no image",
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": good[:100],
        "huge.png": bytes(huge),
        "corrupt.png": good[:60] + bytes(40) + good[100:],
        "gif.jpg": b"GIF89a\1\0\1\0\0\0\0;",
        "html.png": b"<html></html>",
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    return folder


def arguments(model, images, output, *more):
    options = ["--onnx_model_path", model, "--input_folder", images, "--output_csv", output]
    return [*map(str, options), "--recursive", "--probabilities", *map(str, more)]


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_are_decided_by_the_flags():
    contract = SimpleNamespace(classes=("benign", "mel"))
    needed = {"input_folder": Path("x"), "output_csv": Path("y.csv")}
    for said, header, cells in (
        ({}, ["target"], [1]),
        ({"target_names": True}, ["target"], ["mel"]),
        (
            {"probabilities": True},
            ["target", "probability_benign", "probability_mel"],
            [1, 0.2, 0.8],
        ),
    ):
        found, of = columns(PredictionOptions(**needed, **said), contract)
        assert (found, of(1, [0.2, 0.8])) == (header, cells)
    contract = SimpleNamespace(classes=("2", "1"))
    found, of = columns(PredictionOptions(**needed), contract)
    assert (found, of(0, [])) == (["target", "target_class"], [0, "2"])


def test_bad_files_are_listed_with_reasons_and_good_ones_predicted(model, images, capsys):
    output = images.parent / "out.csv"
    assert predict.main(arguments(model, images, output)) == 1
    rows, errors = read(output), read(images.parent / "out_errors.csv")
    assert len(rows) == 60 and len(errors) == 10
    assert {row["image_name"] for row in rows} >= {"one/0.png", "two/0.png"}
    assert all(row["reason"] for row in errors)
    assert {row["image_name"] for row in errors} == {
        *("empty.jpg", "text.jpg", "truncated.jpg", "cut.png", "huge.png", "corrupt.png"),
        *("gif.jpg", "html.png", "gone.png", "pipe.png"),
    }
    assert "10 images not predicted" in capsys.readouterr().err
    for row in errors:
        (images / row["image_name"]).unlink()
    assert predict.main(arguments(model, images, output)) == 0
    assert read(output) == rows
    assert not (images.parent / "out_errors.csv").exists()


def test_results_depend_on_nothing_but_the_images(model, images):
    """Not on threads, parts or what was finished before: byte for byte."""
    output, part = images.parent / "out.csv", images.parent / "parts.csv"
    size = ("--batch_size", 4)
    predict.main(arguments(model, images, output, *size, "--num_workers", 1))
    whole = output.read_bytes()
    predict.main(arguments(model, images, output, *size, "--num_workers", 3))
    assert output.read_bytes() == whole
    for number in (2, 3, 1):
        predict.main(arguments(model, images, part, *size, "--shard", f"{number}/3"))
        assert not part.exists()
    files = sorted(images.parent.glob(".parts.csv.*.partial"))
    assert len(files) == 3 and all(path.stat().st_size for path in files)
    torn = files[1].read_bytes()
    files[1].write_bytes(torn[: len(torn) - 7])  # by a kill, in its last batch
    assert predict.main(arguments(model, images, part, *size, "--resume")) == 1
    assert part.read_bytes() == whole
    assert not list(images.parent.glob(".*.partial"))
    errors = [(images.parent / f"{name}_errors.csv").read_bytes() for name in ("out", "parts")]
    assert errors[0] == errors[1]


def test_what_is_resumed_is_of_the_same_job(model, images, capsys):
    """Another model, flag or image is not taken for the one that was finished."""
    output = images.parent / "out.csv"

    def resumed(*more):
        predict.main(arguments(model, images, output, "--shard", "1/1", *more))
        return capsys.readouterr().out

    assert "were finished before" not in resumed()
    assert "70 of 70 images were finished before" in resumed("--resume")
    assert "finished before" not in resumed("--resume", "--tta", "flips")
    assert "finished before" not in resumed("--resume", "--threshold", "0.3")
    resumed()
    one = images / "one" / "0.png"
    one.write_bytes((images / "two" / "0.png").read_bytes())
    os.utime(one, (1, 1))
    assert "62 of 70 images were finished before" in resumed("--resume")
    with_contract(model, make_contract(), SHARP, 32, 32)
    assert "finished before" not in resumed("--resume")
    predict.main(arguments(model, images, output))
    assert "finished before" not in capsys.readouterr().out


@pytest.mark.simulation
def test_killed_five_times_and_resumed_it_is_the_same_csv(model, images, at_size):
    """So it is where three parts share it; with --full of 10,000 files of which 200 are bad."""
    bad = [path for path in images.glob("*.*") if path.suffix]
    n_good, n_bad = at_size(1560, 9800), 10 * at_size(1, 20)
    for number in range(60, n_good):
        (images / f"more_{number:04}.png").symlink_to(images / "one" / f"{number % 30}.png")
    for number in range(10, n_bad):
        of = bad[number % 10]
        (images / f"bad_{number:03}{of.suffix}").symlink_to(of)
    names = ("out", "killed", "parts")
    output, killed, parts = (images.parent / f"{name}.csv" for name in names)
    step = at_size(2000, 100_000)  # bytes of finished rows between two kills
    predict.main(arguments(model, images, output, "--batch_size", 2))
    command = arguments(model, images, killed, "--batch_size", 2, "--resume", "--num_workers", 2)
    sizes = [0]
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "predict.py", *command],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            files = list(images.parent.glob(".killed.csv.*.partial"))
            if files and files[0].stat().st_size > sizes[-1] + step:
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        sizes.append(files[0].stat().st_size)
    assert sizes == sorted(set(sizes)) and not killed.exists()
    assert predict.main(command) == 1
    for number in (2, 3, 1):
        more = ("--batch_size", 2, "--shard", f"{number}/3")
        predict.main(arguments(model, images, parts, *more))
    assert predict.main(arguments(model, images, parts, "--batch_size", 2, "--resume")) == 1
    assert len(read(output)) == n_good
    assert len(read(images.parent / "out_errors.csv")) == n_bad
    for ending in (".csv", "_errors.csv"):
        contents = {(images.parent / f"{name}{ending}").read_bytes() for name in names}
        assert len(contents) == 1


def test_a_part_is_one_of_some_and_is_written_by_one_process(model, images):
    output = images.parent / "out.csv"
    for wrong in ("0/3", "4/3", "x", "1", "1/0"):
        with pytest.raises(UserError, match=r"--shard .*: expected I/N"):
            predict.main(arguments(model, images, output, "--shard", wrong))
    fcntl = pytest.importorskip("fcntl")
    predict.main(arguments(model, images, output, "--shard", "1/2"))
    (own,) = images.parent.glob(".out.csv.*.partial")
    with own.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is writing it"):
            predict.main(arguments(model, images, output, "--shard", "1/2", "--resume"))


def test_a_threshold_takes_the_place_of_the_models_rule(model, images):
    output = images.parent / "out.csv"
    for threshold, target in (("0", "malignant"), ("1", "benign")):
        predict.main(arguments(model, images, output, "--threshold", threshold, "--target_names"))
        assert {row["target"] for row in read(output)} == {target}


def test_processed_images_are_what_the_network_sees(model, images):
    """By name, in a folder of each preprocessing where members differ; read back they are equal."""
    output, saved = images.parent / "out.csv", images.parent / "saved"
    predict.main(arguments(model, images, output, "--save_processed", saved))
    files = sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*.png"))
    assert len(files) == 60 and "one/0.png.png" in files
    spec = SkinLesionPredictor(model).contract.preprocessing
    pixels = spec.prepare(spec.decode((images / "one" / "0.png").read_bytes())[0])
    kept = cv2.imread(str(saved / "one" / "0.png.png"))[..., ::-1]
    np.testing.assert_array_equal(kept, pixels)
    folder = images.parent / "ensemble"
    folder.mkdir()
    crop = parse_preprocessing("center_crop | resize || normalize(stats='half')", 16)
    with_contract(folder / "a.onnx", make_contract(), height=32, width=32)
    with_contract(folder / "b.onnx", make_contract(preprocessing=crop), height=16, width=16)
    both = images.parent / "both"
    predict.main(arguments(folder, images, output, "--save_processed", both))
    assert len(list(both.iterdir())) == 2 and len(list(both.rglob("*.png"))) == 120
    mean = [
        SkinLesionPredictor(folder / f"{name}.onnx").predict(images / "one" / "0.png")
        for name in "ab"
    ]
    expected = np.mean([one["probabilities"]["malignant"] for one in mean])
    (row,) = (row for row in read(output) if row["image_name"] == "one/0.png")
    assert float(row["probability_malignant"]) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UserError, match="--save_processed: is the folder of images"):
        predict.main(arguments(model, images, output, "--save_processed", images))


def test_lesions_are_the_means_of_their_images(model, images, capsys):
    """Against pooling by hand; an image without a lesion is one, ids count within a patient."""
    output, table = images.parent / "out.csv", images.parent / "table.csv"
    lines, lesions = ["image,patient_id,lesion_id"], {}
    for path in sorted(images.rglob("*.*")):
        name = path.relative_to(images).as_posix()
        number = int(path.stem) if path.stem.isdecimal() else 99
        patient, lesion = f"P{number % 2}", str(number % 3) if number < 20 else "unknown"
        lines.append(f"{name},{patient},{lesion}")
        lesions[name] = (patient, lesion) if number < 20 else name
    table.write_text("\n".join(lines))
    more = ("--aggregate", "lesion", "--metadata_csv", table, "--threshold", "0.42")
    predict.main(arguments(model, images, output, *more))
    rows, found = read(output), read(images.parent / "out_lesions.csv")
    by_hand = {}
    for row in rows:
        value = float(row["probability_malignant"])
        by_hand.setdefault(lesions[row["image_name"]], []).append(value)
    assert len(found) == len(by_hand) == 6 + 20
    for row in found:
        values = by_hand[lesions[row["image_name"]]]
        assert int(row["n_images"]) == len(values)
        mean = sum(values) / len(values)
        assert float(row["probability_malignant"]) == pytest.approx(mean, abs=1e-9)
        assert row["target"] == str(int(mean >= 0.42))
    assert "26 lesions" in capsys.readouterr().out
    for content, named in (
        ("image,lesion_id\none/0.png,1\n", "no row for 69 images"),
        ("image,sex\na,b\n", "no column 'lesion_id'"),
        ("photo,lesion_id\na,b\n", "no column of images"),
    ):
        table.write_text(content)
        with pytest.raises(UserError, match=named):
            predict.main(arguments(model, images, output, *more))
    with pytest.raises(UserError, match="--aggregate lesion and --metadata_csv"):
        predict.main(arguments(model, images, output, "--aggregate", "lesion"))


def test_providers_and_the_usual_model_are_found(model, images, monkeypatch, capsys):
    output = images.parent / "out.csv"
    with pytest.raises(UserError, match=r"--providers NoProvider: .*CPUExecutionProvider"):
        predict.main(arguments(model, images, output, "--providers", "NoProvider"))
    monkeypatch.chdir(images.parent)
    Path("weights").mkdir()
    usual = Path("weights") / "best_model_domain_discriminative.onnx"
    named = ["--image_folder", str(images / "one"), "--output_csv", str(output)]
    with pytest.raises(UserError, match=r"holds 0 ONNX files .*best_model_domain"):
        predict.main(named)
    for name in ("a", "b"):
        with_contract(Path("weights") / f"{name}.onnx", make_contract(), height=32, width=32)
    rule = make_rule("threshold", {"value": 0.125})
    with_contract(usual, make_contract(rule=rule), height=32, width=32)
    assert predict.main(named) == 0
    assert "threshold(value=0.125)" in capsys.readouterr().out


@pytest.mark.slow
def test_jobs_share_a_folder_and_are_joined(model, images, monkeypatch, capsys):
    """On this machine; on SLURM the same jobs are an array (tests/cluster/test_slurm.py)."""
    output, jobs = images.parent / "out.csv", images.parent / "jobs.csv"
    predict.main(arguments(model, images, output))
    for path in images.glob("*.*"):
        path.unlink()
    predict.main(arguments(model, images, output))
    more = ("--cluster", "local", "--shards", 2, "--job_dir", images.parent / "logs" / "%j")
    assert predict.main(arguments(model, images, jobs, *more)) == 0
    assert "60 of 60 images were finished before" in capsys.readouterr().out
    assert jobs.read_bytes() == output.read_bytes()
    for said, named in (
        (("--cluster", "local"), "--shards: expected the number"),
        (("--shards", "2"), "--shards: expected with --cluster"),
        ((*more, "--shard", "1/2"), "--shard: expected without --cluster"),
    ):
        with pytest.raises(UserError, match=named):
            predict.main(arguments(model, images, jobs, *said))
