"""The page in a real browser: answers, garbage, huge pictures, two visitors, a phone, memory."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.conftest import lesion
from tests.page.test_upload import png_of

ROOT = Path(__file__).parents[2]
WAIT = 60_000  # milliseconds
MOST_GROWTH = 60  # MB of 20 uploads of 24 megapixels, whose pixels alone are 72 MB each


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
    yield f"http://127.0.0.1:{port}", process
    process.terminate()
    process.wait(30)


@pytest.fixture
def visit(browser, server):
    """A function that opens the page for a new visitor; errors of its console fail the test."""
    contexts, errors = [], []

    def opened(width=1280):
        context = browser.new_context(viewport={"width": width, "height": 844})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("requestfailed", lambda request: errors.append(request.url))
        for attempt in range(60):
            try:
                page.goto(server[0])
                break
            except Exception:
                if attempt == 59:
                    raise
                page.wait_for_timeout(500)
        page.get_by_text("not a medical device").first.wait_for(timeout=WAIT)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def upload(page, name: str, data: bytes, kind="image/jpeg"):
    """Give the page a file, and wait until it is told of."""
    page.set_input_files("input[type=file]", {"name": name, "mimeType": kind, "buffer": data})
    page.get_by_role("heading", name=name).first.wait_for(timeout=WAIT)


def resident(process) -> float:
    """The process's memory in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.slow
def test_visitors_get_their_answers_on_a_screen_and_a_phone(visit):
    first, second = visit(), visit(width=390)
    upload(first, "mine.jpg", lesion())
    upload(second, "bad.jpg", b"not a picture")
    upload(second, "huge.png", png_of(10_000, 10_000), "image/png")
    first.get_by_text("7 of 14").first.wait_for(timeout=WAIT)
    second.get_by_text("no picture that can be read").first.wait_for(timeout=WAIT)
    second.get_by_text("100 megapixels").first.wait_for(timeout=WAIT)
    assert second.get_by_text("mine.jpg").count() == 0  # another visitor's
    for page in (first, second):
        page.wait_for_function(
            "!document.querySelector('[data-stale=true]')"
        )  # faded while it works
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0
        found = Axe().run(page).response["violations"]
        grave = [v for v in found if v["impact"] in ("serious", "critical")]
        serious = [(v["id"], node["html"]) for v in grave for node in v["nodes"]]
        assert serious == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_uploads_are_not_kept(visit, server):
    page, data = visit(), lesion(size=(4000, 6000))
    for number in range(3):
        upload(page, f"first {number}.jpg", data)
    before = resident(server[1])
    for number in range(20):
        upload(page, f"{number} next.jpg", data)
    assert resident(server[1]) - before < MOST_GROWTH
