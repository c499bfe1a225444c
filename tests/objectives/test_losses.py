"""Losses against loops in float64, written from the papers; their limits; no infinities."""

import pytest
import torch

from src.objectives.catalog import OBJECTIVES

CLASSES, GROUPS = 3, 2
WEIGHTS = [None, (0.2, 1.0, 3.0)]
SHAPES = [1, 2, 5, 16]


def log_softmax(row: torch.Tensor) -> torch.Tensor:
    return row - row.exp().sum().log()


def row_cross_entropy(row, target, weight, smoothing):
    """Cross-entropy with the smoothed target (1 - e) onehot + e/C, by class weight."""
    wanted = [(1 - smoothing) * (c == target) + smoothing / len(row) for c in range(len(row))]
    terms = zip(wanted, weight, log_softmax(row), strict=True)
    return -sum(q * w * log_p for q, w, log_p in terms)


def cross_entropy(logits, targets, groups, weight, smoothing=0.0):
    rows = [
        row_cross_entropy(row, y, weight, smoothing) for row, y in zip(logits, targets, strict=True)
    ]
    return sum(rows) / sum(weight[y] for y in targets)


def focal(logits, targets, groups, weight, gamma=2.0):
    """Lin et al. 2017: -(1 - p_t)^gamma log p_t."""
    total = 0
    for row, y in zip(logits, targets, strict=True):
        log_p = log_softmax(row)[y]
        total = total - weight[y] * (1 - log_p.exp()) ** gamma * log_p
    return total / sum(weight[y] for y in targets)


def ohem(logits, targets, groups, weight, fraction=0.7):
    """Shrivastava et al. 2016: only the rows of highest loss count."""
    rows = [(-log_softmax(row)[y], weight[y]) for row, y in zip(logits, targets, strict=True)]
    rows.sort(key=lambda pair: -pair[0].item())
    kept = rows[: max(1, round(fraction * len(rows)))]
    return sum(loss * w for loss, w in kept) / sum(w for _, w in kept)


def recall_cross_entropy(logits, targets, groups, weight):
    """Tian et al. 2022: rows of a class count by its false negative rate."""
    total = 0
    for c in range(logits.shape[1]):
        rows = [row for row, y in zip(logits, targets, strict=True) if y == c]
        misses = sum(row.argmax().item() != c for row in rows)
        for row in rows:
            total = total - weight[c] * misses / len(rows) * log_softmax(row)[c]
    return total / sum(weight[y] for y in targets)


def domain_discriminative(logits, targets, groups, weight, smoothing=0.0):
    """Wang et al. 2020: every pair of group and class is a class."""
    joint = [g * CLASSES + y for g, y in zip(groups, targets, strict=True)]
    return cross_entropy(logits, joint, None, [*weight] * GROUPS, smoothing)


def domain_independent(logits, targets, groups, weight, smoothing=0.0):
    """Wang et al. 2020: a head for each group, trained by its rows alone."""
    heads = [row[g * CLASSES : (g + 1) * CLASSES] for row, g in zip(logits, groups, strict=True)]
    return cross_entropy(heads, targets, None, weight, smoothing)


REFERENCES = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "ohem": ohem,
    "recall_cross_entropy": recall_cross_entropy,
    "domain_discriminative": domain_discriminative,
    "domain_independent": domain_independent,
}
OPTIONS = [
    ("cross_entropy", {}),
    ("cross_entropy", {"smoothing": 0.1}),
    ("focal", {}),
    ("focal", {"gamma": 0.5}),
    ("focal", {"gamma": 1.5}),
    ("ohem", {}),
    ("ohem", {"fraction": 0.01}),
    ("recall_cross_entropy", {}),
    ("domain_discriminative", {}),
    ("domain_discriminative", {"smoothing": 0.2}),
    ("domain_independent", {}),
    ("domain_independent", {"smoothing": 0.2}),
]


def build(call: str, weight=None, num_groups: int = GROUPS):
    weight = None if weight is None else torch.tensor(weight)
    return OBJECTIVES.build(call, num_classes=CLASSES, num_groups=num_groups, weight=weight)


def batch(n_rows: int, n_outputs: int, num_groups: int = GROUPS, seed: int = 0):
    """(logits with a gradient, targets, groups); a batch of one row is of the first class."""
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n_rows, n_outputs, generator=rng)
    targets = torch.arange(n_rows) % CLASSES
    groups = torch.randint(num_groups, (n_rows,), generator=rng)
    return logits.requires_grad_(), targets, groups


