"""Several sites as one: exact counts, pooled AUROC, and random-effects meta-analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2, t

from .disclosure import CELLS, pooled_auroc

ALL = "all"


@dataclass(frozen=True)
class Pooled:
    """A meta-analysis of `k` sites on the logit scale, told as rates.

    `mean` with its 95 % interval, and the 95 % interval of a new site's; `tau` is the standard
    deviation between sites (logits), `i2` the share of variance that is between sites, `p_value`
    that of Cochran's Q.
    """

    k: int
    mean: float
    low: float
    high: float
    new_low: float
    new_high: float
    tau: float
    i2: float
    p_value: float


def meta_analysis(estimates: np.ndarray, variances: np.ndarray) -> tuple[float, ...]:
    """(mean, low, high, new low, new high, tau, I², p of Q) of estimates [k] and their variances.

    Random effects with tau² by Paule & Mandel (1982) and the interval of Hartung & Knapp (2001),
    never narrower than the usual one; NaN where k is too small.
    """
    k, nan = len(estimates), float("nan")
    if k < 2:
        value = float(estimates[0]) if k else nan
        reach = 1.959964 * float(np.sqrt(variances[0])) if k else nan
        return value, value - reach, value + reach, nan, nan, nan, nan, nan
    fixed = 1 / variances
    q = float((fixed * (estimates - np.average(estimates, weights=fixed)) ** 2).sum())
    tau2 = _paule_mandel(estimates, variances)
    weights = 1 / (variances + tau2)
    mean = float(np.average(estimates, weights=weights))
    spread = float((weights * (estimates - mean) ** 2).sum() / (k - 1))
    error = np.sqrt(max(spread, 1.0 if tau2 == 0 else 0.0) / weights.sum())
    reach = float(t.ppf(0.975, k - 1) * error)
    new = float(t.ppf(0.975, k - 2) * np.sqrt(tau2 + error**2)) if k > 2 else nan
    i2 = max(0.0, (q - (k - 1)) / q) if q > 0 else 0.0
    bounds = mean - reach, mean + reach, mean - new, mean + new
    return mean, *bounds, float(np.sqrt(tau2)), i2, float(chi2.sf(q, k - 1))


def _paule_mandel(estimates: np.ndarray, variances: np.ndarray) -> float:
    """tau² at which the weighted squares are as expected, by bisection; 0 where they are less."""

    def excess(tau2: float) -> float:
        weights = 1 / (variances + tau2)
        mean = np.average(estimates, weights=weights)
        return float((weights * (estimates - mean) ** 2).sum() - (len(estimates) - 1))

    low, high = 0.0, 1.0
    if excess(low) <= 0:
        return 0.0
    while excess(high) > 0 and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def pooled_rate(hits: Sequence[int], wholes: Sequence[int]) -> Pooled:
    """The meta-analysis of rates, on the logit scale (a half added where one would be 0 or 1)."""
    x, n = np.array(hits, float), np.array(wholes, float)
    edge = 0.5 * ((x == 0) | (x == n))
    x, n = x + edge, n + 2 * edge
    found = meta_analysis(np.log(x / (n - x)), 1 / x + 1 / (n - x))
    return _as_rates(len(x), found)


def pooled_aurocs(pairs: Sequence[tuple[float, float]]) -> Pooled:
    """The meta-analysis of AUROCs with their standard errors, on the logit scale."""
    values = np.clip(np.array([value for value, _ in pairs], float), 1e-3, 1 - 1e-3)
    errors = np.maximum(np.array([error for _, error in pairs], float), 1e-4)
    variances = (errors / (values * (1 - values))) ** 2
    return _as_rates(len(values), meta_analysis(np.log(values / (1 - values)), variances))


def _as_rates(k: int, found: tuple[float, ...]) -> Pooled:
    rates = [float(1 / (1 + np.exp(-value))) for value in found[:5]]
    return Pooled(k, *rates, *found[5:])


def merge(sites: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, AUROC and meta-analyses of all rows and of each group that a site tells of.

    `cells` are sums over the sites that tell them. Where a site holds a group back, `most` are the
    sums with all that it does not tell of any group: the truth lies between the two.
    """
    told = [site for site in sites if site["cells"]]
    found = {ALL: _merged([(site["cells"], site["auroc"]) for site in told])}
    found[ALL]["auroc"] = pooled_auroc([site["histogram"] for site in told])
    for group in sorted({name for site in told for name in site["groups"]}):
        own = [site["groups"][group] for site in told if group in site["groups"]]
        found[group] = _merged([(one["cells"], one["auroc"]) for one in own])
        rests = [_rest(site) for site in told if group not in site["groups"]]
        if any(any(rest.values()) for rest in rests):
            cells = found[group]["cells"]
            found[group]["most"] = {c: cells[c] + sum(rest[c] for rest in rests) for c in CELLS}
    return {
        "n_sites": len(sites),
        "n_sites_without_counts": len(sites) - len(told),
        "n": sum(site["n"] for site in sites),
        "groups": found,
    }


def _rest(site: dict[str, Any]) -> dict[str, int]:
    """The cells of a site that are of no group that it tells."""
    groups = site["groups"].values()
    return {c: site["cells"][c] - sum(group["cells"][c] for group in groups) for c in CELLS}


def _merged(parts: list[tuple[dict[str, int], list[float]]]) -> dict[str, Any]:
    cells = {c: sum(part[c] for part, _ in parts) for c in CELLS}
    rates = {}
    for name, hit, miss in (("sensitivity", "tp", "fn"), ("specificity", "tn", "fp")):
        hits = [part[hit] for part, _ in parts]
        wholes = [part[hit] + part[miss] for part, _ in parts]
        rates[name] = pooled_rate(hits, wholes)
    rates["auroc"] = pooled_aurocs([tuple(pair) for _, pair in parts])
    return {"n_sites": len(parts), "cells": cells, "random_effects": rates}
