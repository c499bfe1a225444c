"""A user's mistake ends in one line, exit code 2 and nothing lost."""

import json
import multiprocessing
import os
import shutil

import cv2
import pandas as pd
import pytest

from preparer import make_demo, prepare_split
from src.core.errors import run_main
from src.engine.checks import check_table
from src.scripts import export_model, melanoma_eval, melanoma_train, predict

PROGRAMS = {
    "train": melanoma_train.main,
    "eval": melanoma_eval.main,
    "predict": predict.main,
    "export": export_model.main,
    "split": prepare_split.main,
    "demo": make_demo.main,
}


@pytest.fixture
def refuse(capsys):
    """Run a program that must refuse; the one line it says."""

    def run(program, *argv, code=2):
        main = PROGRAMS[program]
        with pytest.raises(SystemExit) as stop:
            run_main(lambda _: main([str(argument) for argument in argv]))
        output = capsys.readouterr()
        assert stop.value.code == code, output
        assert "Traceback" not in output.out + output.err
        lines = output.err.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

    return run


@pytest.fixture
def isic(demo, tmp_path):
    """A copy of the drawn ISIC layout that a test may spoil."""
    folder = tmp_path / "isic"
    shutil.copytree(demo / "isic2020", folder)
    return folder


def train_flags(data, tmp_path, *more):
    flags = ["--data_path", data, "--output_dir", tmp_path / "out", "--model", "test_resnet"]
    flags += ["--pretrained", "false", "--input_size", "32", "--epochs", "1"]
    return [*flags, "--num_workers", "0", "--device", "cpu", *more]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--epochz", "3"], "did you mean 'epochs'"),
        (["--epochs", "three"], "--epochs is 'three': expected a whole number"),
        (["--epochs", "0"], "expected 1 or more"),
        (["--pretrained", "maybe"], "expected true or false"),
        (["--objective", "focall"], "did you mean 'focal'"),
        (["--objective", "focal(gama=1)"], "did you mean 'gamma'"),
        (["--objective", "focal(gamma='x')"], "expected a value like 2.0"),
        (["--objective", "__import__('os').system('x')"], "expected name"),
        (["--focal_loss", "--ohem"], "--focal_loss and --ohem both choose the objective"),
        (["--ohem", "--objective", "focal"], "both choose the objective"),
        (["--focal_loss", "--smoothing", "0.1"], "has no option 'smoothing'"),
        (["--cielab", "--preprocess", "resize"], "both choose the preprocess"),
        (["--augment", "dermoscopy"], "did you mean 'dermatoscopy'"),
        (["--sampler", "weigthed"], "no sampler is called"),
        (["--scheduler", "cosin"], "did you mean 'cosine'"),
        (["--dataset", "ham1000"], "did you mean 'ham10000'"),
        (["--model", "convnext_tinny"], "did you mean 'convnext_tiny'"),
        (["--monitor", "aurocc"], "did you mean 'auroc'"),
        (["--preprocess", "normalize(stats='imagenet')"], "a step that fixes the size"),
        (["--device", "cuda"], "--device cpu or --device auto"),
        (["--device", "tpu"], "expected auto, cpu, mps, cuda"),
        (["--mixup", "-0.5"], "--mixup -0.5: expected 0, or 0.01 or more"),
        (["--cutmix_minmax", "0.8", "0.2"], "--cutmix_minmax 0.8 0.2: expected two numbers"),
        (["--mixup_mode", "pair"], "--mixup_mode pair: only batch is accepted"),
        (["--test"], "--test: expected the checkpoint"),
        (["--checkpoint", "x.pth"], "--checkpoint: expected with --test"),
        (["--resume", "nowhere.pth"], "expected auto or the folder of a run"),
        (["--run_name", "../x"], "expected a plain name"),
        (["--config", "nowhere.yaml"], "no such file"),
        (["--valid_size", "0.6", "--test_size", "0.5"], "leave rows for training"),
        (["--num_classes", "7"], "the data have 2 (benign, malignant)"),
        (["--num_groups", "2", "--domain_discriminative_loss"], "the data have groups up to 3"),
        (["--weights", "nowhere.pth"], "--weights nowhere.pth: expected a file; no such file"),
        (["--scheduler", "cosine(warmup_steps=99999)"], "Warm-up (99999 steps)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags(refuse, demo, tmp_path, monkeypatch, flags, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    base = train_flags(demo / "isic2020", tmp_path)
    assert expected in refuse("train", *base, *flags)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--skin_former", "--augment", "flipz"], "did you mean 'flips'"),
        (["--augment", "flips | skin_form"], "did you mean 'skin_former'"),
        (["--augment", "flips | skin_former"], "skin_former must come first"),
        (["--augment", "skin_former(target=(40, 30))"], "target=(40, 30)): expected (darkest,"),
        (["--augment", "skin_former(target=('a', 1))"], "target=('a', 1)): expected (darkest,"),
        (["--augment", "skin_former(probability=(1, 1))"], "a probability for each of Very light"),
        (["--augment", "skin_former(probability=(2, 0, 0, 0))"], "one above 0"),
        (["--augment", "skin_former(masks='mine')"], "expected 'files' or 'estimated'"),
        (["--augment", "skin_former(mask='files')"], "did you mean 'masks'"),
        (["--skin_former", "maybe"], "--skin_former is 'maybe': expected true or false"),
        (["--segment_out_skin", "--preprocess", "|| to_lab"], "a step that fixes the size"),
        (["--segment_out_skin", "--cielab", "--preprocess", "resize"], "both choose the preproc"),
        (
            ["--preprocess", "resize || to_lab | shades_of_grey"],
            "expected shades_of_grey before to_lab",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_of_skin_tone(refuse, demo, tmp_path, flags, expected):
    assert expected in refuse("train", *train_flags(demo / "isic2020", tmp_path), *flags)
    assert not (tmp_path / "out").exists(), "refused before anything was written"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochz: 3", "unknown key 'epochz'; did you mean 'epochs'"),
        ("lr: fast", "lr is 'fast': expected a number"),
        ("- a\n- b", "expected 'key: value' lines"),
        ("lr: [1, 2]", "lr is '['1', '2']': expected a number"),
        ("lr: 1\nlr: 2", "given twice"),
        ("{", "not YAML"),
        ("focal_loss: true\nohem: true", "both choose the objective"),
    ],
)
def test_yaml(refuse, tmp_path, text, expected):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert expected in refuse("train", "--config", path)


