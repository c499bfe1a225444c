"""The report page: one safe file, true sentences, and nothing invented where nothing is known."""

import copy
import json
import re
from collections import Counter
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from src.evaluation.fairness import subset
from src.report.page import CAPTIONS, report_page
from src.report.run_files import to_strict_json
from tests.evaluation.drawn_predictions import (
    all_right,
    draw_binary,
    draw_classes,
    unknown_only,
    without_probabilities,
)
from tests.report.drawn_evaluation import evaluation_of

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"""
ALL_SECTIONS = [
    "short",
    "figures",
    "groups",
    "gaps",
    "ranking",
    "calibration",
    "threshold",
    "comparison",
    "cases",
    "metrics",
    "reading",
    "methods",
]
VOID = {"meta", "link", "img", "line", "circle", "br"}


class Page(HTMLParser):
    """Tags with their attributes, and the text that is seen; every tag must be closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if "style" not in self.open else ""

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def sections(self):
        return [attributes["id"] for attributes in self.of("section")]


@pytest.fixture(scope="module")
def binary():
    """An evaluation of two classes; tests must not change it."""
    return evaluation_of(draw_binary())


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """A small PNG for each figure there may be."""
    folder = tmp_path_factory.mktemp("figures")
    for place, name in enumerate(CAPTIONS):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((4, 6, 3), 20 * place, np.uint8))
    return sorted(folder.iterdir())


def words_of(evaluation, figures=()):
    """The page's text with every run of spaces, of any width, as one space."""
    return re.sub(r"\s+", " ", Page(report_page(evaluation, list(figures))).text)


def test_page_is_one_file_without_script_or_request(binary, figures):
    html = report_page(binary, figures)
    page = Page(html)
    assert not page.of("script") and not page.of("iframe") and "@import" not in html
    assert [name for name, values in page.tags for key in values if key.startswith("on")] == []
    images = [image["src"] for image in page.of("img")]
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert [link["href"] for link in page.of("link")] == ["data:,"]
    assert re.findall(r"url\(|https?:|//\w", re.sub(r"base64,[\w+/=]+", "", html)) == []


def test_page_has_every_figure_once_with_a_text_for_those_who_do_not_see_it(binary, figures):
    images = Page(report_page(binary, figures)).of("img")
    assert len(images) == len(figures) == 7 and len({image["src"] for image in images}) == 7
    assert {image["alt"] for image in images} == set(CAPTIONS.values())


def test_a_figure_of_another_name_is_shown_too(binary, figures, tmp_path):
    other = tmp_path / "by_tone_test.png"
    other.write_bytes(figures[0].read_bytes())
    images = Page(report_page(binary, [*figures, other])).of("img")
    assert [image["alt"] for image in images].count("by_tone_test") == 1 and len(images) == 8


def test_headings_and_links_lead_through_the_page(binary, figures):
    page = Page(report_page(binary, figures))
    assert page.sections == ALL_SECTIONS
    assert len(page.of("h1")) == 1 and len(page.of("h2")) == len(ALL_SECTIONS)
    assert [link["href"] for link in page.of("a")] == [f"#{name}" for name in ALL_SECTIONS]
    ids = [values["id"] for _, values in page.tags if "id" in values]
    assert len(ids) == len(set(ids))
    named = [values["aria-labelledby"] for values in page.of("section")]
    assert set(named) <= set(ids)
    assert page.of("html")[0]["lang"] == "en" and page.of("main")


def test_sections_without_content_are_left_out(binary):
    nothing = {"groups": {}, "gaps": {}, "threshold": None, "comparison": None, "hard_cases": []}
    bare = copy.deepcopy(binary) | nothing | {"notes": [], "provenance": {}}
    bare["calibration"]["positive"]["ece"] = float("nan")
    page = Page(report_page(bare, []))
    assert page.sections == ["short", "figures", "metrics", "reading", "methods"]
    assert [link["href"] for link in page.of("a")] == [f"#{name}" for name in page.sections]


