"""The files of an evaluation, its summary for a terminal, the files of a training's splits."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tensorboardX import SummaryWriter

from ..core.files import to_strict_json, write_text
from ..core.image_files import image_stem
from ..core.progress import progress
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.metrics import title_of
from ..evaluation.predictions import Predictions
from ..preprocess.image import ImageError, read_image
from .cases import plot_confusion, plot_hard_cases
from .curves import can_be_ranked, curves_of, plot_precision_recall, plot_roc
from .forest import plot_fairness, plot_per_class
from .page import report_page
from .reliability import plot_calibration
from .style import interval_text, printable

FIGURES = ("confusion_matrix", "fairness_by_group", "per_class_metrics", "roc_curves", "pr_curves")
FIGURES += ("calibration_curve", "hard_cases")
IN_LINES = ("auroc", "sensitivity", "specificity")
OVERALL = ("accuracy", "balanced_accuracy", "precision", "f1", "auprc", "f1_macro", "auroc_macro")
OVERALL += ("brier", "ece")
GAPS = {
    "demographic_parity_difference": "difference in selection rate (demographic parity)",
    "equal_opportunity_difference": "difference in sensitivity (equal opportunity)",
    "equalized_odds_difference": "larger difference in sensitivity or false-positive rate "
    "(equalized odds)",
}


def write_evaluation(folder: Path, model: EvaluatedModel, evaluation: dict) -> None:
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
    model.predictions.to_csv(folder / "predictions.csv")
    other = model.other.predictions if model.other else None
    image_of = partial(read_case, model)
    figures = write_figures(folder, model.predictions, evaluation, image_of, other)
    write_events(folder / "logs", evaluation, by_group, figures)
    write_text(folder / "report.html", report_page(evaluation, figures))


def write_split(folder: Path, model: EvaluatedModel, evaluation: dict) -> None:
    """Write what a training leaves of a split into an existing folder.

    `predictions_<split>.csv`, `metrics_by_group_<split>.csv` and `by_group_<split>.png`.
    """
    split = model.split
    model.predictions.to_csv(folder / f"predictions_{split}.csv")
    table = by_group_table(evaluation).to_csv(index=False)
    write_text(folder / f"metrics_by_group_{split}.csv", table)
    plot_fairness(evaluation, model.predictions.group_names, folder / f"by_group_{split}.png")


def by_group_table(evaluation: dict) -> pd.DataFrame:
    """A line for all rows and for each group of each attribute, with every metric's interval.

    Columns `attribute`, `group`, `n`, `n_positive`, `n_clusters`, then `<metric>`, `<metric>_low`,
    `<metric>_high`.
    """
    parts = {("all", "all"): evaluation["overall"]} | {
        (attribute, group): part
        for attribute, groups in evaluation["groups"].items()
        for group, part in groups.items()
    }
    counts = ("n", "n_positive", "n_clusters")
    return pd.DataFrame(
        [
            {"attribute": attribute, "group": group}
            | {name: part[name] for name in counts}
            | {
                f"{name}{suffix}": figure[bound]
                for name, figure in part["metrics"].items()
                for bound, suffix in (("value", ""), ("low", "_low"), ("high", "_high"))
            }
            for (attribute, group), part in parts.items()
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


def read_case(model: EvaluatedModel, name: str) -> np.ndarray | None:
    """RGB uint8 [H, W, 3] of an evaluated image, None where its file is unknown or unreadable."""
    path = model.images.get(image_stem(name))
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
    lines = [_line("all", evaluation["overall"], positive)]
    lines += [
        f"  {title_of(name):<34} {interval_text(overall[name], 3)}"
        for name in OVERALL
        if name in overall
    ]
    for attribute, groups in evaluation["groups"].items():
        lines.append(f"by {attribute}:")
        lines += [_line(f"  {name}", part, positive) for name, part in groups.items()]
        lines += _gap_lines(evaluation["gaps"][attribute][positive], evaluation["settings"])
    if evaluation["comparison"]:
        differences = evaluation["comparison"]["differences"]
        lines.append(f"difference from {evaluation['comparison']['name']}:")
        lines += [
            f"  {title_of(name)} {interval_text(differences[name], 3)}, "
            f"p {differences[name]['p']:.3f}"
            for name in IN_LINES
        ]
    if not evaluation["groups"]:
        lines.append("Groups are unknown: no results by group.")
    notes = [*evaluation["notes"], *evaluation["group_notes"].get(main, [])]
    return "\n".join(map(printable, [*lines, *(f"note: {note}" for note in notes)]))


def _line(name: str, part: dict, positive: str) -> str:
    figures = "  ".join(
        f"{title_of(metric)} {interval_text(part['metrics'][metric], 3):<22}" for metric in IN_LINES
    )
    counts = f"n {part['n']:>7,}  {positive} {part['n_positive']:>6,}"
    return f"{name:<24} {counts}  {figures}".rstrip()


def _gap_lines(gaps: dict, settings: dict) -> list[str]:
    """The gaps between groups, and which groups are too small for that in sensitivity."""
    lines = [f"  {title} {interval_text(gaps[name], 3)}" for name, title in GAPS.items()]
    left_out = gaps["rates"]["sensitivity"]["left_out"]
    if left_out:
        least = f"fewer than {settings['min_group']} positive images"
        lines.append(f"  not compared in sensitivity ({least}): {', '.join(left_out)}")
    return lines


def write_figures(
    folder: Path,
    predictions: Predictions,
    evaluation: dict,
    image_of: Callable[[str], np.ndarray | None],
    other: Predictions | None = None,
) -> list[Path]:
    """The PNGs written into an existing folder, in a reader's order; all from one evaluation.

    `confusion_matrix`, `per_class_metrics` and `fairness_by_group` always; `roc_curves` and
    `pr_curves` where something can be ranked; `calibration_curve` where probabilities are known;
    `hard_cases` where a decision is wrong, with the images that `image_of` gives for names.
    `other` are the predictions of the compared model for the same rows.
    """
    curves = curves_of(predictions, evaluation, other)
    bins = evaluation["calibration"]["positive"]["bins"]
    drawn = {
        "confusion_matrix": partial(plot_confusion, evaluation),
        "fairness_by_group": partial(plot_fairness, evaluation, predictions.group_names),
        "per_class_metrics": partial(plot_per_class, evaluation),
    }
    if any(map(can_be_ranked, curves)):
        drawn["roc_curves"] = partial(plot_roc, curves)
        drawn["pr_curves"] = partial(plot_precision_recall, curves)
    if any(b["n"] for b in bins):
        drawn["calibration_curve"] = partial(plot_calibration, evaluation)
    if evaluation["hard_cases"]:
        drawn["hard_cases"] = partial(plot_hard_cases, evaluation, image_of)
    for name, draw in progress(drawn.items(), "drawing figures", unit="figure"):
        draw(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
