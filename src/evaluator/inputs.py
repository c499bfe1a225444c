"""What `melanoma_eval.py` evaluates: an `EvaluatedModel` of each kind of source."""

import functools
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..artifact.contract import Contract
from ..artifact.network import load_contract
from ..core.config import Config, Data
from ..core.errors import UserError
from ..core.flags import resolve
from ..core.image_files import image_stem, images_below
from ..datasets.load import load_table
from ..datasets.splits import unit_numbers
from ..datasets.table import Table
from ..engine.evaluate import evaluator_of_checkpoint, rows_to_evaluate, trained_settings
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.groupings import Grouping, known_tones
from ..evaluation.predictions import Predictions
from ..evaluation.results import Settings
from ..inference.ensemble import model_files, predict_splits, vote
from ..inference.predictor import OnnxPredictor
from .flags import CsvColumns, EvaluationOptions
from .metadata import Metadata, known_images, read_metadata, require_apart, require_clusters_apart
from .predictions_csv import read_predictions

# data settings that do not say which rows there are, at their defaults
NOT_OF_ROWS = {
    name: getattr(Data(), name)
    for name in (
        *("preprocess", "input_size", "augment", "sampler", "malignant_copies"),
        *("num_workers", "pin_mem"),
    )
}


class Opened(NamedTuple):
    """A model, the configuration that it was read with, and what is known of its images."""

    model: EvaluatedModel
    cfg: Config
    known: Metadata | None


