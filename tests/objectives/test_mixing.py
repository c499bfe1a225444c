"""Mixup and CutMix: shares and boxes as published, and every loss linear in the share."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import beta, binomtest, kstest

from src.core.config import Config
from src.loading.sampler import SAMPLERS
from src.objectives.catalog import OBJECTIVES
from src.objectives.mixing import Mixing, mixed_loss

OFF = [Mixing(), Mixing(prob=0.5, switch_prob=0.2), Mixing(mixup=1.0, cutmix=1.0, prob=0.0)]
ON = [
    Mixing(mixup=0.8),
    Mixing(cutmix=1.0),
    Mixing(cutmix_minmax=(0.2, 0.8)),
    Mixing(mixup=0.4, cutmix=2.0),
    Mixing(mixup=0.4, cutmix_minmax=(0.3, 0.3), prob=0.5, switch_prob=0.7),
]


def by_row(n, height=13, width=29):
    """Images [n, 2, height, width] whose every value is the row's number."""
    return torch.arange(n, dtype=torch.float32)[:, None, None, None].expand(n, 2, height, width)


def drawn(mixing, n_draws, n=4, size=(13, 29), seed=0):
    """(images, order, share) of as many batches."""
    torch.manual_seed(seed)
    return [mixing(by_row(n, *size)) for _ in range(n_draws)]


def was_cut(images, share):
    """Whether a mixed batch of `by_row` holds other rows' numbers alone."""
    return share < 1 and bool((images == images.round()).all())


def box(images, order):
    """(top, bottom, left, right) of the partners' pixels, or None; all else is as it was."""
    row = next((i for i, other in enumerate(order.tolist()) if other != i), None)
    if row is None or (images[row] == row).all():
        return None
    places = (images[row, 0] == order[row]).nonzero()
    top, left = places.min(dim=0).values.tolist()
    bottom, right = (places.max(dim=0).values + 1).tolist()
    expected = by_row(len(images), *images.shape[-2:]).clone()
    inside = expected[order, :, top:bottom, left:right]
    expected[:, :, top:bottom, left:right] = inside
    assert torch.equal(images, expected)
    return top, bottom, left, right


@pytest.mark.parametrize("mixing", OFF, ids=str)
def test_off_gives_the_batch_itself(mixing):
    images = by_row(5)
    for _ in range(20):
        mixed, order, share = mixing(images)
        assert mixed is images
        assert order.tolist() == list(range(5))
        assert share == 1


