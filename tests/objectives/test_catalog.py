"""What holds of every objective by name: loss, head width and reduction fit each other."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from src.core.errors import UserError
from src.objectives.catalog import Objective, make_reduction, needs_groups
from src.objectives.losses import cross_entropy
from src.objectives.reductions import REDUCTIONS
from tests.artifact.test_contract import make_contract
from tests.objectives.samples import CALLS, CLASSES, EVEN, GROUPS, batch, build, value_and_gradient


def decide(objective: Objective, logits, groups, counts=EVEN) -> np.ndarray:
    """Class probabilities [N, CLASSES], as those who use the trained model get them."""
    counts = torch.tensor(counts)
    priors = counts if objective.n_outputs > CLASSES else counts.sum(0)[None]
    priors = priors / priors.sum()
    contract = make_contract(
        n_outputs=objective.n_outputs,
        classes=("a", "b", "c"),
        reduction=objective.reduction,
        own_head=objective.own_head,
        priors=tuple(map(tuple, priors.tolist())),
    )
    logits = logits.detach()
    probabilities = make_reduction(objective.reduction, priors)(logits).numpy()
    return contract.by_own_head(logits.numpy(), probabilities, groups.numpy())


def share_learned(objective: Objective, decide=decide) -> float:
    """The share of rows that are right after descending the loss of a linear model."""
    torch.manual_seed(0)
    rows = torch.arange(120)
    targets, groups = rows % CLASSES, rows // CLASSES % GROUPS
    # what a class looks like differs by group
    images = one_hot(groups * CLASSES + targets) + 0.15 * torch.randn(120, CLASSES * GROUPS)
    head = torch.nn.Linear(CLASSES * GROUPS, objective.n_outputs)
    torch.nn.init.zeros_(head.weight)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    for _ in range(80):
        optimizer.zero_grad()
        objective(head(images), targets, groups).backward()
        optimizer.step()
    found = decide(objective, head(images), groups).argmax(axis=1)
    return float((found == targets.numpy()).mean())


def depends_on_groups(make) -> bool:
    """Whether the loss of a new objective changes when rows of the same classes change groups."""
    logits, targets, groups = batch(make())
    others = torch.arange(len(groups)) // 3 % GROUPS
    return make()(logits, targets, groups) != make()(logits, targets, others)


@pytest.mark.parametrize("call", CALLS)
def test_head_width_and_decision_rule_fit(call):
    objective = build(call)
    assert objective.n_outputs in (CLASSES, CLASSES * GROUPS)
    assert objective.reduction in REDUCTIONS
    logits, _, groups = batch(objective)
    for known in (groups, torch.full_like(groups, -1)):
        found = decide(objective, logits, known)
        assert found.shape == (12, CLASSES)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("call", CALLS)
def test_descending_the_loss_makes_the_decision_right(call):
    assert share_learned(build(call)) > 0.95


@pytest.mark.parametrize("call", CALLS)
def test_needs_groups_tells_whether_groups_change_the_loss(call):
    assert depends_on_groups(lambda: build(call)) == needs_groups(call)


@pytest.mark.parametrize("call", CALLS)
def test_a_head_wider_than_the_classes_depends_on_the_group(call):
    if build(call).n_outputs > CLASSES:
        assert needs_groups(call)
    else:
        assert not build(call).own_head


# rows of each group (down) and class (across), and what a model gives that learned no more
COUNTS = [[40, 5, 5], [10, 30, 10]]
OF_CLASS = [0.5, 0.35, 0.15]
OF_CLASS_IN_GROUP = [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]]
JOINT = [0.4, 0.05, 0.05, 0.1, 0.3, 0.1]
HEADS = [0.8, 0.1, 0.1, 0.2, 0.6, 0.2]
EQUAL = [1 / 3] * 3


@pytest.mark.parametrize(
    ("call", "outputs", "unknown", "known"),
    [
        ("cross_entropy", OF_CLASS, OF_CLASS, [OF_CLASS] * 2),
        ("logit_adjustment", EQUAL, EQUAL, [EQUAL] * 2),
        ("domain_discriminative", JOINT, OF_CLASS, [OF_CLASS] * 2),
        ("domain_discriminative(decide='own')", JOINT, OF_CLASS, OF_CLASS_IN_GROUP),
        ("domain_discriminative(decide='prior_shift')", JOINT, EQUAL, [EQUAL] * 2),
        ("domain_independent", HEADS, OF_CLASS, [OF_CLASS] * 2),
        ("domain_independent(decide='own')", HEADS, OF_CLASS, OF_CLASS_IN_GROUP),
        ("domain_independent(decide='prior_shift')", HEADS, EQUAL, [EQUAL] * 2),
    ],
)
def test_a_model_that_learned_only_how_frequent_rows_are(call, outputs, unknown, known):
    """Such outputs are where the loss is least, and decide as the rule says."""
    objective = build(call, counts=COUNTS)
    rows = torch.tensor([[g, c] for g in (0, 1) for c in range(3) for _ in range(COUNTS[g][c])])
    bias = torch.tensor(outputs).log().requires_grad_()
    _, slope = value_and_gradient(
        lambda x: objective(x.expand(len(rows), -1), rows[:, 1], rows[:, 0]), bias
    )
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-6)
    found = decide(objective, bias.expand(3, -1), torch.tensor([-1, 0, 1]), COUNTS)
    np.testing.assert_allclose(found, [unknown, *known], atol=1e-6)


def class_major(objective, logits, groups):
    """The mistake of an ancestor: joint outputs read as class x group."""
    return logits.detach().softmax(1).reshape(-1, CLASSES, GROUPS).sum(2).numpy()


def ignoring(logits, targets, groups, weights):
    """A wide head trained as if there were one group."""
    return cross_entropy(logits, targets, groups, weights)


def test_the_tests_above_see_a_class_major_layout():
    assert share_learned(build("domain_discriminative"), class_major) < 0.8

    def loss(logits, targets, groups, weights):
        return cross_entropy(logits, targets * GROUPS + groups, groups, weights)

    assert share_learned(Objective(CLASSES * GROUPS, loss, "sum_over_groups")) < 0.8


def test_the_tests_above_see_that_groups_are_ignored():
    objective = partial(Objective, CLASSES * GROUPS, ignoring, "sum_over_groups")
    assert not depends_on_groups(objective)
    assert share_learned(objective()) > 0.95  # which the other test alone would have let through


WRONG_OPTIONS = {
    "cross_entropy": {"smoothing": (1, -0.1)},
    "domain_discriminative": {"smoothing": (1.5,), "decide": ("mean",)},
    "domain_independent": {"smoothing": (1.5,), "decide": ("sum", None)},
    "focal": {"gamma": (-1, 1e39), "gama": (1,)},
    "group_dro": {"step": (-1, 1e40)},
    "logit_adjustment": {"tau": (-0.5, 1e40)},
    "recall_cross_entropy": {"momentum": (1, -0.1)},
    "ohem": {"fraction": (0, 1.01, True), "count": (-1, 1.5)},
}


@pytest.mark.parametrize("name", WRONG_OPTIONS)
def test_wrong_option_is_refused_by_its_name(name):
    for option, values in WRONG_OPTIONS[name].items():
        for value in values:
            with pytest.raises(UserError, match=option) as caught:
                build(f"{name}({option}={value!r})")
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("call", "meant"), [("focal(gama=1)", "gamma"), ("focall", "focal")])
def test_a_misspelt_name_suggests_the_nearest(call, meant):
    with pytest.raises(UserError, match=f"did you mean '{meant}'"):
        build(call)


def test_unknown_reduction_is_refused():
    with pytest.raises(UserError, match=r"'max'.*softmax, sum_over_groups, mean_over_groups"):
        make_reduction("max", torch.full((1, 2), 0.5))
