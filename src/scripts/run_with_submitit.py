"""Submit training as SLURM or local jobs. Accepts all flags of melanoma_train.py."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..cluster.options import Cluster
from ..core.errors import UserError, run_main
from ..core.flags import parse_settings
from ..core.options import flag
from ..engine.resume import training_config


@dataclass(frozen=True)
class Submission:
    """Submission"""

    wait: bool = flag(
        False, "wait until the SLURM jobs have ended, and exit with code 1 if one failed"
    )


def parse(argv: list[str] | None) -> list[Any]:
    return parse_settings(argv, __doc__, Cluster, Submission, task="training jobs")


def main(argv: list[str] | None) -> int:
    """1 where a job failed that was waited for, else 0."""
    given, cluster, submission = parse(argv)
    cfg = training_config(given)
    if cfg.data.kfold and cfg.data.fold == -1 and cfg.run.resume and not cfg.run.run_name:
        raise UserError("--resume of all folds: give their --run_name, without _fold<N>")
    cluster = cluster.found()

    from ..cluster.submit import wait_for
    from ..cluster.training import one_of_each_fold, submit_trainings
    from ..engine.log import log_to_console

    log_to_console()
    jobs = submit_trainings(one_of_each_fold(cfg), cluster)
    if cluster.cluster == "slurm" and not submission.wait:
        return 0
    failures = wait_for(jobs)
    sys.stderr.write("".join(f"{failure}\n" for failure in failures))
    return 1 if failures else 0


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
