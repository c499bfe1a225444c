"""Shared data: a small drawn set, real images where they are at hand, a quiet logger."""

import logging
import os
from pathlib import Path

import pytest

from preparer.make_demo import main as make_demo

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test reaches for a network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def quiet_logger():
    """Log handlers that a test's run left behind end with it."""
    yield
    logger = logging.getLogger("src")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True


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
