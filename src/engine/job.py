"""What a cluster runs: one training, started as often as it takes, that goes on from its folder.

Nothing here loads torch before a job is under way: it takes seconds, in which the signal that
announces a time-out or a pre-emption would kill the job instead of queueing it again.
"""

import os
import signal
import sys

import submitit

from src.core.config import Config
from src.core.errors import UserError


class TrainingJob:
    """`train(cfg)` as a callable that submitit pickles, runs in every task and queues again.

    `cfg` has a fixed `run_name` and `resume='auto'`: the same pickle started again, by a time-out,
    a pre-emption, `scontrol requeue` or a lost node, continues the run that its folder holds.
    """

    def __init__(self, cfg: Config):
        self.cfg = cfg

    def __call__(self) -> str:
        """The run's folder, from a task of a job. `UserError` ends the job's log with one line."""
        # an attempt that was cut off may have left the error of losing its neighbour
        submitit.JobEnvironment().paths.result_pickle.unlink(missing_ok=True)
        # a task sees all GPUs of its job on its node and takes the one of its LOCAL_RANK
        submitit.helpers.TorchDistributedEnvironment().export(
            set_cuda_visible_devices=False, overwrite=True
        )
        # the signal reaches data loading processes too: they must not queue the job once more
        os.register_at_fork(after_in_child=_ignore_announcements)
        from src.engine.run import train

        try:
            return str(train(self.cfg))
        except UserError:
            sys.tracebacklimit = 0
            raise

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What to run after a time-out or a pre-emption: the same, as all state is on disk."""
        return submitit.helpers.DelayedSubmission(self)


def _ignore_announcements() -> None:
    signal.signal(submitit.JobEnvironment._usr_sig(), signal.SIG_IGN)
