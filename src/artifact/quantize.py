"""int8 forms of an exported ONNX file, and what they cost."""

import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from ..core.errors import UserError
from ..core.files import replacing
from ..core.progress import working
from .contract import Contract
from .evidence import EVIDENCE
from .export import PROBABILITIES, TOLERANCE, batches, evidence_error, open_session, write_contract
from .outputs import are_probabilities
from .samples import Sample

DYNAMIC, STATIC = ("MatMul", "Gemm"), ("MatMul", "Gemm", "Conv")
_TIMES = 5


@working("quantizing")
def export_int8(source: Path, path: Path, contract: Contract, how: str, sample: Sample) -> str:
    """Write the ONNX file at `source` as int8 to `path`; returns its cost in a line.

    `how` is `dynamic` (weights of MatMul and Gemm; activations as they come) or `static` (those of
    convolutions too, with QDQ nodes and ranges of the images of `sample`). The head and the
    evidence stay as they are. Raises `UserError` where nothing could be quantized or the result is
    of no use.
    """
    model = onnx.load_model_from_string(source.read_bytes())
    del model.graph.value_info[:]  # which contradict the changed graph
    kinds = STATIC if how == "static" else DYNAMIC
    kept = [n.name for n in model.graph.node if {"output", EVIDENCE} & {*n.output}]
    kept += [n.name for n in model.graph.node if n.name.startswith(f"{EVIDENCE}_")]
    if not any(node.op_type in kinds and node.name not in kept for node in model.graph.node):
        raise UserError(
            f"--quantize {how}: {contract.model} has no {' or '.join(kinds)} but its head's: use "
            "--quantize static"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        logging.getLogger().addFilter(_no_advice)
        try:
            _quantize(model, file, how, kept, sample)
        finally:
            logging.getLogger().removeFilter(_no_advice)
        changed = onnx.load(file)
    told = {"quantization": f"{how} int8 of {', '.join(kinds)}"}
    written = replace(contract, provenance=contract.provenance | told)
    write_contract(changed, written)
    with replacing(path) as temporary:
        temporary.write_bytes(changed.SerializeToString())
        return _cost(source, temporary, written, sample)


def _no_advice(record: logging.LogRecord) -> bool:
    """Leaves out the quantizer's advice to preprocess models."""
    return "pre-processing before quantization" not in record.getMessage()


def _quantize(
    model: onnx.ModelProto, path: Path, how: str, kept: list[str], sample: Sample
) -> None:
    if how == "dynamic":
        quantize_dynamic(
            model, path, [*DYNAMIC], nodes_to_exclude=kept, weight_type=QuantType.QInt8
        )
        return
    quantize_static(
        model,
        path,
        _Calibration(sample.images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[*STATIC],
        nodes_to_exclude=kept,
        per_channel=True,
    )


class _Calibration(CalibrationDataReader):
    """Images one by one, as their ranges are wanted."""

    def __init__(self, images: np.ndarray):
        self._images = iter(images[:, None])

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {"input": image}


def _cost(before: Path, after: Path, contract: Contract, sample: Sample) -> str:
    """Agreement, AUROC, size and time of one file against the other, in a line."""
    outputs = [_outputs(path, contract, sample.images) for path in (before, after)]
    old, new = (found[0] for found in outputs)
    if not are_probabilities(new).all() or not outputs[1][2] <= TOLERANCE:
        raise UserError("the quantized model gives no usable probabilities: nothing was written")
    same = np.mean(contract.decide(old) == contract.decide(new))
    known = sample.auroc(old[:, contract.positive]), sample.auroc(new[:, contract.positive])
    ranking = "" if None in known else f", AUROC {known[0]:.4f} before, {known[1]:.4f} after"
    size = after.stat().st_size / before.stat().st_size
    return (
        f"same class for {same:.1%} of {len(old)} {sample.kind} images, probabilities off by "
        f"{np.abs(new - old).max():.3f} at most{ranking}; {size:.0%} of the size, "
        f"{outputs[1][1] / outputs[0][1]:.0%} of the time"
    )


def _outputs(path: Path, contract: Contract, images: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(probabilities, least seconds for a batch, error of the evidence) of an ONNX file."""
    session, names = open_session(path.read_bytes()), [PROBABILITIES]
    if contract.evidence:
        names += ["output", EVIDENCE]
    parts = [session.run(names, {"input": part}) for part in batches(images)]
    seconds = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        session.run(names, {"input": images[:8]})
        seconds.append(time.perf_counter() - started)
    errors = [evidence_error(contract.evidence, *part[1:]) for part in parts if contract.evidence]
    return np.concatenate([part[0] for part in parts]), min(seconds), max(errors, default=0.0)
