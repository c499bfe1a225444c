"""Predicting a folder in jobs: a part of its images in each, which a restart continues."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import submitit

from ..artifact.foreign import ForeignModel
from ..prediction.finished import Finished
from ..prediction.options import PredictionOptions
from .options import Jobs
from .submit import Failure, submit, wait_for


class PredictionJob:
    """`predict_folder` of one part as a callable that submitit pickles and may start again."""

    def __init__(
        self, options: PredictionOptions, model_path: Path, foreign: ForeignModel, accompany: Any
    ):
        self.options, self.model_path, self.foreign = options, model_path, foreign
        self.accompany = accompany

    def __call__(self) -> int:
        """How many images of its part were predicted."""
        from ..prediction.folder import predict_folder

        found = predict_folder(self.options, self.model_path, self.foreign, self.accompany)
        return found.n_predicted

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What to run after a time-out or a pre-emption: the same, it goes on from its files."""
        return submitit.helpers.DelayedSubmission(self)


def predict_in_jobs(
    options: PredictionOptions,
    model_path: Path,
    foreign: ForeignModel,
    accompany: Any,
    jobs: Jobs,
    n_jobs: int,
) -> list[Failure]:
    """Predict the images in `n_jobs` parts and wait; the failures of the jobs.

    `predict_folder` with `resume` then joins the parts.
    """
    if not options.resume:  # a job that is started again is to go on
        Finished(options.output_csv, "", (1, 1)).remove()
    parts = [
        PredictionJob(
            replace(options, shard=f"{n}/{n_jobs}", resume=True), model_path, foreign, accompany
        )
        for n in range(1, n_jobs + 1)
    ]
    return wait_for(submit(parts, jobs, f"predict_{options.input_folder.resolve().name}"))
