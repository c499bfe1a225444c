"""Two models on the same rows: matched, subtracted, and compared in the same resamples."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from src.core.errors import UserError
from src.evaluation.groupings import Grouping, tone_groups
from src.evaluation.measure import compute_metrics
from src.evaluation.metrics import METRICS
from src.evaluation.paired_comparison import GROUP_METRICS, compare_pair, difference, in_order_of
from src.evaluation.results import Settings, bootstrapped

FEW = Settings(n_resamples=100, n_bins=5)
LOOPED = ("auroc", "sensitivity", "log_loss", "cohen_kappa")
COUNTS = {"n", "n_positive", "confusion_matrix"}


def models(table, n_classes=2, n_rows=60, seed=0, gain=0.0, positive=1):
    """(this, other, clusters) of correlated models on the rows of clusters of unequal size.

    The first is better by `gain`; both say something of the labels.
    """
    rng = np.random.default_rng(seed)
    clusters = np.sort(rng.integers(n_rows * 2 // 3, size=n_rows))
    _, clusters = np.unique(clusters, return_inverse=True)
    labels, groups = rng.integers(n_classes, size=n_rows), rng.integers(-1, 3, size=n_rows)
    shared = rng.normal(size=(n_rows, n_classes))
    found = []
    for strength in (1 + gain, 1):
        truth = strength * np.eye(n_classes)[labels]
        odds = np.exp(truth + shared + rng.normal(size=shared.shape))
        scores = odds / odds.sum(axis=1, keepdims=True)
        classes = ("benign", "malignant") if n_classes == 2 else tuple("abcdefg")
        found.append(table(labels, groups, scores, classes=classes, positive=positive))
    return *found, clusters


@pytest.fixture(params=[(2, 1), (2, 0), (7, 4)], ids=["two", "positive first", "seven"])
def pair(request, table):
    n_classes, positive = request.param
    return models(table, n_classes, positive=positive)


def compare(this, other, clusters, groupings=(), settings=FEW):
    return compare_pair(bootstrapped(this, clusters, settings), other, groupings, settings)


def taken(predictions, rows):
    """The rows at these places, which may repeat."""
    rows = np.asarray(rows)
    return replace(
        predictions,
        names=[predictions.names[row] for row in rows],
        labels=predictions.labels[rows],
        groups=predictions.groups[rows],
        probabilities=predictions.probabilities[rows],
        decisions=predictions.decisions[rows],
    )


def test_differences_are_this_minus_other(pair):
    this, other, clusters = pair
    found = compare(this, other, clusters)
    values, others = (compute_metrics(table, FEW.n_bins) for table in (this, other))
    assert set(found["differences"]) == set(values) - COUNTS - {
        name for name, row in METRICS.items() if not row.has_interval
    }
    for name, figure in found["differences"].items():
        assert figure["value"] == pytest.approx(values[name] - others[name], abs=1e-12), name
        assert figure["low"] <= figure["high"] and 0 < figure["p"] <= 1, name
    assert (found["n"], found["n_positive"]) == (values["n"], values["n_positive"])


def test_the_other_way_round_every_sign_turns(pair):
    this, other, clusters = pair
    groupings = [tone_groups(this)]
    found, turned = (
        compare(this, other, clusters, groupings),
        compare(other, this, clusters, groupings),
    )
    pairs = [*zip(found["differences"].values(), turned["differences"].values(), strict=True)]
    pairs.append((found["delong"], turned["delong"]))
    for level, metrics in found["by_group"]["skin tone"].items():
        opposite = turned["by_group"]["skin tone"][level]
        pairs += [(metrics[name], opposite[name]) for name in GROUP_METRICS]
    for one, two in pairs:
        expected = {"value": -two["value"], "low": -two["high"], "high": -two["low"], "p": two["p"]}
        assert one == pytest.approx(expected, abs=1e-6, nan_ok=True)
    for kind, counts in found["mcnemar"].items():
        assert counts["only_this_right"] == turned["mcnemar"][kind]["only_other_right"]


def test_a_model_does_not_differ_from_itself(pair):
    this, _, clusters = pair
    found = compare(this, this, clusters, [tone_groups(this)])
    nothing = {"value": 0, "low": 0, "high": 0, "p": 1}
    assert all(figure == nothing for figure in found["differences"].values())
    assert found["delong"] == nothing
    for counts in found["mcnemar"].values():
        assert counts == {"only_this_right": 0, "only_other_right": 0, "p": 1}
    for metrics in found["by_group"]["skin tone"].values():
        for figure in metrics.values():
            assert figure == nothing or np.isnan(list(figure.values())).all()


def by_loop(this, other, clusters, weights):
    """(low, high, p) of each metric's difference, row by row of each resample."""
    values = {name: [] for name in LOOPED}
    for counts in weights:
        rows = np.repeat(np.arange(len(clusters)), counts[clusters].astype(int))
        one, two = (compute_metrics(taken(t, rows), FEW.n_bins) for t in (this, other))
        for name in LOOPED:
            values[name].append(one[name] - two[name])
    found = {}
    for name, drawn in values.items():
        known = [value for value in drawn if not np.isnan(value)]
        low, high = np.quantile(known, [0.025, 0.975])
        beyond = min(sum(v <= 1e-9 for v in known), sum(v >= -1e-9 for v in known))
        found[name] = (low, high, min(1, 2 * (beyond + 1) / (len(known) + 1)))
    return found