def spoil_missing_folder(isic):
    shutil.rmtree(isic)
    return "--data_path"


def spoil_empty_folder(isic):
    shutil.rmtree(isic)
    isic.mkdir()
    return "expected benign and malignant"


def spoil_empty_class_folder(isic):
    shutil.rmtree(isic / "valid" / "malignant")
    (isic / "valid" / "malignant").mkdir()
    return "malignant: empty"


def spoil_missing_class_folder(isic):
    shutil.rmtree(isic / "train" / "benign")
    return "found no benign"


def csv_of(isic):
    return isic / "ISIC_2020_full.csv"


def spoil_missing_column(isic):
    rows = pd.read_csv(csv_of(isic), sep=";")
    rows.drop(columns="target").to_csv(csv_of(isic), sep=";", index=False)
    return "no column 'target' (found: image_name"


def spoil_separator(isic):
    csv_of(isic).write_text(csv_of(isic).read_text().replace(",", ".").replace(";", "|"))
    return "is its separator neither , nor ; nor a tab?"


def spoil_images_without_a_row(isic):
    lines = csv_of(isic).read_text().splitlines(keepends=True)
    csv_of(isic).write_text("".join(lines[:-2]))
    return "2 bad images"


def spoil_rows_without_an_image(isic):
    next((isic / "train" / "benign").iterdir()).unlink()
    return "a row in ISIC_2020_full.csv, but no image"


def spoil_duplicate_rows(isic):
    lines = csv_of(isic).read_text().splitlines(keepends=True)
    csv_of(isic).write_text("".join([*lines, lines[-1]]))
    return "1 rows repeat an image"


