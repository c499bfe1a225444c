"""The commands of docs/EVIDENCE.md, on drawn images, a small model and the files of two runs."""

import importlib
import json

import cv2
import numpy as np
import pytest

from src.selection.kept import KEPT, keep_epoch
from src.watch import compare, reference
from tests.checklist.written import write_run
from tests.documented import commands
from tests.passport.drawn import draw, fit, pixels, write_darkness, write_onnx
from tests.selection.drawn import CLUSTERS, drawn


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """A folder with what the page names."""
    rng, features = np.random.default_rng(0), []
    for folder in ("images", "masks", "today", "melanoma_output"):
        (tmp_path / folder).mkdir()
    for n in range(6):
        image, lesion = draw(rng, n % 2, (48, 64))
        features.append(pixels(image))
        for folder in ("images", "today"):
            cv2.imwrite(str(tmp_path / folder / f"i{n}.png"), image[..., ::-1])
        cv2.imwrite(str(tmp_path / "masks" / f"i{n}_mask.png"), 255 * lesion.astype(np.uint8))
    write_darkness(tmp_path / "model.onnx")
    write_onnx(tmp_path / "foreign.onnx", fit(np.array(features), np.arange(6) % 2))
    rows = [f"i{n},{int(n % 9 > 0)},1,{n % 2}" for n in range(60)]
    (tmp_path / "outcomes.csv").write_text("\n".join(["image_name,target,label,group", *rows]))
    write_run(tmp_path / "melanoma_output" / "demo")
    for trial in range(2):
        folder = tmp_path / "melanoma_output" / "sweep_demo" / f"trial_{trial}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"monitor": "f1"}))
        for epoch in range(2):
            keep_epoch(folder / KEPT, epoch, drawn(rng), CLUSTERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reference, "LEAST_IMAGES", 5)
    monkeypatch.setattr(compare, "LEAST_OF_DAY", 5)
    return tmp_path


@pytest.mark.slow
def test_every_command_of_the_page_runs(at_hand):
    for command in commands("docs/EVIDENCE.md"):
        found = importlib.import_module(command.program).main(command.argv)
        assert found in (0, None), command.text
    for name in ("passport/passport.html", "watch.json", "paper/checklist_claim.docx"):
        assert (at_hand / name).is_file()
    assert (at_hand / "tables" / "selection_bias.json").is_file()