@pytest.mark.slow
def test_intervals_and_p_are_those_of_each_resample(pair):
    this, other, clusters = pair
    w = bootstrapped(this, clusters, FEW)
    found = compare_pair(w, other, (), FEW)["differences"]
    for name, expected in by_loop(this, other, clusters, w.weights).items():
        assert [found[name][key] for key in ("low", "high", "p")] == pytest.approx(
            expected, abs=1e-5
        )


def test_groups_are_compared_on_their_rows_in_the_same_resamples(table):
    this, other, clusters = models(table)
    codes = np.where(np.arange(len(clusters)) % 3 == 0, 1, 0)
    codes[:6] = -1
    grouping = Grouping("sex", codes, ("female", "male", "neither"))
    every = replace(FEW, min_group=1)
    w = bootstrapped(this, clusters, every)
    found = compare_pair(w, other, [grouping], every)["by_group"]
    assert list(found) == ["sex"] and list(found["sex"]) == ["female", "male", "unknown"]
    some = compare_pair(w, other, [grouping], FEW)["by_group"]
    assert list(some["sex"]) == ["female"]  # of the others there are fewer than 10 of a kind
    for level, code in (("female", 0), ("male", 1), ("unknown", -1)):
        one, two = (table.where(codes == code) for table in (this, other))
        for name in GROUP_METRICS:
            value = compute_metrics(one)[name] - compute_metrics(two)[name]
            assert found["sex"][level][name]["value"] == pytest.approx(value, nan_ok=True)
    rows = codes == 0
    parts = [table.where(rows) for table in (this, other)]
    expected = by_loop(*parts, clusters[rows], w.weights)
    for name in {*GROUP_METRICS} & {*LOOPED}:
        figure = found["sex"]["female"][name]
        limits = [figure[key] for key in ("low", "high", "p")]
        assert limits == pytest.approx(expected[name], abs=1e-5)


def test_the_confidence_is_that_of_the_settings(table):
    *pair, clusters = models(table)
    wide, narrow = (
        compare(*pair, clusters, settings=replace(FEW, confidence=confidence))
        for confidence in (0.95, 0.5)
    )
    for one, two in (
        (wide["differences"]["brier"], narrow["differences"]["brier"]),
        (wide["delong"], narrow["delong"]),
    ):
        assert one["high"] - one["low"] > 1.5 * (two["high"] - two["low"])
        assert one["p"] == two["p"]


@pytest.mark.parametrize("positive", [0, 1])
def test_mcnemar_counts_the_rows_that_only_one_has_right(table, positive):
    #         melanomas           harmless
    labels = [positive] * 6 + [1 - positive] * 5
    this = [positive] * 5 + [1 - positive] + [positive] * 2 + [1 - positive] * 3
    other = (
        [1 - positive] * 3 + [positive] * 3 + [1 - positive] * 2 + [positive] + [1 - positive] * 2
    )
    tables = [table(labels, decisions=said, positive=positive) for said in (this, other)]
    found = compare(*tables, np.arange(11))["mcnemar"]
    counts = {k: (v["only_this_right"], v["only_other_right"]) for k, v in found.items()}
    assert counts == {"positive": (3, 1), "negative": (1, 2), "all": (4, 3)}
    for kind, (one, two) in counts.items():
        p = min(1, 2 * binom.cdf(min(one, two), one + two, 0.5))
        assert found[kind]["p"] == pytest.approx(p)