def spoil_target(isic):
    rows = pd.read_csv(csv_of(isic), sep=";", dtype=str)
    rows.loc[0, "target"] = "maybe"
    rows.to_csv(csv_of(isic), sep=";", index=False)
    return "line 2: target 'maybe': expected 0 or 1"


def spoil_leak(isic):
    rows = pd.read_csv(csv_of(isic), sep=";", dtype=str)
    rows.loc[rows.split == "valid", "patient_id"] = rows.patient_id[rows.split == "train"].iloc[0]
    rows.to_csv(csv_of(isic), sep=";", index=False)
    return "1 of the 1 valid patients are also in train"


def first_image(isic):
    return sorted((isic / "train" / "malignant").iterdir())[0]


def spoil_truncated_jpeg(isic):
    path = first_image(isic)
    path.write_bytes(path.read_bytes()[:-500])
    return f"{path.name}: truncated"


def spoil_corrupt_jpeg(isic):
    path = first_image(isic)
    path.write_bytes(path.read_bytes()[:20] + b"\x00" * 5000)
    return f"{path.name}: corrupt"


def spoil_text_named_jpg(isic):
    first_image(isic).write_text("not an image")
    return "not a JPEG, PNG, TIFF, WebP or BMP file"


def spoil_zero_bytes(isic):
    first_image(isic).write_bytes(b"")
    return "empty file"


