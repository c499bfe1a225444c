"""How optimistic the best of finished runs is: those that chose their epochs on the same rows."""

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import UserError
from ..evaluation.metrics import title_of
from ..selection.kept import KEPT, KeptEpochs, read_kept
from ..selection.tried import Tried, assess, by_rows, is_measured, sentences
from .results import folders_below, is_there, name_below, settings_of

DEFAULT = "f1"  # the trainer's, of runs that do not say what chose their epochs


def find_kept(roots: Sequence[Path]) -> tuple[dict[str, dict[str, KeptEpochs]], list[str]]:
    """(metric that chose the epochs -> runs below the folders, a line on each that is damaged).

    A run is named by its folder below the one that was searched, with that where there are several.
    """
    found: dict[str, dict[str, KeptEpochs]] = {}
    problems: list[str] = []
    for root in roots:
        for folder in folders_below(root, problems):
            if not is_there(folder / KEPT):
                continue
            try:
                kept = read_kept(folder / KEPT)
                monitor = str(settings_of(folder).get("monitor", DEFAULT))
            except UserError as error:
                problems.append(str(error))
                continue
            name = name_below(folder, root) if len(roots) == 1 else str(folder)
            found.setdefault(monitor, {})[name] = kept
    return found, problems


def assess_all(
    found: dict[str, dict[str, KeptEpochs]], metric: str = "", least_runs: int = 1
) -> tuple[list[Tried], list[str]]:
    """(what choosing the best has brought in each set of comparable runs, what was left out).

    Runs are comparable where they have the same validation rows and, without a `metric`, the same
    one chose their epochs. Sets of fewer than `least_runs` runs are passed over.
    """
    if metric:
        found = {metric: {name: kept for runs in found.values() for name, kept in runs.items()}}
    tried, left_out = [], []
    for chosen_by, runs in found.items():
        for alike in by_rows(runs):
            if len(alike) < least_runs:
                continue
            if is_measured(chosen_by):
                tried.append(assess(alike, chosen_by))
            else:
                what = f"{len(alike)} runs chosen by {title_of(chosen_by)}"
                left_out.append(f"{what}: not a metric of resampled rows; give --metric auroc")
    return tried, left_out


def selection_text(roots: Sequence[Path], least_runs: int = 2) -> str:
    """Lines on the optimism of the best of the runs below the folders; empty where none is known.

    Damaged files are passed over: what else is told of these runs does not need them.
    """
    tried, _ = assess_all(find_kept(roots)[0], least_runs=least_runs)
    blocks = [f"Selection bias by {title_of(one.metric)}:\n" + _lines(one) for one in tried]
    return "\n".join(blocks)


def _lines(tried: Tried) -> str:
    return "\n".join(f"  {line}" for line in sentences(tried))
