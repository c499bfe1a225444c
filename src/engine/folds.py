"""`train_folds(cfg)`: a model for each fold of a cross-validation, and what they show together."""

import json
import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..artifact.export import export_onnx
from ..artifact.network import load_contract, load_network
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import make_folder, to_strict_json, write_text
from ..core.progress import duration, progress
from ..datasets.csv_files import are_true, numbers, read_csv
from ..datasets.fitzpatrick import tones_in
from ..datasets.overlap import copy_training_rows
from ..datasets.splits import unit_numbers
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.measure import spread_of
from ..evaluation.metrics import title_of
from ..evaluation.predictions import from_frame
from ..evaluation.results import Settings, point_estimates, row_digests
from ..skin.tone import tone_group
from .distributed import Processes, joined_processes
from .epochs import command
from .evaluate import write_evaluated_split
from .log import log_to_console, new_run_name
from .resume import BEST, LATEST, find_finished, find_run
from .run import train

log = logging.getLogger(__name__)
SHOWN = ("auroc", "auprc", "balanced_accuracy", "sensitivity", "specificity", "f1")


def train_folds(cfg: Config) -> Path:
    """Train and evaluate a model for each of `--kfold` folds; the folder that holds them all.

    With `--resume` folds that are finished are kept and the others continued. Processes that the
    environment tells of share the work of each. Raises `UserError`
    for what is wrong with settings, data or folders.
    """
    with joined_processes(cfg.run.device, cfg.run.dist_timeout) as processes:
        log_to_console(processes.is_main)
        parent = processes.from_main(
            lambda: find_folds(cfg) or Path(cfg.run.output_dir) / new_run_name(cfg)
        )
        folders = train_each_fold(cfg, parent, processes)
        processes.from_main(lambda: summarize(parent, folders))
    return parent


def train_each_fold(cfg: Config, parent: Path, processes: Processes) -> list[Path]:
    """The folders of the folds' runs in order; the time that is left is told after each."""
    folders, seconds, n_folds = [], [], cfg.data.kfold
    for i in range(n_folds):
        started = time.perf_counter()
        try:
            folder, is_new = train_fold(cfg, parent, i, processes)
        except SystemExit as stop:  # after a signal the run has told how to go on with its fold
            if processes.is_main and stop.code not in (0, 2):
                log.info("all folds go on with %s", command(parent))
            raise
        folders.append(folder)
        if is_new:
            seconds.append(time.perf_counter() - started)
            left = (n_folds - len(folders)) * sum(seconds) / len(seconds)
            took = duration(seconds[-1])
            log.info("fold %d: %s, about %s left for all folds", i, took, duration(left))
    return folders


def find_folds(cfg: Config) -> Path | None:
    """The folder of folds that `--resume` continues, found as `find_run` does; None: a new one."""
    resume, root = cfg.run.resume, Path(cfg.run.output_dir)
    if not resume:
        return None
    if resume != "auto":
        if not (Path(resume) / "fold_0" / LATEST).is_file():
            raise UserError(f"--resume {resume}: expected auto or the folder of a cross-validation")
        return Path(resume)
    if cfg.run.run_name:
        return root / cfg.run.run_name
    parents = sorted(path.parents[1] for path in root.glob(f"*/fold_0/{LATEST}"))
    # without a run's name `find_run` finds a fold of the same settings, or none
    same = [
        parent
        for parent in parents
        if find_run(cfg.with_settings(fold=0, output_dir=str(parent), resume="auto"))
    ]
    return same[-1] if same else None


def train_fold(cfg: Config, parent: Path, fold: int, processes: Processes) -> tuple[Path, bool]:
    """(folder of a fold's finished run, whether it was trained now: not one of `--resume`)."""
    cfg = cfg.with_settings(
        fold=fold,
        output_dir=str(parent),
        run_name=f"fold_{fold}",
        log_dir=cfg.run.log_dir and str(Path(cfg.run.log_dir) / parent.name),
        resume=cfg.run.resume and "auto",
    )
    folder = processes.from_main(lambda: find_finished(cfg))
    if folder:
        log.info("fold %d is finished: %s", fold, folder)
        return folder, False
    log.info("fold %d (%d of %d)", fold, fold + 1, cfg.data.kfold)
    return train(cfg), True


