"""What a cluster runs: one training, started as often as it takes, that goes on from its folder.

Nothing here loads torch before a job is under way: it takes seconds, in which the signal that
announces a time-out or a pre-emption would kill the job instead of queueing it again.
"""

import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import submitit

from ..core.config import Config
from ..core.errors import UserError

# at the latest after the first signal: pre-emption may grant minutes
KILLED_WITHIN_S = 600
LAST_WORDS_S = 5


class TrainingJob:
    """`train(cfg)` as a callable that submitit pickles, runs in every task and queues again.

    `cfg` has a fixed `run_name` and `resume='auto'`: the same pickle started again, by a time-out,
    a pre-emption, `scontrol requeue` or a lost node, continues the run that its folder holds.
    """

    def __init__(self, cfg: Config):
        self.cfg = cfg

    def __call__(self) -> str:
        """The run's folder, from a task of a job. `UserError` ends the job's log with one line."""
        # an attempt that was cut off may have left an error that the submitter must not see
        submitit.JobEnvironment().paths.result_pickle.unlink(missing_ok=True)
        # a task sees all GPUs that its job has on its node, and takes the one of its LOCAL_RANK
        submitit.helpers.TorchDistributedEnvironment().export(
            set_cuda_visible_devices=False, overwrite=True
        )
        told = _signals_of_the_end()
        from ..engine.run import train

        try:
            return str(train(self.cfg))
        except submitit.core.utils.UncompletedJobError:  # the last time-out that is allowed
            raise
        except SystemExit:
            if not told:  # because of another process, whose error is to be written before all end
                time.sleep(LAST_WORDS_S)
            raise
        except Exception as error:
            if told:  # what fails now fails because neighbours are being killed
                time.sleep(KILLED_WITHIN_S)
            if isinstance(error, UserError):
                sys.tracebacklimit = 0
            raise

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What to run after a time-out or a pre-emption: the same, as all state is on disk."""
        return submitit.helpers.DelayedSubmission(self)


def _signals_of_the_end() -> list[int]:
    """The signals that have told this process of its end: a list that fills as they come.

    submitit's handlers go on to work, but in this process only. SLURM signals data loading
    processes too, which inherit them and would queue the job a second time.
    """
    told: list[int] = []
    process = os.getpid()

    def take_note(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            told.append(number)
            handlers[number](number, frame)

    announcement = signal.Signals[f"SIG{submitit.JobEnvironment.USR_SIG}"]
    handlers: dict[int, Any] = {
        number: signal.getsignal(number) for number in (announcement, signal.SIGTERM)
    }
    for number in handlers:
        signal.signal(number, take_note)
    return told
