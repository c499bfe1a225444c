"""ROC curves by group: which are drawn, of which rows, beside which of the compared model."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from src.evaluation.groupings import Grouping, tone_groups
from src.report.curves_by_group import MOST_GROUPS, plot_roc_by_group, roc_panels
from tests.report.drawn_evaluation import evaluation_of, sex_of
from tests.report.figures import assert_has_ink, assert_texts_are_clear, words


@pytest.fixture
def case(random_table):
    """(predictions, evaluation, groupings, those of another model)"""
    predictions, other = random_table(seed=1), random_table(seed=2)
    groupings = [tone_groups(predictions), sex_of(np.random.default_rng(0), 200)]
    other = replace(other, labels=predictions.labels, groups=predictions.groups)
    return predictions, evaluation_of(predictions), groupings, other


def test_each_attribute_has_its_groups_beside_those_of_the_other_model(case, drawn, tmp_path):
    predictions, evaluation, groupings, other = case
    panels = roc_panels(predictions, evaluation, groupings, other)
    titles = [[panel.title for panel in line] for line in panels]
    assert titles == [[name, f"{name}, baseline.csv"] for name in ("Skin tone", "Sex")]
    for line, grouping in zip(panels, groupings, strict=True):
        for panel, rows in zip(line, (predictions, other), strict=True):
            assert [curve.name for curve in panel.curves] == [*grouping.levels]
            for code, curve in enumerate(panel.curves):
                part = grouping.codes == code
                wanted = roc_auc_score(rows.labels[part], rows.probabilities[part, 1])
                assert curve.areas["auroc"]["value"] == pytest.approx(wanted)
    plot_roc_by_group(panels, tmp_path / "a.png")
    assert_has_ink(tmp_path / "a.png")
    assert_texts_are_clear(drawn[0])
    assert words(drawn[0]).count("female") == 2


def test_what_cannot_be_ranked_or_is_drawn_elsewhere_is_left_out(case, random_table):
    predictions, evaluation, (tones, sex), other = case
    alone = roc_panels(predictions, evaluation, [tones, sex])
    assert [[panel.title for panel in line] for line in alone] == [["Sex"]]
    decisions = replace(other, probabilities=np.full((200, 2), np.nan))
    assert len(roc_panels(predictions, evaluation, [sex], decisions)[0]) == 1
    one = Grouping("sex", np.where(predictions.labels == 1, sex.codes, 0), sex.levels)
    assert roc_panels(predictions, evaluation, [one]) == []
    assert roc_panels(random_table(7), {}, [sex]) == []
    many = Grouping("sex", np.arange(200) % 12, tuple("abcdefghijkl"))
    parts = dict.fromkeys(many.levels, evaluation["overall"])
    ((panel,),) = roc_panels(predictions, evaluation | {"groups": {"sex": parts}}, [many])
    assert len(panel.curves) == MOST_GROUPS
