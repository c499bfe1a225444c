"""Random-effects meta-analysis of a share over sites, on the scale of its logit."""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq

LEAST_SITES = 2
_MOST_TAU2 = 1e4


@dataclass(frozen=True)
class Pooled:
    """The mean over sites with its 95 % CI, the 95 % prediction interval of a further site, and how
    much the sites differ: `tau2` on the scale of the logit with its 95 % CI, and `i2`, 0 to 1."""

    n_sites: int
    mean: float
    low: float
    high: float
    new_low: float
    new_high: float
    tau2: float
    tau2_low: float
    tau2_high: float
    i2: float


def pool(logits: np.ndarray, variances: np.ndarray) -> Pooled:
    """The `Pooled` share of logits [sites] with their sampling `variances`.

    The between-site variance is Paule and Mandel's (1982), its interval by Q profiles (Viechtbauer
    2007), the mean's by Hartung and Knapp (2001) and the prediction interval as Higgins et al.
    (2009) give it. At least `LEAST_SITES` sites.
    """
    from statsmodels.stats.meta_analysis import combine_effects

    n = len(logits)
    found = combine_effects(logits, variances, method_re="iterated", use_t=True)
    mean, tau2 = float(found.mean_effect_re), max(0.0, float(found.tau2))
    # no more certain than the sites themselves (Rover, Knapp & Friede 2015)
    error = max(float(found.sd_eff_w_re_hksj), float((1 / (variances + tau2)).sum() ** -0.5))
    width = stats.t.ppf(0.975, n - 1) * error
    further = stats.t.ppf(0.975, max(1, n - 2)) * np.sqrt(tau2 + error**2)
    low, high = _q_profile(logits, variances)
    ends = [mean, mean - width, mean + width, mean - further, mean + further]
    shares = [float(1 / (1 + np.exp(-end))) for end in ends]
    q = _q(logits, variances, 0.0)
    i2 = max(0.0, 1 - (n - 1) / q) if q else 0.0
    mean, low_mean, high_mean, low_new, high_new = shares
    return Pooled(n, mean, low_mean, high_mean, low_new, high_new, tau2, low, high, i2)


def _q(logits: np.ndarray, variances: np.ndarray, tau2: float) -> float:
    weights = 1 / (variances + tau2)
    mean = np.average(logits, weights=weights)
    return float((weights * (logits - mean) ** 2).sum())


def _q_profile(logits: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    ends = []
    for quantile in (0.975, 0.025):
        wanted = stats.chi2.ppf(quantile, len(logits) - 1)

        def excess(tau2: float, wanted: float = wanted) -> float:
            return _q(logits, variances, tau2) - wanted

        if excess(0.0) <= 0:
            ends.append(0.0)
        elif excess(_MOST_TAU2) >= 0:
            ends.append(float("inf"))
        else:
            ends.append(float(brentq(excess, 0.0, _MOST_TAU2)))
    return ends[0], ends[1]
