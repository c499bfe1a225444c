"""Limits and closed forms of the losses."""

import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from tests.objectives.samples import CLASSES, GROUPS, WEIGHTS, batch, build, value_and_gradient


def assert_equal_losses(one, other, arguments):
    pairs = (value_and_gradient(loss, *arguments) for loss in (one, other))
    for mine, wanted in zip(*pairs, strict=True):
        torch.testing.assert_close(mine, wanted)


def by_group(logits, targets, groups):
    """The cross-entropy of each group."""
    rows = [groups == g for g in range(GROUPS)]
    return torch.stack([cross_entropy(logits[own], targets[own]) for own in rows])


@pytest.mark.parametrize(
    "call", ["focal(gamma=0)", "ohem(fraction=1)", "ohem(count=99)", "logit_adjustment(tau=0)"]
)
def test_limit_is_cross_entropy(call):
    for weight, mode in itertools.product(WEIGHTS.values(), ["train", "eval"]):
        one, other = (getattr(build(text, weight), mode)() for text in (call, "cross_entropy"))
        assert_equal_losses(one, other, batch(other, 16))


@pytest.mark.parametrize(
    ("call", "limit"),
    [
        ("group_dro", "cross_entropy"),
        ("domain_discriminative", "cross_entropy"),
        ("domain_independent", "cross_entropy"),
        ("domain_discriminative(smoothing=0.1)", "cross_entropy(smoothing=0.1)"),
        ("domain_independent(smoothing=0.1)", "cross_entropy(smoothing=0.1)"),
    ],
)
def test_with_one_group_it_is_cross_entropy(call, limit):
    for weight, mode in itertools.product([None, WEIGHTS["by class"]], ["train", "eval"]):
        one, other = (getattr(build(text, weight, [[6, 2, 1]]), mode)() for text in (call, limit))
        assert one.n_outputs == CLASSES
        for seed in range(3):
            assert_equal_losses(one, other, batch(other, 16, seed=seed, groups=1))


def test_equal_label_counts_adjust_no_logit():
    one, other = (
        build(call, counts=[[3, 4, 5], [4, 3, 2]])
        for call in ("logit_adjustment", "focal(gamma=0)")
    )
    assert_equal_losses(one, other, batch(other))


def test_group_dro_without_steps_is_the_mean_of_the_groups_means():
    objective = build("group_dro(step=0)")
    arguments = batch(objective, 15)
    for _ in range(2):
        torch.testing.assert_close(objective(*arguments), by_group(*arguments).mean())


def test_group_dro_weighs_constant_losses_by_their_exponentials():
    objective, losses = build("group_dro(step=0.5)"), torch.tensor([0.3, 1.1])
    # of two classes of logits 0 and log(exp(l) - 1) the first has loss l
    logits = torch.tensor([[0.0, x.expm1().log(), -1e4] for x in losses])
    for step in range(1, 5):
        value = objective(logits, torch.zeros(2).long(), torch.arange(2))
        share = (0.5 * step * losses).softmax(0)
        torch.testing.assert_close(value, (share * losses).sum())


def test_a_group_that_group_dro_lost_sight_of_comes_back():
    """A loss of 300 gives the other group a share of exp(-300), which no float32 holds."""
    objective = build("group_dro(step=1)")
    right, wrong = [300.0, 0.0, 0.0], [0.0, 300.0, 0.0]
    for rows, wanted in [((right, wrong), 300), ((wrong, right), 150), ((wrong, right), 300)]:
        found = objective(torch.tensor(rows), torch.zeros(2).long(), torch.arange(2))
        assert found.item() == pytest.approx(wanted)


def test_group_dro_is_evaluated_by_its_worst_group():
    objective = build("group_dro").eval()
    arguments = batch(objective, 15)
    torch.testing.assert_close(objective(*arguments), by_group(*arguments).max())


def test_recall_loss_of_classes_never_found_is_cross_entropy():
    one, other = build("recall_cross_entropy"), build("cross_entropy")
    logits, targets, groups = batch(one)
    wrong = logits.detach() + 50.0 * one_hot((targets + 1) % CLASSES)
    assert_equal_losses(one, other, (wrong.requires_grad_(), targets, groups))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_recall_loss_of_a_perfect_batch_is_zero(mode):
    objective = getattr(build("recall_cross_entropy"), mode)()
    logits, targets, groups = batch(objective)
    assert objective(logits + 50.0 * one_hot(targets), targets, groups) == 0


def test_recall_with_momentum_remembers_earlier_batches():
    objective = build("recall_cross_entropy(momentum=0.75)")
    right, wrong = torch.tensor([[9.0, 0, 0]]), torch.tensor([[0.0, 9, 0]])
    target = torch.zeros(1).long(), torch.zeros(1).long()
    loss = cross_entropy(wrong, target[0]).item()
    found = [objective(logits, *target).item() for logits in (right, wrong, wrong)]
    assert found == pytest.approx([0, loss * (1 - 0.75), loss * (1 - 0.75**2)])


def test_domain_independent_trains_only_the_own_head():
    objective = build("domain_independent")
    logits, targets, groups = batch(objective)
    _, gradient = value_and_gradient(objective, logits, targets, groups)
    trained = gradient.reshape(12, GROUPS, CLASSES).abs().sum(dim=2) > 0
    assert torch.equal(trained, one_hot(groups).bool())


def test_smoothing_all_but_a_trifle_asks_for_equal_outputs():
    objective = build("cross_entropy(smoothing=0.999999)")
    _, targets, groups = batch(objective)
    loss = objective(torch.zeros(12, CLASSES), targets, groups)
    for seed in range(3):
        assert objective(*batch(objective, seed=seed)) > loss
