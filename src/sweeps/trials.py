"""The trials of a sweep: each a run of the trainer, here or as a job; what is missing is run."""

import logging
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from ..cluster.options import Cluster
from ..cluster.submit import wait_for
from ..cluster.training import submit_trainings
from ..core.config import Config
from ..core.errors import UserError
from ..core.files import make_folder
from ..core.progress import duration
from ..engine.checks import check_settings
from ..engine.log import log_to_console
from ..engine.run import train
from ..evaluation.metrics import MONITORED
from ..runs.history import is_number, to_float
from .results import read_epochs, write_figures, write_trials
from .search_space import Space
from .study import Sweep, only_process, open_study

log = logging.getLogger(__name__)


def run_sweep(
    cfg: Config, space: Space, folder: Path, n_trials: int, cluster: Cluster | None, n_parallel: int
) -> str:
    """A table of the best trials, once there are `n_trials`; the folder holds study and figures.

    With a cluster `n_parallel` trials run at a time, as its jobs. Raises `UserError` for settings
    that a trial could not have, before any trial.
    """
    log_to_console()
    check_settings(cfg)
    check_space(cfg, space)
    sweep = Sweep(cfg, space, make_folder(folder))
    with only_process(folder):
        study = open_study(sweep)
        if cluster:
            run_waves(sweep, study, n_trials, cluster, n_parallel)
        else:
            run_trials(sweep, study, n_trials)
        return write_figures(study, space, cfg, folder)


def check_space(cfg: Config, space: Space) -> None:
    """Raise `UserError` for a bound or choice that the trainer refuses."""
    for key, setting in space.items():
        for value in setting.extremes:
            try:
                check_settings(cfg.with_settings(**{key: value}))
            except UserError as error:
                raise UserError(f"--space: {key}: {error}") from None


def run_trials(sweep: Sweep, study: optuna.Study, n_trials: int) -> None:
    """Run the trials that were interrupted, then new ones until there are `n_trials`.

    A trial that fails is noted and the sweep goes on; before any trial has succeeded the error is
    raised, and the trial is taken up again once its cause is mended.
    """
    started, n_ended = time.monotonic(), 0
    while trial := next_trial(sweep, study, n_trials):
        try:
            study.tell(trial, run_trial(sweep, trial))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except Exception as error:
            if not finished(study):
                if isinstance(error, UserError):
                    raise UserError(f"trial {trial.number}: {error}") from None
                raise
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=TrialState.FAIL)
        outcome = study.trials[trial.number]
        why = outcome.user_attrs.get("error", outcome.value)
        n_ended += 1
        left = time_left(started, n_ended, n_trials - trial.number - 1)
        log.info("trial %d %s: %s%s", trial.number, outcome.state.name.lower(), why, left)
        write_trials(study, sweep.space, sweep.cfg, sweep.folder)


def run_waves(
    sweep: Sweep, study: optuna.Study, n_trials: int, cluster: Cluster, n_parallel: int
) -> None:
    """As `run_trials`, with `n_parallel` trials at a time as jobs of `cluster`; none is pruned."""
    started, n_ended = time.monotonic(), 0
    while wave := next_wave(sweep, study, n_trials, n_parallel):
        cfgs = [trial_settings(sweep, trial) for trial in wave]
        failures = wait_for(submit_trainings(cfgs, cluster))
        done = [Path(cfg.run.output_dir, cfg.run.run_name) for cfg in cfgs]
        done = [folder if (folder / "metrics.json").is_file() else None for folder in done]
        why = failures[0] if failures else "its job ended without a result"
        if not any(done) and not finished(study):
            raise UserError(f"trial {wave[0].number}: {why}")
        for trial, folder in zip(wave, done, strict=True):
            if folder:
                study.tell(trial, best_value(trial, folder, sweep.cfg.run.monitor))
            else:
                trial.set_user_attr("error", str(why))
                study.tell(trial, state=TrialState.FAIL)
        n_ended += len(wave)
        n_left = n_trials - wave[-1].number - 1
        log.info("%d trials ended%s", n_ended, time_left(started, n_ended, n_left))
        write_trials(study, sweep.space, sweep.cfg, sweep.folder)


