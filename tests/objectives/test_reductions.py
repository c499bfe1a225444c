"""Decision rules: probabilities, the group-major layout of joint logits, and shifted priors."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.objectives.reductions import REDUCTIONS

# priors of each group and class; some never occurred
PRIORS = {
    "one group": [[0.3, 0.7]],
    "even": [[0.125, 0.125]] * 4,
    "uneven": [[0.2, 0.1], [0.3, 0.05], [0.15, 0.05], [0.1, 0.05]],
    "gaps": [[0.3, 0.0, 0.1], [0.0, 0.0, 0.0], [0.2, 0.4, 0.0]],
    "one combination": [[0.0, 0.0], [0.0, 1.0]],
    "seven classes": [
        [0.01, 0.02, 0.04, 0.08, 0.16, 0.2, 0.09],
        [0.1, 0.1, 0.1, 0.02, 0, 0.03, 0.05],
    ],
}
FOR_WIDE_HEADS = [name for name in REDUCTIONS if name != "softmax"]


def softmax(values: list[float]) -> list[float]:
    """Of float64; minus infinity is a share of 0."""
    odds = [math.exp(value - max(values)) for value in values]
    return [x / sum(odds) for x in odds]


def shifted(values, priors):
    """Odds divided by the priors; none of what never occurred."""
    pairs = zip(values, priors, strict=True)
    return [x - math.log(p) if p else -math.inf for x, p in pairs]


def by_softmax(heads, priors):
    return softmax(heads[0])


def by_sum_over_groups(heads, priors):
    joint = softmax([x for head in heads for x in head])
    return [sum(joint[c :: len(heads[0])]) for c in range(len(heads[0]))]


def by_mean_over_groups(heads, priors):
    trained = [softmax(head) for head, prior in zip(heads, priors, strict=True) if sum(prior)]
    return [sum(column) / len(trained) for column in zip(*trained, strict=True)]


def by_shifted_sum_over_groups(heads, priors):
    return by_sum_over_groups([shifted(h, p) for h, p in zip(heads, priors, strict=True)], priors)


def by_shifted_mean_over_groups(heads, priors):
    pairs = [(h, p) for h, p in zip(heads, priors, strict=True) if sum(p)]
    return by_mean_over_groups([shifted(h, p) for h, p in pairs], [p for _, p in pairs])


LOOPS = {
    "softmax": by_softmax,
    "sum_over_groups": by_sum_over_groups,
    "mean_over_groups": by_mean_over_groups,
    "shifted_sum_over_groups": by_shifted_sum_over_groups,
    "shifted_mean_over_groups": by_shifted_mean_over_groups,
}


def priors_for(name: str, priors: list[list[float]]) -> torch.Tensor:
    priors = torch.tensor(priors)
    return priors.sum(0)[None] if name == "softmax" else priors


def draw_logits(n_rows: int, priors: torch.Tensor, seed: int = 0, scale: float = 3.0):
    return scale * torch.randn(
        n_rows, priors.numel(), generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_reduction_equals_an_explicit_loop(name):
    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def check(data):
        n_groups, n_classes = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5))
        counts = st.lists(st.integers(0, 20), min_size=n_classes, max_size=n_classes)
        counts = torch.tensor(data.draw(st.lists(counts, min_size=n_groups, max_size=n_groups)))
        counts[0, 0] += 1
        priors = priors_for(name, (counts / counts.sum()).tolist())
        logits = draw_logits(3, priors, data.draw(st.integers(0, 99)), 5.0)
        heads = logits.double().reshape(3, *priors.shape).tolist()
        wanted = torch.tensor([LOOPS[name](row, priors.tolist()) for row in heads])
        torch.testing.assert_close(REDUCTIONS[name](priors)(logits), wanted)

    check()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_rows_are_float32_probabilities(name):
    dtypes = (torch.float32, torch.bfloat16)
    for case in itertools.product(PRIORS, (0, 1, 6), dtypes, (1.0, 1e4, 1e30)):
        label, n_rows, dtype, scale = case
        priors = priors_for(name, PRIORS[label])
        found = REDUCTIONS[name](priors)(draw_logits(n_rows, priors, scale=scale).to(dtype))
        assert found.shape == (n_rows, priors.shape[1]), case
        assert found.dtype == torch.float32, case
        assert ((found >= 0) & (found <= 1 + 1e-6)).all(), case
        assert ((found.sum(dim=1) - 1).abs() < 1e-5).all(), case


@pytest.mark.parametrize("name", ["sum_over_groups", "shifted_sum_over_groups"])
def test_one_certain_output_decides_its_class_in_every_group(name):
    """Outputs are group-major: those of a group stand together."""
    logits = torch.full((8, 8), -50.0).fill_diagonal_(50.0)
    found = REDUCTIONS[name](torch.tensor(PRIORS["uneven"]))(logits)
    torch.testing.assert_close(found, torch.eye(2).repeat(4, 1))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_with_one_group_every_rule_is_softmax(name):
    priors = torch.full((1, 3), 1 / 3)
    logits = draw_logits(4, priors)
    torch.testing.assert_close(REDUCTIONS[name](priors)(logits), logits.softmax(dim=1))


@pytest.mark.parametrize("rule", ["sum_over_groups", "mean_over_groups"])
def test_equal_priors_shift_nothing(rule):
    priors = torch.full((4, 3), 1 / 12)
    logits = draw_logits(9, priors)
    found = REDUCTIONS[f"shifted_{rule}"](priors)(logits)
    torch.testing.assert_close(found, REDUCTIONS[rule](priors)(logits))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        # odds 1/0.5 : 1/0.25 in the first group, 1/0.25 in the second
        ("shifted_sum_over_groups", [2 / 10, 8 / 10, 0]),
        ("shifted_mean_over_groups", [(1 / 3) / 2, (2 / 3 + 1) / 2, 0]),
    ],
)
def test_a_shift_rules_out_what_never_occurred_whatever_its_logit(name, wanted):
    for scale in [1.0, 1e4, 3e4]:
        priors = torch.tensor([[0.5, 0.25, 0.0], [0.0, 0.25, 0.0]])
        logits = scale * torch.tensor([[0.0, 0.0, 9.0, 9.0, 0.0, 9.0]])
        torch.testing.assert_close(REDUCTIONS[name](priors)(logits), torch.tensor([wanted]))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_has_no_weights_to_train_nor_to_load(name):
    assert not REDUCTIONS[name](priors_for(name, PRIORS["gaps"])).state_dict()


@pytest.mark.parametrize("name", FOR_WIDE_HEADS)
def test_reduction_moves_to_a_device_with_the_network(name):
    rule = REDUCTIONS[name](torch.tensor(PRIORS["gaps"])).to("meta")
    assert rule(torch.zeros(2, 9, device="meta")).shape == (2, 3)
