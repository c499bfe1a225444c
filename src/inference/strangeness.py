"""How well each score tells out-of-distribution images from a model's own; needs no torch."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import require
from ..core.progress import progress
from ..preprocess.image import decode_image, file_bytes, jpeg_bytes
from ..skin.shapes import at_longer_side
from ..trust.out_of_distribution import auroc, energy, false_positive_rate, msp
from ..trust.quality import problems
from .batches import decoded_batches
from .predictor import OnnxPredictor

_BATCH = 32


def measure_strangeness(
    predictor: OnnxPredictor,
    known: Sequence[Path],
    strange: Sequence[Path],
    side: int,
    quality: int,
) -> Iterator[str]:
    """A line for each score, and what the gates that were fitted let through.

    All images are first brought to one size (their longer `side`) and one JPEG `quality`. Raises
    `UserError` for a model without a feature gate, and for an image that cannot be read.
    """
    trust = predictor.contract.trust
    require(
        trust is not None and trust.features is not None,
        "the model has no feature gate: run python -m src.scripts.fit_trust on it",
    )
    found = [_scores(predictor, paths, side, quality) for paths in (known, strange)]
    yield f"{len(known)} images of its kind, {len(strange)} others: {side} px, JPEG {quality}"
    for name in ("features", "energy", "msp"):
        own, other = (scores[name] for scores in found)
        yield (
            f"{name}: AUROC {auroc(own, other):.3f}, FPR at 95 % TPR "
            f"{false_positive_rate(own, other):.3f}"
        )
    passed = [scores["features"] <= trust.features.threshold for scores in found]
    good = [scores["fault"] == 0 for scores in found]
    for name, of_sets in (
        ("passes the feature gate", passed),
        ("passes the quality gate", good),
        ("passes both gates", [a & b for a, b in zip(passed, good, strict=True)]),
    ):
        own, other = (one.mean() for one in of_sets)
        yield f"{name}: {own:.1%} of the model's kind and {other:.1%} of the others"


def _scores(
    predictor: OnnxPredictor, paths: Sequence[Path], side: int, quality: int
) -> dict[str, np.ndarray]:
    """Arrays [N] by the names of the scores, and `fault` 1 where the quality gate finds one."""
    contract, spec, parts = predictor.contract, predictor.contract.preprocessing, []
    alike_ones = (alike(spec.decode(file_bytes(path))[0], side, quality) for path in paths)
    batches = decoded_batches(spec, alike_ones, _BATCH)
    for images, inputs in progress(batches, "scoring", -(-len(paths) // _BATCH), "batch"):
        logits, probabilities = predictor.outputs(inputs)
        parts.append(
            {
                "features": contract.trust.features(predictor.features(inputs)),
                "energy": energy(logits),
                "msp": msp(probabilities),
                "fault": np.array([float(bool(problems(image))) for image in images]),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def alike(image: np.ndarray, side: int, quality: int) -> np.ndarray:
    """The RGB uint8 image with a longer side of `side`, after a JPEG of this quality."""
    return decode_image(jpeg_bytes(at_longer_side(image, side), quality))
