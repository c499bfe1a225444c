"""Evaluating a network on a split: predictions, metrics, and the files that hold them."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..artifact.contract import Contract
from ..artifact.network import Network, load_checkpoint, with_weights
from ..artifact.outputs import require_usable
from ..core.config import Config, Data, settings_with
from ..core.errors import UserError
from ..core.files import to_strict_json, write_text
from ..core.options import Role
from ..datasets.load import load_table, table_hash
from ..datasets.splits import unit_numbers
from ..datasets.table import Table
from ..evaluation.evaluate import EvaluatedModel, evaluate_model
from ..evaluation.groupings import known_tones
from ..evaluation.predictions import Predictions
from ..evaluation.results import Settings, point_estimates, row_digests
from ..loading.batches import Batch, DeviceBatches
from ..loading.features import feature_batches, feature_path, kept_features
from ..loading.loaders import eval_loader, rows_in_order
from ..loading.prepared import prepare_images
from ..loading.resident import ResidentImages
from ..objectives.catalog import Objective
from ..report.files import write_split
from ..report.folder import claim_folder
from ..report.summary import evaluation_summary
from .distributed import SINGLE_PROCESS, Processes, joined_processes
from .log import log_to_console
from .loop import predict
from .objective import groups_needed, objective_of, trained_counts
from .precision import pick_device

log = logging.getLogger(__name__)


class Evaluator:
    """Evaluates networks of one contract and objective on splits of one table."""

    def __init__(
        self,
        cfg: Config,
        table: Table,
        contract: Contract,
        objective: Objective,
        device: torch.device,
        processes: Processes = SINGLE_PROCESS,
        prepared: Any = None,
    ):
        self.cfg, self.table, self.contract, self.device = cfg, table, contract, device
        self.objective = objective.to(device)
        self.processes, self.prepared = processes, prepared
        self.loaders: dict[str, Any] = {}  # of each split that was evaluated

    def __call__(self, network: Network, split: str) -> tuple[Predictions, dict]:
        """The predictions of a split's rows and their metrics, the objective's loss among them.

        All processes share the work, and each has the whole result.
        """
        rows = self.table.split(split)
        logits, probabilities = self._outputs(network, rows, split)
        names = [Path(path).name for path in rows.rows["image"]]
        require_usable(names, logits, probabilities, split)
        probabilities = self.contract.by_own_head(logits, probabilities, rows.group_indices)
        predictions = Predictions(
            names=names,
            labels=rows.labels,
            groups=rows.group_indices,
            probabilities=probabilities,
            decisions=self.contract.decide(probabilities, rows.group_indices),
            classes=self.contract.classes,
            positive=self.contract.positive,
            group_names=self.table.groups,
        )
        return predictions, {"loss": self._loss(logits, rows), **point_estimates(predictions)}

    def start(self, split: str) -> None:
        """Start the processes that load a split, where there is no model yet to copy."""
        rows, in_memory = self.table.split(split), isinstance(self.prepared, ResidentImages)
        if len(rows) and not in_memory and not self.cfg.model.feature_views:
            self.loaders[split] = self._loader(rows)
            self.loaders[split].start()

    def _outputs(self, network: Network, rows: Table, title: str) -> list[np.ndarray]:
        """[logits [N, n_outputs], probabilities [N, classes]] of all rows in order."""
        quiet = not self.processes.is_main
        if title not in self.loaders:
            self.loaders[title] = self._loaded(network, rows)
        own = predict(network, self.loaders[title], title, quiet)
        batches = self.processes.all_batches(own)
        return [np.concatenate(column) for column in zip(*batches, strict=True)]

    def _loaded(self, network: Network, rows: Table) -> Iterable[Batch]:
        """This process's batches of rows; of a frozen backbone their features, once for all."""
        size, rank, count = self.cfg.run.eval_batch_size, self.processes.rank, self.processes.count
        if isinstance(self.prepared, ResidentImages):
            return self.prepared.batches(rows, rows_in_order(len(rows), size, rank, count))
        loader = self._loader(rows)
        if not self.cfg.model.feature_views:
            return loader
        backbone, spec = network.classifier.backbone, self.contract.preprocessing
        path = feature_path(self.cfg.data, backbone, rows, spec, "", self.cfg.model.model, size)
        columns = kept_features(path, loader, backbone, self.processes)
        return feature_batches(columns, loader.batch_sampler, self.device, len(rows))

    def _loader(self, rows: Table) -> DeviceBatches:
        """This process's batches of rows, loaded anew each time."""
        return eval_loader(
            rows,
            self.contract.preprocessing,
            self.cfg.run.eval_batch_size,
            *(self.cfg.data.num_workers, self.cfg.data.pin_mem),
            *(self.processes.rank, self.processes.count),
            self.prepared,
            self.device,
        )

    @torch.inference_mode()
    def _loss(self, logits: np.ndarray, rows: Table) -> float:
        """The objective over all rows at once (those of trained groups, where it needs them)."""
        parts = (logits, rows.labels, rows.group_indices)
        logits, labels, groups = (torch.from_numpy(np.array(part)) for part in parts)
        usable = torch.ones_like(groups, dtype=torch.bool)
        if groups_needed(self.cfg):
            n_groups = len(trained_counts(self.contract).by_group)
            is_own = self.table.groups == self.contract.groups
            usable = (groups >= 0) & (groups < n_groups) & is_own
        if not usable.any():
            return float("nan")
        self.objective.eval()
        kept = (part[usable].to(self.device) for part in (logits, labels, groups))
        return self.objective(*kept).item()

    def report(self, network: Network, folder: Path, splits: tuple[str, ...]) -> dict:
        """Evaluate the splits that have rows, write all files into `folder`; their metrics."""
        found = {}
        for split in splits:
            if len(self.table.split(split)):
                predictions, metrics = self(network, split)
                found[split] = metrics | row_digests(predictions, split)
                found[split]["tone_source"] = self.table.tone_source
                if self.processes.is_main:
                    self._write(folder, split, predictions)
        if "test" not in found:
            log.warning(
                "No test set: these are validation results used to select the epoch, and are "
                "optimistic."
                if found
                else "No rows left to evaluate the model on: see --train_on_all."
            )
        if self.processes.is_main:
            write_text(folder / "metrics.json", to_strict_json(found, indent=2))
        return found

    def _write(self, folder: Path, split: str, predictions: Predictions) -> None:
        """Write a split's files, with intervals by its patients or lesions; log a summary."""
        table = self.table.split(split)
        clusters, cluster = unit_numbers(table.rows)
        model = EvaluatedModel(
            kind="run",
            name=folder.name,
            split=split,
            model=self.contract.model,
            predictions=predictions,
            clusters=clusters,
            cluster=cluster,
            tone_source=table.tone_source,
            uncertain=table.rows["uncertain"].to_numpy(bool),
            by_angle=table.angle_groups,
        )
        write_evaluated_split(folder, model, Settings(seed=self.cfg.run.seed))