def value_and_gradient(loss, logits, *arguments):
    value = loss(logits, *arguments)
    (gradient,) = torch.autograd.grad(value, logits)
    return value, gradient


def assert_equal_losses(one, other, logits, targets, groups):
    for mine, wanted in zip(
        value_and_gradient(one, logits, targets, groups),
        value_and_gradient(other, logits, targets, groups),
        strict=True,
    ):
        torch.testing.assert_close(mine, wanted)


def test_every_objective_has_a_reference():
    assert set(REFERENCES) == set(OBJECTIVES.names())


@pytest.mark.parametrize("n_rows", SHAPES)
@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_value_and_gradient_are_the_papers(name, options, weight, n_rows):
    call = f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})"
    objective = build(call, weight)
    logits, targets, groups = batch(n_rows, objective.n_outputs)
    value, gradient = value_and_gradient(objective, logits, targets, groups)
    assert value.dtype == torch.float32
    assert value.shape == ()
    plain = [1.0] * CLASSES if weight is None else weight
    wanted, wanted_gradient = value_and_gradient(
        lambda x: REFERENCES[name](x, targets.tolist(), groups.tolist(), plain, **options),
        logits.detach().double().requires_grad_(),
    )
    torch.testing.assert_close(value.double(), wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient.double(), wanted_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("call", ["focal(gamma=0)", "ohem(fraction=1)"])
def test_limit_is_cross_entropy(call, weight):
    logits, targets, groups = batch(16, CLASSES)
    assert_equal_losses(
        build(call, weight), build("cross_entropy", weight), logits, targets, groups
    )


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("options", ["", "(smoothing=0.1)"])
@pytest.mark.parametrize("name", ["domain_discriminative", "domain_independent"])
def test_with_one_group_it_is_cross_entropy(name, options, weight):
    objective = build(name + options, weight, num_groups=1)
    logits, targets, groups = batch(16, objective.n_outputs, num_groups=1)
    wanted = build("cross_entropy" + options, weight)
    assert_equal_losses(objective, wanted, logits, targets, groups)


def test_recall_loss_of_classes_never_found_is_cross_entropy():
    logits, targets, groups = batch(16, CLASSES)
    wrong = torch.nn.functional.one_hot((targets + 1) % CLASSES, CLASSES) * 50.0
    logits = (logits.detach() + wrong).requires_grad_()
    one, other = build("recall_cross_entropy"), build("cross_entropy")
    assert_equal_losses(one, other, logits, targets, groups)


def test_recall_loss_of_a_perfect_batch_is_zero():
    logits, targets, groups = batch(16, CLASSES)
    logits = logits.detach() + torch.nn.functional.one_hot(targets, CLASSES) * 50.0
    assert build("recall_cross_entropy")(logits, targets, groups) == 0


def test_domain_independent_trains_only_the_own_head():
    objective = build("domain_independent")
    logits, targets, groups = batch(8, objective.n_outputs)
    _, gradient = value_and_gradient(objective, logits, targets, groups)
    trained = gradient.reshape(8, GROUPS, CLASSES).abs().sum(dim=2) > 0
    assert torch.equal(trained, torch.nn.functional.one_hot(groups, GROUPS).bool())


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("call", [*OBJECTIVES.names(), "focal(gamma=0.1)", "focal(gamma=0)"])
def test_extreme_logits_stay_finite(call, scale, dtype, weight):
    """One output of each row at `scale`, right for some rows and wrong for others."""
    objective = build(call, weight)
    _, targets, groups = batch(12, objective.n_outputs)
    places = torch.arange(12) * 5 % objective.n_outputs
    logits = torch.nn.functional.one_hot(places, objective.n_outputs).to(dtype) * scale
    logits.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, gradient = value_and_gradient(objective, logits, targets, groups)
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("call", OBJECTIVES.names())
def test_autocast_does_not_change_a_loss(call):
    objective = build(call, WEIGHTS[1])
    logits, targets, groups = batch(12, objective.n_outputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = objective(logits, targets, groups)
    assert inside.item() == objective(logits, targets, groups).item()


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_batch_of_unweighted_rows_is_finite(name, options):
    """A class without training rows weighs 0."""
    objective = build(f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})", (0.0, 1, 1))
    logits, _, groups = batch(4, objective.n_outputs)
    value, gradient = value_and_gradient(objective, logits, torch.zeros(4).long(), groups)
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert options.get("smoothing") or value == 0
