"""`--write_model`: the evaluated model with the temperature and the threshold fitted for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..artifact.contract import Contract
from ..artifact.decisions import MOST, DecisionRule, make_rule, usual_rule
from ..artifact.export import TOLERANCE, export_onnx, write_contract
from ..artifact.network import load_network, make_network, save_checkpoint
from ..core.errors import UserError
from ..core.files import replacing
from ..datasets.overlap import copy_training_rows
from ..evaluation.calibration import scaled
from ..evaluation.evaluate import EvaluatedModel
from ..inference.predictor import OnnxPredictor

MARGIN = 1e-5  # far more than float32 is off by, far less than a report tells


def write_model(
    kind: str, source: str, target: Path, evaluated: EvaluatedModel, evaluation: dict[str, Any]
) -> Contract:
    """Write the model at `source` with what was fitted to `target`; its new contract."""
    target.parent.mkdir(parents=True, exist_ok=True)
    contract = _write(kind, source, target, evaluated, evaluation)
    copy_training_rows(Path(source), contract.provenance.get("table"), target)
    return contract


def _write(
    kind: str, source: str, target: Path, evaluated: EvaluatedModel, evaluation: dict[str, Any]
) -> Contract:
    if kind == "onnx_model_path":
        return _rewrite_onnx(Path(source), target, evaluated, evaluation)
    network, contract = load_network(source)
    contract = fitted_contract(contract, evaluated, evaluation)
    if target.suffix.lower() == ".onnx":
        export_onnx(make_network(contract, network.classifier), contract, target)
    else:
        weights = network.classifier.state_dict()
        save_checkpoint(target, {"contract": contract.to_json(), "model_state_dict": weights})
    return contract


def _rewrite_onnx(
    source: Path, target: Path, evaluated: EvaluatedModel, evaluation: dict[str, Any]
) -> Contract:
    """Change contract and temperature alone, checked against the model as it was."""
    before = OnnxPredictor(source)
    contract = fitted_contract(before.contract, evaluated, evaluation)
    model = onnx.load_model_from_string(source.read_bytes())
    write_contract(model, contract)
    shape = (2, 3, *contract.preprocessing.output_size)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = scaled(before.outputs(images)[1], contract.temperature / before.contract.temperature)
    with replacing(target) as temporary:
        temporary.write_bytes(model.SerializeToString())
        found = OnnxPredictor(temporary).outputs(images)[1]
        if not np.abs(found - expected).max() <= TOLERANCE:
            raise UserError(f"{source}: its temperature cannot be changed; export it again")
    return contract


def fitted_contract(
    contract: Contract, evaluated: EvaluatedModel, evaluation: dict[str, Any]
) -> Contract:
    """The contract with the fitted temperature, and the fitted threshold as its active rule.

    Raises `UserError` where a new temperature would change what the model's own rule decides.
    """
    temperature = evaluation["calibration"]["temperature"]
    threshold = evaluation["threshold"]
    factor = temperature["value"] if temperature else 1.0
    usual = usual_rule(len(contract.classes))
    rules = [contract.rule, *contract.other_rules]
    if threshold:
        rules = [*fitted_rules(contract, evaluated, threshold, factor), *rules]
    elif contract.rule != usual:
        raise UserError(
            f"--write_model: the model decides by {contract.rule}, which a new temperature would "
            "change: give --threshold as well"
        )
    if temperature:  # thresholds of other temperatures mean nothing any more
        rules = rules[: 2 if threshold and threshold["groups"] else 1]
    others = {rule.name: rule for rule in reversed(rules[1:]) if rule.name != rules[0].name}
    fitted = {
        name: {key: found[key] for key in ("rule", "n_fitted", "value", "groups")}
        for name, found in (("temperature", temperature), ("threshold", threshold))
        if found
    }
    return replace(
        contract,
        temperature=contract.temperature * factor,
        rule=rules[0],
        other_rules=tuple(others.values()),
        provenance=contract.provenance | {"fitted": fitted | {"tta": evaluated.tta}},
    )


def fitted_rules(
    contract: Contract, evaluated: EvaluatedModel, threshold: dict[str, Any], temperature: float
) -> list[DecisionRule]:
    """The threshold of all rows as a rule, and before it those by tone group where there are any.

    They decide the evaluated and the validation rows as the evaluation did, and lie away from the
    probabilities of these, which the written model gives in float32.
    """
    scores = evaluated.predictions.probabilities[:, contract.positive]
    if evaluated.valid is not None:
        valid = scaled(evaluated.valid.probabilities, temperature)
        scores = np.concatenate([scores, valid[:, contract.positive]])
    overall = away_from(scores, threshold["value"])
    rules = [make_rule("threshold", {"value": overall})]
    if threshold["groups"]:
        if evaluated.predictions.group_names != contract.groups:
            raise UserError(
                "--write_model: thresholds of the tone groups "
                f"{', '.join(evaluated.predictions.group_names)} do not fit the model's "
                f"({', '.join(contract.groups)}): leave out --group_thresholds"
            )
        by_group = {name: away_from(scores, v) for name, v in threshold["groups"].items()}
        values = [by_group.get(name, overall) for name in contract.groups]
        constants = {"values": values, "overall": overall}
        rules.insert(0, make_rule("thresholds_by_group", constants))
    return rules


def away_from(scores: np.ndarray, threshold: float) -> float:
    """The threshold, moved by `MARGIN` at most, so that scores near it stay on their side."""
    lower = scores[scores < threshold].max(initial=-1)
    upper = scores[scores >= threshold].min(initial=2)
    margin = min(MARGIN, (upper - lower) / 2)
    return float(np.clip(np.clip(threshold, lower + margin, upper - margin), 0, MOST))
