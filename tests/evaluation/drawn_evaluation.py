"""A drawn evaluation with every section that the figures and the page read."""

from itertools import pairwise

import numpy as np
from sklearn import metrics as sk

from src.evaluation.fairness import subset
from src.evaluation.predictions import Predictions
from src.skin_tone import GROUP_NAMES

NAN = float("nan")
TEMPERATURE = 1.7
RATES = "selection_rate true_positive_rate false_positive_rate false_negative_rate accuracy f1"
OWN_NAMES = {"true_positive_rate": "malignant_recall", "f1": "malignant_f1"}


def evaluation_of(predictions: Predictions, min_group: int = 10, seed: int = 0) -> dict:
    """An evaluation with every section; the intervals are rough, those of a proportion."""
    rng = np.random.default_rng(seed)
    sexes = rng.choice(["female", "male"], size=len(predictions.labels))
    ages = rng.choice(["<30", "30–49", "50–69", "≥70"], len(sexes), p=[0.05, 0.4, 0.4, 0.15])
    names = [*predictions.group_names, "unknown"]  # -1 is the last
    tones = np.array([names[group] for group in predictions.groups], dtype=object)
    groupings = {"skin tone": (tones, names), "sex": (sexes, ["female", "male"])}
    groupings["age_approx"] = (ages, ["<30", "30–49", "50–69", "≥70"])
    both = np.array([f"{t} × {s}" for t, s in zip(tones, sexes, strict=True)], dtype=object)
    crossed = [f"{t} × {s}" for t in predictions.group_names for s in ("female", "male")]
    groupings["skin tone × sex"] = (both, crossed)
    groups = {
        attribute: {
            level: part_of(subset(predictions, values == level))
            for level in levels
            if (values == level).any()
        }
        for attribute, (values, levels) in groupings.items()
    }
    groups = {attribute: levels for attribute, levels in groups.items() if levels}
    positive = predictions.classes[predictions.positive]
    return {
        "schema": 1,
        "notice": "For research and education. Not a medical device; no diagnosis may rest on it.",
        "source": {
            "kind": "checkpoint",
            "name": "best_checkpoint.pth",
            "split": "test",
            "model": "convnext_tiny",
            "classes": list(predictions.classes),
            "positive": positive,
            "unit": "patient_id",
        },
        "settings": {
            "n_draws": 2000,
            "level": 0.95,
            "seed": 0,
            "min_group": min_group,
            "n_bins": 15,
        },
        "overall": part_of(predictions),
        "groups": groups,
        "gaps": {a: {positive: gaps_of(levels, min_group)} for a, levels in groups.items()},
        "calibration": calibration_of(predictions),
        "threshold": threshold_of(),
        "comparison": comparison_of(predictions, groups),
        "hard_cases": hard_cases_of(predictions),
        "notes": [
            "Very light × female: 6 malignant images. Too few to judge: with 6 of 6 found the "
            "sensitivity may be anywhere from 0.54 to 1.00 (95 % exact interval)."
        ],
        "provenance": {
            "command": "python melanoma_eval.py --checkpoint runs/isic/best_checkpoint.pth",
            "commit": "e33558b",
            "date": "2026-01-15T12:00:00",
            "versions": {"python": "3.11.2", "numpy": "2.4.6", "scikit-learn": "1.9.1"},
            "model": {"sha256": "9f" * 32, "epochs": 22},
        },
    }


def figure(value: float, n: float) -> dict:
    """Value and the normal interval of a proportion of `n`."""
    if not n or np.isnan(value):
        return {"value": NAN, "low": NAN, "high": NAN}
    value = float(value)
    rate = (abs(value) % 1 * n + 2) / (n + 4)
    half = 1.96 * float(np.sqrt(rate * (1 - rate) / (n + 4)))
    return {
        "value": value,
        "low": max(value - half, 0.0),
        "high": min(value + half, max(value, 1.0)),
    }


