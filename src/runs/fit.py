"""Verdicts on a run's curves, by the rules that `src.scripts.check_fit` states."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .history import History

MIN_EPOCHS = 5
SMOOTHED, NEIGHBOURS = 0.2, 3
EXPLODED = 0.5
JUMP, MIN_JUMPS, JUMPY_SHARE = 0.25, 2, 0.2
RISE = 0.10
RECENT, MIN_RECENT, RECENT_FALL = 1 / 3, 2, 0.05
GAP = 0.5
LITTLE_FALL, CHANCE_AUROC, GOOD_AUROC = 0.10, 0.6, 0.8


ADVICE = {
    "diverged": "try: a lower --lr, --clip_grad 1, a scheduler with warmup_epochs, no --use_amp",
    "too few epochs": "try: more --epochs",
    "unstable": "try: a lower --lr, --clip_grad 1, a larger --batch_size, --model_ema",
    "overfitting": "try: use the best checkpoint instead of the last; increase --weight_decay or "
    "--dropout, strengthen --augment, use --early_stopping or a smaller --model",
    "still improving": "try: more --epochs",
    "underfitting": "try: a higher --lr, more --epochs, a larger --model, less --freeze",
    "no validation": "try: rerun without --train_on_all to choose --epochs",
    "good fit": "next: evaluate on the test set",
}


@dataclass(frozen=True)
class Verdict:
    """A verdict's name, sentences that say why, and the figures they quote, undefined is NaN."""

    name: str
    reasons: list[str]
    figures: dict[str, float]


def diagnose_fit(history: History) -> Verdict:
    """The verdict on a run's curves by those rules; epochs count from 1."""
    curves = _curves(history)
    counts: dict[str, float] = {"n_epochs": history.n_epochs}
    for name, loss in curves.items():
        wrong = np.flatnonzero(~np.isfinite(loss))
        if len(wrong):
            reason = f"{name} loss became NaN or infinite in epoch {wrong[0] + 1}"
            return Verdict("diverged", [f"{reason} of {history.n_epochs}"], counts)
    if history.n_epochs < MIN_EPOCHS:
        trained = f"only {history.n_epochs} {'epoch' if history.n_epochs == 1 else 'epochs'}"
        reason = f"{trained}; a verdict needs at least {MIN_EPOCHS}"
        return Verdict("too few epochs", [reason], counts)
    with np.errstate(over="ignore", invalid="ignore"):  # losses near the largest number
        figures = counts | _figures(curves, history.valid.get("auroc", np.array([])))
    found = [(name, reason) for name, holds, reason in RULES if holds(figures)]
    end = "good fit" if "validation" in curves else "no validation"
    told = [*(reason for _, reason in found), *_summary(figures)]
    reasons = [text.format_map(figures).replace("%", " %") for text in told]
    return Verdict(found[0][0] if found else end, reasons, figures)


def _curves(history: History) -> dict[str, np.ndarray]:
    """The losses by what they are of; validation loss only where it was ever defined."""
    valid = history.valid.get("loss", np.array([]))
    # rows that the objective cannot rate leave it undefined in every epoch: that is no divergence
    known = {"validation": valid} if np.isfinite(valid).any() else {}
    return {"training": history.train_loss, **known}


def running_median(values: np.ndarray, width: int) -> np.ndarray:
    """[epochs - width + 1]: the median of each `width` epochs in a row."""
    return np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)


def _figures(curves: dict[str, np.ndarray], auroc: np.ndarray) -> dict[str, float]:
    """What the rules read; figures of validation are NaN without it."""
    train = curves["training"]
    valid = curves.get("validation", np.full(len(train), np.nan))
    width = max(NEIGHBOURS, 1 + 2 * int(SMOOTHED * len(train) / 2))
    t, v = running_median(train, width), running_median(valid, width)
    best, recent = int(v.argmin()), max(MIN_RECENT, round(RECENT * len(v)))
    auroc = auroc[np.isfinite(auroc)]
    figures = {
        "train_first": train[0],
        "train_last": t[-1],
        "train_fall": _share(train[0] - t[-1], train[0]),
        "train_rise": _share(t[-1] - train[0], train[0]),
        "train_rise_of_mean": _share(t[-1] - t.min(), t.mean()),
        "train_jumps": _jumps(train),
        "many_jumps": max(MIN_JUMPS, JUMPY_SHARE * len(train)),
        "train_fall_since_best": _share(t[best] - t[-1], t[best]),
        "valid_best": v[best],
        "valid_best_epoch": best + 1 + width // 2 if "validation" in curves else np.nan,
        "valid_last": v[-1],
        "valid_rise": _share(v[-1] - v[best], v[best]),
        "valid_before": v[-1 - recent],
        "valid_recent_fall": _share(v[-1 - recent] - v[-1], v[-1 - recent]),
        "valid_jumps": _jumps(valid),
        "valid_step": float(np.median(np.abs(np.diff(valid)))),
        "n_recent": recent,
        "gap_of_gain": _share(v[-1] - t[-1], train[0] - t[-1]),
        "auroc_best": auroc.max() if len(auroc) else np.nan,
    }
    return {name: float(value) for name, value in figures.items()}


