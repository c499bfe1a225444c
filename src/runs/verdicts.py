"""What the verdicts on a run's curves mean, and what to try.

Rules in the order in which they are tried; the first that holds names the verdict, the sentences of
the others that hold follow it. Losses are compared with each other only, so that their unit does
not matter. "At the end", "best" and "recent" are of the losses after a running median of a fifth of
the epochs (odd, at least 3), which takes out outliers and leaves steady curves as they are.
Validation loss rises or falls where it does so by no less than its usual step between epochs, the
median of their absolute differences.

    diverged         a loss is not a number
    too few epochs   fewer than 5
    unstable         a fifth of the epochs (at least 2) jump away from their neighbours by more than
                     25 % of the mean loss
    diverged         training loss ends 50 % above its first epoch
    unstable         training loss ends above its best by more than 25 % of the mean loss
    overfitting      validation loss rose 10 % from its best to the end, training loss did not
    still improving  validation loss fell by 5 % or more in the last third (at least 2 epochs)
    overfitting      half or more of what training loss gained is missing in validation loss
    underfitting     validation AUROC never reached 0.6, or training loss fell by less than 10 % and
                     AUROC did not reach 0.8
    no validation    no rule above holds, and there is no validation loss to judge by
    good fit         none of these
"""

ADVICE = {
    "diverged": "a lower --lr, --clip_grad 1, a scheduler with warmup_epochs, no --use_amp",
    "too few epochs": "more --epochs",
    "unstable": "a lower --lr, --clip_grad 1, a larger --batch_size, --model_ema",
    "overfitting": "the best checkpoint, not the last; --early_stopping, stronger --augment, more "
    "--weight_decay or --dropout, a smaller --model",
    "still improving": "more --epochs",
    "underfitting": "a higher --lr, more --epochs, a larger --model, less --freeze",
    "no validation": "a run without --train_on_all, to choose --epochs",
    "good fit": "nothing: evaluate it on the test set",
}
