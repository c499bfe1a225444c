"""The parts of a run, each made from the settings that concern it."""

import logging
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from timm.layers import convert_sync_batchnorm

from ..artifact.contract import Contract, contract_from_json
from ..artifact.decisions import usual_rule
from ..artifact.network import Network, load_checkpoint, make_network
from ..core.config import Config
from ..core.errors import UserError, first_line
from ..datasets.load import table_hash
from ..datasets.table import Table
from ..loading.augment import Augmentation
from ..loading.batches import DeviceBatches, ResidentBatches
from ..loading.copies import with_copies
from ..loading.features import feature_batches, feature_path, kept_features, view_keys
from ..loading.loaders import train_loader, with_statistics
from ..loading.prepared import PreparedImages, prepare_images
from ..loading.resident import ResidentImages
from ..loading.sampler import SAMPLERS, EpochBatches
from ..models.backbones import create_backbone, weights_in_words
from ..models.melanoma_classifier import MelanomaClassifier
from ..models.weights import load_tensors
from ..objectives.catalog import Objective
from ..preprocess.spec import Preprocessing
from .checks import count_groups
from .distributed import SINGLE_PROCESS, Processes
from .evaluate import Evaluator
from .log import environment
from .loop import Trainer
from .objective import TrainingCounts, count_rows, make_objective
from .optim import make_average, make_optimizer, make_step_settings
from .precision import autocast_dtype

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """All that an epoch needs; `network` is of the trained weights or of their average."""

    trainer: Trainer
    network: Network
    loader: DeviceBatches | ResidentBatches
    batches: EpochBatches
    contract: Contract
    evaluator: Evaluator

    def stop_loading(self) -> None:
        """End the loading processes of all splits."""
        for loader in (self.loader, *self.evaluator.loaders.values()):
            if isinstance(loader, DeviceBatches):
                loader.stop()

    def evaluated_network(self) -> Network:
        """`network` with the weights as they are now, the same in all processes."""
        average = self.trainer.average
        if average is not None:
            self.network.train()  # which makes backbones forget what they computed of old weights
            self.network.classifier.load_state_dict(average.module.state_dict())
        self.trainer.processes.share_buffers(self.network)
        return self.network


def make_parts(
    cfg: Config,
    spec: Preprocessing,
    table: Table,
    device: torch.device,
    processes: Processes = SINGLE_PROCESS,
    taught: np.ndarray | None = None,
) -> Parts:
    """The parts of a run on `device`, at their starting state; `spec` is as it was parsed.

    `taught` [training rows, classes] are the probabilities of a teacher, where there is one.
    """
    rows = training_rows(cfg, table, taught)
    counts = count_rows(rows, count_groups(table, cfg.model.num_groups))
    objective = make_objective(cfg, counts)
    prepared: Any = processes.from_main(lambda: prepare_images(table, spec, cfg.data))
    spec = with_statistics(spec, rows, prepared)
    contract = make_contract(cfg, table, objective, spec, counts)
    batches = make_batches(cfg, rows, processes)
    if cfg.data.resident:
        prepared = ResidentImages(prepared, spec, device)
        loader = prepared.batches(rows, batches, Augmentation(cfg.data.augment))
    else:
        loader = make_loader(cfg, rows, spec, batches, prepared, device)
    evaluator = Evaluator(cfg, table, contract, objective, device, processes, prepared)
    evaluator.start("valid")
    classifier = make_classifier(cfg, contract, processes)
    classifier = classifier.to(device, memory_format=torch.channels_last)
    if cfg.model.feature_views:
        loader = of_features(loader, classifier, rows, cfg, processes)
    trainer = make_trainer(cfg, classifier, objective, len(loader), device, processes)
    evaluated = classifier if trainer.average is None else deepcopy(classifier)
    network = make_network(contract, evaluated)
    return Parts(trainer, network, loader, batches, contract, evaluator)


def training_rows(cfg: Config, table: Table, taught: np.ndarray | None) -> Table:
    """The rows to train on: copies included, and what a teacher says of each."""
    train = table.split("train")
    if taught is not None:
        train = train.with_rows(train.rows.assign(taught=list(taught)))
    return with_copies(train, cfg.data.malignant_copies)


def make_batches(cfg: Config, rows: Table, processes: Processes) -> EpochBatches:
    """The order in which a process takes the rows."""
    order = SAMPLERS.build(
        cfg.data.sampler, labels=rows.labels, groups=rows.group_indices, n_ranks=processes.count
    )
    size, seed = cfg.learning.batch_size, cfg.run.seed
    return EpochBatches(order, size, seed, processes.rank, processes.count)


def make_loader(
    cfg: Config,
    rows: Table,
    spec: Preprocessing,
    batches: EpochBatches,
    prepared: PreparedImages | None,
    device: torch.device,
) -> DeviceBatches:
    """The loader of the training rows, whose processes run."""
    data, augmentation = cfg.data, Augmentation(cfg.data.augment)
    workers, pinned = data.num_workers, data.pin_mem
    loader = train_loader(rows, spec, augmentation, batches, workers, pinned, prepared, device)
    if not cfg.model.feature_views:  # those have loaders of their own
        loader.start()
    return loader


def of_features(
    loader: DeviceBatches,
    classifier: MelanomaClassifier,
    rows: Table,
    cfg: Config,
    processes: Processes,
) -> ResidentBatches:
    """The loader of the features of `--feature_views`; all processes compute their share."""
    views, seed, size = cfg.model.feature_views, cfg.run.seed, cfg.learning.batch_size
    keys = view_keys(len(rows), views, seed, size)[processes.rank :: processes.count]
    dtype, spec = autocast_dtype(cfg.run, loader.device), loader.rows.preprocessing
    drawn = (cfg.data.augment, cfg.model.model, views, seed, size, dtype)
    path = feature_path(cfg.data, classifier.backbone, rows, spec, *drawn)
    columns = kept_features(path, loader.of(keys), classifier.backbone, processes, dtype)
    return feature_batches(columns, loader.batch_sampler, loader.device, len(rows))


