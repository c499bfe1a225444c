"""Trust fitted on a model's validation rows, certified on its test rows, written into its file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from ..artifact.contract import Contract
from ..artifact.decisions import DecisionRule, make_rule
from ..artifact.export import write_contract
from ..artifact.features_output import add_features
from ..core.errors import UserError, require
from ..core.files import check_output, replacing
from ..core.progress import progress
from ..core.registry import parse_call
from ..datasets.overlap import copy_training_rows
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.predictions import Predictions
from ..evaluator.flags import USUAL_COLUMNS, EvaluationOptions
from ..evaluator.inputs import Inputs
from ..evaluator.models import own_tables
from ..inference.batches import decoded_batches
from ..inference.predictor import OnnxPredictor
from ..inference.views import fitted_views
from ..trust.certificate import Certificate, GroupCertificate, Promise, certify
from ..trust.conformal import fit_conformal
from ..trust.features import FeatureGate, fit_gate
from ..trust.fitted import Trust, new_trust
from ..trust.out_of_distribution import msp, threshold_that_keeps
from ..trust.triage import Triage, threshold_for
from .options import TrustOptions
from .report import summary

MARGIN = 1e-5  # of a threshold, for what float32 is off by; lower ones miss no more
_BATCH = 64


class Rows(NamedTuple):
    """The rows that fit, those that certify (None without), and what a unit of these is."""

    fitted: Predictions
    certifying: Predictions | None
    units: np.ndarray
    unit: str
    refused: str  # why nothing is certified
    tta: str  # the views that all were predicted with


def fit_trust(given: dict[str, Any], options: TrustOptions) -> str:
    """What was fitted, in lines, once `options.write_model` is written.

    `given` are settings of the trainer as text. Raises `UserError` for what is wrong with them.
    """
    path, target = options.onnx_model_path, options.write_model
    check_output(target, path)
    wanted = EvaluationOptions(
        threshold=f"sensitivity(least={options.refer_sensitivity})", tta=options.tta
    )
    inputs = Inputs(given, wanted, USUAL_COLUMNS)
    opened = inputs.open("onnx_model_path", str(path))
    rows = rows_of(opened.model)
    model = onnx.load_model_from_string(path.read_bytes())
    contract = OnnxPredictor(path).contract
    with replacing(target) as temporary:
        gate = _gate(model, contract, inputs.config, temporary, options, str(path))
        contract = fitted_contract(contract, rows, options, gate)
        write_contract(model, contract)
        temporary.write_bytes(model.SerializeToString())
        read = OnnxPredictor(temporary).contract
        require(read.trust == contract.trust, f"{target}: not as it was fitted")
    copy_training_rows(path, contract.provenance.get("table"), target)
    return summary(contract, rows.fitted, rows.certifying, rows.units, options)


def rows_of(model: EvaluatedModel) -> Rows:
    """The validation rows fit; the test rows, which chose nothing, certify."""
    if model.valid is None:
        refused = f"the only rows, of the {model.split} split, chose the model"
        return Rows(model.predictions, None, model.clusters, model.cluster, refused, model.tta)
    unknown = "neither patients nor lesions are known" if model.cluster == "image" else ""
    units = (model.clusters, model.cluster)
    return Rows(model.valid, model.predictions, *units, unknown, model.tta)


def fitted_contract(
    contract: Contract, rows: Rows, options: TrustOptions, gate: FeatureGate | None
) -> Contract:
    """The contract with a decision rule for the promise, where one is chosen, and with trust."""
    fitted, positive = rows.fitted, contract.positive
    before = fitted_views(contract)
    require(
        before in (None, rows.tta),
        f"--tta {rows.tta}: the temperature or threshold of the model was fitted with {before}",
    )
    known = contract.provenance.get("fitted")
    with_views = (known if isinstance(known, dict) else {}) | {"tta": rows.tta}
    contract = replace(contract, provenance=contract.provenance | {"fitted": with_views})
    scores = fitted.probabilities[fitted.labels == positive, positive]
    threshold = threshold_for(options.refer_sensitivity, scores)
    certificate = _certificate(rows, contract, options, threshold)
    if options.certify == "threshold":
        rule = _rule(contract, certificate, threshold)
        others = {other.name: other for other in (*contract.other_rules, contract.rule)}
        others.pop(rule.name, None)
        contract = replace(contract, rule=rule, other_rules=tuple(others.values()))
    by_group = fitted.group_names == contract.groups
    trust: Trust = new_trust(
        rows=f"{len(fitted.labels)} validation rows",
        conditions=contract.conditions,
        conformal=fit_conformal(
            options.conformal,
            options.alpha,
            fitted.labels,
            fitted.probabilities,
            fitted.groups,
            len(contract.groups) if by_group else 0,
        ),
        most_unsure=threshold_that_keeps(options.coverage, msp(fitted.probabilities)),
        coverage=options.coverage,
        triage=Triage(
            threshold_for(options.urgent_sensitivity, scores), options.urgent_sensitivity
        ),
        certificate=certificate,
        features=gate,
        dropout=_dropout(contract) if gate else 0.0,
    )
    return replace(contract, trust=trust)


def _certificate(
    rows: Rows, contract: Contract, options: TrustOptions, threshold: float
) -> Certificate:
    """That of each group with test rows; at `threshold` or a lower one where one is chosen."""
    promise = Promise(options.max_miss, options.confidence, options.missed, options.multiplicity)
    chosen = options.certify == "threshold"
    found: tuple[GroupCertificate, ...] = ()
    if not rows.refused:
        tested, positive = rows.certifying, contract.positive
        of_positive = tested.labels == positive
        found = certify(
            promise,
            tested.group_names,
            tested.groups[of_positive],
            rows.units[of_positive],
            tested.probabilities[of_positive, positive],
            None if chosen else tested.decisions[of_positive] == positive,
            threshold,
        )
    return Certificate(promise, rows.unit, rows.refused, chosen, found)


def _rule(contract: Contract, certificate: Certificate, threshold: float) -> DecisionRule:
    """Each group's threshold: the one that was asked for, or lower where the promise needs it.

    Rows of unknown group take the lowest of all.
    """
    lowest = {found.group: found.threshold for found in certificate.groups if found.certified}
    values = [max(0.0, lowest.get(name, threshold) - MARGIN) for name in contract.groups]
    if not lowest or not values:
        return make_rule("threshold", {"value": max(0.0, threshold - MARGIN)})
    return make_rule("thresholds_by_group", {"values": values, "overall": min(values)})


def _dropout(contract: Contract) -> float:
    """The rate before the last layer in training, 0 where it cannot be told."""
    head = parse_call(contract.head)
    rate = head.options.get("dropout", 0.0)
    if head.name == "linear":
        rate = contract.provenance.get("config", {}).get("dropout", 0.0)
    return float(rate) if type(rate) in (int, float) and 0 < rate < 1 else 0.0


def _gate(
    model: onnx.ModelProto,
    contract: Contract,
    config: Callable,
    temporary: Path,
    options: TrustOptions,
    source: str,
) -> FeatureGate | None:
    """The gate on the validation images' features, which become an output of `model`."""
    if not options.feature_gate:
        return None
    try:
        add_features(model)
    except UserError as error:
        raise UserError(f"{source}: {error}; leave them out with --feature_gate false") from None
    temporary.write_bytes(model.SerializeToString())
    predictor = OnnxPredictor(temporary)
    (table,), _ = own_tables([contract], source, config)
    valid, features = table.split("valid"), []
    paths = [Path(path) for path in valid.rows["image"]]
    batches = decoded_batches(contract.preprocessing, paths, _BATCH)
    for read, inputs in progress(batches, "features", -(-len(paths) // _BATCH), "batch"):
        faults = [one for one in read if isinstance(one, str)]
        require(not faults, f"an image of the validation rows cannot be read: {faults[:1]}")
        features.append(predictor.features(inputs))
    return fit_gate(np.concatenate(features), valid.labels)
