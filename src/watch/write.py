"""A copy of an ONNX file whose contract holds a reference."""

import json
from dataclasses import replace
from pathlib import Path

import onnx

from ..artifact.contract import CONTRACT_KEY
from ..core.files import replacing
from ..inference.predictor import OnnxPredictor
from .reference import Reference


def write_reference(source: Path, predictor: OnnxPredictor, found: Reference, target: Path) -> None:
    """Write the model to `target`, the same but for the `reference` of its contract."""
    model = onnx.load_model_from_string(source.read_bytes())
    contract = replace(predictor.contract, reference=found.to_json())
    for entry in model.metadata_props:
        if entry.key == CONTRACT_KEY:
            entry.value = json.dumps(contract.to_json())
    with replacing(target) as temporary:
        temporary.write_bytes(model.SerializeToString())
