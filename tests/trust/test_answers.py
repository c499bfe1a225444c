"""From what a model says to an answer: which reason comes first, and what a certificate is for."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from src.core.errors import UserError
from src.trust.certificate import Certificate, GroupCertificate, Promise
from src.trust.conformal import ConformalSets
from src.trust.features import dropout_mask, fit_gate
from src.trust.fitted import Conditions, Seen, answers, new_trust, trust_from_json
from src.trust.self_test import self_test
from src.trust.triage import SEEN, Triage, sensitivity_by_group, threshold_for

RNG = np.random.default_rng(0)
KNOWN = RNG.normal(10, 1, (400, 6))
CONDITIONS = Conditions("digest", 1.0, "threshold(value=0.3)")
GROUPS = (GroupCertificate("light", 60, 1, 0.06, 0.3, True),)
TRUST = new_trust(
    rows="400 validation rows",
    conditions=CONDITIONS,
    conformal=ConformalSets("lac", 0.1, 0.8, (0.8, None)),
    most_unsure=0.45,
    coverage=0.9,
    triage=Triage(0.8, 0.6),
    certificate=Certificate(Promise(), "patient_id", "", True, GROUPS),
    features=fit_gate(KNOWN, np.zeros(400)),
    dropout=0.2,
)


@dataclass(frozen=True)
class Contract:
    conditions: Conditions = CONDITIONS
    classes: tuple = ("benign", "malignant")
    positive: int = 1
    groups: tuple = ("light", "dark")


def said(p, group=0, features=None, fault="", passes=None):
    probabilities = np.array([[1 - p, p]])
    features = KNOWN[:1] if features is None else features
    seen = Seen(probabilities, np.array([p >= 0.3]), np.array([group]), features, [fault], passes)
    return answers(TRUST, Contract(), seen)[0]


def test_probabilities_become_categories_and_the_first_reason_withholds_the_answer():
    far = KNOWN[:1] * [9, 1, 1, 1, 1, 1]
    assert [said(p).category for p in (0.9, 0.8, 0.7, 0.6, 0.2)] == [
        *("urgent", "urgent", "refer", "refer", "routine")
    ]
    assert (said(0.5).category, said(0.9, features=far).category) == ("review", "not_a_lesion")
    blurred = said(0.9, features=far, fault="blurred")
    assert (blurred.category, blurred.reason, blurred.abstains) == ("review", "blurred", True)
    assert "unsure" in said(0.5).reason and not said(0.9).abstains and said(0.9).advice


def test_sets_certificates_and_uncertainty_are_those_of_the_image():
    assert said(0.75).classes == ("benign", "malignant") and said(0.95).classes == ("malignant",)
    assert said(0.9, group=0).certificate.startswith("misses at most 10%")
    for group in (1, -1, 9):
        assert said(0.9, group=group).certificate.startswith("not certified")
    passes = np.array([[[0.1, 0.9]], [[0.9, 0.1]]])
    found = said(0.9, passes=passes)
    assert found.entropy == pytest.approx(np.log(2)) and 0 < found.mutual_information < np.log(2)
    assert np.isnan(said(0.9).mutual_information)


def test_another_model_gets_no_answers():
    seen = Seen(np.array([[0.1, 0.9]]), np.array([1]), np.array([0]))
    for changes in ({"temperature": 2.0}, {"rule": "argmax"}, {"preprocessing": "other"}):
        with pytest.raises(UserError, match="fit_trust"):
            answers(TRUST, Contract(replace(CONDITIONS, **changes)), seen)


def test_what_was_fitted_is_the_same_after_a_file():
    assert trust_from_json(TRUST.to_json(), 2) == TRUST
    assert trust_from_json({}, 2) is None
    with pytest.raises(UserError, match="groups"):
        trust_from_json(TRUST.to_json(), 3)


def test_the_gate_lets_the_stated_share_of_like_images_pass():
    new = RNG.normal(10, 1, (4000, 6))
    passed = (TRUST.features(new) <= TRUST.features.threshold).mean()
    assert 0.96 < passed < 1.0
    assert TRUST.features(3 * new) == pytest.approx(TRUST.features(new))  # length tells nothing
    with pytest.raises(UserError, match="features"):
        TRUST.features(new[:, :3])


def test_sensitivities_are_of_units_with_exact_intervals():
    scores = np.arange(1, 11) / 10
    assert threshold_for(0.6, scores) == 0.5 and threshold_for(1.0, scores) == 0.1
    units, flagged = np.array([0, 0, 1, 2]), np.array([True, False, True, True])
    all_, light, dark = sensitivity_by_group(
        ("light", "dark"), np.array([0, 0, 0, 1]), units, flagged
    )
    assert (all_.n, all_.found, light.n, light.found) == (3, 2, 2, 1)  # one image of 0 was missed
    assert (dark.low, dark.high) == (pytest.approx(0.025), 1)
    (any_image, *_) = sensitivity_by_group((), np.zeros(4), units, flagged, "any")
    assert any_image.found == 3
    assert "routine" not in SEEN and "not_a_lesion" not in SEEN
    for wrong in ((0, scores), (0.5, scores[:0])):
        with pytest.raises(UserError):
            threshold_for(*wrong)


def test_masks_keep_the_mean():
    masks = np.concatenate([dropout_mask(1000, 0.2, RNG) for _ in range(50)])
    assert masks.mean() == pytest.approx(1, abs=0.02)
    assert set(np.unique(masks)) == {0, np.float32(1.25)}


def test_the_self_test_holds_and_can_fail(monkeypatch):
    assert all(holds for _, holds in self_test())
    monkeypatch.setattr("src.trust.self_test.needed", lambda *_: 1)
    assert [holds for _, holds in self_test()].count(False) == 1
