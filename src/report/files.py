"""The files of an evaluation and of a training's splits."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tensorboardX import SummaryWriter

from ..core.cells import csv_text
from ..core.files import to_strict_json, write_text
from ..core.image_files import image_stem
from ..core.progress import progress
from ..evaluation.evaluate import EvaluatedModel
from ..evaluation.groupings import Grouping
from ..evaluation.predictions import Predictions
from ..preprocess.image import ImageError, read_image
from .cases import plot_confusion, plot_hard_cases
from .curves import can_be_ranked, curves_of, plot_precision_recall, plot_roc
from .curves_by_group import plot_roc_by_group, roc_panels
from .forest import plot_fairness, plot_per_class
from .page import report_page
from .paper_table import IN_PAPER, paper_table
from .reliability import plot_calibration
from .text_tables import to_latex, to_markdown


def write_evaluation(
    folder: Path, model: EvaluatedModel, evaluation: dict, in_table: tuple[str, ...] = IN_PAPER
) -> None:
    """Write an evaluation into an empty folder (docs/EVALUATION.md lists the files).

    `in_table` are the metrics of the table for a paper.
    """
    write_text(folder / "evaluation_metrics.json", to_strict_json(evaluation, indent=2))
    by_group = by_group_table(evaluation)
    write_text(folder / "metrics_by_group.csv", csv_text(by_group))
    table = paper_table(evaluation, in_table)
    write_text(folder / "table.md", to_markdown(table))
    write_text(folder / "table.tex", to_latex(table))
    model.predictions.to_csv(folder / "predictions.csv", model.tone_source)
    other = model.other.predictions if model.other else None
    image_of = partial(read_case, model)
    figures = write_figures(folder, model.predictions, evaluation, image_of, other, model.groupings)
    write_events(folder / "logs", evaluation, by_group, figures)
    write_text(folder / "report.html", report_page(evaluation, figures))


def write_split(folder: Path, model: EvaluatedModel, evaluation: dict) -> None:
    """Write what a training leaves of a split into an existing folder.

    `predictions_<split>.csv`, `metrics_by_group_<split>.csv` and `by_group_<split>.png`.
    """
    split = model.split
    model.predictions.to_csv(folder / f"predictions_{split}.csv", model.tone_source)
    write_text(folder / f"metrics_by_group_{split}.csv", csv_text(by_group_table(evaluation)))
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


def write_figures(
    folder: Path,
    predictions: Predictions,
    evaluation: dict,
    image_of: Callable[[str], np.ndarray | None],
    other: Predictions | None = None,
    groupings: Sequence[Grouping] = (),
) -> list[Path]:
    """The PNGs written into an existing folder, in a reader's order; all from one evaluation.

    `confusion_matrix`, `per_class_metrics` and `fairness_by_group` always; `roc_curves` and
    `pr_curves` where something can be ranked, `roc_by_group` where several groups of one of the
    `groupings` can; `calibration_curve` where probabilities are known;
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
        if by_group := roc_panels(predictions, evaluation, groupings, other):
            drawn["roc_by_group"] = partial(plot_roc_by_group, by_group)
        drawn["pr_curves"] = partial(plot_precision_recall, curves)
    if any(b["n"] for b in bins):
        drawn["calibration_curve"] = partial(plot_calibration, evaluation)
    if evaluation["hard_cases"]:
        drawn["hard_cases"] = partial(plot_hard_cases, evaluation, image_of)
    for name, draw in progress(drawn.items(), "drawing figures", unit="figure"):
        draw(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
