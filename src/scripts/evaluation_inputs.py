"""What `melanoma_eval.py` judges: its flags, and a `Subject` of each kind of source."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.artifact.contract import Contract
from src.artifact.network import load_contract
from src.core.config import Config, flag
from src.core.errors import UserError, nearest
from src.core.flags import resolve
from src.datasets.splits import unit_numbers
from src.datasets.table import Table
from src.engine.evaluate import judge_of_checkpoint, rows_to_judge, trained_settings
from src.evaluation.evaluation import Fits
from src.evaluation.groupings import Grouping, tone_groups
from src.evaluation.predictions import Predictions
from src.evaluation.sample import Settings
from src.evaluation.subject import Subject
from src.inference.combine import VOTES, vote
from src.inference.evaluate import predict_table
from src.inference.metadata import Metadata, read_metadata
from src.inference.prediction_csv import CsvColumns, read_predictions
from src.inference.predictor import OnnxPredictor
from src.preprocess.image import image_stem
from src.scripts.folder_job import images_below

SOURCES = ("checkpoint", "onnx_model_path", "predictions_csv")
LIMITS = {"n_draws": (100, 100_000), "min_group": (1, 1_000_000), "n_bins": (2, 1000)}


@dataclass(frozen=True)
class Judging:
    """How to judge"""

    metadata_csv: str = flag("", "table of the images' metadata; empty: --skin_color_csv")
    metadata_image_column: str = flag("", "its column of image names; empty: the usual ones")
    group_by: tuple[str, ...] = flag(
        (), "columns of it to compare groups by: sex, bands age_approx:30,50,70, or both sex*group"
    )
    resample_by: str = flag(
        "", "column of what intervals resample; empty: patients and lesions, else images"
    )
    n_draws: int = flag(2000, "draws of the bootstrap")
    min_group: int = flag(10, "rows that a group needs to enter a gap or have values of its own")
    n_bins: int = flag(15, "bins of calibration errors")
    calibration: str = flag(
        "", "fitted on validation rows, a call string: temperature, temperature(by='group')"
    )
    threshold: str = flag(
        "",
        "decide anew at a threshold found on validation rows, a call string: max_f1, youden, "
        "sensitivity(least=0.9), specificity(least=0.9), fixed(value=0.5)",
    )
    group_thresholds: bool = flag(False, "one for each tone group, and what that costs")
    valid_predictions_csv: str = flag("", "validation rows beside --predictions_csv")
    compare: str = flag("", "another checkpoint, ONNX model or CSV on the same images")
    voting: str = flag("soft", "how the models of a folder decide: soft or majority")
    image_folder: str = flag("", "folder of the images, for those judged wrongly")

    def __post_init__(self):
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(f"--{name} {getattr(self, name)}: expected {least:,} to {most:,}")
        if self.voting not in VOTES:
            hint = nearest(self.voting, VOTES)
            raise UserError(f"--voting {self.voting}: expected {' or '.join(VOTES)}{hint}")
        if self.group_thresholds and not self.threshold:
            raise UserError("--group_thresholds: expected the rule that finds them, --threshold")
        if self.valid_predictions_csv and not self.needs_valid:
            raise UserError("--valid_predictions_csv: expected --calibration or --threshold to fit")

    @property
    def needs_valid(self) -> bool:
        """Whether something is fitted on validation rows."""
        return bool(self.fits().flag)

    def fits(self) -> Fits:
        """What is fitted."""
        return Fits(self.calibration, self.threshold, self.group_thresholds)


@dataclass(frozen=True)
class Inputs:
    """All that was given: `flags` are the trainer's, as text."""

    flags: dict[str, Any]
    judging: Judging
    columns: CsvColumns

    def check(self, kind: str, path: str) -> None:
        """Raise `UserError` for flags that say nothing of what is judged, a `kind` of `SOURCES`."""
        judging = self.judging
        kinds = [kind, *([kind_of(judging.compare)] if judging.compare else [])]
        if kinds == ["predictions_csv"] * 2 and judging.needs_valid:
            raise UserError(
                "--compare: expected two CSVs as they are, without --calibration and --threshold, "
                "since --valid_predictions_csv would be of one of the models only"
            )
        models = [path, *([judging.compare] if judging.compare else [])]
        if judging.voting != "soft" and not any(Path(model).is_dir() for model in models):
            raise UserError(f"--voting {judging.voting}: expected a folder of ONNX models")
        if "predictions_csv" in kinds:
            return
        given = {
            "valid_predictions_csv": judging.valid_predictions_csv,
            "image_folder": judging.image_folder,
            **self.columns.by_flag(),
        }
        for name, value in given.items():
            if value:
                raise UserError(f"--{name}: expected with --predictions_csv only")

    def open(self, kind: str, path: str) -> tuple[Subject, Config] | None:
        """What there is at `path`, a `kind` of `SOURCES`; None in processes but the main one."""
        readers = {
            "checkpoint": self._checkpoint,
            "onnx_model_path": self._onnx,
            "predictions_csv": self._csv,
        }
        return readers[kind](path)

    def settings(self) -> Settings:
        """How the evaluation is made; the seed is `--seed`, not that of a model's training."""
        given = {name: self.flags[name] for name in ("config", "seed") if name in self.flags}
        return Settings(
            n_draws=self.judging.n_draws,
            seed=resolve(given).run.seed,
            min_group=self.judging.min_group,
            n_bins=self.judging.n_bins,
        )

    def config(self, contract: Contract | None = None) -> Config:
        """The configuration of the flags, over that of a model where there is one."""
        return resolve(self.flags, trained_settings(contract) if contract else None)

    def metadata(self, cfg: Config) -> Metadata | None:
        """The table of metadata, where one is given."""
        path = self.judging.metadata_csv or cfg.data.skin_color_csv
        return read_metadata(Path(path), self.judging.metadata_image_column) if path else None

    def groupings(self, subject: Subject, cfg: Config) -> list[Grouping]:
        """The groups to compare: tones, where some are known, and those of `--group_by`."""
        tones, found = tone_groups(subject.predictions), []
        if self.judging.group_by:
            metadata = self.metadata(cfg)
            if metadata is None:
                raise UserError(
                    "--group_by: expected the table with its columns, --metadata_csv FILE"
                )
            names = subject.predictions.names
            found = [metadata.grouping(names, text) for text in self.judging.group_by]
        given = [grouping.name for grouping in found]
        for name in given:
            if given.count(name) > 1:
                raise UserError(f"--group_by: {name} is there twice: expected it once")
        if (tones.codes >= 0).any() and tones.name not in given:
            found.insert(0, tones)
        return found

    def _checkpoint(self, path: str) -> tuple[Subject, Config] | None:
        contract = load_contract(path)
        cfg = self.config(contract).with_settings(checkpoint=path)
        with judge_of_checkpoint(cfg) as (judge, network, split):
            found = {name: judge(network, name)[0] for name in self._splits(split, judge.table)}
            if not judge.processes.is_main:
                return None
        return self._of_table("checkpoint", path, split, judge.table, found, [contract], cfg)

    def _onnx(self, path: str) -> tuple[Subject, Config]:
        predictors = [OnnxPredictor(file) for file in model_files(Path(path))]
        members = []
        for predictor in predictors:
            cfg = self.config(predictor.contract)
            require_cpu(cfg)
            table, split = rows_to_judge(cfg, predictor.contract, path)
            members.append(
                {
                    name: predict_table(predictor, table.split(name), cfg.learning.batch_size)
                    for name in self._splits(split, table)
                }
            )
        contracts = [predictor.contract for predictor in predictors]
        found = vote(members, contracts, self.judging.voting, path)
        kind = "ONNX model" if len(members) == 1 else "ensemble"
        return self._of_table(kind, path, split, table, found, contracts, cfg)

    def _csv(self, path: str) -> tuple[Subject, Config]:
        cfg, judging = self.config(), self.judging
        require_cpu(cfg)
        metadata = self.metadata(cfg)
        predictions = read_predictions(Path(path), metadata, self.columns)
        units, unit = np.arange(len(predictions.names)), "image"
        if metadata:
            units, unit = metadata.units(predictions.names, judging.resample_by)
        elif judging.resample_by:
            raise UserError("--resample_by: expected the table with it, --metadata_csv FILE")
        valid = None
        if judging.valid_predictions_csv and judging.needs_valid:
            valid = read_predictions(Path(judging.valid_predictions_csv), metadata, self.columns)
            require_apart(valid, predictions)
        subject = Subject(
            kind="predictions CSV",
            name=Path(path).name,
            split="",
            model="",
            predictions=predictions,
            units=units,
            unit=unit,
            valid=valid,
            images=images_in(judging.image_folder),
        )
        return subject, cfg

    def _splits(self, split: str, table: Table) -> list[str]:
        """The split to judge, and that to fit on where one is needed and there is another."""
        fits = self.judging.needs_valid and split != "valid" and len(table.split("valid"))
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
    ) -> tuple[Subject, Config]:
        rows = table.split(split).rows
        units, unit = unit_numbers(rows)
        if self.judging.resample_by:
            metadata = self.metadata(cfg)
            if metadata is None:
                raise UserError("--resample_by: expected the table with it, --metadata_csv FILE")
            units, unit = metadata.units(found[split].names, self.judging.resample_by)
        subject = Subject(
            kind=kind,
            name=Path(path).name,
            split=split,
            model=" + ".join(dict.fromkeys(contract.model for contract in contracts)),
            predictions=found[split],
            units=units,
            unit=unit,
            valid=found.get("valid") if split != "valid" else None,
            images={image_stem(image): Path(image) for image in rows["image"]},
            provenance=contracts[0].provenance,
        )
        return subject, cfg