def write_evaluated_split(folder: Path, model: EvaluatedModel, settings: Settings) -> None:
    """Write the files of a model's split into an existing folder, and log a summary."""
    tones = known_tones(model.predictions, model.uncertain, model.by_angle)
    model, evaluation = evaluate_model(model, tones, settings)
    write_split(folder, model, evaluation)
    log.info("%s:\n%s", model.split, evaluation_summary(evaluation))


def trained_settings(contract: Contract) -> dict:
    """The flat settings that a model was trained with, as it states them.

    Those of the run itself are left out; inputs in its data folder follow `--data_path`.
    """
    settings = dict(contract.provenance.get("config", {}))
    for name in settings_with(Role.RUN):
        settings.pop(name, None)
    old = settings.get("data_path")
    for name in settings_with(Role.PATH) - settings_with(Role.RESULT_NEUTRAL):
        path = str(settings.get(name, ""))
        if path.startswith(f"{old}/"):
            settings[name] = "{data_path}" + path.removeprefix(old)
    return settings


def rows_to_evaluate(
    cfg: Config, contract: Contract, source: str, load: Callable[[Data], Table] = load_table
) -> tuple[Table, str]:
    """(table, split) to evaluate a model on: its test rows, else the validation rows.

    Raises `UserError` for other classes than the model's, for settings that contradict it, and
    for a split drawn from other rows than it was trained with, which mixes in training rows.
    """
    trained = contract.provenance.get("config", {})
    for name in sorted(settings_with(Role.MODEL)):
        given = cfg.flat()[name]
        if name in trained and given != trained[name]:
            raise UserError(
                f"--{name} {given}: {source} was trained with {trained[name]}; leave it out"
            )
    if cfg.learning.objective != trained.get("objective", cfg.learning.objective):
        objective_of(cfg, contract, source)
    table = load(cfg.data)
    if table.classes != contract.classes:
        raise UserError(
            f"{source}: the model's classes ({', '.join(contract.classes)}) do not match the "
            f"data's ({', '.join(table.classes)}); to map those of other data: --external with "
            "--class_map, of melanoma_eval.py"
        )
    require_groups_of(contract, table, source)
    if table_hash(table) != contract.provenance.get("table"):
        if table.is_split_drawn and not cfg.data.allow_leakage:
            raise UserError(
                f"{source} was trained on other rows or another split of them, and a new split "
                "would put training rows in the test set; provide data with a predefined split, "
                "or --allow_leakage; for data of other origin: --external, of melanoma_eval.py"
            )
        log.warning("not the table it was trained with: its training rows may be among these")
    split = "test" if len(table.split("test")) else "valid"
    if not len(table.split(split)):
        raise UserError(f"{source}: expected test or validation rows to evaluate on, found none")
    return table, split


