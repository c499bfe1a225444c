"""Search training settings with Optuna: --config YAML --space YAML --trials N.

Each trial is a run of the trainer, compared by its best `--monitor` on the validation rows; trials
worse than the median of earlier ones after as many epochs are stopped. The same command again
continues what was interrupted and adds the trials that are missing. Writes `study.db`,
`trials.csv`, `best.yaml`, `optimization_history.png` and `slices.png` into `--study_dir`.
"""

from pathlib import Path
from typing import Any

from ..core.errors import run_main
from ..core.files import check_training_paths
from ..core.flags import parse_settings, resolve
from ..engine.names import check_names
from ..sweeps.options import SweepOptions, TrialJobs
from ..sweeps.search_space import check_search, read_space

# what the sweep sets in its trials
SET_BY_TRIALS = {"run_name", "resume", "save_ckpt", "save_ckpt_freq", "keep_checkpoints"}


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(
        argv, __doc__, SweepOptions, TrialJobs, task="a sweep", without=SET_BY_TRIALS
    )


def main(argv: list[str] | None) -> None:
    given, options, jobs = parse(argv)
    cfg = resolve(given)
    space = read_space(options.space)
    check_search(cfg, space, given)
    cluster = jobs.found() if jobs.cluster else None
    check_training_paths(cfg)
    check_names(cfg)
    folder = options.study_dir or Path(cfg.run.output_dir) / f"sweep_{options.space.stem}"

    from ..sweeps.trials import run_sweep

    print(run_sweep(cfg, space, folder, options.trials, cluster, jobs.parallel))


if __name__ == "__main__":
    run_main(main)
