"""Test-time augmentation: the flips and turns of an image whose probabilities are averaged."""

from collections.abc import Callable, Sequence

import numpy as np

from ..artifact.contract import Contract
from ..core.errors import UserError, require

View = Callable[[np.ndarray], np.ndarray]
AUTO, NONE = "auto", "none"
LEAST = 1e-300  # a probability's logarithm is not taken below it


def _view(turns: int, flips: bool) -> View:
    """Images [N, 3, height, width] turned by `turns` x 90 degrees, then mirrored where `flips`."""

    def apply(images: np.ndarray) -> np.ndarray:
        turned = np.rot90(images, turns, axes=(2, 3)) if turns else images
        return turned[..., ::-1] if flips else turned

    return apply


# the eight symmetries of the square; those that keep a rectangle's sides are four of them
VIEWS: dict[str, list[View]] = {
    NONE: [_view(0, False)],
    "flips": [_view(turns, flips) for turns in (0, 2) for flips in (False, True)],
    "dihedral": [_view(turns, flips) for turns in range(4) for flips in (False, True)],
}


def mean_over_views(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """[N, classes] of [N, views, classes], each calibrated with `temperature`.

    The temperature acts on the mean, as it was fitted: it is taken off before and put on after.
    """
    if probabilities.shape[1] == 1:
        return probabilities[:, 0]
    mean = scaled(probabilities, 1 / temperature).mean(axis=1)
    return scaled(mean, temperature)


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / temperature) over the last axis, in float64."""
    p = probabilities.astype(np.float64)
    return p if temperature == 1 else softmax(np.log(p.clip(LEAST)) / temperature)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float64; NaN stays NaN."""
    with np.errstate(invalid="ignore"):
        odds = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)


def fitted_views(contract: Contract) -> str | None:
    """The `--tta` that a model's temperature and threshold were fitted with; None: none were."""
    fitted = contract.provenance.get("fitted")
    if not fitted:
        return None
    told = fitted.get("tta", NONE) if isinstance(fitted, dict) else fitted
    if not isinstance(told, str) or told not in VIEWS:
        raise UserError(f"invalid contract: field provenance: tta is {told!r:.40}")
    return told


def chosen_views(contracts: Sequence[Contract], wanted: str, refits: bool = False) -> str:
    """One of `VIEWS`: the `wanted` one; for auto that of the models' fit, else none.

    Raises `UserError` where a model's temperature or threshold was fitted with another one (unless
    what is evaluated `refits` them), and for turns of images that are not square.
    """
    fits = {fitted_views(contract) for contract in contracts} - {None}
    known = (AUTO, *VIEWS)
    require(wanted in known, f"tta {wanted}: expected one of {', '.join(known)}")
    tta = wanted
    if wanted == AUTO:
        tta = fits.pop() if len(fits) == 1 else NONE
    for contract in contracts:
        fitted = fitted_views(contract)
        require(
            fitted in (None, tta) or refits,
            f"--tta {tta}: the temperature or threshold of {contract.model} was fitted with --tta "
            f"{fitted}: leave out --tta, or fit it anew with melanoma_eval.py --tta {tta} "
            "--threshold ... --write_model ...",
        )
        height, width = contract.preprocessing.output_size
        require(
            tta != "dihedral" or height == width,
            f"--tta dihedral: the model takes images of {height} x {width} (height x width), which "
            "cannot be turned: use --tta flips",
        )
    return tta