def part_of(rows: Predictions) -> dict:
    target, decision = rows.labels == rows.positive, rows.decisions == rows.positive
    score, n = rows.probabilities[:, rows.positive], len(rows.labels)
    tp, fp = int((target & decision).sum()), int((~target & decision).sum())
    ill, well = int(target.sum()), int((~target).sum())
    ranked = bool(n and ill and well and not np.isnan(score).any())
    sure = n and not np.isnan(score).any()
    recall = tp / ill if ill else NAN
    values = {
        "accuracy": ((rows.labels == rows.decisions).mean() if n else NAN, n),
        "malignant_recall": (recall, ill),
        "false_negative_rate": (1 - recall, ill),
        "specificity": (1 - fp / well if well else NAN, well),
        "false_positive_rate": (fp / well if well else NAN, well),
        "malignant_precision": (tp / (tp + fp) if tp + fp else NAN, tp + fp),
        "malignant_f1": (2 * tp / (2 * tp + fp + ill - tp) if ill else NAN, ill),
        "selection_rate": ((tp + fp) / n if n else NAN, n),
        "auroc": (sk.roc_auc_score(target, score) if ranked else NAN, min(ill, well)),
        "auprc": (sk.average_precision_score(target, score) if ranked else NAN, ill),
        "brier": (((score - target) ** 2).mean() if sure else NAN, n),
        "sensitivity_at_specificity": (0.737 if ranked else NAN, ill),
        "ece_malignant": (0.011 if sure else NAN, n),
        "ece": (0.014 if sure else NAN, n),
    }
    values["balanced_accuracy"] = ((recall + values["specificity"][0]) / 2, min(ill, well))
    pairs = np.bincount(rows.labels * len(rows.classes) + rows.decisions)
    counts = np.zeros(len(rows.classes) ** 2, int)
    counts[: len(pairs)] = pairs
    matrix = counts.reshape(len(rows.classes), -1)
    return {
        "n": n,
        "n_malignant": ill,
        "n_units": -(-n // 3),
        "metrics": {name: figure(*given) for name, given in values.items()},
        "confusion_matrix": matrix.tolist(),
        "per_class": per_class_of(rows, matrix),
    }


def per_class_of(rows: Predictions, matrix: np.ndarray) -> dict:
    found = {}
    for index, name in enumerate(rows.classes):
        hits, n, decided = matrix[index, index], matrix[index].sum(), matrix[:, index].sum()
        score = rows.probabilities[:, index]
        ranked = 0 < n < len(rows.labels) and not np.isnan(score).any()
        is_class = rows.labels == index
        found[name] = {
            "n": int(n),
            "precision": figure(hits / decided if decided else NAN, decided),
            "recall": figure(hits / n if n else NAN, n),
            "f1": figure(2 * hits / (n + decided) if n else NAN, n),
            "auroc": figure(sk.roc_auc_score(is_class, score) if ranked else NAN, n),
            "auprc": figure(sk.average_precision_score(is_class, score) if ranked else NAN, n),
        }
    return found


def gaps_of(levels: dict, min_group: int) -> dict:
    rates = {}
    for rate in RATES.split():
        name = OWN_NAMES.get(rate, rate)
        count = {"true_positive_rate": "n_malignant", "false_negative_rate": "n_malignant"}
        sizes = {level: part[count.get(rate, "n")] for level, part in levels.items()}
        sizes.pop("unknown", None)
        judged = [level for level, n in sizes.items() if n >= min_group]
        values = {level: levels[level]["metrics"][name]["value"] for level in judged}
        values = {level: value for level, value in values.items() if not np.isnan(value)}
        apart = len(values) > 1
        low, high = (min(values, key=values.get), max(values, key=values.get)) if apart else (0, 0)
        smallest = min((sizes[level] for level in values), default=0)
        difference, quotient = NAN, NAN
        if apart:
            difference = values[high] - values[low]
            quotient = values[low] / values[high] if values[high] else NAN
        rates[rate] = {
            "difference": figure(difference, smallest),
            "ratio": figure(quotient, smallest),
            "groups": judged,
            "left_out": [level for level in sizes if level not in judged],
            "lowest": low or "",
            "highest": high or "",
        }
    sources = {
        "demographic_parity": "selection_rate",
        "equal_opportunity": "true_positive_rate",
        "equalized_odds": "true_positive_rate",
    }
    return {
        "rates": rates,
        **{
            f"{name}_{kind}": rates[rate][kind]
            for name, rate in sources.items()
            for kind in ("difference", "ratio")
        },
    }


def calibration_of(rows: Predictions) -> dict:
    target = rows.labels == rows.positive
    positive = rows.probabilities[:, rows.positive]
    top = rows.probabilities.max(axis=1, initial=0)
    right = rows.probabilities.argmax(axis=1) == rows.labels
    even = np.linspace(0, 1, 16)
    is_known = len(top) and not np.isnan(top).any()
    cold = rows.probabilities**TEMPERATURE
    cold /= cold.sum(axis=1, keepdims=True)  # as they were before the temperature
    quantiles = np.unique(np.quantile(top, even)) if is_known else np.array([0, 1])
    return {
        "equal_width": reliability(top, right, even),
        "equal_mass": reliability(top, right, quantiles),
        "positive": reliability(positive, target, even),
        "temperature": {
            "rule": "temperature(by='all')",
            "n_fitted": 3120,
            "value": TEMPERATURE,
            "groups": {},
            "before": {
                "ece": 0.031,
                "log_loss": 0.112,
                "positive": reliability(cold[:, rows.positive], target, even),
                "equal_width": reliability(cold.max(axis=1, initial=0), right, even),
            },
            "after": {"ece": 0.011, "log_loss": 0.081},
        },
    }


def reliability(confidence, right, edges) -> dict:
    bins, n_known = [], 0 if np.isnan(confidence).any() else len(confidence)
    for lower, upper in pairwise(edges):
        own = (confidence > lower) & (confidence <= upper)
        mean = confidence[own].mean() if own.any() else NAN
        share = right[own].mean() if own.any() else NAN
        named = {"lower": lower, "upper": upper, "n": int(own.sum())}
        bins.append({**named, "confidence": float(mean), "accuracy": float(share)})
    off = [b["n"] * abs(b["confidence"] - b["accuracy"]) / n_known for b in bins if b["n"]]
    return {"ece": float(sum(off)) if n_known else NAN, "bins": bins}


def threshold_of() -> dict:
    names = "malignant_recall specificity balanced_accuracy malignant_f1 selection_rate "
    names += "equal_opportunity_difference equalized_odds_difference"
    one = (0.723, 0.902, 0.812, 0.229, 0.111, 0.262, 0.262)
    own = (0.745, 0.871, 0.808, 0.193, 0.142, 0.118, 0.134)
    cost = {"one_threshold": one, "by_group": own}
    return {
        "rule": "youden",
        "n_fitted": 3120,
        "value": 0.0312,
        "groups": dict(zip(GROUP_NAMES, (0.034, 0.021, 0.028, 0.0312), strict=True)),
        "cost": {name: dict(zip(names.split(), row, strict=True)) for name, row in cost.items()},
    }


def comparison_of(rows: Predictions, groups: dict) -> dict:
    def difference(value, half, p):
        return {"value": value, "low": value - half, "high": value + half, "p": p}

    some = {
        "malignant_recall": difference(0.051, 0.06, 0.11),
        "auroc": difference(0.021, 0.015, 0.004),
    }
    some["specificity"] = difference(-0.012, 0.006, 0.0004)
    by_group = {
        attribute: {level: some | {"auroc": difference(NAN, NAN, NAN)} for level in levels}
        for attribute, levels in groups.items()
    }
    counts = {"only_this_right": 31, "only_other_right": 24, "p": 0.42}
    return {
        "name": "baseline.csv",
        "n": len(rows.labels),
        "n_malignant": int((rows.labels == rows.positive).sum()),
        "differences": some,
        "by_group": by_group,
        "delong": {"difference": 0.021, "low": 0.006, "high": 0.036, "p": 0.006},
        "mcnemar": {
            "all": {"only_this_right": 214, "only_other_right": 287, "p": 0.0012},
            "malignant": counts,
            "benign": {"only_this_right": 183, "only_other_right": 263, "p": 0.0002},
        },
    }


def hard_cases_of(rows: Predictions, most: int = 12) -> list[dict]:
    sure = rows.probabilities[np.arange(len(rows.labels)), rows.decisions]
    wrong = np.flatnonzero(rows.labels != rows.decisions)
    order = wrong[np.argsort(-np.nan_to_num(sure[wrong]), kind="stable")][:most]
    names = [*rows.group_names, "unknown"]
    return [
        {
            "name": rows.names[row],
            "label": rows.classes[rows.labels[row]],
            "decision": rows.classes[rows.decisions[row]],
            "probability": float(sure[row]),
            "group": names[rows.groups[row]],
        }
        for row in order
    ]