@dataclass(frozen=True)
class Inputs:
    """All that was given: `flags` are the trainer's, as text."""

    flags: dict[str, Any]
    options: EvaluationOptions
    columns: CsvColumns

    def check(self, kind: str, path: str) -> None:
        """Raise `UserError` for flags that say nothing of the source, a `kind` of `SOURCES`."""
        options = self.options
        kinds = [kind, *([kind_of(options.compare)] if options.compare else [])]
        if kinds == ["predictions_csv"] * 2 and options.needs_valid:
            raise UserError(
                "--compare: expected two CSVs as they are, without --calibration and --threshold, "
                "since --valid_predictions_csv would be of one of the models only"
            )
        is_ensemble = Path(path).is_dir() or (options.compare and Path(options.compare).is_dir())
        if options.voting != "soft" and not is_ensemble:
            raise UserError(f"--voting {options.voting}: expected a folder of ONNX models")
        if "predictions_csv" in kinds:
            return
        given = {
            "valid_predictions_csv": options.valid_predictions_csv,
            "image_folder": options.image_folder,
            **asdict(self.columns),
        }
        for name, value in given.items():
            if value:
                raise UserError(f"--{name}: expected with --predictions_csv only")

    def open(self, kind: str, path: str) -> Opened | None:
        """What there is at `path`, a `kind` of `SOURCES`; None in processes but the main one."""
        if kind == "checkpoint":
            return self._checkpoint(path)
        return self._onnx(path) if kind == "onnx_model_path" else self._csv(path)

    def open_other(self) -> Opened | None:
        """What there is at `--compare`: its images are resampled as those of the first."""
        options = replace(self.options, resample_by="")
        return replace(self, options=options).open(kind_of(options.compare), options.compare)

    def settings(self) -> Settings:
        """How the evaluation is made; the seed is `--seed`, not that of a model's training."""
        given = {name: self.flags[name] for name in ("config", "seed") if name in self.flags}
        return Settings(
            n_resamples=self.options.n_resamples,
            seed=resolve(given).run.seed,
            min_group=self.options.min_group,
            n_bins=self.options.n_bins,
        )

    def config(self, contract: Contract | None = None) -> Config:
        """The configuration of the flags, over that of a model where there is one."""
        cfg = resolve(self.flags, trained_settings(contract) if contract else None)
        if self.options.metadata_image_column and not self._metadata_path(cfg):
            raise UserError("--metadata_image_column: expected its table, --metadata_csv FILE")
        return cfg

    def _metadata_path(self, cfg: Config) -> str:
        return self.options.metadata_csv or cfg.data.skin_color_csv

    def metadata(self, cfg: Config) -> Metadata | None:
        """The table of metadata, where one is given."""
        path = self._metadata_path(cfg)
        return read_metadata(Path(path), self.options.metadata_image_column) if path else None

    def groupings(self, opened: Opened) -> list[Grouping]:
        """The groups to compare: tones, where some are known, and those of `--group_by`."""
        predictions = opened.model.predictions
        tones, found = known_tones(predictions), []
        if self.options.group_by:
            known, names = expect_known(opened.known, "group_by"), predictions.names
            found = [known.grouping(names, text) for text in self.options.group_by]
        given = [grouping.name for grouping in found]
        for name in given:
            if given.count(name) > 1:
                raise UserError(f"--group_by: {name} is there twice: expected it once")
        return [*(tone for tone in tones if tone.name not in given), *found]

    def _checkpoint(self, path: str) -> Opened | None:
        contract = load_contract(path)
        cfg = self.config(contract).with_settings(checkpoint=path)
        with evaluator_of_checkpoint(cfg, contract) as (evaluator, network, split):
            names = self._splits(split, evaluator.table)
            found = {name: evaluator(network, name)[0] for name in names}
            if not evaluator.processes.is_main:
                return None
        return self._of_table("checkpoint", path, split, evaluator.table, found, [contract], cfg)

    def _onnx(self, path: str) -> Opened:
        predictors = [OnnxPredictor(file, self.options) for file in model_files(Path(path))]
        if self.options.write_model and predictors[0].is_foreign:
            raise UserError(f"--write_model: {path} has no contract; expected an exported model")
        contracts = [predictor.contract for predictor in predictors]
        load, tables, splits = functools.cache(load_table), [], []
        for contract in contracts:
            cfg = self.config(contract)
            require_cpu(cfg)
            table, split = rows_to_evaluate(
                cfg, contract, path, lambda data: load(replace(data, **NOT_OF_ROWS))
            )
            tables.append(table)
            splits.append(self._splits(split, table))
        members = predict_splits(predictors, tables, splits, cfg.run.eval_batch_size)
        found = vote(members, contracts, self.options.voting, path)
        kind = "ONNX model" if len(members) == 1 else "ensemble"
        return self._of_table(kind, path, split, table, found, contracts, cfg)

    def _csv(self, path: str) -> Opened:
        cfg, options = self.config(), self.options
        require_cpu(cfg)
        metadata = self.metadata(cfg)
        predictions = read_predictions(Path(path), metadata, self.columns)
        known = known_images(predictions.names, metadata, [Path(path)], self.columns.image_column)
        clusters, cluster = np.arange(len(predictions.names)), "image"
        if known or options.resample_by:
            known = expect_known(known, "resample_by")
            clusters, cluster = known.clusters(predictions.names, options.resample_by)
        images = images_below(Path(options.image_folder)) if options.image_folder else []
        fits = options.valid_predictions_csv and options.needs_valid
        model = EvaluatedModel(
            kind="predictions CSV",
            name=name_of(path),
            split="",
            model="",
            predictions=predictions,
            clusters=clusters,
            cluster=cluster,
            valid=self._valid_of_csv(path, predictions, metadata, cfg) if fits else None,
            images={image_stem(image.name): image for image in images},
        )
        return Opened(model, cfg, known)

    def _valid_of_csv(
        self, path: str, evaluated: Predictions, metadata: Metadata | None, cfg: Config
    ) -> Predictions:
        """The validation rows, which share nothing with those evaluated in the CSV at `path`."""
        valid_path = Path(self.options.valid_predictions_csv)
        valid = read_predictions(valid_path, metadata, self.columns)
        require_apart(valid, evaluated)
        if not cfg.data.allow_leakage:
            names, paths = valid.names + evaluated.names, [valid_path, Path(path)]
            known = known_images(names, metadata, paths, self.columns.image_column)
            require_clusters_apart(known, valid, evaluated)
        return valid

    def _splits(self, split: str, table: Table) -> list[str]:
        """The split to evaluate, and that to fit on where one is needed and there is another."""
        fits = self.options.needs_valid and split != "valid" and len(table.split("valid"))
        return [split, "valid"] if fits else [split]

    def _of_table(
        self,
        kind: str,
        path: str,
        split: str,
        table: Table,
        found: dict[str, Predictions],
        contracts: list[Contract],
        cfg: Config,
    ) -> Opened:
        rows, column = table.split(split).rows, self.options.resample_by
        known = self.metadata(cfg) if column or self.options.group_by else None
        clusters, cluster = unit_numbers(rows)
        if column:
            known = expect_known(known, "resample_by")
            clusters, cluster = known.clusters(found[split].names, column)
        model = EvaluatedModel(
            kind=kind,
            name=name_of(path),
            split=split,
            model=" + ".join(dict.fromkeys(contract.model for contract in contracts)),
            predictions=found[split],
            clusters=clusters,
            cluster=cluster,
            valid=found.get("valid") if split != "valid" else None,
            images={image_stem(image): Path(image) for image in rows["image"]},
            provenance=contracts[0].provenance,
        )
        return Opened(model, cfg, known)


def kind_of(path: str) -> str:
    """Which of `SOURCES` a file or folder is, by its name."""
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return "predictions_csv"
    return "onnx_model_path" if suffix == ".onnx" or Path(path).is_dir() else "checkpoint"


def name_of(path: str) -> str:
    """The name of a file, with bytes that are no letters as `?`."""
    return Path(path).name.encode("utf-8", "replace").decode("utf-8")


def expect_known(known: Metadata | None, flag: str) -> Metadata:
    """The metadata. Raises `UserError` where `flag` names columns of a table that is not given."""
    if known is None:
        raise UserError(f"--{flag}: expected the table with its columns, --metadata_csv FILE")
    return known


def require_cpu(cfg: Config) -> None:
    """Raise `UserError` for a device that ONNX models and CSVs are not evaluated on."""
    if cfg.run.device not in ("auto", "cpu"):
        raise UserError(f"--device {cfg.run.device}: ONNX models and CSVs are evaluated on the CPU")