@pytest.mark.parametrize("positive", [0, 1])
def test_delong_is_of_the_positive_class(table, positive):
    this, other, clusters = models(table, n_rows=300, gain=1.5, positive=positive)
    found = compare(this, other, clusters)
    areas = [
        roc_auc_score(one.labels == positive, one.probabilities[:, positive])
        for one in (this, other)
    ]
    assert found["delong"]["value"] == pytest.approx(areas[0] - areas[1])
    assert found["delong"]["value"] == pytest.approx(found["differences"]["auroc"]["value"])
    assert found["delong"]["low"] > 0 and found["delong"]["p"] < 0.05, "this one is better"
    assert found["differences"]["auroc"]["p"] < 0.05


def test_rows_in_another_order_are_matched_by_name(pair):
    this, other, clusters = pair
    rng = np.random.default_rng(1)
    mixed = taken(other, rng.permutation(len(clusters)))
    for rename in (
        str,
        lambda name: name.removesuffix(".jpg"),
        lambda name: f"test/malignant/{name.removesuffix('.jpg')}.PNG",
    ):
        renamed = replace(mixed, names=[rename(name) for name in mixed.names])
        found = in_order_of(renamed, this)
        for column in ("labels", "groups", "decisions", "probabilities"):
            np.testing.assert_array_equal(getattr(found, column), getattr(other, column))
        assert found.names == [rename(name) for name in this.names]
    assert compare(this, in_order_of(mixed, this), clusters) == compare(this, other, clusters)


def test_images_that_share_a_name_are_matched_in_their_order_alone(table):
    this, other = (replace(one, names=["1.jpg"] * 60) for one in models(table)[:2])
    assert in_order_of(other, this) is other
    with pytest.raises(UserError, match="images share a name"):
        in_order_of(replace(other, names=["1.jpg"] * 59 + ["2.jpg"]), this)


def spoil_labels(other):
    return replace(other, labels=np.where(np.arange(60) == 7, 1 - other.labels, other.labels))


def test_models_of_other_images_classes_or_truth_are_refused(table):
    this, other, _ = models(table)
    for spoil in (
        lambda t: taken(t, range(58)),
        lambda t: taken(t, [*range(59), 58]),
        lambda t: replace(t, names=[f"x{n}" for n in t.names]),
        lambda t: replace(t, names=["a\nb", *t.names[1:]]),
        lambda t: replace(t, classes=("nevus", "mel")),
        lambda t: replace(t, classes=(*t.classes, "other")),
        lambda t: replace(t, positive=0),
        spoil_labels,
        lambda t: taken(spoil_labels(t), range(59, -1, -1)),
    ):
        with pytest.raises(UserError, match=r"^--compare: ") as error:
            in_order_of(spoil(other), this)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="'image_58'"):
        in_order_of(other, taken(this, range(58)))
    with pytest.raises(UserError, match=r"'image_7\.jpg'"):
        in_order_of(spoil_labels(other), this)


def test_p_counts_the_data_among_the_resamples():
    draws = np.array([-1.0] * 3 + [0.0] + [1.0] * 95)
    found = difference(0.9, draws)
    assert found["p"] == pytest.approx(2 * (4 + 1) / 100)
    assert difference(-0.9, -draws)["p"] == found["p"]
    clear = np.linspace(0.5, 1.5, 99)
    assert difference(1.0, clear)["p"] == pytest.approx(0.02), "never 0"
    assert difference(1.0, np.array([np.nan, *clear]))["p"] == pytest.approx(0.02)
    alike = difference(1.0, np.ones(99))  # the one melanoma there is, in every draw
    assert np.isnan([alike["low"], alike["high"], alike["p"]]).all()
    assert difference(0.0, np.zeros(99)) == {"value": 0, "low": 0, "high": 0, "p": 1}
    nothing = difference(float("nan"), np.full(9, np.nan))
    assert np.isnan(list(nothing.values())).all()


def count_below_5_percent(table, n_pairs: int) -> dict[str, int]:
    """Of pairs of equally good models."""
    n_found = {"accuracy": 0, "auroc": 0, "brier": 0}
    settings = Settings(n_resamples=200, n_bins=2)
    for seed in range(n_pairs):
        found = compare(*models(table, n_rows=120, seed=seed), settings=settings)["differences"]
        for name in n_found:
            n_found[name] += found[name]["p"] < 0.05
    return n_found


@pytest.mark.simulation
def test_p_is_below_5_percent_about_as_often_as_chance(table, at_size):
    """Of 300 pairs of equally good models; bounds of 99.8 % on the share found to differ."""
    n_pairs = at_size(40, 300)
    low, high = binom.ppf([0.001, 0.999], n_pairs, 0.05)
    for name, count in count_below_5_percent(table, n_pairs).items():
        assert low <= count <= high, (name, count)
