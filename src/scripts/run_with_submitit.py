"""Train as jobs: the flags of melanoma_train.py and those of a cluster -> submitted jobs."""

import argparse
import sys

from ..cluster.options import Cluster
from ..cluster.submit import submit_many, wait_for
from ..core.config import Config
from ..core.errors import UserError, run_main
from ..core.flags import make_parser, resolve
from ..core.options import add_section, parse_flags, take_section
from ..engine.log import log_to_console, new_run_name


def main(argv: list[str] | None) -> int:
    given = parse_flags(make_submit_parser(), argv)
    waits = given.pop("wait", False)
    cluster = take_section(Cluster, given)
    cfg = resolve(given)
    cluster = cluster.found()
    log_to_console()
    jobs = submit_many(one_of_each_fold(cfg), cluster)
    if cluster.cluster == "slurm" and not waits:
        return 0
    failures = wait_for(jobs)
    sys.stderr.write("".join(f"{failure}\n" for failure in failures))
    return 1 if failures else 0


def make_submit_parser() -> argparse.ArgumentParser:
    """The trainer's flags, those of `Cluster`, and `--wait`."""
    parser = make_parser(__doc__)
    group = add_section(parser, Cluster)
    group.add_argument(
        "--wait",
        action="store_true",
        help="stay until the jobs of SLURM have ended, and exit with 1 where one failed",
    )
    return parser


def one_of_each_fold(cfg: Config) -> list[Config]:
    """A configuration for each fold where `--kfold` is given without `--fold`, else this one."""
    if not cfg.data.kfold or cfg.data.fold >= 0:
        return [cfg]
    if cfg.run.resume and not cfg.run.run_name:
        raise UserError(
            "--resume of all folds: give the --run_name that they have without _fold<N>"
        )
    name = new_run_name(cfg)
    return [cfg.with_settings(fold=i, run_name=f"{name}_fold{i}") for i in range(cfg.data.kfold)]


def run() -> None:
    """The command as an installed program."""
    run_main(main)


if __name__ == "__main__":
    run()
