"""Angles against people's types: figures by hand, intervals by patient, a map fitted to folds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from src.evaluation.tone_agreement import (
    ESTIMATE,
    PICTURE,
    TypedAngles,
    agreement,
    confusion,
    fitted_types,
    report,
    report_text,
    types_by_bounds,
    with_intervals,
)

SIX = ("I", "II", "III", "IV", "V", "VI")


def drawn(n=200, noise=15.0, seed=0):
    rng = np.random.default_rng(seed)
    types = rng.integers(6, size=n)
    return 60 - 15.0 * types + rng.normal(0, noise, n), types


def test_types_follow_the_published_bounds():
    assert types_by_bounds(np.array([56, 55, 30, 20, 15, -40.0]), 6).tolist() == [0, 1, 2, 3, 4, 5]
    assert types_by_bounds(np.array([42, 41, 20, 19.0]), 3).tolist() == [0, 1, 1, 2]


def test_figures_are_those_of_other_libraries():
    ita, types = drawn()
    found = types_by_bounds(ita, 6)
    figures = agreement(ita, found, types, 6)
    assert figures["spearman"] == pytest.approx(
        pd.Series(ita).corr(pd.Series(types), method="spearman")
    )
    assert figures["kappa"] == pytest.approx(cohen_kappa_score(found, types, weights="quadratic"))
    ends = (types < 2) | (types > 3)
    assert figures["auc"] == pytest.approx(roc_auc_score(types[ends] < 2, ita[ends]))
    assert figures["exact"] == np.mean(found == types)
    assert figures["within_one"] == np.mean(abs(found - types) <= 1)
    counts = confusion(found, types, 6)
    assert counts.sum() == len(types)
    assert np.trace(counts) == (found == types).sum()


def test_intervals_widen_with_patients_and_differences_are_paired():
    ita, types = drawn(60)
    found = types_by_bounds(ita, 6)
    columns = {"own": (ita, found), "same": (ita + 1e-9, found)}
    each, differences = with_intervals(columns, types, np.arange(60), 6, 200, 0)
    assert all(figure == (0, 0, 0) for figure in differences["own"].values())
    again = np.tile(np.arange(60), 4)  # four images of each patient tell no more than one
    four = {"own": (ita[again], found[again])}
    by_patient = with_intervals(four, types[again], again, 6, 200, 0)[0]["own"]
    by_image = with_intervals(four, types[again], np.arange(240), 6, 200, 0)[0]["own"]
    width = [f["exact"].high - f["exact"].low for f in (each["own"], by_patient, by_image)]
    assert width[1] == pytest.approx(width[0], rel=0.2)
    assert width[2] < 0.7 * width[0]


def test_a_fitted_map_mends_a_shift_and_sees_no_patient_twice():
    ita, types = drawn(300, noise=4)
    shifted, clusters = ita - 25, np.arange(300)
    found = fitted_types(shifted, types, clusters, 6, 5, 0)
    assert np.mean(found == types) > 0.8 > 0.4 > np.mean(types_by_bounds(shifted, 6) == types)
    noise = np.random.default_rng(1).normal(size=60)
    pairs = np.repeat(np.arange(30), 2)  # both images of a patient have one angle and one type
    one = np.random.default_rng(2).integers(6, size=30)[pairs]
    assert np.mean(fitted_types(noise[pairs], one, pairs, 6, 5, 0) == one) < 0.4


def test_the_report_has_every_subset_beside_the_whole_picture():
    ita, types = drawn(80)
    rows = pd.DataFrame({"image": [f"{i}.jpg" for i in range(80)], "ita": ita, "type": types})
    rows = rows.assign(ita_picture=ita[::-1].copy(), ita_spread=np.arange(80.0))
    rows = rows.assign(valid=np.arange(80) < 60, uncertain=np.arange(80) % 2 == 0)
    rows = rows.assign(domain=np.where(np.arange(80) < 30, "clinical", "dermoscopy"))
    rows = rows.assign(by_other=ita + 1)
    methods = {ESTIMATE: "ita", "other": "by_other"}
    joined = TypedAngles(rows, np.arange(80), "image", "Fitzpatrick", SIX, methods, 100)
    for fit in (False, True):
        told, with_types = report(joined, fit, 50, 0)
        sizes = {name: subset["n_images"] for name, subset in told["subsets"].items()}
        assert sizes == {"all": 80, "valid": 60, "certain": 30, "clinical": 30, "dermoscopy": 30}
        assert told["subsets"]["all"]["share"] == 0.8
        assert set(told["subsets"]["valid"]["agreement"]) == {ESTIMATE, "other", PICTURE}
        assert told["subsets"]["all"]["difference_from_whole_picture"][ESTIMATE]["auc"][1] > 0
        assert [kept["n_images"] for kept in told["coverage"]] == [80, 72, 64, 48, 32]
        assert told["coverage"][0]["agreement"] == told["subsets"]["all"]["agreement"][ESTIMATE]
        assert ("map" in told) == fit
        assert len(with_types["type_found"]) == 80
        assert f"{ESTIMATE} less {PICTURE}" in report_text(told)
        assert "published agreement" in report_text(told)
    without = joined._replace(rows=rows.assign(ita_picture=np.nan))
    subset = report(without, False, 50, 0)[0]["subsets"]["all"]
    assert PICTURE not in subset["agreement"]
    assert subset["difference_from_whole_picture"] == {}


def test_scales_without_a_convention_are_evaluated_by_a_fitted_map():
    rng = np.random.default_rng(3)
    tones = tuple(map(str, range(1, 11)))
    types = rng.integers(10, size=300)
    ita = 80 - 15.0 * types + rng.normal(0, 3, 300)
    rows = pd.DataFrame({"image": types.astype(str), "ita": ita, "ita_picture": ita, "type": types})
    rows = rows.assign(ita_spread=1.0, valid=True, uncertain=False, domain="")
    joined = TypedAngles(rows, np.arange(300), "image", "Monk", tones, {ESTIMATE: "ita"}, 300)
    told, _ = report(joined, False, 20, 0)
    assert told["types_from_angles"].startswith("monotone map")
    assert told["subsets"]["all"]["agreement"][ESTIMATE]["exact"][0] > 0.9
    assert told["subsets"]["all"]["agreement"][ESTIMATE]["auc"][0] == 1
    assert "published" not in report_text(told)
