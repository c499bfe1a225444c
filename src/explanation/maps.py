"""Maps of evidence: which output decided, each cell's share, and how much is in the lesion."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..artifact.contract import Contract
from ..core.errors import require


@dataclass(frozen=True)
class Explained:
    """Why an image was given a class.

    `cells` float [h, w] are the shares of the class's log-odds: of its logit less the mean of the
    logits that it is compared with. `head` names the tone group whose outputs decided, empty where
    the model has one head for all.
    """

    class_name: str
    head: str
    cells: np.ndarray


def explain(contract: Contract, logits: np.ndarray, cells: np.ndarray, place: int) -> Explained:
    """Why the class at `place` was decided, by raw logits [n_outputs] and evidence
    [n_outputs, h, w] of an image of unknown tone group. Raises `UserError` for evidence that is
    not finite.
    """
    require(np.isfinite(cells).all(), "the model's evidence is not finite")
    head, weights = log_odds(contract, logits, place)
    return Explained(contract.classes[place], head, np.tensordot(weights, cells, 1))


def log_odds(contract: Contract, logits: np.ndarray, place: int) -> tuple[str, np.ndarray]:
    """(`head`, `weights` float64 [n_outputs]): the log-odds of the class at `place` is the sum of
    the weighted logits [n_outputs].

    Of a head with outputs for several tone groups it is the group that gives the class most of its
    probability.
    """
    n_classes, n_groups = len(contract.classes), contract.num_groups
    group = int(_shares(contract, logits)[:, place].argmax())
    # logits are compared within the head's own softmax, or over the joint one
    is_own = n_groups > 1 and "mean_over_groups" in contract.reduction
    first, last = (group * n_classes, (group + 1) * n_classes) if is_own else (0, len(logits))
    weights = np.zeros(len(logits))
    weights[first:last] = -1 / (last - first - 1)
    weights[group * n_classes + place] = 1
    named = contract.groups[group] if group < len(contract.groups) else f"group {group}"
    return named if n_groups > 1 else "", weights


def _shares(contract: Contract, logits: np.ndarray) -> np.ndarray:
    """float64 [groups of the head, classes]: what each output adds to its class's probability.

    Each class's sum over groups is its probability before the temperature, by the reduction of the
    contract (`objectives.reductions` in NumPy).
    """
    priors = contract.equal_or_given_priors()
    scores = logits.reshape(priors.shape).astype(np.float64)
    if contract.reduction.startswith("shifted"):
        log = np.log(np.maximum(priors, 1e-30))
        scores = scores + np.where(priors > 0, -log, -1e30)
    is_own = "mean_over_groups" in contract.reduction
    odds = np.exp(scores - scores.max(axis=1 if is_own else None, keepdims=True))
    shares = odds / odds.sum(axis=1 if is_own else None, keepdims=True)
    if is_own:
        trained = priors.sum(axis=1, keepdims=True) > 0
        shares = shares * trained / trained.sum()
    return shares


def share_inside(cells: np.ndarray, mask: np.ndarray) -> float | None:
    """The share, 0 to 1, of the positive cells' sum that lies inside of a mask bool [H, W].

    A cell counts by the part of its area that is inside. None where no cell is positive or the mask
    is empty.
    """
    height, width = cells.shape
    inside = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    positive = np.maximum(cells, 0)
    total = float(positive.sum())
    return float((positive * inside).sum()) / total if total > 0 and mask.any() else None
