"""What a checkpoint, an ONNX model or an ensemble predicts: of its own data or of others."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..artifact.contract import Contract
from ..core.config import Config, Data
from ..core.errors import UserError
from ..datasets.load import load_table, read_rows, without_bad_images
from ..datasets.table import Table
from ..engine.evaluate import evaluator_of_checkpoint, require_groups_of, rows_to_evaluate
from ..evaluation.predictions import Predictions
from ..inference.batches import Work
from ..inference.ensemble import predict_splits, vote
from ..inference.model import model_files
from ..inference.predictor import OnnxPredictor
from ..inference.views import NONE, VIEWS, chosen_views
from .external import ExternalRows, external_rows, with_unlabelled_left_out
from .flags import EvaluationOptions
from .folds import fold_numbers, out_of_fold, rows_of_fold, rows_of_folds

# data settings that do not say which rows there are, at their defaults
NOT_OF_ROWS = {
    name: getattr(Data(), name)
    for name in (
        *("preprocess", "input_size", "augment", "sampler", "malignant_copies"),
        *("num_workers", "pin_mem"),
    )
}


class Predicted(NamedTuple):
    """Predictions by split, and the table of the evaluated one.

    The splits are `split` and, where something is fitted on it, `valid`. `oof` are the rows of a
    cross-validation, each as the model predicts it that has not seen it. `valid` is the table of
    the rows that something is fitted on.
    """

    kind: str
    split: str
    table: Table
    found: dict[str, Predictions]
    contracts: list[Contract]
    external: ExternalRows | None = None
    tta: str = NONE
    valid: Table | None = None


def predict_checkpoint(
    cfg: Config, contract: Contract, options: EvaluationOptions
) -> Predicted | None:
    """What `--checkpoint` predicts; None in processes but the main one."""
    external: list[ExternalRows] = []

    def rows(cfg: Config, contract: Contract, source: str) -> tuple[Table, str]:
        if not options.external:
            return rows_to_evaluate(cfg, contract, source)
        external.append(read_external([(Path(source), contract)], options, cfg))
        return external[0].table, "test"

    with evaluator_of_checkpoint(cfg, contract, rows) as (evaluator, network, split):
        names = splits_to_predict(split, evaluator.table, options)
        found = {name: evaluator(network, name)[0] for name in names}
        if not evaluator.processes.is_main:
            return None
    table, seen = evaluator.table.split(split), external[0] if external else None
    valid = evaluator.table.split("valid")
    return Predicted("checkpoint", split, table, found, [contract], seen, valid=valid)


def predict_onnx(
    path: str, config: Callable[[Contract], Config], options: EvaluationOptions
) -> tuple[Predicted, Config]:
    """What the model at `path`, or those of a folder together, predict; its configuration."""
    files = model_files(Path(path))
    predictors = [OnnxPredictor(file, options) for file in files]
    if options.write_model and predictors[0].is_foreign:
        raise UserError(f"--write_model: {path} has no contract; expected an exported model")
    contracts = [predictor.contract for predictor in predictors]
    tta = chosen_views(contracts, options.tta, refits=bool(options.threshold))
    cfg, external, folds, split = config(contracts[0]), [], [], "test"
    require_cpu(cfg)
    if options.external:
        external = [read_external([*zip(files, contracts, strict=True)], options, cfg)]
        tables = [external[0].table] * len(files)
    else:
        folds = fold_numbers(contracts, path)
        tables, split = own_tables(contracts, path, config)
        tables = tables[:1] * len(tables) if folds else tables  # its folds are asked for by number
    table, work, found = tables[0], Work(cfg.run.eval_batch_size, tta=tta), {}
    names = splits_to_predict(split, table, options)
    evaluated, valid = table.split(split), table.split("valid")
    if folds and "valid" in names:
        valid = table.with_rows(rows_of_folds(table, folds))
        names.remove("valid")
        found["valid"] = out_of_fold(predictors, folds, table, work)
    if names:
        of_models = predict_splits(predictors, tables, [names] * len(tables), work)
        found |= vote(of_models, contracts, options.voting, path, options.member_weights)
    if folds and split == "valid":
        split, found = "oof", {"oof": found["valid"]}
        evaluated = valid
    kind = "ONNX model" if len(files) == 1 else "ensemble"
    seen = external[0] if external else None
    return Predicted(kind, split, evaluated, found, contracts, seen, tta, valid), cfg


def own_tables(
    contracts: list[Contract], path: str, config: Callable[[Contract], Config]
) -> tuple[list[Table], str]:
    """(the table that each model was trained with, the split to evaluate them on)."""
    load, tables = functools.cache(load_table), []
    for contract in contracts:
        cfg = config(contract)
        table, split = rows_to_evaluate(
            cfg, contract, path, lambda data: rows_of_fold(load, replace(data, **NOT_OF_ROWS))
        )
        tables.append(table)
    return tables, split


def read_external(
    models: list[tuple[Path, Contract]], options: EvaluationOptions, cfg: Config
) -> ExternalRows:
    """The rows of `--external` data in the models' classes."""
    data = with_unlabelled_left_out(cfg.data) if options.skip_unlabelled else cfg.data
    table = without_bad_images(read_rows(data), data.max_bad_images)
    for path, contract in models:
        require_groups_of(contract, table, str(path))
    return external_rows(table, models, options, cfg)


def splits_to_predict(split: str, table: Table, options: EvaluationOptions) -> list[str]:
    """The split to evaluate, and that to fit on where one is needed and there is another."""
    fits = options.needs_valid and split != "valid" and len(table.split("valid"))
    return [split, "valid"] if fits else [split]


def tta_notes(tta: str) -> tuple[str, ...]:
    """A remark where probabilities are means over several views."""
    n_views = len(VIEWS[tta])
    told = (
        f"Test-time augmentation: probabilities are means over {n_views} {tta} views of an image."
    )
    return (told,) if n_views > 1 else ()


def require_cpu(cfg: Config) -> None:
    """Raise `UserError` for a device that ONNX models and CSVs are not evaluated on."""
    if cfg.run.device not in ("auto", "cpu"):
        raise UserError(f"--device {cfg.run.device}: ONNX models and CSVs are evaluated on the CPU")
