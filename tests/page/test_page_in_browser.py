"""The page in a real browser: answers, garbage, huge pictures, two visitors, a phone, memory."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.conftest import lesion
from tests.page.test_upload import png_of

ROOT = Path(__file__).parents[2]
WAIT = 60_000  # milliseconds
MOST_GROWTH = 45  # MB of 20 uploads of 3.4 MB each
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def server(page_model):
    """(address, process) of the running page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    command += ["--", "--onnx_model_path", str(page_model)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    until = time.monotonic() + WAIT / 1000
    while time.monotonic() < until:
        try:
            urlopen(f"http://127.0.0.1:{port}/_stcore/health").close()
            break
        except URLError:
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}", process
    process.terminate()
    process.wait(30)


@pytest.fixture
def visit(browser, server):
    """A function that opens the page for a new visitor; errors of its console fail the test."""
    contexts, errors = [], []

    def opened(width=1280):
        contexts.append(browser.new_context(viewport={"width": width, "height": 844}))
        page = contexts[-1].new_page()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("response", lambda got: errors.append(got.url) if got.status >= 400 else None)
        page.goto(server[0])
        page.get_by_text("not a medical device").first.wait_for(timeout=WAIT)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def upload(page, folder: Path, files: dict[str, bytes]) -> None:
    """Give the page files, and wait until it is told of the last."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    page.set_input_files("input[type=file]", [folder / name for name in files])
    page.get_by_role("heading", name=[*files][-1]).first.wait_for(timeout=WAIT)


def resident(process) -> float:
    """The process's memory in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.slow
def test_visitors_get_their_answers_on_a_screen_and_a_phone(visit, tmp_path):
    first, second = visit(), visit(width=390)
    upload(first, tmp_path, {"mine.jpg": lesion()})
    upload(second, tmp_path, {"bad.jpg": b"not a picture", "huge.png": png_of(10_000, 10_000)})
    first.get_by_text("7 of 14").first.wait_for(timeout=WAIT)
    second.get_by_text("no picture that can be read").first.wait_for(timeout=WAIT)
    second.get_by_text("100 megapixels").first.wait_for(timeout=WAIT)
    assert second.get_by_text("mine.jpg").count() == 0  # another visitor's
    first.set_viewport_size({"width": 390, "height": 844})
    for page in (first, second):
        assert page.evaluate(OVERFLOW) <= 0
        found = Axe().run(page).response["violations"]
        grave = [v for v in found if v["impact"] in ("serious", "critical")]
        assert [(v["id"], node["html"]) for v in grave for node in v["nodes"]] == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_uploads_are_not_kept(visit, server, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (900, 1300, 3))
    page, data = visit(), cv2.imencode(".png", noise.astype(np.uint8))[1].tobytes()
    for turn in range(6):
        if turn == 2:  # as many answers as soon are kept, and what loading a model took
            before = resident(server[1])
        upload(page, tmp_path, {f"{turn} {number}.png": data for number in range(5)})
    assert resident(server[1]) - before < MOST_GROWTH < 20 * len(data) / 2**20
