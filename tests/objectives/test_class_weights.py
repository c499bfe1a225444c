"""Weights of the loss, by hand from counted rows."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.objectives.class_weights import CLASS_WEIGHTS, weights_need_groups


def weights(call: str, counts: list[list[int]], positive: int = 1):
    counts = torch.tensor(counts)
    return CLASS_WEIGHTS.build(
        call, label_counts=counts.sum(0), joint_counts=counts, positive=positive
    )


@pytest.mark.parametrize("counts", [[50, 50], [900, 100], [1, 2, 3, 4], [33_000, 1]])
def test_by_class_they_are_rows_over_classes_times_rows_of_the_class(counts):
    found = weights("inverse_frequency", [counts])
    assert found.dtype == torch.float32
    wanted = [sum(counts) / (len(counts) * count) for count in counts]
    np.testing.assert_allclose(found, [wanted], rtol=1e-6)
    assert np.average(found[0], weights=counts) == pytest.approx(1)


def test_by_class_rows_of_unknown_group_count_too():
    found = CLASS_WEIGHTS.build(
        "inverse_frequency",
        label_counts=torch.tensor([6, 2]),
        joint_counts=torch.zeros(4, 2, dtype=int),
        positive=1,
    )
    np.testing.assert_allclose(found, [[8 / 12, 8 / 4]])


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_of_any_number_of_classes_and_groups(data):
    n_groups, n_classes = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 8))
    row = st.lists(st.integers(1, 10_000), min_size=n_classes, max_size=n_classes)
    counts = np.array(data.draw(st.lists(row, min_size=n_groups, max_size=n_groups)))
    positive = data.draw(st.integers(0, n_classes - 1))
    balanced = weights("inverse_frequency(by='group_class')", counts.tolist(), positive)
    np.testing.assert_allclose(balanced, counts.sum() / (counts.size * counts), rtol=1e-5)
    call = "inverse_frequency(by='group_class', scale='sum', positive_boost=0.5)"
    summed = weights(call, counts.tolist(), positive).double().numpy()
    assert summed.sum() == pytest.approx(1, rel=1e-5)
    boost = np.where(np.arange(n_classes) == positive, 1.5, 1.0)
    np.testing.assert_allclose(summed * counts / boost, (summed * counts / boost)[0, 0], rtol=1e-4)


def test_summing_to_one_with_the_positive_class_boosted_is_the_earlier_normalisation():
    """1/100 and 1/25 as shares are 0.2 and 0.8; 1.5 times the second is 0.2 : 1.2."""
    found = weights("inverse_frequency(scale='sum')", [[100, 25]])
    np.testing.assert_allclose(found, [[0.2, 0.8]], rtol=1e-6)
    found = weights("inverse_frequency(scale='sum', positive_boost=0.5)", [[100, 25]])
    np.testing.assert_allclose(found, [[0.2 / 1.4, 1.2 / 1.4]], rtol=1e-6)
    other = weights("inverse_frequency(scale='sum', positive_boost=0.5)", [[100, 25]], positive=0)
    np.testing.assert_allclose(other, [[0.3 / 1.1, 0.8 / 1.1]], rtol=1e-6)


@pytest.mark.parametrize("scale", ["balanced", "sum"])
def test_what_never_occurs_weighs_nothing_and_warns(scale, caplog):
    with caplog.at_level(logging.WARNING):
        found = weights(f"inverse_frequency(by='group_class', scale='{scale}')", [[4, 0], [0, 2]])
    total = {"balanced": 6 / 4, "sum": 1 / (1 / 4 + 1 / 2)}[scale]
    np.testing.assert_allclose(found, [[total / 4, 0], [0, total / 2]])
    assert "[0, 1], [1, 0]: weight 0" in caplog.text


def test_without_gaps_there_is_no_warning(caplog):
    weights("inverse_frequency(by='group_class')", [[4, 1], [1, 2]])
    assert not caplog.text


@pytest.mark.parametrize("by", ["class", "group_class"])
@pytest.mark.parametrize("scale", ["balanced", "sum"])
def test_without_any_rows_there_is_nothing_to_weigh_by(by, scale):
    with pytest.raises(UserError, match="no training row to count"):
        weights(f"inverse_frequency(by='{by}', scale='{scale}')", [[0, 0], [0, 0]])


def test_none_gives_no_weights():
    assert weights("none", [[1, 2]]) is None


@pytest.mark.parametrize("name", CLASS_WEIGHTS.names())
def test_weights_of_every_name_fit_classes_and_groups_and_leave_the_counts_alone(name):
    counts = torch.tensor([[5, 3, 1], [2, 8, 1]])
    context = {"label_counts": counts.sum(0), "joint_counts": counts, "positive": 2}
    found = CLASS_WEIGHTS.build(name, **context)
    assert found is None or found.shape in ((1, 3), (2, 3))
    assert found is None or (found.isfinite().all() and (found > 0).all())
    assert counts.tolist() == [[5, 3, 1], [2, 8, 1]]
    assert context["label_counts"].tolist() == [7, 11, 2]


def test_only_weights_by_group_need_groups():
    assert weights_need_groups("inverse_frequency(by='group_class')")
    for call in ("none", "inverse_frequency", "inverse_frequency(by='class')"):
        assert not weights_need_groups(call)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("inverse_frequency(by='group')", "expected 'class' or 'group_class'"),
        ("inverse_frequency(scale='one')", "expected 'balanced' or 'sum'"),
        ("inverse_frequency(positive_boost=-0.1)", "positive_boost=-0.1): expected 0"),
        ("inverse_frequency(positive_boost=1e40)", "positive_boost=1e+40): expected 0"),
        ("inverse_frequency(boost=1.0)", "did you mean 'positive_boost'"),
        ("balanced", "known: inverse_frequency, none"),
    ],
)
def test_wrong_weights_are_refused_in_words(call, expected):
    with pytest.raises(UserError) as caught:
        weights(call, [[1, 2]])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
