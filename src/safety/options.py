"""The flags of fit_trust."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.options import Section, flag


@dataclass(frozen=True)
class TrustOptions(Section):
    """Trust"""

    onnx_model_path: Path | None = flag(None, "exported model, evaluated on the data it is from")
    write_model: Path | None = flag(None, "ONNX file to write: the model with what was fitted")
    self_test: bool = flag(False, "check the mathematics on drawn data; needs no model")
    tta: Literal["auto", "none", "flips", "dihedral"] = flag(
        "auto",
        "test-time augmentation that the model answers with, by the mean over views; auto: as its "
        "temperature was fitted, else none",
    )
    conformal: Literal["lac", "aps", "raps"] = flag("lac", "score of the conformal sets")
    alpha: float = flag(
        0.1, "share of true classes that the conformal sets may miss", above=0, below=1
    )
    coverage: float = flag(
        0.9, "share of validation rows that the model is sure enough to answer", above=0, most=1
    )
    urgent_sensitivity: float = flag(
        0.6, "sensitivity of 'urgent' on the validation rows", above=0, most=1
    )
    refer_sensitivity: float = flag(
        0.95, "sensitivity of the decision on the validation rows", above=0, most=1
    )
    certify: Literal["threshold", "decisions"] = flag(
        "threshold",
        "threshold: choose thresholds by tone group under the promise; decisions: keep the model's "
        "own rule and count what it misses",
    )
    max_miss: float = flag(
        0.1, "share of positive cases that may be missed, to certify", above=0, below=1
    )
    confidence: float = flag(0.9, "confidence of that promise", above=0, below=1)
    missed: Literal["every", "any"] = flag(
        "every",
        "a patient or lesion is missed unless every, or any, of its positive images is flagged",
    )
    multiplicity: Literal["per_group", "bonferroni"] = flag(
        "per_group", "the confidence is that of each tone group's promise, or of all together"
    )
    feature_gate: bool = flag(
        True, "fit a gate on the features of the validation images, which tells what is no lesion"
    )
