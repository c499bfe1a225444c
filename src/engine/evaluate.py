"""Judging a network on a split: predictions, metrics, and the files that hold them."""

import logging
from pathlib import Path

import numpy as np
import torch

from src.artifact.contract import Contract, contract_from_json
from src.artifact.network import Network, load_checkpoint, load_network
from src.core.config import Config
from src.core.errors import UserError
from src.datasets.loaders import eval_loader
from src.datasets.loading import load_table, table_hash
from src.datasets.table import Table
from src.engine.checks import pick_device
from src.engine.log import log_to_console, make_folder, new_run_name, write_text
from src.engine.loop import Outputs, predict
from src.evaluation.fairness import evaluate
from src.evaluation.predictions import Predictions
from src.evaluation.report import summary, to_strict_json, write_report
from src.objectives.catalog import OBJECTIVES, Objective, class_weights, needs_groups

log = logging.getLogger(__name__)


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
        self.table, self.contract, self.device = table, contract, device
        self.objective = objective.to(device)
        self.loss_needs_groups = needs_groups(cfg.learning.objective)
        self._loader = lambda rows: eval_loader(
            rows,
            contract.spec(),
            cfg.learning.batch_size,
            cfg.data.num_workers,
            pin_memory=cfg.data.pin_mem and device.type == "cuda",
        )

    def __call__(self, network: Network, split: str) -> tuple[Predictions, dict]:
        """The predictions of a split's rows and their metrics, the objective's loss among them."""
        rows = self.table.split(split)
        outputs = predict(network, self._loader(rows), self.device, split)
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
        usable = outputs.groups >= 0 if self.loss_needs_groups else torch.ones(len(outputs.groups))
        usable = usable.bool()
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


def trained_settings(checkpoint: str) -> dict:
    """The flat settings that a checkpoint was trained with, as it states them."""
    if not checkpoint:
        raise UserError("--test: expected the checkpoint to judge, with --checkpoint FILE")
    contract = contract_from_json(load_checkpoint(checkpoint)["contract"], checkpoint)
    return contract.provenance.get("config", {})


def test(cfg: Config) -> dict:
    """Judge `--checkpoint` on the test rows, else the validation rows; its metrics by split.

    Writes the report into a folder of its own under `--output_dir`.
    """
    log_to_console()
    device = pick_device(cfg.run.device)
    network, contract = load_network(cfg.run.checkpoint)
    table = load_table(cfg.data)
    if table.classes != contract.classes:
        raise UserError(
            f"{cfg.run.checkpoint} knows the classes {', '.join(contract.classes)}: "
            f"the data have {', '.join(table.classes)}"
        )
    if table_hash(table) != contract.provenance.get("table"):
        log.warning("not the table it was trained with: its training rows may be among these")
    counts = np.asarray(contract.provenance.get("label_counts", [1] * len(contract.classes)))
    objective = make_objective(cfg, counts, contract.num_groups)
    if objective.n_outputs != contract.n_outputs:
        raise UserError(
            f"--objective {cfg.learning.objective}: the checkpoint was trained with another one"
        )
    folder = make_folder(Path(cfg.run.output_dir) / f"{new_run_name(cfg)}_test")
    split = "test" if len(table.split("test")) else "valid"
    judge = Judge(cfg, table, contract, objective, device)
    network = network.to(device, memory_format=torch.channels_last)
    found = judge.report(network, folder, (split,))
    log.info("written to %s", folder)
    return found
