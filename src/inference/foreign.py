"""ONNX files without a contract: what they take and give, from flags, graph and a first run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..artifact.contract import Contract
from ..artifact.decisions import usual_rule
from ..artifact.foreign import DOMAIN_DISCRIMINATIVE, ForeignModel
from ..artifact.outputs import MAX_ERROR, are_probabilities
from ..core.cells import visible
from ..core.classes import BINARY_CLASSES, positive_index, require_class_names
from ..core.errors import UserError
from ..preprocess.spec import parse_preprocessing
from .onnx_graph import LINEAR
from .session import Session
from .views import softmax

_NORMALIZE = {
    "imagenet": "normalize(stats='imagenet')",
    "half": "normalize(stats='half')",
    "unit": "normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))",
    "none": "",
}
_SCALES = {
    "imagenet": "by ImageNet's mean and standard deviation",
    "half": "to -1...1",
    "unit": "to 0...1",
    "none": "0...255",
}
_GIVE_PROBABILITIES = ("Softmax", "QLinearSoftmax", "Sigmoid", "QLinearSigmoid")
# LogSoftmax differs from logits by a constant
_GIVE_LOGITS = (*LINEAR, "LogSoftmax")


@dataclass(frozen=True)
class Described:
    """A foreign file's contract, what its outputs are, and both in words."""

    contract: Contract
    outputs: str
    words: str

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """[N, classes] of the model's outputs [N, n_outputs], or of the positive class [N, 1]."""
        if self.contract.num_groups > 1:
            return self._over_groups(scores)
        if scores.shape[1] > 1:
            return scores if self.outputs == "probabilities" else softmax(scores)
        positive = scores.astype(np.float64)
        if self.outputs == "logits":
            positive = softmax(np.concatenate([np.zeros_like(positive), positive], axis=1))[:, 1:]
        place = self.contract.positive
        return np.concatenate([1 - positive, positive][:: 1 if place else -1], axis=1)

    def _over_groups(self, scores: np.ndarray) -> np.ndarray:
        """[N, classes] of outputs [N, groups x classes] by the contract's reduction."""
        shape = len(scores), self.contract.num_groups, len(self.contract.classes)
        is_sum, is_logits = self.contract.reduction == "sum_over_groups", self.outputs == "logits"
        if is_sum:
            return (softmax(scores) if is_logits else scores).reshape(shape).sum(axis=1)
        by_group = scores.astype(np.float64).reshape(shape)
        own = softmax(by_group) if is_logits else by_group / by_group.sum(axis=2, keepdims=True)
        return own.mean(axis=1)


def describe(
    session: Session, given: ForeignModel, classes: tuple[str, ...] | None = None
) -> Described:
    """What a file without a contract is, as the flags say and as the file tells.

    Raises `UserError` that names the flag where it cannot be told, or where they contradict it.
    """
    path, classes = session.path, require_class_names(classes or BINARY_CLASSES, "--classes")
    if given.layout != "auto":
        session.lay_out(given.layout)
    size = _size(session, given)
    normalize = _normalization(session, given)
    steps, scale = _finishing(given, normalize)
    first = _first_images(size, "none" if given.cielab else normalize)
    (scores,) = session.run(first, [session.score_output])
    n_groups = _number_of_groups(path, given, scores.shape[1], classes)
    outputs = _outputs(session, given, scores)
    contract = Contract(
        model=f"foreign ONNX file {visible(path.name, 80)}",
        n_outputs=scores.shape[1],
        classes=classes,
        positive=positive_index(classes),
        groups=(),
        reduction=given.reduction if n_groups > 1 else "softmax",
        preprocessing=parse_preprocessing(
            f"resize(height={size[0]}, width={size[1]}) || {steps}", size[0]
        ),
        rule=usual_rule(len(classes)),
    )
    whose = "the classes" if scores.shape[1] > 1 else f"{classes[contract.positive]} alone"
    if n_groups > 1:
        whose = f"{n_groups} groups x {len(classes)} classes ({contract.reduction})"
    order = "channels last" if session.is_channels_last else "channels first"
    words = (
        f"no contract in the model: RGB images are stretched to {size[0]} x {size[1]} (height x "
        f"width), {np.dtype(session.dtype)}, {order}, {scale}; its output "
        f"'{session.score_output}' is taken for {outputs} of {whose}"
    )
    return Described(contract, outputs, visible(words))


def _normalization(session: Session, given: ForeignModel) -> str:
    """One of `_NORMALIZE`: as the flag says, else the usual one of the input's type."""
    usual = "none" if session.dtype == np.uint8 else "imagenet"
    normalize = usual if given.normalize == "auto" else given.normalize
    for flag, is_given in (
        (f"--normalize {normalize}", normalize != "none"),
        ("--mean", bool(given.mean)),
        ("--cielab", given.cielab),
    ):
        if session.dtype == np.uint8 and is_given:
            raise UserError(f"{session.path} takes uint8 images, 0 to 255: leave out {flag}")
    return normalize


