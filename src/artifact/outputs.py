"""A model's outputs, looked at before any class is decided by them; needs no torch."""

from collections.abc import Sequence

import numpy as np

from ..core.cells import visible
from ..core.errors import UserError

# of probabilities in half precision and of quantized models
MAX_ERROR = 0.01


def why_unusable(logits: np.ndarray, probabilities: np.ndarray) -> list[str]:
    """For each row why no class can be decided by it, empty where one can.

    `logits` [N, n_outputs] must be finite, `probabilities` [N, classes] lie in 0 to 1 and sum to 1.
    """
    usable = np.isfinite(logits).all(axis=1) & are_probabilities(probabilities)
    reasons = [""] * len(usable)
    for row in np.flatnonzero(~usable):
        reasons[row] = _reason(logits[row], probabilities[row])
    return reasons


def are_probabilities(values: np.ndarray) -> np.ndarray:
    """bool [N]: whether each row of [N, classes] lies in 0 to 1 and sums to 1."""
    with np.errstate(invalid="ignore", over="ignore"):
        in_range = (values >= -1e-6) & (values <= 1 + 1e-6)
        return in_range.all(axis=1) & (np.abs(values.sum(axis=1, dtype=float) - 1) <= MAX_ERROR)


def require_usable(
    names: Sequence[str], logits: np.ndarray, probabilities: np.ndarray, source: str
) -> None:
    """Raise `UserError` that names the first image that no class can be decided for."""
    reasons = why_unusable(logits, probabilities)
    bad = [place for place, reason in enumerate(reasons) if reason]
    if bad:
        raise UserError(
            f"{source}: {len(bad)} of {len(names)} images cannot be evaluated, first "
            f"{visible(names[bad[0]], 80)}: {reasons[bad[0]]}"
        )


def _reason(logits: np.ndarray, probabilities: np.ndarray) -> str:
    for values in (logits, probabilities):
        if not np.isfinite(values).all():
            found = "NaN" if np.isnan(values).any() else "infinite values"
            return f"the model's output is {found}, not a prediction"
    shown = ", ".join(f"{value:.4g}" for value in probabilities[:4])
    more = ", ..." if len(probabilities) > 4 else ""
    return f"the model's outputs ({shown}{more}) are not probabilities that sum to 1"
