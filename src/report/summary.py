"""An evaluation in a few lines for a terminal."""

from ..core.cells import visible
from ..evaluation.metrics import title_of
from .numbers import NOT_DEFINED, is_known
from .style import interval_text

IN_LINES = ("auroc", "sensitivity", "specificity")
OVERALL: tuple[str, ...] = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "f1",
    "auprc",
    "f1_macro",
    "auroc_macro",
)
OVERALL += ("brier", "ece")
_LONGEST = 60  # characters of a name
GAPS = {
    "demographic_parity_difference": "difference in selection rate (demographic parity)",
    "equal_opportunity_difference": "difference in sensitivity (equal opportunity)",
    "equalized_odds_difference": "larger difference in sensitivity or false-positive rate "
    "(equalized odds)",
}


def evaluation_summary(evaluation: dict) -> str:
    """A few lines for a terminal: all rows, each group with its counts, the gaps, the notes.

    Names that a CSV gives to groups and files can neither break a line nor move the cursor.
    """
    positive, main = evaluation["source"]["positive"], next(iter(evaluation["groups"]), "")
    overall = evaluation["overall"]["metrics"]
    lines = [f"positive class: {visible(positive, _LONGEST)}"]
    lines.append(_line("all", evaluation["overall"], positive))
    lines += [
        f"  {title_of(name):<34} {interval_text(overall[name], 3)}"
        for name in OVERALL
        if name in overall
    ]
    lines += _fit_lines("temperature", evaluation["calibration"]["temperature"])
    lines += _fit_lines("threshold", evaluation["threshold"])
    for attribute, groups in evaluation["groups"].items():
        lines.append(f"by {visible(attribute, _LONGEST)}:")
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
    if told := evaluation["source"].get("tone_source"):
        lines.append(f"tone groups: {told}")
    if not evaluation["groups"]:
        lines.append("Groups are unknown: no results by group.")
    notes = [*evaluation["notes"], *evaluation["group_notes"].get(main, [])]
    return "\n".join(map(visible, [*lines, *(f"note: {note}" for note in notes)]))


def _line(name: str, part: dict, positive: str) -> str:
    figures = "  ".join(
        f"{title_of(metric)} {interval_text(part['metrics'][metric], 3):<22}" for metric in IN_LINES
    )
    counts = f"n {part['n']:>7,}  {visible(positive, _LONGEST)} {part['n_positive']:>6,}"
    return f"{visible(name, _LONGEST):<24} {counts}  {figures}".rstrip()


def _fit_lines(what: str, fit: dict | None) -> list[str]:
    """The fitted value, those of groups, and what they changed in the evaluated images."""
    if not fit:
        return []
    where = f", fitted on {fit['n_fitted']:,} validation images" if fit["n_fitted"] else ""
    lines = [f"{what} {fit['value']:.4g} ({fit['rule']}{where})"]
    lines += [f"  {name:<34} {value:.4g}" for name, value in fit["groups"].items()]
    if "after" in fit:
        lines += _change_lines("before -> after", fit["before"], fit["after"])
    if fit.get("cost"):
        lines += _change_lines("one threshold -> thresholds by group", *fit["cost"].values())
    return lines


def _change_lines(title: str, before: dict, after: dict) -> list[str]:
    changes = {title_of(name): (before[name], value) for name, value in after.items()}
    lines = [f"    {name:<32} {_told(one)} -> {_told(two)}" for name, (one, two) in changes.items()]
    return [f"  {title}:", *lines]


def _told(value: float) -> str:
    return f"{value:.3f}" if is_known(value) else NOT_DEFINED


def _gap_lines(gaps: dict, settings: dict) -> list[str]:
    """The gaps between groups, and which groups are too small for that in sensitivity."""
    lines = [f"  {title} {interval_text(gaps[name], 3)}" for name, title in GAPS.items()]
    left_out = gaps["rates"]["sensitivity"]["left_out"]
    if left_out:
        least = f"fewer than {settings['min_group']} positive images"
        names = ", ".join(visible(name, _LONGEST) for name in left_out)
        lines.append(f"  not compared in sensitivity ({least}): {names}")
    return lines
