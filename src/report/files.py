"""The files of an evaluation: numbers, predictions, figures, events, and the page to read."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tensorboardX import SummaryWriter

from ..core.files import write_text
from ..evaluation.metrics import title_of
from ..evaluation.subject import Subject
from ..preprocess.image import ImageError, read_image
from .figures import FIGURES, write_figures
from .page import report_page
from .run_files import to_strict_json
from .style import interval_text, printable

OVERALL_METRICS = ("accuracy", "balanced_accuracy", "malignant_precision", "malignant_f1", "auprc")
OVERALL_METRICS += ("f1_macro", "auroc_macro", "brier", "ece")
SUMMARY_METRICS = {
    "auroc": "AUROC",
    "malignant_recall": "sensitivity",
    "specificity": "specificity",
}
SUMMARY_GAPS = {
    "demographic_parity_difference": "gap in selection rate (demographic parity)",
    "equal_opportunity_difference": "gap in sensitivity (equal opportunity)",
    "equalized_odds_difference": "gap in sensitivity or false alarms (equalized odds)",
}


def write_evaluation(folder: Path, subject: Subject, evaluation: dict) -> None:
    """Write an evaluation into an existing folder (docs/EVALUATION.md lists the files).

    The figures and events of an earlier one there are removed first.
    """
    for name in FIGURES:
        (folder / f"{name}.png").unlink(missing_ok=True)
    for events in (folder / "logs").glob("events.out.tfevents.*"):
        events.unlink()
    write_text(folder / "evaluation_metrics.json", to_strict_json(evaluation, indent=2))
    by_group = by_group_table(evaluation)
    write_text(folder / "metrics_by_group.csv", by_group.to_csv(index=False))
    subject.predictions.to_csv(folder / "predictions.csv")
    figures = write_figures(folder, subject.predictions, evaluation, partial(read_case, subject))
    write_events(folder / "logs", evaluation, by_group, figures)
    write_text(folder / "report.html", report_page(evaluation, figures))


def by_group_table(evaluation: dict) -> pd.DataFrame:
    """A line for all rows and for each group of each attribute, with every metric's interval.

    Columns `attribute`, `group`, `n`, `n_malignant`, `n_units`, then `<metric>`, `<metric>_low`,
    `<metric>_high`.
    """
    parts = {("all", "all"): evaluation["overall"]} | {
        (attribute, level): part
        for attribute, levels in evaluation["groups"].items()
        for level, part in levels.items()
    }
    counts = ("n", "n_malignant", "n_units")
    return pd.DataFrame(
        [
            {"attribute": attribute, "group": level}
            | {name: part[name] for name in counts}
            | {
                f"{name}{suffix}": figure[bound]
                for name, figure in part["metrics"].items()
                for bound, suffix in (("value", ""), ("low", "_low"), ("high", "_high"))
            }
            for (attribute, level), part in parts.items()
        ]
    )


def write_events(
    folder: Path, evaluation: dict, by_group: pd.DataFrame, figures: list[Path]
) -> None:
    """TensorBoard events: the metrics of all rows and of each group, the gaps, the figures."""
    with SummaryWriter(str(folder)) as writer:
        for _, line in by_group.iterrows():
            for name in evaluation["overall"]["metrics"]:
                if np.isfinite(line[name]):
                    tag = _tag(f"{line['attribute']}/{line['group']}/{name}")
                    writer.add_scalar(tag, line[name], 0)
        for attribute, classes in evaluation["gaps"].items():
            for name, figure in classes[evaluation["source"]["positive"]].items():
                if name != "rates" and np.isfinite(figure["value"]):
                    writer.add_scalar(_tag(f"{attribute}/{name}"), figure["value"], 0)
        for path in figures:
            pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            writer.add_image(path.stem, pixels, 0, dataformats="HWC")


def _tag(text: str) -> str:
    """The text in TensorBoard's letters, where `<30` and `≥30` would both be `_30`."""
    for sign, word in (("<", "below "), ("≥", "from "), ("×", "and ")):
        text = text.replace(sign, word)
    return text


def read_case(subject: Subject, name: str) -> np.ndarray | None:
    """RGB uint8 [H, W, 3] of a judged image, None where its file is unknown or unreadable."""
    path = subject.image(name)
    try:
        return read_image(path) if path else None
    except ImageError:
        return None


def evaluation_summary(evaluation: dict) -> str:
    """A few lines for a terminal: all rows, each group with its counts, the gaps, the notes.

    Names that a CSV gives to groups and files can neither break a line nor move the cursor.
    """
    positive, main = evaluation["source"]["positive"], next(iter(evaluation["groups"]), "")
    overall = evaluation["overall"]["metrics"]
    told = [name for name in OVERALL_METRICS if name in overall]
    lines = [_line("all", evaluation["overall"])]
    lines += [f"  {title_of(name):<34} {interval_text(overall[name], 3)}" for name in told]
    for attribute, levels in evaluation["groups"].items():
        gaps = evaluation["gaps"][attribute][positive]
        lines += [f"by {attribute}:", *(_line(f"  {name}", part) for name, part in levels.items())]
        lines += [
            f"  {label} {interval_text(gaps[name], 3)}" for name, label in SUMMARY_GAPS.items()
        ]
    if evaluation["comparison"]:
        differences = evaluation["comparison"]["differences"]
        lines.append(f"against {evaluation['comparison']['name']}:")
        lines += [
            f"  {label} {interval_text(differences[name], 3)}, p {differences[name]['p']:.3f}"
            for name, label in SUMMARY_METRICS.items()
        ]
    notes = [*evaluation["notes"], *evaluation["group_notes"].get(main, [])]
    return "\n".join(map(printable, [*lines, *(f"note: {note}" for note in notes)]))


def _line(name: str, part: dict) -> str:
    """Counts and the main figures, in columns."""
    figures = "  ".join(
        f"{label} {interval_text(part['metrics'][metric], 3):<22}"
        for metric, label in SUMMARY_METRICS.items()
    )
    counts = f"n {part['n']:>6}  malignant {part['n_malignant']:>5}"
    return f"{name:<24} {counts}  {figures}".rstrip()