def renamed(evaluation, name):
    """The evaluation with every text of a stranger's file replaced by `name`."""
    positive, cases = evaluation["source"]["positive"], evaluation["hard_cases"]
    text = json.dumps(evaluation)
    levels = {level for levels in evaluation["groups"].values() for level in levels}
    texts = {*evaluation["source"]["classes"], *levels, *evaluation["groups"], *evaluation["notes"]}
    texts |= {case["name"] for case in cases} | set(evaluation["provenance"]) | {"baseline.csv"}
    texts |= {"best_checkpoint.pth", "convnext_tiny", "youden", "temperature(by='all')", "test"}
    texts -= {positive, "all", "malignant", "benign", "model"}
    for place, old in enumerate(sorted(texts, key=len, reverse=True)):
        text = text.replace(json.dumps(old), json.dumps(f"{name} {place}"))
    return json.loads(text)


def test_hostile_names_are_text_and_never_tags(binary, figures):
    harmless = Page(report_page(renamed(binary, "name"), figures))
    html = report_page(renamed(binary, HOSTILE), figures)
    hostile = Page(html)
    assert Counter(tag for tag, _ in hostile.tags) == Counter(tag for tag, _ in harmless.tags)
    assert hostile.text.count("<script>alert(1)</script>") > 60
    assert "<script" not in html
    assert "{{ 7 * 7 }}" in hostile.text


@pytest.mark.parametrize("positive", [HOSTILE, "MEL", "malignant"])
def test_a_hostile_positive_class_is_text(binary, positive):
    classes = [HOSTILE if positive != HOSTILE else "a", positive]
    evaluation = copy.deepcopy(binary) | {"gaps": {}}
    evaluation["source"] |= {"classes": classes, "positive": positive}
    html = report_page(evaluation, [])
    assert "<script" not in html and Page(html).sections[0] == "short"


def test_in_short_says_it_in_natural_frequencies(binary):
    text = words_of(binary)
    recall = binary["overall"]["metrics"]["malignant_recall"]
    interval = f"{100 * recall['low']:.0f}–{100 * recall['high']:.0f} %"
    expected = (
        f"Of 137 malignant lesions it found 99 (72 %, 95 % interval {interval}) and missed 38."
    )
    assert expected in text
    assert "Of 6,425 harmless lesions it raised a false alarm for 632 (9.8 %, 95 %" in text
    assert "Of 731 alarms 99 were right (14 %" in text
    assert "found least often on “Light” skin (36 of 58, 62 %)" in text
    assert "most often on “Very light” skin (15 of 17, 88 %)" in text
    assert "For research and education. Not a medical device" in text
    assert "6,562 images of 2,188 patients, 137 malignant lesions." in text


def test_melanoma_is_named_where_it_is_the_class(figures):
    text = words_of(evaluation_of(draw_classes(400)), figures)
    assert "How well are melanomas found?" in text and "malignant lesion" not in text
    assert re.search(r"Of \d+ other images it raised a false alarm", text)


def with_gap(evaluation, difference, low, high, left_out=()):
    """The evaluation with another gap in sensitivity between skin tones."""
    changed = copy.deepcopy(evaluation)
    rate = changed["gaps"]["skin tone"]["malignant"]["rates"]["true_positive_rate"]
    rate["left_out"] = list(left_out)
    rate["difference"] |= {"value": difference, "low": low, "high": high}
    return changed


def test_a_gap_may_be_chance_where_its_interval_holds_none(binary):
    text = words_of(with_gap(binary, 0.26, 0.0, 0.51))
    assert "The gap of 26 points has the 95 % interval 0–51 points, so it may be chance." in text
    text = words_of(with_gap(binary, 0.26, 0.01, 0.51))
    assert "has the 95 % interval 1–51 points: chance alone hardly explains it." in text
    text = words_of(with_gap(binary, 0.26, float("nan"), float("nan")))
    assert "There is no interval to say whether that is chance." in text


