"""The evidence output of an ONNX file: each cell's share of each logit; needs no torch."""

import math
from dataclasses import asdict, dataclass
from typing import Any

EVIDENCE = "evidence"  # the name of the output
MAX_SIDE, MAX_VALUES = 1024, 2**24
POOLED_LINEAR = "mean_pooled_linear"
POOLED_NORM_LINEAR = "mean_pooled_norm_linear"
# what is said to a reader, by the name in the contract
METHODS = {
    POOLED_LINEAR: "exact split of the logits before temperature over the cells of the last "
    "feature map, which are averaged and weighted by a linear head",
    POOLED_NORM_LINEAR: "exact split of the logits before temperature over the cells of the last "
    "feature map, which are averaged, normalised and weighted by a linear head; the scale of the "
    "norm is that of the image itself",
}


@dataclass(frozen=True)
class Evidence:
    """What the output `evidence` [N, n_outputs, *`grid`] is.

    Summed over its cells and added to `bias` [n_outputs] it gives the raw logits, by the method of
    that name in `METHODS`.
    """

    method: str
    grid: tuple[int, int]
    bias: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON types that `evidence_from_json` reads back."""
        return asdict(self) | {"output": EVIDENCE}


def evidence_from_json(content: dict[str, Any]) -> Evidence | None:
    """What `to_json` wrote, None of an empty one."""
    if not content:
        return None
    return Evidence(content["method"], tuple(content["grid"]), tuple(content["bias"]))


def is_evidence(content: dict[str, Any], n_outputs: int) -> bool:
    """Whether a mapping is one that `to_json` writes for so many outputs, or empty."""
    if not content:
        return True
    grid, bias = content.get("grid"), content.get("bias")
    return (
        content.keys() == {"output", "method", "grid", "bias"}
        and content["output"] == EVIDENCE
        and content["method"] in [*METHODS]
        and isinstance(grid, list)
        and len(grid) == 2
        and all(type(side) is int and 0 < side <= MAX_SIDE for side in grid)
        and math.prod(grid) * n_outputs <= MAX_VALUES
        and isinstance(bias, list)
        and len(bias) == n_outputs
        and all(type(value) in (int, float) and abs(value) < 1e30 for value in bias)
    )
