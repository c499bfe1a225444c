"""What cannot be trained or compared is told before training starts."""

import numpy as np
import pytest

from src.core.config import Config
from src.core.errors import UserError
from src.datasets.load import load_table
from src.engine.checks import check_monitor, check_settings, check_table


@pytest.fixture(scope="module")
def cfg(tiny_settings):
    return Config().with_settings(**tiny_settings)


@pytest.fixture(scope="module")
def table(cfg):
    return load_table(cfg.data)


def without(table, split, lost):
    """The table without the rows of a split that `lost` [N] marks."""
    drop = (table.rows["split"] == split).to_numpy() & lost
    return table.with_rows(table.rows[~drop])


def test_the_usual_preprocessing_normalises_as_the_published_weights_expect():
    for model, mean in (("efficientnet_lite0", 0.5), ("mobilenet_v2", 0.485)):
        spec = check_settings(Config().with_settings(model=model))
        assert spec.waits_for == ""
        assert spec.to_json()["steps"][-1][1]["mean"][0] == mean


def test_a_class_that_is_missing_is_told_with_what_needs_it(table, cfg):
    with pytest.raises(UserError, match="no training image of class malignant"):
        check_table(without(table, "train", table.labels == 1), cfg)
    for label, undefined, defined in ((0, "specificity", "sensitivity"), (1, "f1", "specificity")):
        one_class = without(table, "valid", table.labels == label)
        for monitor in ("auroc", "balanced_accuracy", "precision", undefined):
            with pytest.raises(UserError, match=rf"--monitor {monitor} is undefined .*\b0 "):
                check_monitor(one_class, monitor)
        for monitor in ("loss", "accuracy", defined):
            check_monitor(one_class, monitor)
    for monitor in ("f1", "auroc", "ece", "demographic_parity_difference"):
        check_monitor(table, monitor)


def test_a_gap_needs_groups_in_the_validation_rows(table):
    for lost in (table.group_indices > 0, table.group_indices >= -1):
        if lost.all():
            lost = np.arange(len(table)) % 40 > 0
        with pytest.raises(UserError, match="--monitor demographic_parity_difference is undefined"):
            check_monitor(without(table, "valid", lost), "demographic_parity_difference")
