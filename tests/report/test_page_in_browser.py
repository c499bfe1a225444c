"""The report in a real browser without a network: all there, nothing wider than the screen."""

import numpy as np
import pytest

from src.report.files import write_figures
from src.report.page import CAPTIONS, report_page
from tests.evaluation.drawn_predictions import draw_binary, draw_classes, lesion_image
from tests.report.drawn_evaluation import evaluation_of, sex_of
from tests.report.test_page import HOSTILE, renamed

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

# Every text's contrast (WCAG 2.2, 1.4.3) with the first opaque background behind it.
CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      const alpha = channels(color)[3];
      if (alpha === undefined || alpha === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    const pair = [getComputedStyle(element).color, background(element)].map(luminance);
    const [dark, light] = pair.sort((a, b) => a - b);
    found.push([walker.currentNode.data.trim().slice(0, 40), (light + 0.05) / (dark + 0.05)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of drawn predictions, with all its figures."""
    folder = tmp_path_factory.mktemp("report")
    predictions = draw_binary()
    evaluation = evaluation_of(predictions)
    sex = sex_of(np.random.default_rng(0), len(predictions.labels))
    figures = write_figures(folder, predictions, evaluation, lesion_image, None, [sex])
    assert len(figures) == len(CAPTIONS)
    path = folder / "report.html"
    path.write_text(report_page(evaluation, figures), encoding="utf-8")
    for figure in figures:
        figure.unlink()
    return path


@pytest.fixture
def visit(browser, report):
    """A function that opens the report; what it logs and asks for is in `said` and `asked`."""
    contexts = []

    def open_page(size="desktop", scheme="light", path=report, **options):
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, **options)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("requestfailed", lambda request: page.said.append(request.url))
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("dialog", lambda dialog: page.said.append(dialog.message))
        page.goto(path.as_uri(), wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_every_figure_is_there_and_nothing_else_is_asked_for(visit, report):
    page = visit()
    images = page.evaluate(
        "Promise.all([...document.images].map(async (image) => {"
        " await image.decode(); return [image.complete, image.naturalWidth, image.alt]; }))"
    )
    assert len(images) == len(CAPTIONS)
    for complete, width, alt in images:
        assert complete and width > 400 and alt
    assert page.said == []
    outside = [url for url in page.asked if not url.startswith("data:")]
    assert outside == [report.as_uri()]


def test_headings_are_there_and_links_lead_to_them(visit):
    page = visit()
    headings = page.locator("h1, h2").all_inner_texts()
    assert headings[:3] == [
        "How well does the model detect malignant lesions?",
        "In short",
        "Key figures",
    ]
    assert {"By group", "Gaps between groups", "Calibration", "Hard cases"} <= set(headings)
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    assert page.get_by_role("note").inner_text().startswith("For research and education.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen_and_all_is_legible(visit, size, scheme):
    page = visit(size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    width = SIZES[size]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 500
    assert [pair for pair in contrasts if pair[1] < 4.5] == []
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.said == []


@pytest.mark.parametrize("name", [HOSTILE, "x" * 300])
@pytest.mark.parametrize("size", SIZES)
def test_names_of_strangers_run_nothing_and_stay_on_the_screen(visit, tmp_path, size, name):
    evaluation = renamed(evaluation_of(draw_classes(300)), name)
    evaluation["source"] |= {"positive": name, "classes": ["a", "b", "c", "d", name, "e", "f"]}
    path = tmp_path / "report.html"
    path.write_text(report_page(evaluation | {"gaps": {}}, []), encoding="utf-8")
    page = visit(size, path=path)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
    assert page.said == [] and page.asked == [path.as_uri()]
    assert name[:20] in page.locator("h1").inner_text()


def test_it_needs_no_script(visit):
    page = visit(java_script_enabled=False)
    summary = page.locator("summary").first
    summary.click()
    assert page.locator("details[open]").count() == 1


def test_print_shows_what_is_folded_away_on_white(visit):
    page = visit(scheme="dark")
    table = page.locator("#metrics table").first
    assert not table.is_visible()
    page.emulate_media(media="print")
    assert table.is_visible() and not page.locator("nav").is_visible()
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(255, 255, 255)"
    assert [pair for pair in page.evaluate(CONTRASTS) if pair[1] < 4.5] == []
