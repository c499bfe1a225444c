"""Losses against loops in float64, written from the papers; and no infinities."""

import itertools
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.objectives.catalog import OBJECTIVES, needs_groups
from tests.objectives.references import REFERENCES
from tests.objectives.samples import CALLS, WEIGHTS, Shape, batch, build, value_and_gradient

SHARE = st.floats(0, 0.95)
# What is drawn of each option; `decide` has no effect on the loss.
OPTIONS = {
    "cross_entropy": {"smoothing": SHARE},
    "focal": {"gamma": st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])},
    "ohem": {"fraction": st.floats(0.01, 1), "count": st.integers(0, 4)},
    "recall_cross_entropy": {"momentum": SHARE},
    "logit_adjustment": {"tau": st.floats(0, 3)},
    "group_dro": {"step": st.sampled_from([0.0, 0.01, 1.0, 10.0])},
    "domain_discriminative": {"smoothing": SHARE},
    "domain_independent": {"smoothing": SHARE},
}


class Problem(NamedTuple):
    """An objective, and batches of rows (target, group) to show it in turn."""

    call: str
    counts: list[list[int]]
    weight: list[list[float]] | None
    batches: list[list[tuple[int, int]]]
    seed: int
    scale: float


@st.composite
def problems(draw, name):
    """Problems of all sizes; a row of target -1 is ignored, and its group unknown."""
    num_classes, num_groups = draw(st.integers(2, 4)), draw(st.integers(1, 3))

    def table(values, n_rows):
        row = st.lists(values, min_size=num_classes, max_size=num_classes)
        return st.lists(row, min_size=n_rows, max_size=n_rows)

    options = {key: draw(values) for key, values in OPTIONS[name].items()}
    some = st.sampled_from([0.0, 0.2, 1.0, 3.0])
    weight = draw(table(some, draw(st.sampled_from([0, 1, num_groups]))))
    knows_groups = needs_groups(name) or len(weight) > 1
    groups = st.integers(0 if knows_groups else -1, num_groups - 1)
    rows = st.tuples(st.integers(0, num_classes - 1), groups) | st.just((-1, -1))
    return Problem(
        f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})",
        draw(table(st.integers(0, 99), num_groups)),
        weight or None,
        draw(st.lists(st.lists(rows, max_size=6), min_size=1, max_size=3)),
        draw(st.integers(0, 999)),
        draw(st.sampled_from([0.1, 1, 9])),
    )


def of_kept_rows(reference, rows, weight):
    """What `reference` says of the rows that are not ignored, as a function of all logits."""
    kept = [i for i, (target, _) in enumerate(rows) if target >= 0]
    targets, groups = ([rows[i][column] for i in kept] for column in (0, 1))
    weights = [1.0] * len(kept)
    if weight:
        tables = [weight[g if len(weight) > 1 else 0] for g in groups]
        weights = [table[y] for table, y in zip(tables, targets, strict=True)]

    def loss(logits):
        return reference(logits[kept], targets, groups, weights) if kept else 0 * logits.sum()

    return loss


@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_values_and_gradients_of_batches_are_the_papers(name, autocast):
    """Of batches in turn, with all that an objective remembers; of none or one row, too."""

    @settings(max_examples=50, deadline=None, derandomize=True, database=None)
    @given(problems(name))
    def check(problem):
        weight = problem.weight and torch.tensor(problem.weight)
        objective = build(problem.call, weight, problem.counts)
        options = OBJECTIVES.resolve(problem.call).options
        reference = REFERENCES[name](Shape(problem.counts), **options)
        for number, rows in enumerate(problem.batches):
            seed = problem.seed + number
            logits, *_ = batch(objective, len(rows), seed=seed, scale=problem.scale)
            columns = torch.tensor(rows, dtype=int).reshape(-1, 2).unbind(1)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                found = value_and_gradient(objective, logits, *columns)
            wanted = value_and_gradient(
                of_kept_rows(reference, rows, problem.weight),
                logits.detach().double().requires_grad_(),
            )
            assert found[0].dtype == torch.float32
            for mine, other in zip(found, wanted, strict=True):
                torch.testing.assert_close(mine.double(), other, rtol=1e-4, atol=1e-5)

    check()


def test_references_are_of_registered_objectives_and_know_their_options():
    assert set(REFERENCES) == set(OPTIONS) <= set(OBJECTIVES.names())
    for name, drawn in OPTIONS.items():
        assert set(OBJECTIVES.resolve(name).options) - {"decide"} == set(drawn)


