"""Shared data: a small drawn set, real images where they are at hand, a quiet logger."""

import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch
from matplotlib.figure import Figure

from preparer.make_demo import main as make_demo
from src.artifact.export import export_onnx
from src.artifact.network import load_network
from src.core.config import Config
from src.engine.run import train
from tests.datasets.small_isic import isic_rows, read_rows, write_csv, write_image

ROOT = Path(__file__).resolve().parents[1]


# a loaded machine makes no test fail
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# what a shell starts in the background ignores Ctrl-C, and so would all that it starts
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# one thread: on few cores torch's threads and the loaders' fight over them
torch.set_num_threads(1)


# fixtures that take seconds to make: drawn data, real data, a finished run
SLOW_FIXTURES = {"demo", "real_data", "tiny_run", "tiny_onnx"}


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="simulations at full size")


@pytest.hookimpl(tryfirst=True)  # before those are chosen that -m names
def pytest_collection_modifyitems(items):
    """Simulations and tests that want a slow fixture are slow."""
    for item in items:
        if SLOW_FIXTURES & set(item.fixturenames) or item.get_closest_marker("simulation"):
            item.add_marker("slow")


@pytest.fixture
def at_size(request) -> Callable[[int, int], int]:
    """`at_size(few, many)` is how often a simulation repeats: many with --full."""
    return lambda few, many: many if request.config.getoption("--full") else few


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test reaches for a network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # for programs that are started
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read when imported


@pytest.fixture(autouse=True)
def quiet_logger():
    """Log handlers that a test's run left behind end with it."""
    yield
    logger = logging.getLogger("src")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium of this machine, or a skip (a failure with BROWSER_TESTS=require)."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    path = path or shutil.which("google-chrome")
    if not path:
        say = pytest.fail if os.environ.get("BROWSER_TESTS") == "require" else pytest.skip
        say("no chromium, chromium-browser or google-chrome on the path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        running = playwright.chromium.launch(executable_path=path, args=options)
        yield running
        running.close()


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are saved."""
    figures, real = [], Figure.savefig

    def keep(figure, *args, **options):
        figures.append(figure)
        real(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A small drawn data set with `isic2020/` and `ham10000/`; tests must not change it."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    make_demo(["--output_dir", str(folder), "--n_images", "240", "--seed", "3"])
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, or a skip with the reason."""
    folder = Path(os.environ.get("MELANOMA_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "ham10000" / "HAM10000_metadata.csv").is_file():
        pytest.skip(f"no real images: {folder} is absent (set MELANOMA_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def tiny_settings(demo) -> dict:
    """Flat settings of a run that takes seconds."""
    return {
        "data_path": str(demo / "isic2020"),
        "model": "test_resnet",
        "pretrained": False,
        "input_size": 32,
        "augment": "flips",
        "epochs": 3,
        "batch_size": 32,
        "lr": 1e-3,
        "num_workers": 0,
        "monitor": "auroc",
        "device": "cpu",
    }


@pytest.fixture(scope="session")
def tiny_run(tiny_settings, tmp_path_factory) -> Path:
    """The folder of a finished run; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs")
    return train(Config().with_settings(**tiny_settings, output_dir=str(folder), run_name="tiny"))


@pytest.fixture(scope="session")
def tiny_onnx(tiny_run, tmp_path_factory) -> Path:
    """The best checkpoint of `tiny_run` as an ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(*load_network(tiny_run / "best_checkpoint.pth"), path)
    return path


@pytest.fixture
def isic(tmp_path) -> Path:
    """An ISIC 2020 folder with `ISIC_2020_full.csv`: 24 images of 12 patients."""
    root = tmp_path / "isic"
    rows = isic_rows()
    for number, row in enumerate(rows):
        label = ("benign", "malignant")[row["target"]]
        write_image(root / row["split"] / label / row["image_name"], number)
    write_csv(root / "ISIC_2020_full.csv", rows)
    return root


@pytest.fixture
def edit_csv(isic):
    """A function that rewrites the CSV of `isic` by changing its list of rows in place."""

    def edit(change, separator: str = ";") -> Path:
        path = isic / "ISIC_2020_full.csv"
        rows = read_rows(path)
        change(rows)
        return write_csv(path, rows, separator)

    return edit
