"""Train and compare objectives, overall and by skin tone: --config YAML --objectives CALL ...

Trains every objective with every seed, each seed on a split of its own, and compares the test rows
at the threshold that has the wanted specificity on the validation rows. A run that is complete in
`--output_dir` is read, not repeated. Writes `objectives.csv`, `objectives.md`, `objectives.png`.
"""

from typing import Any

from ..core.errors import run_main
from ..core.files import check_training_paths
from ..core.flags import parse_settings, resolve
from ..engine.names import check_names
from ..sweeps.options import ComparisonOptions

# what the comparison sets in its runs
SET_BY_RUNS = {"objective", "seed", "split_seed", "run_name", "resume"}


def parse(argv: list[str] | None) -> list[Any]:
    task = "a comparison of objectives, which sets it for each run"
    return parse_settings(argv, __doc__, ComparisonOptions, task=task, without=SET_BY_RUNS)


def main(argv: list[str] | None) -> None:
    given, options = parse(argv)
    cfg = resolve(given)
    check_training_paths(cfg)
    for objective in (cfg.learning.objective, *options.objectives):
        check_names(cfg.with_settings(objective=objective))

    from ..sweeps.objectives import compare_objectives

    print(compare_objectives(cfg, options))


if __name__ == "__main__":
    run_main(main)