def time_left(started: float, n_done: int, n_left: int) -> str:
    """What to add to a line about a trial: how long those that are left will take."""
    if n_left <= 0:
        return ""
    return f" (about {duration((time.monotonic() - started) / n_done * n_left)} left)"


def next_wave(sweep: Sweep, study: optuna.Study, n_trials: int, n_parallel: int) -> list[Trial]:
    """Up to `n_parallel` trials as `next_trial` gives them."""
    wave: list[Trial] = []
    while len(wave) < n_parallel and (
        trial := next_trial(sweep, study, n_trials, {earlier.number for earlier in wave})
    ):
        wave.append(trial)
    return wave


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that came to an end, pruned ones among them."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def next_trial(
    sweep: Sweep, study: optuna.Study, n_trials: int, at_work: Collection[int] = ()
) -> Trial | None:
    """An interrupted trial, else a new one, or None where there are `n_trials`.

    `at_work` are the numbers of trials that are running, not interrupted. A trial's draw depends
    on seed, number and earlier trials alone: an interrupted sweep goes on as if it had not been.
    """
    trials = study.get_trials(deepcopy=False)
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    interrupted = [trial for trial in running if trial.number not in at_work]
    number = interrupted[0].number if interrupted else len(trials)
    if number >= n_trials and not interrupted:
        return None
    seed = np.random.SeedSequence([sweep.cfg.run.seed, number]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(
        seed=int(seed),
        constant_liar=bool(at_work),  # trials at work count as bad: the next is another one
    )
    trial = Trial(study, interrupted[0]._trial_id) if interrupted else study.ask()
    for key, setting in sweep.space.items():
        setting.draw(trial, key)  # what an interrupted one has drawn stays
    log.info("trial %d of %d: %s", trial.number, n_trials, describe(trial.params))
    return trial


def run_trial(sweep: Sweep, trial: Trial) -> float:
    """The best monitored value of the trial's run, which is continued where it exists.

    That of an earlier trial with the same settings is taken over. Raises `optuna.TrialPruned`.
    """
    for earlier in finished(trial.study):
        if earlier.params == trial.params:
            trial.set_user_attr("same_as", earlier.number)
            if earlier.state is TrialState.PRUNED:
                raise optuna.TrialPruned
            return earlier.value
    cfg = trial_settings(sweep, trial)
    monitor = cfg.run.monitor

    def after_epoch(history: list[dict]) -> None:
        report(trial, history, monitor)
        if len(history) < cfg.learning.epochs and trial.should_prune():
            raise optuna.TrialPruned

    return best_value(trial, train(cfg, after_epoch=after_epoch), monitor)


def best_value(trial: Trial, folder: Path, monitor: str) -> float:
    """The best monitored value of a finished run, whose epochs the study is told."""
    history = read_epochs(folder)
    report(trial, history, monitor)
    best = max if MONITORED[monitor] else min
    return best(monitored(entry, monitor) for entry in history)


def monitored(entry: dict, monitor: str) -> float:
    """The monitored value of an epoch, NaN where it is undefined."""
    valid = entry["valid"]
    value = valid.get(monitor, "") if isinstance(valid, dict) else ""
    if not is_number(value):
        raise UserError(f"epoch {entry['epoch']}: no {monitor} in its history: damaged")
    return to_float(value)


def trial_settings(sweep: Sweep, trial: Trial) -> Config:
    """The settings of a trial's run, which keeps no checkpoints but the best and the latest."""
    log_dir = sweep.cfg.run.log_dir
    return sweep.cfg.with_settings(
        **trial.params,
        output_dir=str(sweep.folder),
        run_name=f"trial_{trial.number}",
        log_dir=log_dir and str(Path(log_dir) / sweep.folder.name),
        resume="auto",
        save_ckpt=False,
    )


def report(trial: Trial, history: list[dict], monitor: str) -> None:
    """Tell the study the monitored value of each epoch that it does not know."""
    known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
    for entry in history:
        if entry["epoch"] not in known:
            trial.report(monitored(entry, monitor), entry["epoch"])


def describe(params: dict) -> str:
    """Settings as `name value` in one line."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in params.items()
    )
