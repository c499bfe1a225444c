"""A linear mixed-effects model of severity: each treatment's effect, with patients as random."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning, HessianInversionWarning

from ..core.errors import UserError, first_line

CONFIDENCE = 0.95
DEPENDENT = 0.2  # lag-1 autocorrelation above which days are told to depend on each other


@dataclass(frozen=True)
class Effect:
    """The change of mean severity from the baseline's, with its 95 % Wald interval and p-value."""

    treatment: str
    n_days: int
    n_patients: int
    estimate: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class MixedModel:
    """A fitted random-intercept model.

    `baseline` is the mean severity without treatment, `patient_sd` and `residual_sd` the standard
    deviations between patients and between days. Unless `converged`, no figure may be used; `notes`
    say what else limits them.
    """

    baseline: float
    effects: tuple[Effect, ...]
    patient_sd: float
    residual_sd: float
    converged: bool
    notes: tuple[str, ...]


def fit_mixed_model(rows: pd.DataFrame, baseline: str) -> MixedModel:
    """severity ~ treatment + (1 | patient) by REML, of rows sorted by patient and day.

    Raises `UserError` where no estimate exists.
    """
    treatments = [name for name in rows["treatment"].unique() if name != baseline]
    indicators = [rows["treatment"] == name for name in treatments]
    design = np.column_stack([np.ones(len(rows)), *indicators])
    severity = rows["severity"].to_numpy(np.float64)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            # one variance is searched for: gradients, the library's default, end beside it
            # or at 0 in one study of a hundred
            model = MixedLM(severity, design, rows["patient"].to_numpy())
            result = model.fit(reml=True, method="powell")
            between, errors = float(result.cov_re[0, 0]), result.bse_fe
        except (np.linalg.LinAlgError, ValueError) as error:
            raise UserError(f"the mixed model has no estimate ({first_line(error)})") from None
    kinds = (ConvergenceWarning, HessianInversionWarning)
    notes = [first_line(str(w.message)) for w in caught if issubclass(w.category, kinds)]
    converged = bool(result.converged) and bool(np.isfinite([*errors, between]).all())
    reach = norm.ppf((1 + CONFIDENCE) / 2)
    effects = tuple(
        Effect(
            name,
            int(rows_of.sum()),
            int(rows["patient"][rows_of].nunique()),
            float(estimate),
            float(estimate - reach * error),
            float(estimate + reach * error),
            float(2 * norm.sf(abs(estimate / error))),
        )
        for name, rows_of, estimate, error in zip(
            treatments, indicators, result.fe_params[1:], errors[1:], strict=True
        )
    )
    return MixedModel(
        float(result.fe_params[0]),
        effects,
        float(np.sqrt(max(between, 0))),
        float(np.sqrt(result.scale)),
        converged,
        (*dict.fromkeys(notes), *_limits(rows, severity - design @ result.fe_params)),
    )


def _limits(rows: pd.DataFrame, residuals: np.ndarray) -> list[str]:
    """What of these rows, with residuals [rows] from the fixed effects, breaks the assumptions."""
    notes = []
    residuals = (
        residuals
        - pd.Series(residuals).groupby(rows["patient"].to_numpy()).transform("mean").to_numpy()
    )
    follows = (rows["patient"] == rows["patient"].shift()).to_numpy()[1:]
    before, after = residuals[:-1][follows], residuals[1:][follows]
    spread = before.std() * after.std() if len(before) > 1 else 0
    lag = ((before - before.mean()) * (after - after.mean())).mean() / spread if spread else 0
    if lag > DEPENDENT:
        notes.append(
            f"a day's severity depends on the day before (autocorrelation {lag:.2f}): the "
            "intervals are too narrow"
        )
    if rows.groupby("patient")["treatment"].nunique().max() == 1:
        notes.append(
            "every patient had one treatment only: effects are differences between patients, and "
            "with few of them the intervals are too narrow"
        )
    return notes


def effect_table(model: MixedModel) -> pd.DataFrame:
    """A row for each effect, with whether the model converged."""
    rows = pd.DataFrame([vars(effect) for effect in model.effects])
    return rows.assign(converged=model.converged)
