"""What runs below a folder have come to: each one's settings, epochs and metrics."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.config import settings_with
from ..core.errors import UserError
from ..core.options import Role
from ..skin.tone import FORMER_NAMES
from .history import HISTORY, is_number, read_history, read_json, to_float

EVALUATION, METRICS, FOLDS = "evaluation_metrics.json", "metrics.json", "kfold.json"
MAX_DEPTH = 6
MAX_GROUPS = 50
TONE = "skin tone"
SEEDS = ("seed", "split_seed")
COUNTS = ("n", "n_positive")
DIGESTS = ("rows_digest", "groups_digest")


@dataclass(frozen=True)
class Result:
    """A run's figures, undefined is NaN; `groups` are sensitivity and positive rows of each group.

    `name` is the folder below the one that was searched; `settings` are empty where unknown;
    `metrics` hold the `COUNTS` too. Runs are comparable where `rows_digest` is equal, and in what
    is told of tone groups where `groups_digest` is; of older versions they are empty.
    """

    name: str
    settings: dict
    model: str
    n_epochs: int | None
    best_epoch: int | None
    split: str
    metrics: dict[str, float]
    groups: dict[str, tuple[float, int]]
    rows_digest: str = ""
    groups_digest: str = ""

    def setting(self, key: str) -> str:
        """A setting as text, empty where it is unknown."""
        value = self.settings.get(key)
        return str(value) if isinstance(value, (str, int)) else ""


def find_results(root: Path) -> tuple[list[Result], list[str]]:
    """(the runs below `root`, a line on each that cannot be read), both in order of their paths.

    Follows no link to a file or a folder and goes `MAX_DEPTH` folders deep.
    """
    results: list[Result] = []
    problems: list[str] = []
    for folder in folders_below(root, problems):
        kind = next((kind for kind in READERS if is_there(folder / kind)), None)
        if kind:
            try:
                results.append(_result(folder, root, kind))
            except UserError as error:
                problems.append(str(error))
    return results, problems


def folders_below(root: Path, problems: list[str]) -> Iterable[Path]:
    """A folder and those in it, as `find_results` says; `problems` gets a line on others."""

    def unreadable(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for path, names, _ in os.walk(root, onerror=unreadable):
        # a hidden folder may be an evaluation that is being written
        names[:] = sorted(name for name in names if not name.startswith("."))
        folder = Path(path)
        if len(folder.relative_to(root).parts) >= MAX_DEPTH:
            names.clear()
        yield folder


def _result(folder: Path, root: Path, kind: str) -> Result:
    """The run in a folder that has a file of this kind. Raises `UserError` for damaged files."""
    content = read_json(folder / kind)
    settings = settings_of(folder / "fold_0" if kind == FOLDS else folder)
    history = read_history(folder / HISTORY) if is_there(folder / HISTORY) else None
    try:
        if not isinstance(content, dict):
            raise TypeError
        model, split, metrics, groups, digests = READERS[kind](content)
        if len(groups) > MAX_GROUPS or not all(isinstance(d, str) for d in digests.values()):
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise UserError(f"{folder / kind}: not the metrics of a run, or damaged") from None
    return Result(
        name=name_below(folder, root),
        settings=settings,
        model=str(settings.get("model", model)),
        n_epochs=history.n_epochs if history else None,
        best_epoch=history.best + 1 if history else None,
        split=split,
        metrics=metrics,
        groups=groups,
        **digests,
    )


def name_below(folder: Path, root: Path) -> str:
    """What a run is called: its folder below the one that was searched."""
    return root.resolve().name if folder == root else folder.relative_to(root).as_posix()


def settings_of(folder: Path) -> dict:
    """The settings of a run, empty where unknown. Raises `UserError` where they are damaged."""
    path = folder / "config.json"
    settings = read_json(path) if is_there(path) else {}
    if not isinstance(settings, dict):
        raise UserError(f"{path}: not the settings of a run")
    return settings


def is_there(path: Path) -> bool:
    """Whether a path is a regular file, and no link to one."""
    return path.is_file() and not path.is_symlink()


def _of_splits(content: dict) -> tuple[str, str, dict, dict, dict]:
    """Of `metrics.json`: its test rows, else the validation rows, else what there is."""
    split = next((s for s in ("test", "valid", *content) if s in content), "")
    return "", split, *(_of_rows(content[split]) if content else ({}, {}, {}))


def _of_folds(content: dict) -> tuple[str, str, dict, dict, dict]:
    """Of `kfold.json`: the pooled predictions of all folds, each row by a model without it."""
    return "", "oof", *_of_rows(content["oof"])


def _of_rows(found: dict) -> tuple[dict, dict, dict]:
    metrics = {name: to_float(value) for name, value in found.items() if is_number(value)}
    groups = {
        FORMER_NAMES.get(group, group): (to_float(own["sensitivity"]), int(own["n_positive"]))
        for group, own in found["groups"].items()
    }
    return metrics | {name: int(found[name]) for name in COUNTS}, groups, _digests(found)


def _digests(found: dict) -> dict:
    return {name: found.get(name, "") for name in DIGESTS}


def _of_evaluation(content: dict) -> tuple[str, str, dict, dict, dict]:
    """Of `evaluation_metrics.json`: values without their intervals, gaps between tone groups.

    A CSV tells no split: its name is shown instead.
    """
    source, overall = content["source"], content["overall"]
    gaps = content["gaps"].get(TONE, {}).get(source["positive"], {})
    figures = overall["metrics"] | {n: v for n, v in gaps.items() if n != "rates"}
    metrics = {name: to_float(figure["value"]) for name, figure in figures.items()}
    groups = {
        FORMER_NAMES.get(group, group): (
            to_float(own["metrics"]["sensitivity"]["value"]),
            int(own["n_positive"]),
        )
        for group, own in content["groups"].get(TONE, {}).items()
    }
    metrics |= {name: int(overall[name]) for name in COUNTS}
    split = str(source["split"] or source["name"])
    return str(source["model"]), split, metrics, groups, _digests(source)


# the first that a folder has says what the run has come to
READERS = {EVALUATION: _of_evaluation, METRICS: _of_splits, FOLDS: _of_folds}


def over_seeds(results: list[Result]) -> list[list[Result]]:
    """The runs that differ in their seeds alone, two seeds or more, in the order of the first.

    Names, folders and other settings that do not change a result do not count. Runs of one
    `--split_seed` on other rows than each other are left out: their data changed.
    """
    ignored = settings_with(Role.RESULT_NEUTRAL) | set(SEEDS)
    alike: dict[str, list[Result]] = {}
    for result in results:
        if result.settings:
            kept = {k: v for k, v in result.settings.items() if k not in ignored}
            key = json.dumps([result.split, kept], sort_keys=True)
            alike.setdefault(key, []).append(result)
    found = [runs for runs in alike.values() if len({seeds_of(run) for run in runs}) > 1]
    return [runs for runs in found if not has_other_rows(runs)]


def has_other_rows(runs: list[Result]) -> bool:
    """Whether some of the runs have one `--split_seed` and yet were evaluated on other rows."""
    seeds = [run.setting("split_seed") for run in runs]
    return len(set(seeds)) < len({(s, r.rows_digest) for s, r in zip(seeds, runs, strict=True)})


def seeds_of(result: Result) -> tuple[str, ...]:
    """The seeds of a run."""
    return tuple(result.setting(name) for name in SEEDS)
