"""Objectives by name: loss, head width and decision rule fit each other."""

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.objectives.catalog import OBJECTIVES, class_weights, make_reduction, needs_groups
from src.objectives.reductions import REDUCTIONS

CLASSES, GROUPS = 3, 4
GROUP_AWARE = {"domain_discriminative", "domain_independent"}


def build(call: str, weight=None):
    return OBJECTIVES.build(call, num_classes=CLASSES, num_groups=GROUPS, weight=weight)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_head_width_and_reduction_fit(name):
    objective = build(name)
    assert objective.n_outputs == CLASSES * (GROUPS if name in GROUP_AWARE else 1)
    assert objective.reduction in REDUCTIONS
    reduction = make_reduction(objective.reduction, CLASSES, GROUPS)
    assert reduction(torch.randn(5, objective.n_outputs)).shape == (5, CLASSES)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_needs_groups_tells_whether_groups_change_the_loss(name):
    objective = build(name)
    torch.manual_seed(0)
    logits, targets = torch.randn(8, objective.n_outputs), torch.arange(8) % CLASSES
    losses = {objective(logits, targets, torch.full((8,), g)).item() for g in range(GROUPS)}
    assert needs_groups(name) == (len(losses) > 1) == (name in GROUP_AWARE)


def test_needs_groups_reads_options_too():
    assert needs_groups("domain_independent(smoothing=0.1)")
    assert not needs_groups("focal(gamma=1.5)")


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_descending_the_loss_makes_the_reduction_right(name):
    torch.manual_seed(0)
    targets = torch.arange(120) % CLASSES
    groups = torch.arange(120) // CLASSES % GROUPS
    images = torch.nn.functional.one_hot(targets, CLASSES) + 0.15 * torch.randn(120, CLASSES)
    objective = build(name)
    reduction = make_reduction(objective.reduction, CLASSES, GROUPS)
    head = torch.nn.Linear(CLASSES, objective.n_outputs)
    torch.nn.init.zeros_(head.weight)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    for _ in range(60):
        optimizer.zero_grad()
        objective(head(images), targets, groups).backward()
        optimizer.step()
    right = reduction(head(images)).argmax(dim=1) == targets
    assert right.float().mean() > 0.95


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_class_weights_change_the_loss(name):
    torch.manual_seed(0)
    plain, equal, unequal = (
        build(name, weight) for weight in (None, torch.ones(3), torch.tensor([1.0, 1.0, 9.0]))
    )
    # the second row is wrong and surely so: a loss of its class counts in every objective
    logits = torch.randn(6, plain.n_outputs)
    targets, groups = torch.tensor([0, 2, 1, 0, 2, 1]), torch.arange(6) % GROUPS
    losses = [objective(logits, targets, groups).item() for objective in (plain, equal, unequal)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-2)


@pytest.mark.parametrize(
    "name", ["cross_entropy", "focal", "domain_discriminative", "domain_independent"]
)
def test_a_class_weight_of_two_counts_its_rows_twice(name):
    torch.manual_seed(0)
    weighted, plain = build(name, torch.tensor([1.0, 1.0, 2.0])), build(name)
    logits, groups = torch.randn(6, plain.n_outputs), torch.arange(6) % GROUPS
    targets = torch.tensor([0, 1, 2, 2, 1, 0])
    twice = [0, 1, 2, 2, 3, 3, 4, 5]
    wanted = plain(logits[twice], targets[twice], groups[twice])
    torch.testing.assert_close(weighted(logits, targets, groups), wanted)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_weights_move_with_the_objective(name):
    assert build(name, torch.ones(3)).to("meta").weight.device.type == "meta"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("cross_entropy(smoothing=1)", "expected 0 <= smoothing < 1"),
        ("cross_entropy(smoothing=-0.1)", "smoothing=-0.1"),
        ("domain_discriminative(smoothing=1.5)", "smoothing=1.5"),
        ("domain_independent(smoothing=1.5)", "smoothing=1.5"),
        ("focal(gamma=-1)", "expected 0 or more"),
        ("ohem(fraction=0)", "expected 0 < fraction <= 1"),
        ("ohem(fraction=1.01)", "fraction=1.01"),
        ("ohem(fraction=True)", "fraction"),
        ("focal(gama=1)", "did you mean 'gamma'"),
        ("focall", "did you mean 'focal'"),
    ],
)
def test_wrong_option_is_refused_in_words(call, expected):
    with pytest.raises(UserError) as caught:
        build(call)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("counts", [[50, 50], [900, 100], [1, 2, 3, 4]])
def test_inverse_frequency_weights_rows_to_a_mean_of_one(counts):
    weights = class_weights("inverse_frequency", np.array(counts))
    assert weights.dtype == torch.float32
    wanted = [sum(counts) / (len(counts) * count) for count in counts]
    np.testing.assert_allclose(weights, wanted, rtol=1e-6)
    assert np.average(weights, weights=counts) == pytest.approx(1)


def test_class_without_rows_weighs_nothing():
    assert class_weights("inverse_frequency", np.array([6, 0, 2])).tolist() == pytest.approx(
        [8 / 18, 0, 8 / 6]
    )


def test_none_gives_no_weights():
    assert class_weights("none", np.array([1, 2])) is None


def test_unknown_class_weights_are_refused():
    with pytest.raises(UserError, match=r"--class_weights balanced: .*inverse_frequency"):
        class_weights("balanced", np.array([1, 2]))


def test_unknown_reduction_is_refused():
    with pytest.raises(UserError, match=r"'max'.*softmax, sum_over_groups, mean_over_groups"):
        make_reduction("max", 2, 1)