def test_groups_that_cannot_be_compared_are_said_to_be_so(binary):
    text = words_of(with_gap(binary, *[float("nan")] * 3, ["Tan"]))
    assert "By skin tone, sensitivity cannot be compared: fewer than two groups have 10" in text
    assert "Fewer than 10 malignant lesions, so not judged: “Tan” (16)." in text
    text = words_of(with_gap(binary, 0.0, 0.0, 0.1))
    assert "By skin tone, malignant lesions were found equally often." in text


def test_small_groups_are_marked_and_undefined_ones_say_why(binary):
    page = Page(report_page(binary, []))
    few = [values for values in page.of("tr") if values.get("class") == "few"]
    small = [
        part
        for levels in binary["groups"].values()
        for part in levels.values()
        if part["n_malignant"] < 10
    ]
    assert len(few) == len(small) > 3
    n_some = sum(part["n_malignant"] > 0 for part in small)
    assert page.text.count("too few malignant lesions to judge") == n_some < len(small)
    assert "not defined" in page.text and "no malignant lesions" in page.text


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: subset(rows, rows.labels == 0),
        lambda rows: subset(rows, rows.labels == 1),
        lambda rows: subset(rows, rows.labels < 0),
        unknown_only,
        without_probabilities,
        all_right,
    ],
    ids=["only benign", "only malignant", "no rows", "unknown groups", "decisions only", "right"],
)
def test_what_is_undefined_is_named_and_never_a_number(change, figures):
    evaluation = evaluation_of(change(draw_binary()))
    html = report_page(evaluation, figures)
    text = Page(html).text
    assert not re.search(r"\b(nan|None|inf|Undefined)\b", text)
    metrics = evaluation["overall"]["metrics"]
    n_undefined = sum(np.isnan(metrics[name]["value"]) for name in metrics)
    assert text.count("not defined") >= n_undefined
    assert (n_undefined > 0) == (change not in (unknown_only, all_right))


def test_no_melanoma_is_said_and_not_called_zero():
    rows = draw_binary()
    text = words_of(evaluation_of(subset(rows, rows.labels == 0)))
    assert "How many malignant lesions it finds cannot be told: there are none" in text
    assert "Sensitivity not defined no malignant lesions" in text
    text = words_of(evaluation_of(subset(rows, rows.labels == 1)))
    assert "How often it raises a false alarm cannot be told" in text


def test_an_evaluation_read_from_json_gives_the_same_page(figures):
    evaluation = evaluation_of(subset(draw_binary(), draw_binary().groups < 1))
    read = json.loads(to_strict_json(evaluation))
    assert report_page(read, figures) == report_page(evaluation, figures)


def test_calibration_is_told_by_bins_with_enough_images(binary):
    changed = copy.deepcopy(binary)
    named = ("lower", "upper", "n", "confidence", "accuracy")
    rows = [(0, 0.2, 900, 0.1, 0.05), (0.2, 0.4, 50, 0.3, 0.24), (0.4, 1, 9, 0.6, 1.0)]
    bins = [dict(zip(named, row, strict=True)) for row in rows]
    changed["calibration"]["positive"] = {"ece": 0.0479, "bins": bins}
    text = words_of(changed)
    assert "When it said about 10 % for “malignant” (900 images), that was right for 5 %." in text
    assert "When it said about 30 % for “malignant” (50 images), that was right for 24 %." in text
    assert "about 60 %" not in text and "4.8 percentage points apart" in text


def test_thresholds_and_the_other_model_are_told(binary):
    text = words_of(binary)
    assert "from a probability of 0.0312, or of that of its group below. The rule is youden" in text
    assert "Equal-opportunity difference 26.2 % 11.8 % −14.4 points" in text
    assert "AUROC 0.021 higher (0.006–0.036, p = 0.004), more than chance explains" in text
    assert "sensitivity 5 points higher (−1 to 11 points, p = 0.11), which may be chance" in text
    assert "specificity 1.2 points lower (−1.8 to −0.6 points, p < 0.001), more than" in text


def test_methods_name_unit_draws_and_least_group(binary):
    text = words_of(binary)
    assert "100 bootstrap draws (seed 0) that resample by “patient_id” (2,188 of them)" in text
    assert "Groups with fewer than 10 images" in text and "versions.numpy 2.4.6" in text