def make_trainer(
    cfg: Config,
    classifier: MelanomaClassifier,
    objective: Objective,
    n_batches: int,
    device: torch.device,
    processes: Processes,
) -> Trainer:
    """The trainer of a classifier, at its first step."""
    learning = cfg.learning
    optimizer = make_optimizer(
        learning.opt, classifier, learning.lr, learning.weight_decay, learning.layer_decay
    )
    settings = make_step_settings(cfg, n_batches, autocast_dtype(cfg.run, device))
    return Trainer(
        classifier,
        objective,
        optimizer,
        settings,
        device,
        processes,
        make_average(learning, classifier, settings.steps_per_epoch),
        compiled=cfg.run.compile,
    )


def fetch_weights(cfg: Config, size: tuple[int, int]) -> None:
    """Raise `UserError` for weights that cannot be obtained, before images are read.

    And for layers that the backbone does not have. `size` is that of the network's input.
    """
    model, learning = cfg.model, cfg.learning
    if model.freeze or learning.layer_decay != 1:
        with torch.device("meta"):
            layers = MelanomaClassifier(
                model.model, 2, cfg.data.input_size, model.head, freeze=model.freeze
            )
        make_optimizer(learning.opt, layers, learning.lr, 0.0, learning.layer_decay)
    if model.finetune:
        content = load_checkpoint(model.finetune, mmap=True)
        check_same_model(contract_from_json(content["contract"], model.finetune), cfg)
    elif model.weights:
        load_tensors(model.weights, "state dict")
    elif model.pretrained:
        create_backbone(model.model, size, pretrained=True, in_22k=model.in_22k)


def check_same_model(before: Contract, cfg: Config) -> None:
    """Raise `UserError` where `--finetune` is to start another model than the checkpoint's."""
    if before.model != cfg.model.model:
        raise UserError(
            f"--model {cfg.model.model}: --finetune {cfg.model.finetune} is a {before.model}; "
            "leave out --model"
        )


def make_classifier(cfg: Config, contract: Contract, processes: Processes) -> MelanomaClassifier:
    """The classifier with its starting weights; other processes are given those of the main one."""
    model = cfg.model
    takes_published = model.pretrained and not (model.weights or model.finetune)
    torch.manual_seed(cfg.run.seed)
    classifier = MelanomaClassifier(
        model.model,
        contract.n_outputs,
        input_size=contract.preprocessing.output_size,
        head=model.head,
        pretrained=takes_published and processes.is_main,
        in_22k=model.in_22k,
        freeze=model.freeze,
        freeze_model=model.freeze_model,
        drop_path=model.drop_path,
        dropout=model.dropout,
    )
    if takes_published:
        log.info("starting from %s", weights_in_words(model.model, model.in_22k))
    if model.weights:
        log.info(classifier.load_backbone(model.weights))
    if model.finetune:
        log.info(load_finetuned(classifier, contract, cfg))
    return convert_sync_batchnorm(classifier) if cfg.learning.sync_bn else classifier


def load_finetuned(classifier: MelanomaClassifier, contract: Contract, cfg: Config) -> str:
    """Take the weights of `--finetune`; a line that says whether the head's are among them.

    They are where head, classes, their order and, for one output per group, the groups are the
    same. Raises `UserError` for a backbone that does not fit.
    """
    source = cfg.model.finetune
    content = load_checkpoint(source)
    before = contract_from_json(content["contract"], source)
    check_same_model(before, cfg)
    told = {"classes": ", ".join(before.classes), "head": before.head}
    same = {"classes": before.classes == contract.classes, "head": before.head == contract.head}
    if max(before.num_groups, contract.num_groups) > 1:
        told["groups"] = ", ".join(before.groups)
        same["groups"] = (before.groups, before.n_outputs) == (contract.groups, contract.n_outputs)
    others = [f"its {name} are {told[name]}" for name in same if not same[name]]
    weights = content["model_state_dict"]
    if others:
        weights = {k: v for k, v in weights.items() if not k.startswith("head.")}
    try:
        absent = classifier.load_state_dict(weights, strict=False).missing_keys
        if [name for name in absent if not (others and name.startswith("head."))]:
            raise RuntimeError(f"{len(absent)} tensors are not in it, such as {absent[0]}")
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"--finetune {source}: does not fit ({first_line(error)})") from None
    head = f"the head is new ({'; '.join(others)})" if others else "the head is kept"
    return f"weights from {source}; {head}"


def make_contract(
    cfg: Config, table: Table, objective: Objective, spec: Preprocessing, counts: TrainingCounts
) -> Contract:
    """What users of the weights must know."""
    is_wide = objective.n_outputs > len(table.classes)
    priors = counts.by_group if is_wide else counts.by_class[None]
    return Contract(
        model=cfg.model.model,
        head=cfg.model.head,
        n_outputs=objective.n_outputs,
        classes=table.classes,
        positive=table.positive,
        groups=table.groups,
        reduction=objective.reduction,
        own_head=objective.own_head,
        priors=tuple(map(tuple, (priors / priors.sum()).tolist())),
        preprocessing=spec,
        rule=usual_rule(len(table.classes)),
        provenance={
            "config": cfg.flat(),
            "table": table_hash(table),
            "tone_source": table.tone_source,
            "label_counts": counts.by_class.tolist(),
            "group_counts": counts.by_group.tolist(),
            "environment": environment(),
        },
    )
