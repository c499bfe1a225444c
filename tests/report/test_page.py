"""The report page: one safe file, true sentences, and nothing invented where nothing is known."""

import copy
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from src.core.files import to_strict_json
from src.evaluation.metrics import METRICS
from src.evaluation.thresholds import THRESHOLDS
from src.report.page import CAPTIONS, report_page
from src.report.sentences import (
    calibration_sentences,
    differences,
    in_short,
    rule_in_words,
    worst_group,
)
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
    assert len(images) == len(figures) == 8 and len({image["src"] for image in images}) == 8
    assert {image["alt"] for image in images} == set(CAPTIONS.values())


def test_a_figure_of_another_name_is_shown_too(binary, figures, tmp_path):
    other = tmp_path / "by_tone_test.png"
    other.write_bytes(figures[0].read_bytes())
    images = Page(report_page(binary, [*figures, other])).of("img")
    assert [image["alt"] for image in images].count("by_tone_test") == 1 and len(images) == 9


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
    groups = {group for groups in evaluation["groups"].values() for group in groups}
    texts = {*evaluation["source"]["classes"], *groups, *evaluation["groups"], *evaluation["notes"]}
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


def numbers(sentence):
    """The numbers of a sentence, in order."""
    return re.findall(r"\d[\d,.]*\d|\d", sentence)


def test_in_short_says_it_in_natural_frequencies(binary):
    found, alarms, correct, worst, other = in_short(binary)
    sensitivity = binary["overall"]["metrics"]["sensitivity"]
    ends = [f"{100 * sensitivity[end]:.0f}" for end in ("low", "high")]
    assert numbers(found) == ["99", "137", "72", "95", *ends]
    assert numbers(alarms)[:3] == ["632", "6,425", "9.8"]
    assert numbers(correct)[:3] == ["731", "99", "14"]
    assert "“Light” skin (36 of 58, 62" in worst and "“Very light” skin (15 of 17, 88" in worst
    assert "baseline.csv" in other
    text = words_of(binary)
    assert binary["notice"] in text
    assert "6,562 images of 2,188 patients, 137 malignant lesions." in text


def test_melanoma_is_named_where_it_is_the_class(figures):
    text = words_of(evaluation_of(draw_classes(400)), figures)
    assert "melanomas" in text and "malignant lesion" not in text


def with_gap(evaluation, difference, low, high, left_out=()):
    """The evaluation with another gap in sensitivity between skin tones."""
    changed = copy.deepcopy(evaluation)
    rate = changed["gaps"]["skin tone"]["malignant"]["rates"]["sensitivity"]
    rate["left_out"] = list(left_out)
    rate["difference"] |= {"value": difference, "low": low, "high": high}
    return changed


def test_a_gap_may_be_chance_where_its_interval_holds_none(binary):
    maybe, clear, nothing = (
        worst_group(with_gap(binary, 0.26, low, high), "skin tone")
        for low, high in ((0.0, 0.51), (0.01, 0.51), (math.nan, math.nan))
    )
    assert "26 points (95\u202f% CI 0 to 51 points) may be due to chance" in maybe
    assert "26 points (95\u202f% CI 1 to 51 points) is unlikely" in clear
    assert "26 points" in nothing and "CI" not in nothing


def test_groups_that_cannot_be_compared_are_said_to_be_so(binary):
    gap = with_gap(binary, *[float("nan")] * 3, ["Tan and darker"])
    assert "“Tan and darker” (16)" in worst_group(gap, "skin tone")
    assert "chance" not in worst_group(gap, "skin tone")
    assert "equal" in worst_group(with_gap(binary, 0.0, 0.0, 0.1), "skin tone")


def test_small_groups_are_marked_and_undefined_ones_say_why(binary):
    page = Page(report_page(binary, []))
    few = [values for values in page.of("tr") if values.get("class") == "few"]
    small = [
        part
        for groups in binary["groups"].values()
        for part in groups.values()
        if part["n_positive"] < 10
    ]
    assert len(few) == len(small) > 3
    n_some = sum(part["n_positive"] > 0 for part in small)
    assert page.text.count("too few malignant lesions") == n_some < len(small)
    assert "not defined" in page.text and "no malignant lesions" in page.text


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.where(rows.labels == 0),
        lambda rows: rows.where(rows.labels == 1),
        lambda rows: rows.where(rows.labels < 0),
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
    evaluation = evaluation_of(rows.where(rows.labels == 0))
    assert numbers(in_short(evaluation)[0]) == []
    assert "Sensitivity not defined no malignant lesions" in words_of(evaluation)
    evaluation = evaluation_of(rows.where(rows.labels == 1))
    assert numbers(in_short(evaluation)[1]) == []


def test_an_evaluation_read_from_json_gives_the_same_page(figures):
    evaluation = evaluation_of(draw_binary().where(draw_binary().groups < 1))
    read = json.loads(to_strict_json(evaluation))
    assert report_page(read, figures) == report_page(evaluation, figures)


def test_calibration_is_told_by_bins_with_enough_images(binary):
    changed = copy.deepcopy(binary)
    named = ("lower", "upper", "n", "confidence", "accuracy")
    rows = [(0, 0.2, 900, 0.1, 0.05), (0.2, 0.4, 50, 0.3, 0.24), (0.4, 1, 9, 0.6, 1.0)]
    bins = [dict(zip(named, row, strict=True)) for row in rows]
    changed["calibration"]["positive"] = {"ece": 0.0479, "bins": bins}
    found = [numbers(sentence) for sentence in calibration_sentences(changed)]
    assert found == [["900", "10", "5"], ["50", "30", "24"], ["4.8"]]


def test_thresholds_and_the_other_model_are_told(binary):
    text = words_of(binary)
    assert "0.0312" in text and "youden" in text
    assert "Equal-opportunity difference 26.2 % 11.8 % −14.4 points" in text
    told = [re.sub(r"\s", " ", sentence) for sentence in differences(binary)]
    assert "AUROC was 0.021 higher (95 % CI 0.006–0.036, p = 0.004)." in told
    assert "Sensitivity was 5 points higher (95 % CI −1 to 11 points, p = 0.11)." in told
    assert "Specificity was 1.2 points lower (95 % CI 0.6 to 1.8 points, p < 0.001)." in told


def test_every_metric_is_on_the_page(binary):
    text = words_of(binary)
    for name in binary["overall"]["metrics"]:
        assert METRICS[name].label.casefold() in text.casefold(), name


def test_every_threshold_rule_has_words():
    assert not any("chosen by" in rule_in_words(name) for name in THRESHOLDS.names())
    assert rule_in_words("sensitivity(least=0.85)").endswith("at least 85\u202f%")


def test_methods_name_resamples_clusters_and_the_least_group(binary):
    methods = words_of(binary).rsplit("Methods and provenance", 1)[1]
    assert numbers(methods)[:4] == ["95", "100", "2,188", "0"]
    assert "2,188 patients" in methods and "fewer than 10 images" in methods
    assert "versions.numpy 2.4.6" in methods
