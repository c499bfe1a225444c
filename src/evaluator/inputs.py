"""What `melanoma_eval.py` evaluates: an `EvaluatedModel` of each kind of source."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..artifact.contract import Contract
from ..artifact.decisions import usual_rule
from ..artifact.network import load_contract
from ..core.config import Config
from ..core.errors import UserError
from ..core.flags import resolve
from ..core.image_files import image_stem, images_below
from ..datasets.splits import unit_numbers
from ..engine.evaluate import trained_settings
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.groupings import Grouping, known_tones
from ..evaluation.predictions import Predictions
from ..evaluation.results import Settings
from ..inference.model import joint_contract
from .case_details import lesion_numbers
from .external import (
    against_rest,
    check_external,
    settings_apart_from_data,
    unlabelled_list,
    unlabelled_notes,
)
from .flags import USUAL_COLUMNS, CsvColumns, EvaluationOptions
from .lesions import of_lesions
from .metadata import Metadata, known_images, read_metadata, require_apart, require_clusters_apart
from .models import Predicted, predict_checkpoint, predict_onnx, require_cpu, tta_notes
from .predictions_csv import read_labelled
from .tones import angle_groups_in, apart_from, is_same, tone_source_of_csv


class Opened(NamedTuple):
    """A model, the configuration that it was read with, and what is known of its images.

    `lists` are tables to write beside the evaluation, by the names of their files; `by_lesion` is
    the model on lesions, where `--aggregate` wants it.
    """

    model: EvaluatedModel
    cfg: Config
    known: Metadata | None
    lists: dict[str, pd.DataFrame]
    by_lesion: EvaluatedModel | None = None


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
        check_external(self.flags, options)
        for name in ("tta", "member_weights"):
            given = getattr(options, name)
            if given and given != "auto" and "onnx_model_path" not in kinds:
                told = " ".join(map(str, given)) if isinstance(given, tuple) else given
                raise UserError(
                    f"--{name} {told}: expected with ONNX models only; export the checkpoint with "
                    "python -m src.scripts.export_model --checkpoint_path FILE"
                )
        if options.external and "predictions_csv" in kinds:
            raise UserError("--external: a CSV's images are evaluated as they are: leave it out")
        if options.skip_unlabelled and not (options.external or "predictions_csv" in kinds):
            raise UserError("--skip_unlabelled: expected with --external or --predictions_csv")
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
            if value and value != getattr(USUAL_COLUMNS, name, ""):
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
        given: dict[str, Any] = {
            name: self.flags[name] for name in ("config", "seed") if name in self.flags
        }
        return Settings(
            n_resamples=self.options.n_resamples,
            seed=resolve(given).run.seed,
            min_group=self.options.min_group,
            n_bins=self.options.n_bins,
        )

    def config(self, contract: Contract | None = None) -> Config:
        """The configuration of the flags, over that of a model where there is one."""
        own = trained_settings(contract) if contract else None
        if own and self.options.external:
            own = settings_apart_from_data(own)
        cfg = resolve(self.flags, own)
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
        tones = known_tones(predictions, opened.model.uncertain, opened.model.by_angle)
        found: list[Grouping] = []
        if self.options.group_by:
            known, names = expect_known(opened.known, "group_by"), predictions.names
            found = [known.grouping(names, text) for text in self.options.group_by]
            found = [apart_from(tones, grouping, known.path.name) for grouping in found]
        given = [grouping.name for grouping in found]
        for name in given:
            if given.count(name) > 1:
                raise UserError(f"--group_by: {name} is there twice: expected it once")
        return [*(tone for tone in tones if not any(is_same(tone, one) for one in found)), *found]

    def _checkpoint(self, path: str) -> Opened | None:
        contract = load_contract(path)
        cfg = self.config(contract).with_settings(checkpoint=path)
        predicted = predict_checkpoint(cfg, contract, self.options)
        return predicted and self._of_models(path, predicted, cfg)

    def _onnx(self, path: str) -> Opened:
        predicted, cfg = predict_onnx(path, self.config, self.options)
        return self._of_models(path, predicted, cfg)

    def _csv(self, path: str) -> Opened:
        cfg, options = self.config(), self.options
        require_cpu(cfg)
        metadata = self.metadata(cfg)
        predictions, skipped, doubt = read_labelled(Path(path), metadata, self.columns, options)
        known = known_images(predictions.names, metadata, [Path(path)], self.columns.image_column)
        clusters, cluster = np.arange(len(predictions.names)), "image"
        if known or options.resample_by:
            known = expect_known(known, "resample_by")
            clusters, cluster = known.clusters(predictions.names, options.resample_by)
        images = images_below(Path(options.image_folder)) if options.image_folder else []
        fits = options.valid_predictions_csv and options.needs_valid
        valid = self._valid_of_csv(path, predictions, metadata, cfg) if fits else None
        model = EvaluatedModel(
            kind="predictions CSV",
            name=name_of(path),
            split="",
            model="",
            predictions=self._in_question(predictions),
            clusters=clusters,
            cluster=cluster,
            valid=valid and self._in_question(valid),
            images={image_stem(image.name): image for image in images},
            tone_source=tone_source_of_csv(Path(path), predictions, metadata),
            notes=(*unlabelled_notes(skipped), *filter(None, [doubt])),
            uncertain=known.uncertain(predictions.names) if known else None,
            by_angle=angle_groups_in(predictions.names, metadata, known),
        )
        lesions = None
        if options.aggregate == "lesion":
            csvs = {"": (predictions, path), "valid": (valid, options.valid_predictions_csv)}
            raw = {
                name: (rows, self._known_rows(rows.names, metadata, csv))
                for name, (rows, csv) in csvs.items()
                if rows is not None
            }
            rule = usual_rule(len(predictions.classes))
            lesions = of_lesions(model, raw, rule, self._in_question)
        return Opened(model, cfg, known, unlabelled_list(skipped), lesions)

    def _known_rows(self, names: list[str], metadata: Metadata | None, csv: str) -> pd.DataFrame:
        """What the metadata, else the CSV say of these images: their lesions among it."""
        known = known_images(names, metadata, [Path(csv)], self.columns.image_column)
        return expect_known(known, "aggregate").rows_of(names)

    def _valid_of_csv(
        self, path: str, evaluated: Predictions, metadata: Metadata | None, cfg: Config
    ) -> Predictions:
        """The validation rows, which share nothing with those evaluated in the CSV at `path`."""
        valid_path = Path(self.options.valid_predictions_csv)
        valid, *_ = read_labelled(valid_path, metadata, self.columns, self.options)
        require_apart(valid, evaluated)
        if not cfg.data.allow_leakage:
            names, paths = valid.names + evaluated.names, [valid_path, Path(path)]
            known = known_images(names, metadata, paths, self.columns.image_column)
            require_clusters_apart(known, valid, evaluated)
        if not known_tones(valid):
            valid = replace(valid, group_names=evaluated.group_names)
        return valid

    def _of_models(self, path: str, predicted: Predicted, cfg: Config) -> Opened:
        split, rows, external = predicted.split, predicted.table.rows, predicted.external
        column = self.options.resample_by
        known = self.metadata(cfg) if column or self.options.group_by else None
        clusters, cluster = unit_numbers(rows)
        if column:
            known = expect_known(known, "resample_by")
            clusters, cluster = known.clusters(predicted.found[split].names, column)
        found = {name: self._in_question(of) for name, of in predicted.found.items()}
        names = dict.fromkeys(contract.model for contract in predicted.contracts)
        model = EvaluatedModel(
            kind=predicted.kind,
            name=name_of(path),
            split="external" if external else split,
            model=" + ".join(names),
            predictions=found[split],
            clusters=clusters,
            cluster=cluster,
            valid=found.get("valid") if split != "valid" else None,
            images={image_stem(image): Path(image) for image in rows["image"]},
            lesion_numbers=lesion_numbers(rows),
            tone_source=predicted.table.tone_source,
            uncertain=rows["uncertain"].to_numpy(bool),
            by_angle=predicted.table.angle_groups,
            provenance=predicted.contracts[0].provenance,
            notes=(*tta_notes(predicted.tta), *(external.notes if external else ())),
            tta=predicted.tta,
        )
        lesions = None
        if self.options.aggregate == "lesion":
            raw = {"": (predicted.found[split], rows)}
            if model.valid is not None:
                raw["valid"] = predicted.found["valid"], predicted.valid.rows
            rule = joint_contract(predicted.contracts, path).rule
            lesions = of_lesions(model, raw, rule, self._in_question)
        return Opened(model, cfg, known, external.lists if external else {}, lesions)

    def _in_question(self, predictions: Predictions) -> Predictions:
        """All classes, or that of `--positive` against the rest."""
        positive = self.options.positive
        return against_rest(predictions, positive) if positive else predictions


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
