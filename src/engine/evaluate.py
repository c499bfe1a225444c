"""Judging a network on a split: predictions, metrics, and the files that hold them."""

import logging
from pathlib import Path

import numpy as np
import torch

from src.artifact.contract import Contract
from src.artifact.network import Network, load_network
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.loaders import eval_loader
from src.datasets.loading import load_table, table_hash
from src.datasets.table import Table
from src.engine.checks import count_groups, pick_device
from src.engine.log import log_to_console, make_folder, write_text
from src.engine.loop import Outputs, predict
from src.evaluation.fairness import evaluate
from src.evaluation.predictions import Predictions
from src.evaluation.report import summary, to_strict_json, write_report
from src.objectives.catalog import OBJECTIVES, Objective, class_weights, needs_groups

log = logging.getLogger(__name__)
# settings that say what a model is and which rows it has not seen: judging it cannot change them
OF_THE_MODEL = ("model", "preprocess", "input_size", "valid_size", "test_size", "split_seed")


class Judge:
    """Evaluates networks of one contract and objective on splits of one table."""

    def __init__(
        self,
        cfg: Config,
        table: Table,
        contract: Contract,
        objective: Objective,
        device: torch.device,
    ):
        self.cfg, self.table, self.contract, self.device = cfg, table, contract, device
        self.objective = objective.to(device)

    def __call__(self, network: Network, split: str) -> tuple[Predictions, dict]:
        """The predictions of a split's rows and their metrics, the objective's loss among them."""
        rows = self.table.split(split)
        loader = eval_loader(
            rows,
            self.contract.spec(),
            self.cfg.learning.batch_size,
            self.cfg.data.num_workers,
            pin_memory=self.cfg.data.pin_mem and self.device.type == "cuda",
        )
        outputs = predict(network, loader, self.device, split)
        predictions = Predictions(
            names=[Path(path).name for path in rows.rows["image"]],
            labels=rows.labels,
            groups=rows.group_indices,
            probabilities=outputs.probabilities,
            decisions=self.contract.decide(outputs.probabilities),
            classes=self.contract.classes,
            positive=self.contract.positive,
            group_names=self.contract.groups,
        )
        return predictions, {"loss": self._loss(outputs), **evaluate(predictions)}

    @torch.inference_mode()
    def _loss(self, outputs: Outputs) -> float:
        """The objective over all rows at once (of known group, where it needs the group)."""
        usable = outputs.groups >= -1
        if needs_groups(self.cfg.learning.objective):
            usable = outputs.groups >= 0
        if not usable.any():
            return float("nan")
        parts = (outputs.logits, outputs.labels, outputs.groups)
        return self.objective(*(part[usable].to(self.device) for part in parts)).item()

    def report(self, network: Network, folder: Path, splits: tuple[str, ...]) -> dict:
        """Judge the splits that have rows, write all files into `folder`; their metrics."""
        found = {}
        for split in splits:
            if len(self.table.split(split)):
                predictions, found[split] = self(network, split)
                write_report(folder, split, predictions, found[split])
                log.info("%s:\n%s", split, summary(found[split]))
        if "test" not in found:
            log.warning("no test rows: these figures are of the rows that chose the best epoch")
        write_text(folder / "metrics.json", to_strict_json(found, indent=2))
        return found


def make_objective(cfg: Config, label_counts: np.ndarray, num_groups: int) -> Objective:
    """The objective, with class weights from the training rows of each class."""
    return OBJECTIVES.build(
        cfg.learning.objective,
        num_classes=len(label_counts),
        num_groups=num_groups,
        weight=class_weights(cfg.learning.class_weights, label_counts),
    )


def trained_settings(contract: Contract) -> dict:
    """The flat settings that a model was trained with, as it states them.

    Those that name the run itself are left out; paths below its data folder follow `--data_path`.
    """
    settings = dict(contract.provenance.get("config", {}))
    for name in ("run_name", "log_dir", "resume", "device"):
        settings.pop(name, None)
    old = settings.get("data_path")
    for name in ("skin_color_csv", "weights"):
        path = str(settings.get(name, ""))
        if path.startswith(f"{old}/"):
            settings[name] = "{data_path}" + path.removeprefix(old)
    return settings


def rows_to_judge(cfg: Config, contract: Contract, source: str) -> tuple[Table, str]:
    """(table, split) to judge a model on: its test rows, else the validation rows.

    Raises `UserError` for other classes than the model's, for settings that contradict it, and
    for a split drawn from other rows than it was trained with, which mixes in training rows.
    """
    trained = contract.provenance.get("config", {})
    for name in OF_THE_MODEL:
        given = cfg.flat()[name]
        if name in trained and given != trained[name]:
            raise UserError(
                f"--{name} {given}: {source} was trained with {trained[name]}; leave it out"
            )
    table = load_table(cfg.data)
    if table.classes != contract.classes:
        raise UserError(
            f"{source} knows the classes {', '.join(contract.classes)}: "
            f"the data have {', '.join(table.classes)}"
        )
    if table_hash(table) != contract.provenance.get("table"):
        if table.is_split_drawn and not cfg.data.allow_leakage:
            raise UserError(
                f"{source} was trained on other rows or another split of them, so that a split "
                "drawn here has its training rows in test: give data with a split of their own, "
                "or --allow_leakage"
            )
        log.warning("not the table it was trained with: its training rows may be among these")
    return table, "test" if len(table.split("test")) else "valid"


def report_folder(cfg: Config, source: Path, what: str) -> Path:
    """The folder of a report on `source`: `--run_name`, else named after its run and file."""
    name = cfg.run.run_name or f"{source.resolve().parent.name}_{source.stem}_{what}"
    return make_folder(Path(cfg.run.output_dir) / name)


def test(cfg: Config) -> dict:
    """Judge `--checkpoint` on the test rows, else the validation rows; its metrics by split.

    Writes the report into a folder of its own under `--output_dir`.
    """
    log_to_console()
    if not cfg.run.checkpoint:
        raise UserError("--test: expected the checkpoint to judge, with --checkpoint FILE")
    device = pick_device(cfg.run.device)
    network, contract = load_network(cfg.run.checkpoint)
    table, split = rows_to_judge(cfg, contract, cfg.run.checkpoint)
    counts = np.asarray(contract.provenance.get("label_counts", [1] * len(contract.classes)))
    objective = make_objective(cfg, counts, contract.num_groups)
    if needs_groups(cfg.learning.objective):
        count_groups(table, contract.num_groups)
    if (objective.n_outputs, objective.reduction) != (contract.n_outputs, contract.reduction):
        raise UserError(
            f"--objective {cfg.learning.objective}: the checkpoint was trained with another one"
        )
    folder = report_folder(cfg, Path(cfg.run.checkpoint), "test")
    judge = Judge(cfg, table, contract, objective, device)
    network = network.to(device, memory_format=torch.channels_last)
    found = judge.report(network, folder, (split,))
    log.info("written to %s", folder)
    return found