@pytest.mark.parametrize("call", CALLS)
def test_extreme_logits_stay_finite(call):
    """One output of each row at `scale`, right for some rows and wrong for others; twice."""
    dtypes = (torch.float32, torch.float16, torch.bfloat16)
    for case in itertools.product(WEIGHTS, dtypes, (0.0, 1e4, -1e4, 6e4)):
        weight, dtype, scale = case
        objective = build(call, WEIGHTS[weight])
        _, targets, groups = batch(objective)
        places = torch.arange(12) * 5 % objective.n_outputs
        logits = torch.nn.functional.one_hot(places, objective.n_outputs).to(dtype) * scale
        logits.requires_grad_()
        for mode in (objective.train, objective.train, objective.eval):
            mode()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value, gradient = value_and_gradient(objective, logits, targets, groups)
            assert value.dtype == torch.float32, case
            assert value.isfinite(), case
            assert value >= 0, case
            assert gradient.dtype == dtype, case
            assert gradient.isfinite().all(), case


@pytest.mark.parametrize("call", CALLS)
def test_a_class_and_a_group_without_rows_are_finite(call):
    """In the batch, in the counts and with weight 0 for the class that the batch is of."""
    objective = build(call, torch.tensor([[0.0, 1.0, 1.0]]), [[0, 5, 0], [0, 0, 0]])
    logits, *_ = batch(objective, 4)
    for _ in range(2):
        value, gradient = value_and_gradient(objective, logits, *torch.zeros(2, 4).long())
        assert value == 0
        assert torch.equal(gradient, torch.zeros_like(gradient))


def taught_loss(call):
    """(objective, logits of 5 rows and 3 classes, labels, groups, a teacher's probabilities)."""
    torch.manual_seed(3)
    objective = OBJECTIVES.build(call, num_classes=3, weight=None)
    logits, taught = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3).softmax(dim=1)
    return objective, logits, torch.tensor([0, 2, 1, 1, -1]), torch.zeros(5, dtype=int), taught


def test_of_a_teacher_alone_the_gradient_is_softmax_minus_teacher():
    objective, logits, labels, groups, taught = taught_loss("distillation(temperature=1, share=1)")
    _, gradient = value_and_gradient(objective, logits, labels, groups, taught)
    expected = (logits.softmax(dim=1) - taught) / 4  # a mean over the rows that have a label
    expected[4] = 0
    torch.testing.assert_close(gradient, expected.detach())


def test_a_teacher_that_agrees_teaches_nothing_at_any_temperature():
    for temperature in (0.5, 1.0, 4.0):
        call = f"distillation(temperature={temperature}, share=1)"
        objective, logits, labels, groups, _ = taught_loss(call)
        taught = logits.detach().softmax(dim=1)
        value, gradient = value_and_gradient(objective, logits, labels, groups, taught)
        assert value.item() == pytest.approx(0, abs=1e-6)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


def test_at_a_high_temperature_a_teacher_draws_logits_to_its_own():
    """T^2 KL tends to |z - v|^2 / (2 C) of centred logits (Hinton et al. 2015, equation 4)."""
    objective, logits, labels, groups, taught = taught_loss(
        "distillation(temperature=100, share=1)"
    )
    value, _ = value_and_gradient(objective, logits, labels, groups, taught)
    z, v = logits.detach()[:4], taught.log()[:4]
    difference = z - z.mean(dim=1, keepdim=True) - (v - v.mean(dim=1, keepdim=True))
    assert value.item() == pytest.approx((difference**2).sum().item() / (2 * 3 * 4), rel=0.02)


def test_what_the_teacher_leaves_is_the_labels_cross_entropy():
    usual = OBJECTIVES.build("cross_entropy", num_classes=3, weight=None)
    objective, logits, labels, groups, taught = taught_loss("distillation(share=0)")
    torch.testing.assert_close(
        objective(logits, labels, groups, taught), usual(logits, labels, groups)
    )
    objective, logits, labels, groups, taught = taught_loss("distillation(share=0.25)")
    whole = OBJECTIVES.build("distillation(share=1)", num_classes=3, weight=None)
    parts = 0.25 * whole(logits, labels, groups, taught) + 0.75 * usual(logits, labels, groups)
    torch.testing.assert_close(objective(logits, labels, groups, taught), parts)
    without = objective(logits, labels, groups)  # as in evaluation
    torch.testing.assert_close(without, usual(logits, labels, groups))