def summarize(parent: Path, folders: list[Path]) -> None:
    """Write what the folds show together: their metrics, out-of-fold predictions, the ensemble.

    `kfold.json`, `kfold.csv`, the files of `write_split` for the split `oof`, and
    `ensemble/fold_<i>.onnx`.
    """
    check_folds(folders)
    found = [json.loads((folder / "metrics.json").read_text("utf-8")) for folder in folders]
    pooled = out_of_fold(parent.name, folders)
    spread = {
        split: spread_of([fold[split] for fold in found])
        for split in ("valid", "test")
        if all(split in fold for fold in found)
    }
    oof = point_estimates(pooled.predictions) | row_digests(pooled.predictions, "oof")
    oof["tone_source"] = pooled.tone_source
    content = {"folds": len(folders), **spread, "oof": oof}
    write_text(parent / "kfold.json", to_strict_json(content, indent=2))
    write_text(parent / "kfold.csv", spread_csv(spread))
    log.info("%d folds:\n%s", len(folders), spread_lines(spread))
    write_evaluated_split(parent, pooled, Settings())
    for folder in progress(folders, "exporting the models", unit="model"):
        network, contract = load_network(folder / BEST)
        member = parent / "ensemble" / f"{folder.name}.onnx"
        export_onnx(network, contract, member)
        copy_training_rows(folder / BEST, contract.provenance.get("table"), member)
    log.info("written to %s, the models to %s", parent, make_folder(parent / "ensemble"))


def check_folds(folders: list[Path]) -> None:
    """Raise `UserError` unless the folds share their rows and each row validates one of them."""
    rows = [
        {
            split: pd.read_csv(folder / f"{split}_split.csv", dtype=str)["image"].tolist()
            for split in ("train", "valid")
        }
        for folder in folders
    ]
    validated = sorted(image for fold in rows for image in fold["valid"])
    for folder, fold in zip(folders, rows, strict=True):
        if sorted(fold["train"] + fold["valid"]) != validated:
            raise UserError(
                f"{folder}: rows differ from the other folds (the data changed); start a new run "
                "with another --run_name"
            )


def out_of_fold(name: str, folders: list[Path]) -> EvaluatedModel:
    """Every row that is no test row once, as the model that has not seen it predicts it."""
    contract = load_contract(folders[0] / BEST)
    predicted, rows = (
        pd.concat([read_csv(f / file, ()) for f in folders], ignore_index=True)
        for file in ("predictions_valid.csv", "valid_split.csv")
    )  # the lines of both are in the same order
    order = predicted.sort_values("image_name", kind="stable").index
    frame = predicted.loc[order]
    clusters, cluster = unit_numbers(rows.loc[order].fillna("").reset_index(drop=True))
    labels = frame["label"].to_numpy(np.int64)
    groups = tones_in(frame, "group", folders[0])[0].fillna(-1).to_numpy(np.int64)
    predictions = from_frame(frame, labels, groups, contract.groups)
    return EvaluatedModel(
        kind="cross-validation",
        name=name,
        split="oof",
        model=contract.model,
        predictions=replace(predictions, classes=contract.classes, positive=contract.positive),
        clusters=clusters,
        cluster=cluster,
        tone_source=contract.provenance.get("tone_source", ""),
        uncertain=are_true(rows["uncertain"][order]) if "uncertain" in rows else None,
        by_angle=tone_group(numbers(rows, "ita", folders[0])[order]) if "ita" in rows else None,
    )


def spread_csv(spread: dict[str, dict]) -> str:
    """A line for each split and metric: every fold's value, mean, sd, n; undefined is empty."""
    lines = [
        {
            "split": split,
            "metric": name,
            **{f"fold_{i}": value for i, value in enumerate(of["values"])},
            **{key: of[key] for key in ("mean", "sd", "n")},
        }
        for split, metrics in spread.items()
        for name, of in metrics.items()
    ]
    return pd.DataFrame(lines).to_csv(index=False)


def spread_lines(spread: dict[str, dict]) -> str:
    """A line for each split: mean ± sd of the main metrics, and of how many folds where not all."""
    lines = []
    for split, metrics in spread.items():
        cells = []
        for name in SHOWN:
            of = metrics[name]
            n_folds = len(of["values"])
            note = "" if of["n"] == n_folds else f" ({of['n']} of {n_folds} folds)"
            mean, sd = (f"{of[key]:.3f}" for key in ("mean", "sd"))
            value = "undefined" if mean == "nan" else mean + f" ± {sd}" * (sd != "nan")
            cells.append(f"{title_of(name)} {value}{note}")
        lines.append(f"{split:<6}{'  '.join(cells)}")
    return "\n".join(lines)
