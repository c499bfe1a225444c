"""Ensembles: votes against loops over rows and members."""

from dataclasses import replace

import numpy as np
import pytest

from src.artifact.contract import Contract
from src.artifact.decisions import make_rule, usual_rule
from src.core.errors import UserError
from src.evaluation.predictions import Predictions
from src.inference.ensemble import VOTES, vote
from src.preprocess.spec import parse_preprocessing

BINARY, SEVEN = ("benign", "malignant"), tuple("abcdefg")


def contract(classes=BINARY, positive=1, threshold=0.5) -> Contract:
    rule = make_rule("threshold", {"value": threshold}) if len(classes) == 2 else usual_rule(7)
    return Contract(
        model="m",
        n_outputs=len(classes),
        classes=classes,
        positive=positive,
        groups=("Light",),
        reduction="softmax",
        preprocessing=parse_preprocessing("resize", 8),
        rule=rule,
    )


def member(probabilities, of=None, names=None) -> Predictions:
    """What a model of the contract `of` says of rows with these probabilities."""
    of = of or contract()
    probabilities = np.array(probabilities, float)
    n_rows = len(probabilities)
    return Predictions(
        names=names or [f"{row}.jpg" for row in range(n_rows)],
        labels=np.zeros(n_rows, np.int64),
        groups=np.full(n_rows, -1),
        probabilities=probabilities,
        decisions=of.decide(probabilities),
        classes=of.classes,
        positive=of.positive,
        group_names=of.groups,
    )


