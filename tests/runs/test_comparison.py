"""Ways of training side by side: figures by hand, and every draw against an explicit loop."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

import src.runs.comparison as module
from src.core.errors import UserError
from src.evaluation.bootstrap import resample_weights
from src.evaluation.predictions import Predictions
from src.evaluation.weighted import Rows
from src.runs.comparison import FIGURES, compare, plot_gain_against_gap

GROUPS = ("pale", "brown", "dark")


def scores_of(rows, images=None):
    """`Rows` of (unit, target, score, decision, group) rows."""
    clusters, target, score, decision, groups = map(np.array, zip(*rows, strict=True))
    score = score.astype(float)
    predictions = Predictions(
        names=[*(images or [f"{row}.jpg" for row in range(len(rows))])],
        labels=target.astype(int),
        groups=groups,
        probabilities=np.stack([1 - score, score], axis=1),
        decisions=decision.astype(int),
        classes=("benign", "malignant"),
        positive=1,
        group_names=GROUPS,
    )
    return Rows(predictions, clusters)


def changed(run, **changes):
    return replace(run, predictions=replace(run.predictions, **changes))


def random_runs(seed, n_runs=3, n_clusters=14, n_rows=40, names=("a", "b", "c")):
    """Runs of several names, those of a seed on the same rows; few scores, so that some tie."""
    rng = np.random.default_rng(seed)
    runs = {name: [] for name in names}
    for _ in range(n_runs):
        taken = np.sort(rng.choice(60, n_rows, replace=False))
        clusters, target, groups = taken % n_clusters, taken % 3 == 0, taken // 3 % 4 - 1
        for name in names:
            score = np.round(rng.random(n_rows) + 0.3 * target, 1)
            decision = score >= 0.6
            images = [f"{row}.jpg" for row in taken]
            rows = zip(clusters, target, score, decision, groups, strict=True)
            runs[name].append(scores_of(list(rows), images))
    return runs


# unit, target, score, decision, group
ONE = [
    (0, 1, 0.9, 1, 0),
    (0, 0, 0.2, 0, 0),
    (1, 1, 0.4, 0, 1),
    (2, 1, 0.8, 1, 1),
    (3, 0, 0.5, 1, -1),
    (3, 1, 0.5, 1, -1),
]
TWO = [(3, 1, 0.3, 0, -1), (3, 0, 0.1, 0, 1), (4, 1, 0.7, 1, 0), (5, 1, 0.2, 0, 1)]
IMAGES = (["a", "b", "c", "d", "e", "f"], ["f", "e", "g", "h"])


def by_hand(**options):
    runs = [scores_of(rows, names) for rows, names in zip((ONE, TWO), IMAGES, strict=True)]
    options = {"min_positives": 2, "n_resamples": 100, **options}
    (line,) = compare({"only": runs}, GROUPS, **options).to_dict("records")
    return line


def test_figures_of_two_small_runs_are_those_by_hand():
    line = by_hand()
    # pairs: of 4 x 2 are 3 + 2 x 1 + 1 + 1/2 in order; of 3 x 1 all
    assert line["auroc"] == pytest.approx(((2 + 1 + 2 + 1.5) / 8 + 1) / 2)
    assert line["auroc_gain"] == line["auroc_gain_low"] == line["auroc_gain_high"] == 0
    assert line["sensitivity"] == pytest.approx((3 + 1) / (4 + 3))
    assert line["specificity"] == pytest.approx((1 + 1) / (2 + 1))
    assert line["sensitivity pale"] == 1
    assert line["sensitivity brown"] == pytest.approx(1 / 3)
    assert np.isnan(line["sensitivity dark"])
    assert line["worst_group_sensitivity"] == pytest.approx(1 / 3)
    assert line["equal_opportunity_difference"] == pytest.approx(2 / 3)


def test_images_are_counted_once_however_many_runs_test_them():
    line = by_hand()
    assert (line["objective"], line["n_runs"], line["n"], line["n_positive"]) == ("only", 2, 8, 6)
    assert [line[f"n_positive {name}"] for name in GROUPS] == [2, 3, 0]


def test_rows_of_unknown_group_are_in_totals_and_in_no_group():
    """The positive one of them, found in the first run and missed in the second."""
    line, without = by_hand(), [rows[:4] for rows in (ONE, TWO[1:])]
    runs = [scores_of(rows) for rows in without]
    (other,) = compare({"only": runs}, GROUPS, 1, 100).to_dict("records")
    assert other["n_positive"] < line["n_positive"]
    assert other["sensitivity"] != line["sensitivity"]
    for name in ("worst_group_sensitivity", "equal_opportunity_difference", "sensitivity brown"):
        assert other[name] == line[name]


def loop_of_resamples(runs, n_resamples, evaluated):
    """Figure -> values [names, n_resamples], of rows repeated and concatenated."""
    rng = np.random.default_rng(0)
    first, *_ = runs.values()
    n_clusters = max(run.clusters.max() for run in first) + 1
    draws = resample_weights(n_clusters, n_resamples, rng).astype(int)
    picks = rng.integers(len(first), size=(n_resamples, len(first)))
    pairs = list(zip(draws, picks, strict=True))
    lines = [
        [figures_of_a_draw(scores, counts, pick, evaluated) for counts, pick in pairs]
        for scores in runs.values()
    ]
    found = {key: np.array([[d[key] for d in line] for line in lines]) for key in lines[0][0]}
    return found | {"auroc_gain": found["auroc"] - found["auroc"][0]}


def figures_of_a_draw(scores, counts, pick, evaluated):
    parts, auroc = [], []
    for number in pick:
        run = scores[number]
        rows = np.repeat(np.arange(len(run.clusters)), counts[run.clusters])
        target = run.target[rows]
        both = target.any() and not target.all()
        auroc.append(roc_auc_score(target, run.score[rows]) if both else np.nan)
        decision = run.predictions.decisions.astype(bool)
        parts.append((target, decision[rows], run.predictions.groups[rows]))
    target, decision, groups = map(np.concatenate, zip(*parts, strict=True))
    recalls = [mean(decision[target & (groups == g)]) for g in range(len(GROUPS))]
    known = np.array(recalls)[list(evaluated)]
    return {
        "auroc": np.mean(auroc),
        "sensitivity": mean(decision[target]),
        "specificity": mean(~decision[~target]),
        "worst_group_sensitivity": known.min(),
        "equal_opportunity_difference": known.max() - known.min(),
        **{f"sensitivity {name}": recall for name, recall in zip(GROUPS, recalls, strict=True)},
    }


def mean(values):
    return values.mean() if len(values) else np.nan


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "n_runs", "n_clusters"), [(0, 3, 14), (1, 1, 5), (2, 2, 60)])
def test_every_draw_is_the_loop_over_units_and_runs(monkeypatch, seed, n_runs, n_clusters):
    """And the interval is the middle 95 % of those draws in which the figure is defined."""
    runs = random_runs(seed, n_runs, n_clusters)
    seen, real = [], module.percentile_interval
    monkeypatch.setattr(
        module, "percentile_interval", lambda values: (seen.append(values), real(values))[1]
    )
    found = compare(runs, GROUPS, 1, 100)
    names = [c.removesuffix("_low") for c in found if c.endswith("_low")]
    draws = np.reshape(seen, (len(runs), len(names), 100))
    wanted = loop_of_resamples(runs, 100, evaluated=(0, 1, 2))
    assert set(names) == set(wanted) >= set(FIGURES)
    for place, name in enumerate(names):
        np.testing.assert_allclose(draws[:, place], wanted[name], rtol=1e-9, atol=1e-12)
        middle = np.nanquantile(wanted[name], (0.025, 0.975), axis=1).T
        np.testing.assert_allclose(found[[f"{name}_low", f"{name}_high"]], middle, atol=1e-9)
    assert np.ptp(draws[0, names.index("auroc")]) > 0.01


@pytest.mark.parametrize(("min_positives", "evaluated"), [(1, (0, 1, 2)), (6, (0, 1)), (7, (0, 1))])
def test_groups_of_few_positive_images_are_not_evaluated(min_positives, evaluated):
    """The dark have 5 of them, and the least recall; the pale 7, the brown 8."""
    rates = {0: (7, 6), 1: (8, 4), 2: (5, 1), -1: (9, 0)}
    groups = np.repeat([*rates], [n for n, _ in rates.values()])
    found = np.concatenate([np.arange(n) < hits for n, hits in rates.values()])
    rows = [(i, 1, 0.5, d, g) for i, (g, d) in enumerate(zip(groups, found, strict=True))]
    rows += [(90, 0, 0.1, 0, 0), (91, 0, 0.9, 1, 2)]
    (line,) = compare({"x": [scores_of(rows)]}, GROUPS, min_positives, 100).to_dict("records")
    recalls = [rates[g][1] / rates[g][0] for g in evaluated]
    assert line["worst_group_sensitivity"] == pytest.approx(min(recalls))
    assert line["equal_opportunity_difference"] == pytest.approx(max(recalls) - min(recalls))
    assert line["sensitivity dark"] == 0.2
    with pytest.raises(UserError, match=r"groups with 8 or more .* expected two, found 1"):
        compare({"x": [scores_of(rows)]}, GROUPS, 8, 100)


def test_the_same_image_in_several_runs_is_not_more_positives():
    runs = [scores_of(ONE, IMAGES[0])] * 5
    with pytest.raises(UserError, match=r"found 0 \(there are 1, 2, 0\)"):
        compare({"x": runs}, GROUPS, 3, 100)


def test_the_same_scores_gain_nothing_in_any_draw():
    runs = random_runs(3, names=("first",))
    found = compare(runs | {"again": runs["first"]}, GROUPS, 1, 200)
    columns = ["auroc_gain", "auroc_gain_low", "auroc_gain_high"]
    assert (found[columns] == 0).all(axis=None)
    first, again = (line.drop("objective") for _, line in found.iterrows())
    pd.testing.assert_series_equal(first, again, check_names=False)


def test_a_gain_that_every_draw_has_is_sure_although_both_aurocs_are_not():
    runs = random_runs(4, names=("first",), n_clusters=60)
    better = [
        changed(
            run, probabilities=run.predictions.probabilities + 0.2 * np.outer(run.target, [0, 1])
        )
        for run in runs["first"]
    ]
    first, other = compare(runs | {"better": better}, GROUPS, 1, 200).to_dict("records")
    assert 0 < other["auroc_gain_low"] <= other["auroc_gain"] <= other["auroc_gain_high"]
    assert other["auroc_gain"] == pytest.approx(other["auroc"] - first["auroc"])
    assert first["auroc_high"] > other["auroc_low"]


def test_repeating_a_comparison_gives_the_same_and_changes_no_scores():
    runs = random_runs(5)
    before = [run.score.copy() for scores in runs.values() for run in scores]
    pd.testing.assert_frame_equal(compare(runs, GROUPS, 1, 100), compare(runs, GROUPS, 1, 100))
    after = [run.score for scores in runs.values() for run in scores]
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize("what", ["names", "clusters", "labels", "groups"])
def test_runs_of_a_seed_on_other_rows_are_refused(what):
    runs = random_runs(6)
    first, run, last = runs["b"]
    if what == "clusters":
        other = replace(run, clusters=np.roll(run.clusters, 1))
    else:
        other = changed(run, **{what: np.roll(getattr(run.predictions, what), 1)})
    runs["b"] = [first, other, last]
    with pytest.raises(UserError, match="b: its test rows are not those of a: the data changed"):
        compare(runs, GROUPS, 1, 100)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures, save = [], Figure.savefig

    def keep(figure, *args, **options):
        figures.append(figure)
        return save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_the_plot_has_a_point_and_a_cross_for_each_line(tmp_path, drawn):
    rows = compare(random_runs(0), GROUPS, 1, 100)
    plot_gain_against_gap(rows, tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).std() > 1
    (axes,) = drawn[0].axes
    points = [line for line in axes.lines if line.get_label() in "abc"]
    found = [(p.get_xdata()[0], p.get_ydata()[0]) for p in points]
    np.testing.assert_array_equal(found, rows[["equal_opportunity_difference", "auroc"]])
    reach = []
    for bars in axes.collections:
        ((start, end),) = bars.get_segments()
        reach.append([*start, *end])
    names = ("equal_opportunity_difference", "auroc")
    for place, (_, row) in enumerate(rows.iterrows()):
        (x, y), across, up = found[place], reach[2 * place], reach[2 * place + 1]
        wanted = {name: (row[f"{name}_low"], row[f"{name}_high"]) for name in names}
        left, right = wanted[names[0]]
        low, high = wanted[names[1]]
        np.testing.assert_allclose(across, [min(left, x), y, max(right, x), y])
        np.testing.assert_allclose(up, [x, min(low, y), x, max(high, y)])


def test_only_the_first_point_is_black_and_undefined_figures_are_no_error(tmp_path, drawn):
    rows = compare(random_runs(0, names=[f"n{i:02}" for i in range(25)]), GROUPS, 1, 100)
    rows.loc[3, rows.columns[rows.columns.str.startswith("auroc")]] = np.nan
    plot_gain_against_gap(rows, tmp_path / "a.png")
    colors = [line.get_color() for line in drawn[0].axes[0].lines]
    assert len(colors) == 25
    assert [color == "black" for color in colors] == [True] + [False] * 24
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == rows["objective"].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