def kind_of(path: str) -> str:
    """Which of `SOURCES` a file or folder is, by its name."""
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return "predictions_csv"
    return "onnx_model_path" if suffix == ".onnx" or Path(path).is_dir() else "checkpoint"


def model_files(path: Path) -> list[Path]:
    """The ONNX file, or those of a folder by name. Raises `UserError` for a folder without."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.onnx"))
    if not found:
        raise UserError(f"{path}: no ONNX files in it; expected the models of an ensemble")
    return found


def require_cpu(cfg: Config) -> None:
    """Raise `UserError` for a device that ONNX models and CSVs are not judged on."""
    if cfg.run.device not in ("auto", "cpu"):
        raise UserError(f"--device {cfg.run.device}: ONNX models and CSVs are judged on the CPU")


def require_apart(valid: Predictions, judged: Predictions) -> None:
    """Raise `UserError` where images to fit on are among those judged, or have other classes."""
    fitted, known = ({image_stem(name) for name in t.names} for t in (valid, judged))
    shared = fitted & known
    if shared:
        raise UserError(
            f"--valid_predictions_csv: {len(shared)} of its images are judged too (first: "
            f"{min(shared)!r}): expected others, or the fit would know the answers"
        )
    if valid.classes != judged.classes:
        raise UserError("--valid_predictions_csv: expected the same classes as --predictions_csv")


def images_in(folder: str) -> dict[str, Path]:
    """The images of `--image_folder` by their stems, at any depth; none where none is given."""
    return {image_stem(path.name): path for path in images_below(Path(folder))} if folder else {}
