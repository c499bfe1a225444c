"""What tables and figures call a metric."""

TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "malignant_recall": "sensitivity",
    "malignant_precision": "precision",
    "malignant_f1": "F1",
}


def title_of(metric: str) -> str:
    """A metric's name for readers."""
    return TITLES.get(metric, metric.replace("_", " "))
