"""Answers on a run's results: its images, its performance, its failures, and its files."""

import math

from ..runs.history import CONFIG
from .answers import SPLIT_FILES, outcome, question
from .facts import Run

IN_TABLES = ("auroc", "auprc", "sensitivity", "specificity", "f1", "balanced_accuracy", "brier")


@question(*SPLIT_FILES)
def flow(run: Run) -> str:
    sizes = ", ".join(f"{split} {len(frame):,}" for split, frame in run.rows.items())
    events = run.counts("label")
    return f"Images: {sizes}. By class: {events}." if run.rows else ""


@question(*SPLIT_FILES)
def characteristics(run: Run) -> str:
    if not run.known("group"):
        return ""
    return f"By class: {run.counts('label')}. By tone group (number): {run.counts('group')}."


@question(*SPLIT_FILES)
def development_comparison(run: Run) -> str:
    return f"Classes by partition: {run.counts('label')}." if "test" in run.rows else ""


@question("best_checkpoint.pth", CONFIG)
def specification(run: Run) -> str:
    hashed = run.hashed()
    return f"Architecture {run.setting('model')}; all parameters in {hashed}." if hashed else ""


@question("metrics_by_group_test.csv", "metrics_by_group_valid.csv", "metrics.json")
def performance(run: Run) -> str:
    split = run.evaluated
    told = [f"{name} {run.figure(split, name)}" for name in IN_TABLES if run.figure(split, name)]
    if not told:
        return ""
    groups = run.groups(split, "sensitivity")
    by_group = f" Sensitivity by tone group: {groups}." if groups else ""
    kind = "test" if split == "test" else "validation (optimistic: they selected the epoch)"
    return f"On the {kind} images, n = {run.metrics[split]['n']:,}: {'; '.join(told)}.{by_group}"


@question("metrics_by_group_test.csv", "metrics_by_group_valid.csv")
def heterogeneity(run: Run) -> str:
    groups = run.groups(run.evaluated, "auroc")
    return f"AUROC by tone group: {groups}." if groups else ""


@question("metrics.json", "predictions_test.csv", "predictions_valid.csv")
def failures(run: Run) -> str:
    found = run.metrics.get(run.evaluated, {})
    names = ("n_positive", "false_negative_rate", "false_positive_rate")
    figures, cases = [found.get(name) for name in names], f"predictions_{run.evaluated}.csv"
    is_known = all(isinstance(one, (int, float)) and math.isfinite(one) for one in figures)
    if not is_known or not run.source(cases):
        return ""
    n_missed = round(found["false_negative_rate"] * found["n_positive"])
    n_negative = found["n"] - found["n_positive"]
    n_alarms = round(found["false_positive_rate"] * n_negative)
    return (
        f"Missed: {n_missed} of {found['n_positive']} positive images. False alarms: {n_alarms} of "
        f"{n_negative} others. Every case is in {cases}."
    )


@question(CONFIG)
def poor_input(run: Run) -> str:
    return (
        "Files that cannot be decoded are refused with the reason; there is no missing predictor."
    )


@question("best_checkpoint.pth", "environment.json")
def goal(run: Run) -> str:
    classes = outcome(run)
    return f"Classification of single images of skin lesions. {classes}" if classes else ""
