"""Figures of an evaluation: what they draw is what was evaluated, whatever the input."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from src.report import style as figure_style
from src.report.cases import plot_confusion, plot_hard_cases
from src.report.curves import curves_of, plot_precision_recall, plot_roc
from src.report.files import write_figures
from src.report.forest import plot_fairness, plot_per_class
from src.report.reliability import plot_calibration
from src.report.style import GROUP_COLORS, MAIN, UNKNOWN_COLOR, WRONG
from src.skin.tone import GROUP_NAMES
from tests.evaluation.drawn_predictions import (
    all_right,
    draw_binary,
    draw_classes,
    lesion_image,
    unknown_only,
    without_probabilities,
)
from tests.report.drawn_evaluation import evaluation_of
from tests.report.figures import (
    assert_has_ink,
    assert_texts_are_clear,
    lines_of,
    marks,
    points,
    row_of,
    words,
)

ALWAYS = ["confusion_matrix", "fairness_by_group", "per_class_metrics"]
RANKED = ["roc_curves", "pr_curves", "calibration_curve"]
HOSTILE = "$\\frac{1}$\n<b>皮膚" + "x" * 200


@pytest.fixture(scope="module")
def binary():
    """Predictions of two classes and their evaluation; tests must not change them."""
    predictions = draw_binary()
    return predictions, evaluation_of(predictions)


@pytest.fixture(scope="module")
def seven():
    predictions = draw_classes()
    return predictions, evaluation_of(predictions)


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """A function that plots to a path and returns the figure; its texts are clear of each other."""
    figures = []

    class RememberedFigure(Figure):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            figures.append(self)

    monkeypatch.setattr(figure_style, "Figure", RememberedFigure)

    def run(plot, *values):
        plot(*values, tmp_path / "figure.png")
        assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]
        figure = figures.pop()
        assert_texts_are_clear(figure)
        return figure

    return run


def no_image(name):
    return None


def written(folder, predictions, image_of=no_image, **changes):
    """The stems of the files written, each of which has something on it."""
    evaluation = evaluation_of(predictions)
    groups = {name: evaluation["groups"].get(name, {}) for name in ("skin tone", "sex")}
    evaluation |= {"groups": groups} | changes
    paths = write_figures(folder, predictions, evaluation, image_of)
    assert sorted(paths) == sorted(folder.iterdir())
    for path in paths:
        assert_has_ink(path)
    return [path.stem for path in paths]


def test_all_figures_are_written_in_order(tmp_path, binary):
    assert written(tmp_path, binary[0], lesion_image) == [*ALWAYS, *RANKED, "hard_cases"]


def test_eight_classes_and_twelve_groups(tmp_path):
    eight = draw_classes(
        400, (*"ABCDEFG", HOSTILE), tuple(f"tone {i} {HOSTILE}" for i in range(12))
    )
    assert written(tmp_path, eight) == [*ALWAYS, *RANKED, "hard_cases"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: rows.where(rows.labels == 0), [*ALWAYS, "calibration_curve", "hard_cases"]),
        (lambda rows: rows.where(rows.labels == 1), [*ALWAYS, "calibration_curve", "hard_cases"]),
        (lambda rows: rows.where(rows.labels < 0), ALWAYS),
        (unknown_only, [*ALWAYS, *RANKED, "hard_cases"]),
        (without_probabilities, [*ALWAYS, "hard_cases"]),
        (all_right, [*ALWAYS, *RANKED]),
    ],
    ids=["only benign", "only malignant", "no rows", "unknown groups", "decisions only", "right"],
)
def test_what_is_undefined_is_left_out(tmp_path, binary, change, expected):
    assert written(tmp_path, change(binary[0])) == expected


def test_classes_without_a_row_are_left_out_of_the_curves(tmp_path, seven):
    few = seven[0].where(np.isin(seven[0].labels, [4, 5]))
    assert written(tmp_path, few) == [*ALWAYS, *RANKED, "hard_cases"]


def test_an_evaluation_without_groups_has_one_line_of_rates(tmp_path, binary):
    assert "fairness_by_group" in written(tmp_path, binary[0], groups={}, gaps={})


def test_roc_is_that_of_all_rows_and_of_each_tone(draw, binary):
    predictions, evaluation = binary
    figure = draw(plot_roc, curves_of(predictions, evaluation))
    diagonal, everything, *tones = lines_of(figure.axes[0])
    assert points(diagonal).tolist() == [[0, 0], [1, 1]]
    for line, rows in zip(
        [everything, *tones],
        [predictions.groups >= -1, *(predictions.groups == group for group in range(4))],
        strict=True,
    ):
        score = predictions.probabilities[rows, 1]
        false_positive, true_positive, _ = roc_curve(predictions.labels[rows], score)
        assert points(line) == pytest.approx(np.stack([false_positive, true_positive], axis=1))
    assert [line.get_color() for line in tones] == list(GROUP_COLORS)
    area = evaluation["overall"]["metrics"]["auroc"]
    assert "{value:.2f} ({low:.2f}–{high:.2f})".format(**area) in words(figure)
    dots = lines_of(figure.axes[0], "o")
    assert [points(dot)[0, 1] for dot in dots] == pytest.approx(
        [99 / 137, 15 / 17, 36 / 58, 34 / 46, 14 / 16]
    )
    assert points(dots[0])[0, 0] == pytest.approx(632 / 6425)


def test_roc_of_the_compared_model_is_beside_it(draw, binary):
    predictions, evaluation = binary
    scores = predictions.probabilities[::-1]
    other = replace(predictions, probabilities=scores)
    differences = {name: {"value": 0.1} for name in ("auroc", "auprc")}
    comparison = {"name": "other.onnx", "differences": differences}
    figure = draw(plot_roc, curves_of(predictions, evaluation | {"comparison": comparison}, other))
    line = lines_of(figure.axes[0])[-1]
    false_positive, true_positive, _ = roc_curve(predictions.labels, scores[:, 1])
    assert points(line) == pytest.approx(np.stack([false_positive, true_positive], axis=1))
    area = evaluation["overall"]["metrics"]["auroc"]["value"] - 0.1
    assert {"vs. other.onnx", f"{area:.2f}"} <= {*words(figure)}


def test_precision_recall_is_one_against_the_rest(draw, seven):
    predictions, evaluation = seven
    figure = draw(plot_precision_recall, curves_of(predictions, evaluation))
    found = lines_of(figure.axes[0])
    for place in range(7):
        curve, chance = found[2 * place : 2 * place + 2]
        target = predictions.labels == place
        precision, recall, _ = precision_recall_curve(target, predictions.probabilities[:, place])
        assert points(curve) == pytest.approx(np.stack([recall, precision], axis=1))
        assert points(chance)[:, 1] == pytest.approx(target.mean())
    per_class = evaluation["overall"]["per_class"].values()
    assert [points(dot)[0].tolist() for dot in lines_of(figure.axes[0], "o")] == [
        pytest.approx([values["sensitivity"]["value"], values["precision"]["value"]])
        for values in per_class
    ]
    assert len({(line.get_color(), str(line.get_linestyle())) for line in found[::2]}) == 7


def test_a_group_of_one_kind_is_named_but_has_no_curve(draw, binary):
    predictions = replace(binary[0], groups=np.where(binary[0].labels == 1, 0, 1))
    figure = draw(plot_roc, curves_of(predictions, evaluation_of(predictions)))
    assert len(lines_of(figure.axes[0])) == 2
    assert words(figure).count("not defined") == 2
    assert {"All", "Very light", "Light"} <= set(words(figure))


def test_fairness_has_every_group_with_interval_and_counts(draw, binary):
    _, evaluation = binary
    figure = draw(plot_fairness, evaluation, GROUP_NAMES)
    for place, rate in enumerate(("sensitivity", "specificity", "auroc", "selection_rate"), 1):
        axes = figure.axes[place]
        overall = evaluation["overall"]["metrics"][rate]["value"]
        assert overall in [line.get_xdata()[0] for line in lines_of(axes)]
        seen = []
        for groups in evaluation["groups"].values():
            for group, part in groups.items():
                dot, ends = marks(axes, row_of(figure, group, seen.count(group)))
                seen.append(group)
                value = part["metrics"][rate]
                if np.isnan(value["value"]):
                    assert dot is None
                    continue
                drawn = [dot.get_xdata()[0], *ends]
                assert drawn == pytest.approx([*value.values()], nan_ok=True)
                n, ill = part["n"], part["n_positive"]
                counts = {"sensitivity": ill, "specificity": n - ill, "auroc": min(ill, n - ill)}
                count = counts.get(rate, n)
                is_hollow = dot.get_markerfacecolor() == "white"
                assert is_hollow == (count < 10), (group, rate)
                assert ends[1] <= axes.get_xlim()[1] + 1e-9
    assert words(figure).count("not defined") == 4  # sensitivity and AUROC of unknown tone, × sex


def test_fairness_of_long_names(draw):
    eight = draw_classes(200, (*"ABCDEFG", HOSTILE), (HOSTILE, "tone " + HOSTILE))
    found = words(draw(plot_fairness, evaluation_of(eight), eight.group_names))
    assert not any("皮" in text or "x" * 20 in text for text in found)


def test_fairness_colours_a_tone_by_its_name_though_one_is_absent(draw, binary):
    some = binary[0].where(binary[0].groups != 0)
    figure = draw(plot_fairness, evaluation_of(some), GROUP_NAMES)
    for name, color in zip(
        ["Light", "Tan and darker", "unknown"], [*GROUP_COLORS[1::2], UNKNOWN_COLOR], strict=True
    ):
        dot, _ = marks(figure.axes[2], row_of(figure, name))
        assert to_hex(dot.get_markerfacecolor()) == color
    dot, _ = marks(figure.axes[2], row_of(figure, "female"))
    assert dot.get_markerfacecolor() == MAIN


def test_per_class_has_precision_recall_and_f1(draw, seven):
    evaluation = copy.deepcopy(seven[1])
    evaluation["overall"]["metrics"]["recall_macro"] = {"value": 0.77, "low": 0.7, "high": 0.8}
    figure = draw(plot_per_class, evaluation)
    for place, key in enumerate(("precision", "sensitivity", "f1"), 1):
        for row, values in enumerate(evaluation["overall"]["per_class"].values()):
            dot, ends = marks(figure.axes[place], row)
            found = [dot.get_xdata()[0], *ends]
            assert found == pytest.approx([*values[key].values()], nan_ok=True)
    drawn = [line.get_xdata()[0] for line in lines_of(figure.axes[2])]
    assert 0.77 in drawn and "mean of the classes" in words(figure)


def test_confusion_counts_by_class_and_decision(draw, binary):
    found = words(draw(plot_confusion, binary[1]))
    assert {"5,793\n90.2 %", "632\n9.8 %", "38\n27.7 %", "99\n72.3 %"} <= {*found}


def test_confusion_of_no_rows_has_no_shares(draw, binary):
    nothing = evaluation_of(binary[0].where(binary[0].labels < 0))
    assert words(draw(plot_confusion, nothing)).count("0\n–") == 4


def test_confusion_of_very_many_classes_is_shades_alone(draw, binary):
    evaluation = copy.deepcopy(binary[1])
    evaluation["source"]["classes"] = [f"class {place}" for place in range(1000)]
    evaluation["overall"]["confusion_matrix"] = np.eye(1000, dtype=int).tolist()
    figure = draw(plot_confusion, evaluation)
    assert figure.axes[0].collections[0].get_array().shape == (1000, 1000)
    assert not figure.axes[0].texts


def test_calibration_has_a_dot_for_each_bin_with_rows(draw, binary):
    evaluation = copy.deepcopy(binary[1])
    evaluation["calibration"]["temperature"]["before"]["positive"]["bins"][1]["n"] = 10
    evaluation["calibration"]["positive"]["bins"][1]["n"] = 10
    figure = draw(plot_calibration, evaluation)
    for axes, key in zip(figure.axes[:2], ("positive", "equal_width"), strict=True):
        bins = [b for b in evaluation["calibration"][key]["bins"] if b["n"]]
        dots = lines_of(axes, "o")
        expected = [[b["confidence"], b["accuracy"]] for b in bins]
        assert [points(dot)[0].tolist() for dot in dots] == expected
        assert [dot.get_markerfacecolor() == "white" for dot in dots] == [b["n"] < 10 for b in bins]
        before = evaluation["calibration"]["temperature"]["before"][key]["bins"]
        assert len(lines_of(axes, "s")) == sum(b["n"] >= 10 for b in before)
        assert {line.get_markerfacecolor() for line in lines_of(axes, "s")} == {WRONG}
    heights = [bar.get_height() for bar in figure.axes[2].patches]
    assert heights == [b["n"] for b in evaluation["calibration"]["positive"]["bins"]]


@pytest.mark.parametrize("is_fitted", [True, False])
def test_calibration_without_bins_from_before(draw, binary, is_fitted):
    evaluation = copy.deepcopy(binary[1])
    temperature = evaluation["calibration"]["temperature"]
    temperature["before"] = {"ece": 0.1, "log_loss": 0.2}
    evaluation["calibration"]["temperature"] = temperature if is_fitted else None
    figure = draw(plot_calibration, evaluation)
    assert not lines_of(figure.axes[0], "s") and "before" not in words(figure)
    assert ("as predicted" in words(figure)) != is_fitted


def test_hard_cases_show_the_image_or_say_that_there_is_none(draw, binary):
    _, evaluation = binary
    names = [case["name"] for case in evaluation["hard_cases"]]

    def image_of(name):
        return lesion_image(name) if name in names[:2] else None

    figure = draw(plot_hard_cases, evaluation, image_of)
    assert len(figure.axes) == 12
    assert [len(axes.images) for axes in figure.axes] == [1, 1] + [0] * 10
    assert (figure.axes[1].images[0].get_array() == lesion_image(names[1])).all()
    assert words(figure).count("image not available") == 10
    assert figure.axes[0].get_title(loc="left") == "True: malignant\nPredicted: benign (p > 0.99)"
    assert figure.axes[0].get_xlabel() == f"{names[0]}\nIntermediate skin"


@pytest.mark.parametrize("shape", [(1, 1), (300, 2), (2, 300)])
def test_hard_cases_of_strange_names_and_shapes(draw, binary, shape):
    case = dict.fromkeys(("name", "label", "decision", "group"), HOSTILE)
    evaluation = binary[1] | {"hard_cases": [case | {"probability": float("nan")}]}
    figure = draw(plot_hard_cases, evaluation, lambda name: np.zeros((*shape, 3), np.uint8))
    (axes,) = figure.axes
    assert "p =" not in axes.get_title(loc="left") and "皮" not in axes.get_xlabel()