def _number_of_groups(
    path: Path, given: ForeignModel, n_outputs: int, classes: tuple[str, ...]
) -> int:
    """Groups in the outputs: as the flag says, but the published file's name says it too."""
    n_classes, is_known = len(classes), path.name == DOMAIN_DISCRIMINATIVE
    is_known &= n_outputs % n_classes == 0
    n_groups = n_outputs // n_classes if is_known else given.num_groups
    possible = (1, 2) if n_groups == 1 and n_classes == 2 else (n_groups * n_classes,)
    if n_outputs not in possible:
        raise UserError(
            f"{path} has no contract and {n_outputs} outputs: name as many classes with --classes "
            f"(now {visible(', '.join(classes), 80)}), or give --num_groups N for N groups of them "
            f"(now {n_groups})"
        )
    return n_groups


def _finishing(given: ForeignModel, normalize: str) -> tuple[str, str]:
    """(the steps after resizing, what they do in words)."""
    lab = ["to_lab"] * given.cielab
    if given.mean:
        told = f"mean {', '.join(f'{v:g}' for v in given.mean)}, std "
        told += ", ".join(f"{v:g}" for v in given.std)
        steps = [*lab, f"normalize(mean={given.mean!r}, std={given.std!r})"]
        return " | ".join(steps), f"{'CIE L*a*b*, ' * given.cielab}scaled by {told}"
    if given.cielab:
        return "to_lab", "CIE L*a*b* as it is (L* 0...100)"
    return _NORMALIZE[normalize], f"scaled {_SCALES[normalize]}"


def _size(session: Session, given: ForeignModel) -> tuple[int, int]:
    wanted = (given.image_height or 0, given.image_width or 0)
    height, width = session.size
    found = (height or wanted[0], width or wanted[1])
    if not all(found):
        raise UserError(
            f"{session.path} has no contract and leaves its image size open: give --image_height "
            "and --image_width, or export the model with this software"
        )
    if any(wanted) and wanted != found:
        raise UserError(
            f"{session.path} takes images of {found[0]} x {found[1]} (height x width): leave out "
            "--image_height and --image_width"
        )
    return found


def _first_images(size: tuple[int, int], normalize: str) -> np.ndarray:
    """float32 [4, 3, height, width] on the scale of the model's input: black to white, and noise.

    They are small in number and differ, so that outputs which are no probabilities show it.
    """
    noise = np.random.default_rng(0).random((4, 3, *size), np.float32)
    shades = np.float32([0.0, 1.0, 0.5, 0.5])[:, None, None, None]
    images = shades + np.float32([0.0, 0.0, 0.5, 1.0])[:, None, None, None] * (noise - 0.5)
    if normalize == "none":
        return np.rint(images.clip(0, 1) * 255)
    return images if normalize == "unit" else images * 4 - 2


def _outputs(session: Session, given: ForeignModel, scores: np.ndarray) -> str:
    """logits or probabilities: by the flag, the graph's last operation, or a first run's values."""
    path, last, n_outputs = session.path, session.last_operation, scores.shape[1]
    if last in ("Softmax", "QLinearSoftmax", "LogSoftmax") and n_outputs == 1:
        raise UserError(
            f"{path}: one output after a softmax is the same for every image: not a classifier"
        )
    by_graph = "probabilities" if last in _GIVE_PROBABILITIES else ""
    if given.outputs == "logits" and by_graph:
        raise UserError(f"{path} ends in {last}, which gives probabilities: leave out --outputs")
    finite = scores[np.isfinite(scores).all(axis=1)].astype(np.float64)
    chosen = by_graph if given.outputs == "auto" else given.outputs
    chosen = chosen or _by_values(finite, last)
    if not chosen:
        raise UserError(
            f"{path} has no contract, and neither its last operation ({visible(last, 40) or '?'}) "
            f"nor its values (such as {_row(finite)}) tell what it gives: say --outputs logits "
            "or --outputs probabilities"
        )
    full = np.hstack([1 - finite, finite]) if n_outputs == 1 else finite
    if chosen == "probabilities" and not are_probabilities(full).all():
        raise UserError(
            f"{path}: its outputs (such as {_row(finite)}) do not lie in 0 to 1 and sum to 1: "
            "expected probabilities of classes of which exactly one is true"
            + ("; leave out --outputs" if given.outputs != "auto" else "")
        )
    return chosen


def _by_values(scores: np.ndarray, last: str) -> str:
    """Logits come from the last operations that give them, rows of probabilities sum to 1.

    Empty for other operations, which may have changed probabilities (to percent, to their
    logarithms), and for logits with the values of probabilities, in percent or not.
    """
    looks_probable = bool(len(scores)) and bool((scores >= 0).all())
    if scores.shape[1] > 1:
        sums = scores.sum(axis=1)
        if looks_probable and last not in _GIVE_LOGITS and are_probabilities(scores).all():
            return "probabilities"
        looks_probable &= np.ptp(sums) <= MAX_ERROR * np.abs(sums).max() if len(sums) else False
    else:
        looks_probable &= bool((scores <= 1).all())
    return "logits" if last in _GIVE_LOGITS and not looks_probable else ""


def _row(scores: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in scores[:1].ravel()[:3])