def require_groups_of(contract: Contract, table: Table, source: str) -> None:
    """Raise `UserError` where a model decides by other tone groups than those of the rows."""
    is_known = (table.group_indices >= 0).any()
    if contract.decides_by_group and is_known and table.groups != contract.groups:
        raise UserError(
            f"{source} decides by the tone groups {', '.join(contract.groups)}, the data's are "
            f"{', '.join(table.groups)}: evaluate it on a table with its own groups, or with none"
        )


def report_name(cfg: Config, source: Path, what: str) -> tuple[Path, str, bool]:
    """(root, name, whether it is given) of a report on `source`, as `write_folder` takes them.

    The name is `--run_name`, else that of the run and its file.
    """
    name = cfg.run.run_name or f"{source.resolve().parent.name}_{source.stem}_{what}"
    return Path(cfg.run.output_dir), name, bool(cfg.run.run_name)


def test(cfg: Config, contract: Contract) -> dict:
    """Evaluate `--checkpoint` on the test rows, else the validation rows; its metrics by split.

    Writes the report into a folder of its own under `--output_dir`.
    """
    with evaluator_of_checkpoint(cfg, contract) as (evaluator, network, split):
        source = Path(cfg.run.checkpoint)
        folder = evaluator.processes.from_main(
            lambda: claim_folder(*report_name(cfg, source, "test"))
        )
        found = evaluator.report(network, folder, (split,))
        log.info("written to %s", folder)
    return found


@contextmanager
def evaluator_of_checkpoint(
    cfg: Config,
    contract: Contract,
    rows: Callable[[Config, Contract, str], tuple[Table, str]] = rows_to_evaluate,
) -> Iterator[tuple[Evaluator, Network, str]]:
    """(evaluator, network, split) of `--checkpoint` and its contract, on the table that `rows` say.

    All processes have them, and share the work.
    """
    source = cfg.run.checkpoint
    with joined_processes(cfg.run.device, cfg.run.dist_timeout) as processes:
        log_to_console(processes.is_main)
        device = pick_device(cfg.run.device, processes)
        content = processes.from_main(lambda: load_checkpoint(source))
        network = with_weights(contract, content["model_state_dict"], source)
        table, split = processes.from_main(lambda: rows(cfg, contract, source))
        objective = objective_of(cfg, contract, source)
        spec = contract.preprocessing
        prepared = processes.from_main(lambda: prepare_images(table, spec, cfg.data))
        evaluator = Evaluator(cfg, table, contract, objective, device, processes, prepared)
        yield evaluator, network.to(device, memory_format=torch.channels_last), split
