"""A drawn evaluation with every section that the figures and the page read."""

from dataclasses import asdict, replace

import numpy as np

from src.core.classes import NOTICE
from src.evaluation.evaluate import SCHEMA
from src.evaluation.groupings import Grouping, crossed, tone_groups
from src.evaluation.predictions import Predictions
from src.evaluation.results import Settings, all_results, bootstrapped, calibration_bins
from src.skin.tone import GROUP_NAMES

NAN = float("nan")
TEMPERATURE = 1.7
AGES = ("<30", "30–49", "50–69", "≥70")


def evaluation_of(predictions: Predictions, min_group: int = 10, seed: int = 0) -> dict:
    """What is found of the predictions; temperature, threshold and comparison are made up."""
    rng = np.random.default_rng(seed)
    n_rows = len(predictions.labels)
    settings = Settings(n_resamples=100, min_group=min_group)
    tones = tone_groups(predictions)
    sex = sex_of(rng, n_rows)
    ages = rng.choice(len(AGES), n_rows, p=[0.05, 0.4, 0.4, 0.15])
    groupings = [tones, sex, Grouping("age_approx", ages, AGES), crossed(tones, sex)]
    w = bootstrapped(predictions, np.arange(n_rows) // 3, settings)
    results = all_results(w, groupings, np.arange(n_rows), settings)
    results["calibration"]["temperature"] = temperature_of(predictions, settings)
    return {
        "schema": SCHEMA,
        "notice": NOTICE,
        "source": {
            "kind": "checkpoint",
            "name": "best_checkpoint.pth",
            "split": "test",
            "model": "convnext_tiny",
            "classes": list(predictions.classes),
            "positive": predictions.classes[predictions.positive],
            "cluster": "patient_id",
            "tone_source": "tones.csv (SHA-256 0123456789ab); estimate_ita(method=cielab)",
        },
        "settings": asdict(settings),
        **results,
        "threshold": threshold_of(),
        "comparison": comparison_of(predictions, results["groups"]),
        "provenance": {
            "command": "python melanoma_eval.py --checkpoint runs/isic/best_checkpoint.pth",
            "commit": "e33558b",
            "date": "2026-01-15T12:00:00",
            "versions": {"python": "3.11.2", "numpy": "2.4.6", "scikit-learn": "1.9.1"},
            "model": {"sha256": "9f" * 32, "epochs": 22},
        },
    }


def sex_of(rng: np.random.Generator, n_rows: int) -> Grouping:
    return Grouping("sex", rng.integers(2, size=n_rows), ("female", "male"))


def temperature_of(predictions: Predictions, settings: Settings) -> dict:
    """As if the predictions had been less sure of themselves before."""
    cold = predictions.probabilities**TEMPERATURE
    cold = replace(predictions, probabilities=cold / cold.sum(axis=1, keepdims=True))
    return {
        "rule": "temperature(by='all')",
        "n_fitted": 3120,
        "value": TEMPERATURE,
        "groups": {},
        "not_fitted": [],
        "before": {"ece": 0.031, "log_loss": 0.112} | calibration_bins(cold, settings.n_bins),
        "after": {"ece": 0.011, "log_loss": 0.081},
    }


def threshold_of() -> dict:
    names = "sensitivity specificity balanced_accuracy f1 selection_rate "
    names += "equal_opportunity_difference equalized_odds_difference"
    one = (0.723, 0.902, 0.812, 0.229, 0.111, 0.262, 0.262)
    own = (0.745, 0.871, 0.808, 0.193, 0.142, 0.118, 0.134)
    cost = {"one_threshold": one, "by_group": own}
    return {
        "rule": "youden",
        "n_fitted": 3120,
        "value": 0.0312,
        "groups": dict(zip(GROUP_NAMES, (0.034, 0.021, 0.028, 0.0312), strict=True)),
        "not_fitted": ["Tan and darker"],
        "cost": {name: dict(zip(names.split(), row, strict=True)) for name, row in cost.items()},
    }


def comparison_of(rows: Predictions, by_attribute: dict) -> dict:
    def difference(value, half, p):
        return {"value": value, "low": value - half, "high": value + half, "p": p}

    some = {"sensitivity": difference(0.051, 0.06, 0.11), "auroc": difference(0.021, 0.015, 0.004)}
    some["specificity"] = difference(-0.012, 0.006, 0.0004)
    by_group = {
        attribute: {group: some | {"auroc": difference(NAN, NAN, NAN)} for group in groups}
        for attribute, groups in by_attribute.items()
    }
    counts = {"only_this_right": 31, "only_other_right": 24, "p": 0.42}
    return {
        "name": "baseline.csv",
        "n": len(rows.labels),
        "n_positive": int((rows.labels == rows.positive).sum()),
        "differences": some,
        "by_group": by_group,
        "delong": {"value": 0.021, "low": 0.006, "high": 0.036, "p": 0.006},
        "mcnemar": {
            "all": {"only_this_right": 214, "only_other_right": 287, "p": 0.0012},
            "positive": counts,
            "negative": {"only_this_right": 183, "only_other_right": 263, "p": 0.0002},
        },
    }