@pytest.mark.parametrize("mixing", OFF[:2], ids=str)
def test_off_draws_nothing(mixing):
    before = torch.get_rng_state()
    mixing(by_row(5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mixing", ON, ids=str)
def test_seeds_repeat_and_differ_and_the_input_is_left_alone(mixing):
    images = torch.rand(6, 3, 9, 7).to(memory_format=torch.channels_last)
    kept, found = images.clone(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append([mixing(images) for _ in range(8)])
    for one, again in zip(found[0], found[1], strict=True):
        assert torch.equal(one[0], again[0])
        assert torch.equal(one[1], again[1])
        assert one[2] == again[2]
        assert one[0].dtype == torch.float32
        assert one[0].is_contiguous(memory_format=torch.channels_last)
    assert [share for _, _, share in found[0]] != [share for _, _, share in found[2]]
    assert torch.equal(images, kept)


@pytest.mark.parametrize("mixing", ON, ids=str)
def test_partners_are_a_permutation_at_random(mixing):
    orders = [tuple(order.tolist()) for _, order, share in drawn(mixing, 300) if share < 1]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(orders)) == 24


def test_a_balanced_batch_mixes_rows_of_the_same_and_of_other_classes():
    labels = torch.tensor([0, 1] * 8)
    rows = SAMPLERS.build("balanced_batch", labels=labels.numpy(), n_ranks=1)(
        np.random.default_rng(0)
    )
    orders = [order for _, order, _ in drawn(Mixing(mixup=1.0), 100, n=16, size=(1, 1))]
    own = labels[rows]
    same = sum((own == own[order]).sum().item() for order in orders)
    assert binomtest(same, 1600, 0.5).pvalue > 1e-3


@pytest.mark.parametrize("mixing", ON, ids=str)
def test_a_batch_of_one_row_is_itself(mixing):
    for mixed, order, share in drawn(mixing, 20, n=1):
        torch.testing.assert_close(mixed, by_row(1))
        assert order.tolist() == [0]
        assert 0 <= share <= 1


def mixup_shares(alpha):
    return np.array([share for _, _, share in drawn(Mixing(mixup=alpha), 2000, size=(1, 1))])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_draws_its_share_from_beta(alpha):
    shares = mixup_shares(alpha)
    assert np.abs(shares.mean() - 0.5) < 4 * beta.std(alpha, alpha) / np.sqrt(2000)
    lower = shares[shares < 0.5]  # shares near 1 are rounded to it
    assert binomtest(len(lower), 2000, 0.5).pvalue > 1e-3
    assert kstest(lower, lambda share: 2 * beta.cdf(share, alpha, alpha)).pvalue > 1e-3


def test_the_least_alpha_still_has_its_distribution():
    """Below it torch gives ever more shares of one half, where there should be hardly any."""
    Config().with_settings(mixup=0.01, cutmix=0.01)
    shares = mixup_shares(0.01)
    assert shares.var() == pytest.approx(beta.var(0.01, 0.01), rel=0.02)
    assert np.mean(np.abs(shares - 0.5) < 0.1) < 0.01


def test_mixup_is_the_weighted_mean_of_two_images():
    torch.manual_seed(0)
    images = torch.randn(5, 3, 4, 4)
    for _ in range(10):
        mixed, order, share = Mixing(mixup=1.0)(images)
        for row, other in enumerate(order.tolist()):
            expected = share * images[row].double() + (1 - share) * images[other].double()
            torch.testing.assert_close(mixed[row].double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mixing", [m for m in ON if not m.mixup], ids=str)
@pytest.mark.parametrize("size", [(13, 29), (9, 9), (5, 7)], ids=str)
def test_the_share_of_cutmix_is_exactly_the_area_outside_the_box(mixing, size):
    shares = set()
    for images, order, share in drawn(mixing, 200, size=size):
        place = box(images, order)
        area = 0 if place is None else (place[1] - place[0]) * (place[3] - place[2])
        if order.tolist() != [0, 1, 2, 3]:
            assert share == 1 - area / (size[0] * size[1])
            shares.add(share)
    assert len(shares) >= 6


def test_cutmix_draws_its_box_as_published():
    """Sides of sqrt(1 - lambda) about a uniform centre, cut off at the edges (Yun et al. 2019).

    Cut off, a side s is s - s^2 / 4 long on average, and with lambda uniform the mean area is
    2 (1/4 - 1/10 + 1/96).
    """
    found = drawn(Mixing(cutmix=1.0), 1200, n=2, size=(64, 96))
    shares = np.array([share for _, _, share in found])
    expected = 1 - 2 * (1 / 4 - 1 / 10 + 1 / 96)
    assert np.abs(shares.mean() - expected) < 4 * shares.std() / np.sqrt(1200)
    inner = [place for images, order, _ in found if (place := box(images, order))]
    whole = [p for p in inner if p[0] > 0 and p[1] < 64 and p[2] > 0 and p[3] < 96]
    assert len(whole) > 50
    for top, bottom, left, right in whole:  # the proportions of the image
        assert abs((bottom - top) / 64 - (right - left) / 96) <= 1 / 64
    assert (np.min(inner, axis=0)[[0, 2]] == 0).all()
    assert np.max(inner, axis=0)[[1, 3]].tolist() == [64, 96]


def boxes_of(mixing, size):
    """The boxes of 600 batches, [n, 4]."""
    found = drawn(mixing, 600, 8, size)
    return np.array([place for images, order, _ in found if (place := box(images, order))])


def test_a_large_alpha_of_cutmix_cuts_boxes_of_half_the_area_anywhere():
    boxes = boxes_of(Mixing(cutmix=200.0), (40, 60))
    whole = boxes[(boxes[:, [0, 2]] > 0).all(axis=1) & (boxes[:, 1] < 40) & (boxes[:, 3] < 60)]
    assert len(whole) > 30
    np.testing.assert_allclose((whole[:, 1] - whole[:, 0]) / 40, np.sqrt(0.5), atol=0.1)
    np.testing.assert_allclose((whole[:, 3] - whole[:, 2]) / 60, np.sqrt(0.5), atol=0.1)
    centres = (boxes[:, [0, 2]] + boxes[:, [1, 3]]).T
    assert abs(np.corrcoef(centres)[0, 1]) < 0.15


def test_sides_and_places_of_boxes_by_minmax_are_independent():
    top, bottom, left, right = boxes_of(Mixing(cutmix_minmax=(0.2, 0.8)), (40, 60)).T
    tall, wide = bottom - top, right - left
    numbers = np.stack([tall, wide, top / (41 - tall), left / (61 - wide)])
    assert np.abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.15


@pytest.mark.parametrize("minmax", [(0.2, 0.8), (0.5, 0.5), (0.0, 1.0), (1.0, 1.0)], ids=str)
def test_minmax_bounds_the_sides_of_boxes_that_lie_inside(minmax):
    top, bottom, left, right = boxes_of(Mixing(cutmix_minmax=minmax), (40, 60)).T
    for starts, ends, length in ((top, bottom, 40), (left, right, 60)):
        sides = ends - starts
        low, high = max(1, int(length * minmax[0])), int(length * minmax[1])
        assert low <= sides.min() <= low + 1
        assert high - 2 <= sides.max() <= high
        assert sides.mean() == pytest.approx((low + high) / 2, abs=length / 20)
        assert starts.min() == 0
        assert ends.max() == length


def test_minmax_counts_instead_of_the_alpha_of_cutmix():
    for mixing in (Mixing(cutmix_minmax=(0.5, 0.5)), Mixing(cutmix=9.0, cutmix_minmax=(0.5, 0.5))):
        assert {share for _, _, share in drawn(mixing, 30, size=(10, 20))} == {0.75}


@pytest.mark.parametrize("prob", [0.0, 0.25, 1.0])
def test_batches_are_mixed_with_probability_prob(prob):
    found = drawn(Mixing(mixup=1.0, prob=prob), 600, size=(1, 1))
    n_mixed = sum(share < 1 for _, _, share in found)
    assert binomtest(n_mixed, 600, prob).pvalue > 1e-3


@pytest.mark.parametrize("switch_prob", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("cut", [{"cutmix": 1.0}, {"cutmix_minmax": (0.5, 0.5)}], ids=str)
def test_switch_prob_is_that_of_cutmix_where_both_are_on(cut, switch_prob):
    found = drawn(Mixing(mixup=1.0, **cut, switch_prob=switch_prob), 600)
    decided = [was_cut(images, share) for images, order, share in found if order[0] and share < 1]
    assert binomtest(sum(decided), len(decided), switch_prob).pvalue > 1e-3


@pytest.mark.parametrize("switch_prob", [0.0, 1.0])
def test_switch_prob_is_nothing_where_one_is_on(switch_prob):
    for images, order, share in drawn(Mixing(cutmix=1.0, switch_prob=switch_prob), 50):
        assert was_cut(images, share) or share == 1 or not order[0]
    found = drawn(Mixing(mixup=1.0, switch_prob=switch_prob), 50)
    assert not any(was_cut(images, share) for images, order, share in found if order[0])


def batch(objective, n=8):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(n, objective.n_outputs, generator=generator)
    labels = torch.tensor([0, 1, 2, 0, 0, 1, 2, 2])
    groups = torch.tensor([0, 1, 2, 3, 3, 2, 0, 1])
    return logits, labels, groups, torch.tensor([2, 0, 1, 5, 4, 7, 3, 6])


def build(name, mode):
    counts = {"label_counts": torch.tensor([6, 3, 1]), "joint_counts": torch.ones(4, 3)}
    shape = {"num_classes": 3, "num_groups": 4, "positive": 2, "weight": None}
    return OBJECTIVES.build(name, **shape, **counts).train(mode)


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", [*OBJECTIVES.names(), "recall_cross_entropy(momentum=0.9)"])
def test_the_loss_of_every_objective_is_linear_in_the_share(name, mode):
    objective = build(name, mode)
    logits, labels, groups, order = batch(objective)
    fresh = [copy.deepcopy(objective) for _ in range(4)]
    pairs = (labels, groups), (labels[order], groups[order])
    own, theirs = (fresh[0](logits, *pair) for pair in pairs)
    assert own != theirs
    for share, objective in zip((1.0, 0.0, 0.3), fresh[1:], strict=True):
        found = mixed_loss(objective, logits.requires_grad_(), *pairs, share)
        assert found.item() == pytest.approx(share * own.item() + (1 - share) * theirs.item())
        (gradient,) = torch.autograd.grad(found, logits)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ["group_dro", "recall_cross_entropy(momentum=0.9)"])
def test_a_batch_that_is_not_mixed_moves_the_state_of_an_objective_once(name):
    one, other = build(name, True), build(name, True)
    logits, labels, groups, order = batch(one)
    own, partners = (labels, groups), (labels[order], groups[order])
    assert mixed_loss(one, logits, own, partners, 1.0) == other(logits, *own)
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
