"""The page as its visitors use it, without a browser: uploads, garbage, an example."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from src.core.classes import NOTICE
from tests.page.conftest import lesion

APP = Path(__file__).parents[2] / "streamlit_app.py"


@pytest.fixture
def page(page_model, tmp_path, monkeypatch):
    """The page with a model and one example."""
    (tmp_path / "example.png").write_bytes(lesion(".png"))
    flags = ["--onnx_model_path", str(page_model), "--examples", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py", *flags])
    return AppTest.from_file(str(APP), default_timeout=60).run()


def texts(page) -> str:
    kinds = (page.title, page.header, page.markdown, page.error, page.warning, page.success)
    shown = (*kinds, page.info, page.caption)
    return "\n".join(element.value for kind in shown for element in kind)


@pytest.mark.slow
def test_a_visit(page):
    assert not page.exception
    assert "not a medical device" in texts(page)
    assert NOTICE in texts(page)

    page.file_uploader[0].set_value(
        [("mine.jpg", lesion(), "image/jpeg"), ("bad.jpg", b"no picture", "image/jpeg")]
    ).run()
    assert not page.exception
    said = texts(page)
    assert "mine.jpg" in said
    assert "7 of 14" in said
    assert "no picture that can be read" in said
    assert not page.file_uploader[0].value  # let go of
    kept = page.session_state["answers"]
    assert [answer.name for answer in kept] == ["bad.jpg", "mine.jpg"]

    page.button[0].click().run()
    assert "example.png" in texts(page)
    assert len(page.session_state["answers"]) == 3
    page.button[-1].click().run()
    assert page.session_state["answers"] == []
    assert "mine.jpg" not in texts(page)


@pytest.mark.slow
def test_a_page_without_a_model_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py", "--onnx_model_path", str(tmp_path)])
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    assert "nothing to show" in page.error[0].value