def draw(n_members, of, seed=0, n_rows=200):
    """Members with coarse probabilities, which often tie."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(4, np.ones(len(of.classes)) / len(of.classes), (n_members, n_rows))
    return [member(part / 4, of) for part in counts]


def combined(members, contracts, voting):
    return vote([{"test": one} for one in members], contracts, voting, "folder")["test"]


CONTRACTS = [contract(), contract(positive=0, threshold=0.4), contract(SEVEN, 4)]


@pytest.mark.parametrize("of", CONTRACTS, ids=["two", "positive first", "seven"])
@pytest.mark.parametrize("n_members", [2, 3, 4])
def test_soft_votes_are_the_mean_probability(of, n_members):
    members = draw(n_members, of)
    found = combined(members, [of] * n_members, "soft")
    for row in range(len(found.labels)):
        mean = [
            sum(one.probabilities[row, c] for one in members) / n_members
            for c in range(len(of.classes))
        ]
        np.testing.assert_allclose(found.probabilities[row], mean, atol=1e-12)
    np.testing.assert_array_equal(found.decisions, of.decide(found.probabilities))


@pytest.mark.parametrize("of", CONTRACTS, ids=["two", "positive first", "seven"])
@pytest.mark.parametrize("n_members", [2, 3, 4])
def test_the_majority_decides_and_the_mean_breaks_ties(of, n_members):
    members = draw(n_members, of, seed=n_members)
    found = combined(members, [of] * n_members, "majority")
    soft = combined(members, [of] * n_members, "soft")
    np.testing.assert_array_equal(found.probabilities, soft.probabilities)
    n_tied, n_against = 0, 0
    for row in range(len(found.labels)):
        votes = [int(one.decisions[row]) for one in members]
        most = max(votes.count(c) for c in votes)
        first = [c for c in range(len(of.classes)) if votes.count(c) == most]
        n_tied += len(first) > 1
        n_against += found.decisions[row] != soft.decisions[row]
        if soft.decisions[row] in first:
            assert found.decisions[row] == soft.decisions[row]
        else:
            assert found.decisions[row] == max(first, key=lambda c: soft.probabilities[row, c])
    assert n_tied > 0 or (n_members == 3 and len(of.classes) == 2)
    assert n_against > 0 or n_members == 2, "else the majority would be the mean"


@pytest.mark.parametrize("of", CONTRACTS, ids=["two", "positive first", "seven"])
def test_mean_logits_are_the_softmax_of_the_mean_of_any_logits(of):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (3, 200, len(of.classes)))
    shifted = logits + rng.normal(0, 9, (3, 200, 1))  # what a softmax cannot see
    odds = np.exp(shifted - shifted.max(axis=2, keepdims=True))
    members = [member(part / part.sum(axis=1, keepdims=True), of) for part in odds]
    for weights in ((), (1.0, 2.0, 5.0)):
        mean = np.exp(np.average(logits, axis=0, weights=weights or None))
        expected = mean / mean.sum(axis=1, keepdims=True)
        found = vote([{"test": one} for one in members], [of] * 3, "logits", "x", weights)["test"]
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-9)
        np.testing.assert_array_equal(found.decisions, of.decide(found.probabilities))


@pytest.mark.parametrize("voting", VOTES)
def test_a_weight_counts_as_often_as_a_member_and_0_as_none(voting):
    of = contract(SEVEN, 4)
    first, second, third = draw(3, of)

    def of_weights(*weights):
        members = [{"test": one} for one in (first, second, third)]
        return vote(members, [of] * 3, voting, "x", weights)["test"]

    for weights, copies in (
        ((2, 1, 0), [first, first, second]),
        ((1, 0, 3), [first, *[third] * 3]),
    ):
        found, expected = of_weights(*weights), combined(copies, [of] * len(copies), voting)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-12)
        np.testing.assert_array_equal(found.decisions, expected.decisions)
    for wrong, named in (((1, 1), "found 2 for 3 models"), ((0, 0, 0), "one of them above 0")):
        with pytest.raises(UserError, match=f"--member_weights: .*{named}"):
            of_weights(*wrong)


def test_the_threshold_is_the_mean_of_the_members():
    contracts = [contract(threshold=0.2), contract(threshold=0.6)]  # together 0.4
    rows = [[0.65, 0.35], [0.6, 0.4], [0.1, 0.9]]
    members = [member(rows, one) for one in contracts]
    assert [one.decisions.tolist() for one in members] == [[1, 1, 1], [0, 0, 1]]
    assert combined(members, contracts, "soft").decisions.tolist() == [0, 1, 1]
    assert combined(members, contracts, "majority").decisions.tolist() == [0, 1, 1]


def test_members_vote_at_their_own_thresholds():
    contracts = [contract(threshold=t) for t in (0.1, 0.1, 0.9)]  # together 0.367
    members = [member([[0.7, 0.3]], one) for one in contracts]
    assert combined(members, contracts, "soft").decisions.tolist() == [0]
    assert combined(members, contracts, "majority").decisions.tolist() == [1]


@pytest.mark.parametrize("voting", VOTES)
@pytest.mark.parametrize("of", CONTRACTS, ids=["two", "positive first", "seven"])
def test_one_member_is_itself_and_so_are_two_alike(of, voting):
    (one,) = draw(1, of)
    for n_members in (1, 2):
        found = combined([one] * n_members, [of] * n_members, voting)
        np.testing.assert_allclose(found.probabilities, one.probabilities, atol=1e-12)
        np.testing.assert_array_equal(found.decisions, one.decisions)


@pytest.mark.parametrize("voting", VOTES)
def test_the_order_of_members_and_of_rows_does_not_matter(voting):
    of = contract(SEVEN, 4)
    members = draw(4, of)
    if voting == "logits":  # whose ties, a matter of rounding, the coarse ones would be
        mixed = np.random.default_rng(0).dirichlet(np.ones(7), (4, 200))
        members = [member(part, of) for part in mixed]
    found = combined(members, [of] * 4, voting)
    turned = combined(members[::-1], [of] * 4, voting)
    np.testing.assert_array_equal(found.decisions, turned.decisions)
    swapped = [
        replace(one, probabilities=one.probabilities[::-1], decisions=one.decisions[::-1])
        for one in members
    ]
    np.testing.assert_array_equal(
        combined(swapped, [of] * 4, voting).decisions, found.decisions[::-1]
    )


def test_all_splits_are_voted_on():
    one, two = member([[0.9, 0.1]]), member([[0.3, 0.7]])
    members = [{"test": one, "valid": two}, {"test": two, "valid": two}]
    found = vote(members, [contract()] * 2, "soft", "folder")
    np.testing.assert_allclose(found["test"].probabilities, [[0.6, 0.4]])
    np.testing.assert_allclose(found["valid"].probabilities, [[0.3, 0.7]])


def test_models_that_do_not_belong_together_are_refused():
    first, here = {"test": member([[0.9, 0.1]])}, contract()
    for other, of, expected in (
        (member([[0.9, 0.1]], names=["x.jpg"]), here, "same images"),
        (member([[0.9, 0.1]] * 2), here, "same images"),
        (member([np.ones(7) / 7], contract(SEVEN, 4)), contract(SEVEN, 4), "different classes"),
        (member([[0.9, 0.1]], contract(positive=0)), contract(positive=0), "different classes"),
    ):
        with pytest.raises(UserError, match=f"folder: its models .*{expected}"):
            vote([first, {"test": other}], [here, of], "soft", "folder")
    for splits in ({"valid": first["test"]}, {**first, "valid": first["test"]}):
        with pytest.raises(UserError, match="same images"):
            vote([first, splits], [here, here], "soft", "folder")


def test_rules_of_different_kinds_cannot_vote():
    rows = {"test": member([[0.9, 0.1]])}
    by_argmax = replace(contract(), rule=make_rule("argmax", {}))
    with pytest.raises(UserError, match=r"folder: .*argmax, threshold"):
        vote([rows, rows], [contract(), by_argmax], "soft", "folder")