SPOILERS = [function for name, function in list(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_data(refuse, isic, tmp_path, spoil):
    expected = spoil(isic)
    assert expected in refuse("train", *train_flags(isic, tmp_path))
    assert not (tmp_path / "out").exists(), "refused before anything was written"


def mask_of(isic):
    """The mask of a light training image."""
    rows = pd.read_csv(csv_of(isic), sep=";", dtype=str)
    light = rows[(rows.split == "train") & rows.group.isin(["0", "1"])]
    (mask,) = (isic / "masks").glob(f"train/*/{light.image_name.iloc[3][:-4]}.png")
    return mask


def lose_one_mask(isic):
    mask = mask_of(isic)
    mask.unlink()
    return f"{mask.stem}.jpg: no mask, which skin_former needs (1 of "


def lose_all_masks(isic):
    shutil.rmtree(isic / "masks")
    return ".jpg: no mask, which skin_former needs ("


def lose_groups(isic):
    csv_of(isic).unlink()
    return (
        "no training image belongs to a skin-tone group that skin_former darkens; give the groups"
    )


@pytest.mark.parametrize("lose", [lose_one_mask, lose_all_masks, lose_groups])
def test_what_skin_former_lacks(refuse, isic, tmp_path, lose):
    expected = lose(isic)
    assert expected in refuse("train", *train_flags(isic, tmp_path, "--skin_former"))
    assert not (tmp_path / "out").exists(), "refused before anything was written"


def cut(mask):
    image = cv2.imread(str(mask))
    cv2.imwrite(str(mask), image[:-1])
    return f"{mask.name}: {image.shape[1]}x{image.shape[0] - 1} pixels, but its image "


def truncate(mask):
    mask.write_bytes(mask.read_bytes()[:-20])
    return f"{mask.name}: truncated"


def darken(mask):
    cv2.imwrite(str(mask), cv2.imread(str(mask)) // 255)
    return f"{mask.name}: its brightest sample is 1, expected the lesion in white (255)"


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("spoil", [cut, truncate, darken])
def test_masks_that_do_not_fit_end_a_run(refuse, isic, tmp_path, spoil, num_workers):
    expected = spoil(mask_of(isic))
    flags = train_flags(isic, tmp_path, "--skin_former", "--num_workers", str(num_workers))
    assert expected in refuse("train", *flags)


def test_masks_that_skin_former_does_not_read_may_be_anything(isic, tmp_path, capsys):
    """Those of other splits and of the darkest group; its run trains."""
    rows = pd.read_csv(csv_of(isic), sep=";", dtype=str)
    for name in rows.image_name[(rows.split != "train") | (rows.group == "3")]:
        (mask,) = (isic / "masks").glob(f"*/*/{name[:-4]}.png")
        mask.unlink() if mask.stem[-1] in "02468" else mask.write_text("no mask")
    melanoma_train.main(list(map(str, train_flags(isic, tmp_path, "--skin_former"))))
    printed = capsys.readouterr().out
    assert "best checkpoint" in printed and "skin_former can change " in printed
    assert len([*tmp_path.glob("**/skin_former_unchanged.csv")]) == 1


def test_bad_images_are_left_out_up_to_the_limit(isic, tmp_path, capsys):
    spoil_zero_bytes(isic)
    melanoma_train.main(list(map(str, train_flags(isic, tmp_path, "--max_bad_images", "1"))))
    assert "left out" in capsys.readouterr().out


def test_names_with_spaces_and_other_scripts_work(isic, tiny_onnx, tmp_path, capsys):
    source = isic / "test" / "malignant"
    renamed = tmp_path / "Bilder ü 皮膚"
    renamed.mkdir()
    for index, path in enumerate(sorted(source.iterdir())[:2]):
        shutil.copy(path, renamed / f"läsion {index} 黒.JPG")
    output = tmp_path / "aus gabe" / "vorhersage ß.csv"
    argv = ["--onnx_model_path", tiny_onnx, "--input_folder", renamed, "--output_csv", output]
    assert predict.main(list(map(str, argv))) == 0
    names = pd.read_csv(output).image_name.tolist()
    assert names == ["läsion 0 黒.JPG", "läsion 1 黒.JPG"]
    capsys.readouterr()


def not_writable(tmp_path):
    """A path below a file: no user, root included, can write there."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "sub"


def test_unwritable_outputs(refuse, demo, tiny_run, tiny_onnx, tmp_path):
    bad = not_writable(tmp_path)
    images = demo / "isic2020" / "test" / "malignant"
    model = ["--onnx_model_path", tiny_onnx]
    flags = train_flags(demo / "isic2020", tmp_path, "--output_dir", bad)
    assert "cannot be written to" in refuse("train", *flags)
    flags = [*model, "--input_folder", images, "--output_csv", bad / "x.csv"]
    assert "cannot be written" in refuse("predict", *flags)
    flags = [*model, "--input_folder", images, "--output_csv", tmp_path]
    assert "cannot be written" in refuse("predict", *flags)
    checkpoint = tiny_run / "best_checkpoint.pth"
    flags = ["--checkpoint_path", checkpoint, "--output_dir", bad]
    assert "cannot be written" in refuse("export", *flags)
    flags = ["--predictions_csv", tiny_run / "predictions_test.csv", "--output_dir", bad]
    assert "cannot be written to" in refuse("eval", *flags)
    assert "cannot be written to" in refuse("demo", "--output_dir", bad, "--n_images", "1")


def test_a_folder_that_goes_away_is_named(capsys):
    def main(argv):
        raise FileNotFoundError(2, "No such file or directory", "/gone/x.csv")

    with pytest.raises(SystemExit) as stop:
        run_main(main)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: /gone/x.csv: No such file or directory\n"


@pytest.mark.parametrize("program", ["export", "train", "eval"])
def test_checkpoints_that_are_none(refuse, tmp_path, program):
    path = tmp_path / "x.pth"
    path.write_text("not a checkpoint")
    flags = ["--test"] if program == "train" else []
    assert "not a checkpoint" in refuse(program, *flags, "--checkpoint", path)
    assert "no such " in refuse(program, *flags, "--checkpoint", tmp_path / "y.pth")


@pytest.mark.parametrize("program", ["predict", "eval"])
def test_onnx_files_that_are_none(refuse, demo, tmp_path, program):
    path = tmp_path / "x.onnx"
    path.write_text("not a model")
    images = demo / "isic2020" / "test" / "malignant"
    flags = ["--input_folder", images, "--output_csv", tmp_path / "x.csv"]
    flags = flags if program == "predict" else []
    assert "not a usable ONNX model" in refuse(program, "--onnx_model_path", path, *flags)
    assert not (tmp_path / "x.csv").exists()


def test_predict_needs_a_folder_with_images(refuse, tiny_onnx, tmp_path):
    flags = ["--onnx_model_path", tiny_onnx, "--output_csv", tmp_path / "x.csv"]
    assert "no such folder" in refuse("predict", *flags, "--input_folder", tmp_path / "nowhere")
    assert "no .jpg, .jpeg, .png, " in refuse("predict", *flags, "--image_folder", tmp_path)
    assert "--input_folder" in refuse("predict", *flags)
    more = ["--input_folder", tmp_path, "--batch_size", "0"]
    assert "--batch_size 0: expected 1 or more" in refuse("predict", *flags, *more)


def test_eval_takes_one_source(refuse, tiny_run, tiny_onnx):
    both = ["--onnx_model_path", tiny_onnx, "--predictions_csv", tiny_run / "predictions_test.csv"]
    assert "expected one of" in refuse("eval", *both)
    assert "expected one of" in refuse("eval")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image_name,target\na.jpg,0\n", "no column 'label'"),
        ("image_name\na.jpg\n", "no column 'target'"),
        ("image_name,target,label\na.jpg,1.5,0\n", "target"),
        ("image_name,target,label\na.jpg,x,0\n", "target"),
        ("image_name,target,label\na.jpg,0,\n", "has no label"),
        ("image_name,target,label,probability_a,probability_b\na.jpg,0,0,2,x\n", "probabilities"),
    ],
)
def test_predictions_that_are_none(refuse, tmp_path, text, expected):
    path = tmp_path / "p.csv"
    path.write_text(text)
    assert expected in refuse("eval", "--predictions_csv", path, "--output_dir", tmp_path)


def test_a_model_is_evaluated_on_its_own_classes_only(refuse, tiny_run, tiny_onnx, demo, tmp_path):
    flags = ["--dataset", "ham10000", "--data_path", demo / "ham10000", "--output_dir", tmp_path]
    for source in (
        ["--checkpoint", tiny_run / "best_checkpoint.pth"],
        ["--onnx_model_path", tiny_onnx],
    ):
        assert "the model's classes (benign, malignant) do not" in refuse("eval", *source, *flags)


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "resnet10t"],
        ["--input_size", "64"],
        ["--preprocess", "resize"],
        ["--segment_out_skin"],
    ],
    ids=str,
)
@pytest.mark.parametrize("program", ["train", "eval", "eval onnx"])
def test_evaluating_refuses_flags_that_contradict_the_model(
    refuse, tiny_run, tiny_onnx, program, flags
):
    checkpoint = ["--checkpoint", tiny_run / "best_checkpoint.pth"]
    sources = {
        "train": ["--test", *checkpoint],
        "eval": checkpoint,
        "eval onnx": ["--onnx_model_path", tiny_onnx],
    }
    line = refuse(program.split()[0], *sources[program], *flags)
    assert "was trained with" in line and "leave it out" in line


@pytest.mark.parametrize("source", ["checkpoint", "onnx_model_path"])
def test_a_split_drawn_from_other_rows_is_refused(
    refuse, demo, tiny_run, tiny_onnx, tmp_path, source
):
    """Training rows would be among the test rows."""
    rows = pd.read_csv(demo / "isic2020" / "ISIC_2020_full.csv", sep=";", dtype=str)
    rows.drop(columns="split").to_csv(tmp_path / "rows.csv", sep=";", index=False)
    images = tmp_path / "images"
    images.mkdir()
    for path in (demo / "isic2020").glob("t*/*/*.jpg"):
        (images / path.name).symlink_to(path)
    for path in (demo / "isic2020").glob("valid/*/*.jpg"):
        (images / path.name).symlink_to(path)
    dataset = f"siim(csv='{tmp_path / 'rows.csv'}', images='{images}')"
    path = tiny_onnx if source == "onnx_model_path" else tiny_run / "best_checkpoint.pth"
    assert "training rows in the test set" in refuse(
        "eval", f"--{source}", path, "--dataset", dataset
    )


def test_eval_of_onnx_on_a_gpu_is_refused(refuse, tiny_onnx):
    flags = ["--onnx_model_path", tiny_onnx, "--device", "cuda"]
    assert "evaluated on the CPU" in refuse("eval", *flags)


def test_test_prints_the_configuration_it_would_use(tiny_run, capsys):
    flags = ["--test", "--checkpoint", str(tiny_run / "best_checkpoint.pth"), "--print_config"]
    with pytest.raises(SystemExit) as stop:
        melanoma_train.main(flags)
    assert stop.value.code == 0
    assert "model: test_resnet" in capsys.readouterr().out


def test_binary_targets_do_not_evaluate_seven_classes(refuse, demo, tmp_path):
    names = [f"probability_{name}" for name in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")]
    image = next((demo / "isic2020").glob("test/*/*.jpg")).name
    pd.DataFrame([[image, 4, *[1 / 7] * 7]], columns=["image_name", "target", *names]).to_csv(
        tmp_path / "p.csv", index=False
    )
    csv = demo / "isic2020" / "ISIC_2020_full.csv"
    flags = ["--predictions_csv", tmp_path / "p.csv", "--skin_color_csv", csv]
    assert "say nothing of the 7 classes" in refuse("eval", *flags)


def test_batches_of_one_row_are_refused_where_statistics_need_two(refuse, demo, tmp_path):
    flags = train_flags(demo / "isic2020", tmp_path, "--batch_size", "1", "--input_size", "16")
    assert "--batch_size" in refuse("train", *flags)


def test_an_image_that_vanishes_ends_a_run_in_one_line(refuse, isic, tmp_path, monkeypatch):
    def vanish(*args):
        first_image(isic).unlink()
        return check_table(*args)

    monkeypatch.setattr("src.engine.run.check_table", vanish)
    flags = train_flags(isic, tmp_path)
    flags[flags.index("--num_workers") + 1] = "1"
    assert "No such file or directory" in refuse("train", *flags)
    assert multiprocessing.active_children() == []  # none is left to the garbage collector


def test_a_name_that_is_not_utf8_is_listed(tiny_onnx, demo, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    good = next((demo / "isic2020").glob("test/*/*.jpg"))
    shutil.copy(good, folder / "good.jpg")
    shutil.copy(good, os.fsencode(folder) + b"/b\xff.jpg")
    output = tmp_path / "out.csv"
    argv = ["--onnx_model_path", tiny_onnx, "--input_folder", folder, "--output_csv", output]
    assert predict.main(list(map(str, argv))) == 1
    assert "its name is not UTF-8" in capsys.readouterr().err
    assert pd.read_csv(output).image_name.tolist() == ["good.jpg"]


def test_failed_images_exit_with_1_and_are_listed(isic, tiny_onnx, tmp_path, capsys):
    folder, output = isic / "test" / "malignant", tmp_path / "out.csv"
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "subfolder.jpg").mkdir()
    argv = ["--onnx_model_path", tiny_onnx, "--input_folder", folder, "--output_csv", output]
    assert predict.main(list(map(str, argv))) == 1
    assert "broken.png: truncated" in capsys.readouterr().err
    rows = pd.read_csv(output)
    assert list(rows.columns) == ["image_name", "target"]
    assert len(rows) == len(list(folder.iterdir())) - 2


def test_eval_reads_either_form_of_predictions(tiny_run, demo, tmp_path, capsys):
    rows = pd.read_csv(tiny_run / "predictions_test.csv").drop(columns=["label", "group"])
    rows.to_csv(tmp_path / "p.csv", index=False)
    csv = demo / "isic2020" / "ISIC_2020_full.csv"
    argv = ["--predictions_csv", tmp_path / "p.csv", "--skin_color_csv", csv]
    melanoma_eval.main([*map(str, argv), "--output_dir", str(tmp_path)])
    (path,) = tmp_path.glob("*_p_eval/evaluation_metrics.json")
    found = json.loads(path.read_text())["overall"]
    logged = json.loads((tiny_run / "metrics.json").read_text())["test"]
    for name, figure in found["metrics"].items():
        assert figure["value"] == logged[name], name
    assert (found["n"], found["confusion_matrix"]) == (logged["n"], logged["confusion_matrix"])
    assert "sensitivity" in capsys.readouterr().out
