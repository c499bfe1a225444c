"""The report of an evaluation: one HTML file that a clinician can read offline."""

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import numbers, sentences

# what each figure shows, for those who see it and for those who do not
CAPTIONS = {
    "confusion_matrix": "Images by true class and decision. Darker: a larger share of the class.",
    "roc_curves": "Sensitivity against false-positive rate at every threshold. Dots: decisions.",
    "roc_by_group": "ROC curves of every group, and beside them those of the compared model. Dots: "
    "decisions.",
    "pr_curves": "Precision against sensitivity at every threshold. Dots: decisions.",
    "per_class_metrics": "Precision, sensitivity and F1 of every class, with 95 % CIs.",
    "calibration_curve": "Observed against predicted probability. On the diagonal the two agree.",
    "fairness_by_group": "Sensitivity, specificity, AUROC and selection rate of every group, with "
    "95 % CIs. Hollow markers: too few images for a reliable estimate.",
    "hard_cases": "Wrong decisions: missed positive images first (red frames), then false alarms "
    "by predicted probability.",
}


def report_page(evaluation: dict, figures: list[Path]) -> str:
    """HTML that needs no script and no other file: style and figures (PNG) are inside.

    Text from files, such as names of classes, groups and images, is escaped. A section for which
    the evaluation holds nothing is left out; undefined numbers are said to be so, with the reason.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for module in (numbers, sentences):
        environment.globals |= {name: f for name, f in vars(module).items() if callable(f)}
    return environment.get_template("page.html").render(
        evaluation=evaluation,
        figures={path.stem: f"data:image/png;base64,{_base64(path)}" for path in figures},
        captions=CAPTIONS,
        provenance=_flat(evaluation["provenance"]) + sentences.call_strings(evaluation),
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """The leaves of nested dicts with their dotted names."""
    if not isinstance(value, dict):
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        return [(name, text)]
    parts = [_flat(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()]
    return [leaf for part in parts for leaf in part]
