"""What holds of every objective: which rows count, how much, and what is remembered of them."""

import pytest
import torch

from tests.objectives.samples import (
    CALLS,
    CLASSES,
    DOMAIN,
    GROUPS,
    batch,
    build,
    state_of,
    value_and_gradient,
)

ONES = torch.ones(GROUPS, CLASSES)


def gradient(objective, *arguments):
    return value_and_gradient(objective, *arguments)[1]


def assert_same_state(objective, before):
    torch.testing.assert_close(state_of(objective), before, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("call", CALLS)
def test_rows_of_negative_target_are_as_if_they_were_not_there(call):
    with_them, without = build(call), build(call)
    for seed in range(2):
        logits, targets, groups = batch(with_them, seed=seed)
        ignored = torch.arange(12) % 5 == 2
        targets[ignored], groups[ignored] = -1 - seed, -1
        found = gradient(with_them, logits, targets, groups)
        kept = logits[~ignored].detach().requires_grad_()
        wanted = gradient(without, kept, targets[~ignored], groups[~ignored])
        torch.testing.assert_close(found[~ignored], wanted)
        assert (found[ignored] == 0).all()


@pytest.mark.parametrize("call", CALLS)
def test_a_batch_without_rows_is_0_and_changes_nothing(call):
    for n_rows in [0, 5]:
        objective = build(call, ONES)
        logits, _, _ = batch(objective, n_rows)
        logits.data[:1] = torch.inf
        before = state_of(objective)
        assert objective(logits, torch.full((n_rows,), -1), torch.full((n_rows,), -1)) == 0
        found = gradient(objective, logits, *torch.full((2, n_rows), -1))
        assert torch.equal(found, torch.zeros(n_rows, objective.n_outputs))
        assert_same_state(objective, before)


@pytest.mark.parametrize("call", CALLS)
def test_the_order_of_rows_does_not_matter(call):
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    arguments = batch(build(call))
    found = build(call)(*(column[order] for column in arguments))
    torch.testing.assert_close(found, build(call)(*arguments))


@pytest.mark.parametrize("call", CALLS)
def test_weights_count_in_proportion_to_each_other(call):
    for by_group in [False, True]:
        rng = torch.Generator().manual_seed(0)
        weight = 0.1 + torch.rand(GROUPS if by_group else 1, CLASSES, generator=rng)
        arguments = batch(build(call))
        plain, ones, some, tenfold = (
            build(call, w)(*arguments) for w in (None, torch.ones_like(weight), weight, 10 * weight)
        )
        torch.testing.assert_close(ones, plain)
        torch.testing.assert_close(tenfold, some)
        assert abs(some - plain) > 1e-3 * plain


@pytest.mark.parametrize("call", CALLS)
def test_what_weighs_nothing_is_not_learned_from(call):
    weight = torch.ones(GROUPS, CLASSES)
    weight[1, 2] = weight[:, 0] = 0
    logits, targets, groups = batch(build(call))
    found = gradient(build(call, weight), logits, targets, groups)
    nothing = weight[groups, targets] == 0
    assert 0 < nothing.sum() < 12
    assert (found[nothing] == 0).all()
    assert (found[~nothing] != 0).any()


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "logit_adjustment", *DOMAIN])
def test_a_weight_of_two_counts_its_rows_twice(name):
    weighted, plain = build(name, torch.tensor([[1.0, 1.0, 2.0]])), build(name)
    logits, targets, groups = batch(plain)
    twice = torch.cat([torch.arange(12), (targets == 2).nonzero().flatten()])
    wanted = plain(logits[twice], targets[twice], groups[twice])
    torch.testing.assert_close(weighted(logits, targets, groups), wanted)


@pytest.mark.parametrize("call", CALLS)
def test_evaluating_neither_changes_the_state_nor_depends_on_it(call):
    trained, new = build(call), build(call).eval()
    for seed in range(3):
        trained(*batch(trained, seed=seed))
    before = state_of(trained.eval())
    arguments = batch(new, seed=9)
    with torch.inference_mode():
        assert trained(*arguments) == new(*arguments)
    assert_same_state(trained, before)


@pytest.mark.parametrize("call", CALLS)
def test_a_state_that_is_saved_and_loaded_goes_on_the_same(call):
    weight = torch.tensor([[0.5, 1.0, 2.0]])
    one = build(call, weight)
    for seed in range(3):
        one(*batch(one, seed=seed))
    other = build(call, weight)
    other.load_state_dict(state_of(one))
    for seed in range(3, 6):
        assert one(*batch(one, seed=seed)) == other(*batch(one, seed=seed))


@pytest.mark.parametrize("call", ["group_dro(step=1)", "recall_cross_entropy(momentum=0.9)"])
def test_a_state_matters_to_the_next_loss(call):
    trained = build(call)
    trained(*batch(trained, seed=1))
    assert trained(*batch(trained)) != build(call)(*batch(trained))


@pytest.mark.parametrize("call", CALLS)
def test_state_and_weights_move_with_the_objective(call):
    moved = build(call, ONES).to("meta")
    assert {value.device.type for value in moved.state_dict().values()} == {"meta"}
    assert moved.weight.shape == (GROUPS, CLASSES)
