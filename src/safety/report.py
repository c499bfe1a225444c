"""What was fitted, in lines for a reader."""

import numpy as np

from ..artifact.contract import Contract
from ..core.cells import visible
from ..evaluation.predictions import Predictions
from ..trust.fitted import Seen, answers
from ..trust.out_of_distribution import msp
from ..trust.selective import aurc, excess_aurc, risk_at
from ..trust.triage import SEEN, sensitivity_by_group
from .options import TrustOptions


def summary(
    contract: Contract,
    fitted: Predictions,
    tested: Predictions | None,
    units: np.ndarray,
    options: TrustOptions,
) -> str:
    """The certificate of each tone group and, on the test rows, what trust does to them."""
    certificate, positive = contract.trust.certificate, contract.classes[contract.positive]
    lines = [f"fitted on {contract.trust.rows}; decision rule: {visible(contract.rule, 200)}"]
    names = (fitted if tested is None else tested).group_names
    lines += [f"{visible(name, 40)}: {certificate.of(name, positive)}" for name in names]
    if tested is None:
        return "\n".join([*lines, contract.notice])
    decisions = contract.decide(tested.probabilities, tested.groups)
    seen = Seen(tested.probabilities, decisions, tested.groups)
    said = answers(contract.trust, contract, seen)
    return "\n".join([*lines, *_measured(contract, tested, units, said, options), contract.notice])


def _measured(contract, tested, units, said, options) -> list[str]:
    """Lines on the test rows, which fitted nothing but a certified threshold."""
    of_positive = tested.labels == contract.positive
    seen = np.array([answer.category in SEEN for answer in said])
    sets = contract.trust.conformal.sets(tested.probabilities, tested.groups)
    covered = sets[np.arange(len(tested.labels)), tested.labels]
    errors = (tested.probabilities.argmax(axis=1) != tested.labels).astype(float)
    confidence = 1 - msp(tested.probabilities)
    lines = [
        f"conformal sets ({options.conformal}) hold {covered.mean():.1%} of the true classes of "
        f"{len(covered)} test images (asked for: {1 - options.alpha:.0%}), "
        f"{sets.sum(axis=1).mean():.2f} classes on average",
        f"not answered: {np.mean([answer.abstains for answer in said]):.1%} of the test images",
        f"AURC {aurc(errors, confidence):.4f}, E-AURC {excess_aurc(errors, confidence):.4f} (mean "
        "selective risk over all coverages)",
    ]
    by_group = [("all", np.ones(len(errors), bool))]
    by_group += [(n, tested.groups == place) for place, n in enumerate(tested.group_names)]
    for name, rows in by_group:
        if rows.any():
            lines.append(
                f"error, {visible(name, 40)}: {errors[rows].mean():.3f} of all {rows.sum()}, "
                f"{risk_at(0.8, errors[rows], confidence[rows]):.3f} of the surest 80 %"
            )
    units_of = (tested.groups[of_positive], units[of_positive], seen[of_positive])
    for found in sensitivity_by_group(tested.group_names, *units_of, options.missed):
        if found.n:
            lines.append(
                f"seen by a person, {visible(found.group, 40)}: {found.found} of {found.n} "
                f"positive cases (95 % CI {found.low:.0%} to {found.high:.0%})"
            )
    return lines