def _share(part: float, whole: float) -> float:
    """part / whole; of nothing, NaN."""
    return part / whole if whole > 0 else float("nan")


def _jumps(values: np.ndarray) -> int:
    """Epochs away from the median of themselves and their neighbours by `JUMP` of the mean."""
    usual = running_median(values, NEIGHBOURS)
    inner = values[NEIGHBOURS // 2 : -(NEIGHBOURS // 2)]
    return int((np.abs(inner - usual) > JUMP * usual.mean()).sum())


# (verdict, whether it holds for the figures, what is told of them)
RULES: tuple[tuple[str, Callable[[dict], bool], str], ...] = (
    (
        "unstable",
        lambda f: f["train_jumps"] >= f["many_jumps"],
        f"training loss jumps by more than {JUMP:.0%} of its mean in {{train_jumps:.0f}} of "
        "{n_epochs} epochs",
    ),
    (
        "unstable",
        lambda f: f["train_jumps"] < f["many_jumps"] <= f["valid_jumps"],
        f"validation loss jumps by more than {JUMP:.0%} of its mean in {{valid_jumps:.0f}} of "
        "{n_epochs} epochs",
    ),
    (
        "diverged",
        lambda f: f["train_rise"] >= EXPLODED,
        "training loss ends {train_rise:.0%} above its first epoch",
    ),
    (
        "unstable",
        lambda f: f["train_rise_of_mean"] > JUMP,
        "final training loss exceeds its minimum by {train_rise_of_mean:.0%} of the mean loss",
    ),
    (
        "overfitting",
        lambda f: (
            f["valid_rise"] >= RISE
            and f["valid_last"] - f["valid_best"] >= f["valid_step"]
            and f["train_fall_since_best"] >= 0
        ),
        "validation loss rose {valid_rise:.0%} from its best (epoch {valid_best_epoch:.0f}) to the "
        "end while training loss fell {train_fall_since_best:.0%}",
    ),
    (
        "still improving",
        lambda f: (
            f["valid_recent_fall"] >= RECENT_FALL
            and f["valid_before"] - f["valid_last"] >= f["valid_step"]
        ),
        "validation loss still fell {valid_recent_fall:.0%} over the last {n_recent:.0f} epochs",
    ),
    (
        "overfitting",
        lambda f: f["train_fall"] >= LITTLE_FALL and f["gap_of_gain"] >= GAP,
        "validation loss ends at {valid_last:.3g}, training loss at {train_last:.3g}: "
        "{gap_of_gain:.0%} of the reduction in training loss is absent from validation loss",
    ),
    (
        "underfitting",
        lambda f: f["auroc_best"] < CHANCE_AUROC,
        "validation AUROC never exceeds {auroc_best:.3f} (chance level: 0.5)",
    ),
    (
        "underfitting",
        lambda f: (
            f["train_fall"] < LITTLE_FALL
            and not (f["auroc_best"] < CHANCE_AUROC or f["auroc_best"] >= GOOD_AUROC)
        ),
        "training loss fell by only {train_fall:.0%}",
    ),
)


def _summary(f: dict) -> list[str]:
    has_validation, has_auroc = (not np.isnan(f[name]) for name in ("valid_last", "auroc_best"))
    lines = {
        "training loss went from {train_first:.3g} to {train_last:.3g} in {n_epochs} epochs": True,
        "validation loss is best at {valid_best:.3g} (epoch {valid_best_epoch:.0f}) and ends at "
        "{valid_last:.3g}": has_validation,
        "no validation loss was recorded, so overfitting cannot be assessed": not has_validation,
        "the best validation AUROC is {auroc_best:.3f}": has_auroc,
    }
    return [line for line, is_told in lines.items() if is_told]
