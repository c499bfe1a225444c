"""Decision rules: probabilities, and the group-major layout of joint logits."""

import pytest
import torch

from src.objectives.reductions import REDUCTIONS

SIZES = [(2, 1), (2, 4), (7, 1), (7, 4)]


def softmax(values: list[float]) -> list[float]:
    exps = torch.tensor(values, dtype=torch.float64).exp()
    return (exps / exps.sum()).tolist()


def by_softmax(row, num_classes, num_groups):
    return softmax(row)


def by_sum_over_groups(row, num_classes, num_groups):
    joint = softmax(row)
    return [
        sum(joint[group * num_classes + c] for group in range(num_groups))
        for c in range(num_classes)
    ]


def by_mean_over_groups(row, num_classes, num_groups):
    heads = [softmax(row[g * num_classes : (g + 1) * num_classes]) for g in range(num_groups)]
    return [sum(head[c] for head in heads) / num_groups for c in range(num_classes)]


LOOPS = {
    "softmax": by_softmax,
    "sum_over_groups": by_sum_over_groups,
    "mean_over_groups": by_mean_over_groups,
}


def n_outputs(name: str, num_classes: int, num_groups: int) -> int:
    return num_classes if name == "softmax" else num_classes * num_groups


def test_every_reduction_has_a_loop_to_compare_with():
    assert set(LOOPS) == set(REDUCTIONS)


@pytest.mark.parametrize(("num_classes", "num_groups"), SIZES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_equals_an_explicit_loop(name, num_classes, num_groups):
    torch.manual_seed(0)
    logits = 3 * torch.randn(5, n_outputs(name, num_classes, num_groups))
    wanted = [LOOPS[name](row, num_classes, num_groups) for row in logits.tolist()]
    found = REDUCTIONS[name](num_classes, num_groups)(logits)
    torch.testing.assert_close(found.double(), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("scale", [1.0, 1e4, -1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n_rows", [0, 1, 6])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_rows_are_float32_probabilities(name, n_rows, dtype, scale):
    logits = torch.randn(n_rows, n_outputs(name, 3, 4)).to(dtype) * scale
    found = REDUCTIONS[name](3, 4)(logits)
    assert found.shape == (n_rows, 3)
    assert found.dtype == torch.float32
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()
    torch.testing.assert_close(found.sum(dim=1), torch.ones(n_rows))


@pytest.mark.parametrize("wanted", [0, 1])
@pytest.mark.parametrize("group", range(4))
def test_one_certain_output_decides_its_class_in_every_group(group, wanted):
    logits = torch.full((1, 8), -50.0)
    logits[0, group * 2 + wanted] = 50.0
    torch.testing.assert_close(REDUCTIONS["sum_over_groups"](2, 4)(logits), torch.eye(2)[[wanted]])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_with_one_group_every_rule_is_softmax(name):
    logits = torch.randn(4, 3)
    torch.testing.assert_close(REDUCTIONS[name](3, 1)(logits), logits.softmax(dim=1))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_has_no_weights_to_train(name):
    assert not REDUCTIONS[name](3, 4).state_dict()
