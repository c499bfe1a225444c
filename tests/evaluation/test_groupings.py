"""Groupings: levels and bands against plain loops, what is unknown, mistakes in words."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import UserError
from src.evaluation.groupings import Grouping, crossed, grouping_of_column, tone_groups


def levels_of(grouping: Grouping) -> list[str]:
    """The level of every row, blank where it is unknown."""
    assert grouping.codes.dtype == np.int64
    assert set(grouping.codes) <= set(range(-1, len(grouping.levels)))
    return [grouping.levels[code] if code >= 0 else "" for code in grouping.codes]


def of(values, edges=(), name="sex") -> Grouping:
    return grouping_of_column(name, pd.Series(values, dtype=object), edges)


def test_tone_groups_are_those_of_the_predictions(table):
    found = tone_groups(table([1, 0, 1], [2, -1, 0]))
    assert found.name == "skin tone"
    assert found.levels == ("Very light", "Light", "Intermediate", "Tan and darker")
    assert levels_of(found) == ["Intermediate", "", "Very light"]


@pytest.mark.parametrize("blank", ["", "  ", None, np.nan, "unknown", "Unknown ", "-1", "N/A"])
def test_texts_are_sorted_levels_and_blank_ones_unknown(blank):
    found = of(["male", blank, " female", "male"])
    assert (found.name, found.levels) == ("sex", ("female", "male"))
    assert levels_of(found) == ["male", "", "female", "male"]


def test_a_column_without_any_text_is_unknown():
    found = of(["", None, "unknown"])
    assert (found.levels, found.codes.tolist()) == ((), [-1, -1, -1])
    assert of([]).codes.shape == (0,)


def test_spellings_of_one_level_are_one_group():
    found = of(["Male", "male", "male ", "MALE", "male", "Female", "fe male"])
    assert found.levels == ("Female", "fe male", "male"), "the most frequent spelling"
    assert levels_of(found)[:5] == ["male"] * 5
    found = of(["1", "1.0", "2", " 1", "2.0", "1,5", "1.5"], name="type")
    assert (found.levels, found.codes.tolist()) == (("1", "1.5", "2"), [0, 0, 2, 0, 2, 1, 1])


def test_minus_one_is_a_number_among_other_negative_ones_only():
    assert levels_of(of(["-1", "1", "-1.0", "2"], name="type")) == ["", "1", "", "2"]
    assert levels_of(of(["-1", "-2", "", "3"])) == ["-1", "-2", "", "3"]
    assert levels_of(of(["-1", "40"], (30.0,))) == ["", "≥30"]
    assert levels_of(of(["-1", "-20.5", "40"], (30.0,))) == ["<30", "<30", "≥30"]


def test_few_numbers_are_levels_by_size():
    found = of(["10", "9", "", "100", "9"])
    assert found.levels == ("9", "10", "100")
    assert levels_of(found) == ["10", "9", "", "100", "9"]


def test_numbers_beside_texts_are_sorted_as_texts():
    assert of(["10", "9", "other"]).levels == ("10", "9", "other")


def test_many_numbers_need_bands_and_the_message_shows_how():
    assert len(of(map(str, range(12))).levels) == 12
    with pytest.raises(UserError, match=r"13 different .*--group_by \"age_approx:30,50,70\"") as e:
        of(map(str, range(13)), name="age_approx")
    assert "\n" not in str(e.value)


def test_many_texts_are_no_groups():
    names = [f"patient {number}" for number in range(31)]
    assert len(of(names[:30]).levels) == 30
    with pytest.raises(UserError, match="'sex' has 31 different values, too many: take another"):
        of(names)


def test_bands_of_whole_numbers():
    ages = ["29", "30.0", "49", "50", "69,0", "70", "", "0", "unknown", "90"]
    found = of(ages, (30.0, 50.0, 70.0), "age_approx")
    assert (found.name, found.levels) == ("age_approx", ("<30", "30–49", "50–69", "≥70"))
    expected = ["<30", "30–49", "30–49", "50–69", "50–69", "≥70", "", "<30", "", "≥70"]
    assert levels_of(found) == expected


@pytest.mark.parametrize(
    ("values", "edges", "levels"),
    [
        (["1", "2"], (2.0,), ("<2", "≥2")),
        (["1", "2"], (1.0, 2.0, 4.0), ("<1", "1", "2–3", "≥4")),
        (["1.5", "2"], (1.0, 2.0), ("<1", "1 to <2", "≥2")),
        (["1", "2"], (0.5, 1.5), ("<0.5", "0.5 to <1.5", "≥1.5")),
        (["-5", "1000000"], (-1.0, 1000000.0), ("<-1", "-1–999999", "≥1000000")),
        ([""], (1.0,), ("<1", "≥1")),
    ],
)
def test_names_of_bands(values, edges, levels):
    assert of(values, edges).levels == levels


@given(
    st.lists(st.sampled_from([None, *range(-50, -9), *range(-8, -1), *range(50)]), max_size=30),
    st.lists(st.integers(-40, 40), min_size=1, max_size=5, unique=True),
)
def test_a_band_has_the_numbers_from_its_edge_on(values, edges):
    edges = sorted(edges)
    found = of(["" if value is None else str(value) for value in values], tuple(map(float, edges)))
    expected = [-1 if v is None else sum(v >= edge for edge in edges) for v in values]
    assert found.codes.tolist() == expected
    assert len(found.levels) == len(edges) + 1


@pytest.mark.parametrize("edges", [(50.0, 30.0), (30.0, 30.0), (float("nan"),), (float("inf"),)])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(UserError, match="bands of 'sex': expected ascending numbers"):
        of(["1"], edges)


@pytest.mark.parametrize("text", ["old", "inf", "4\n5"])
def test_bands_of_what_is_no_number_are_refused(text):
    with pytest.raises(UserError, match=r"column 'sex' holds .* bands need numbers") as error:
        of(["1", text], (30.0,))
    assert "\n" not in str(error.value)


codes = st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 1)), max_size=40)


def test_spellings_of_one_number_are_one_level():
    found = of(["01", "1", "1e0", "1,0", "\uff11", "1.50", "1.5", "-9", "-0", "0"])
    assert found.levels == ("0", "1", "1.5")
    assert found.codes.tolist() == [1, 1, 1, 1, 1, 2, 2, -1, 0, 0]
    assert of(["-9", "-5", "3"]).levels == ("-9", "-5", "3")
    assert of(["01", "1", "x"]).levels == ("01", "1", "x")


@given(codes)
def test_intersections_are_those_of_a_loop(pairs):
    tone = Grouping("skin tone", np.array([a for a, _ in pairs], np.int64), ("Light", "Mid", "Tan"))
    sex = Grouping("sex", np.array([b for _, b in pairs], np.int64), ("female", "male"))
    found = crossed(tone, sex)
    expected = [
        f"{tone.levels[a]} × {sex.levels[b]}" if a >= 0 and b >= 0 else "" for a, b in pairs
    ]
    assert found.name == "skin tone × sex"
    assert levels_of(found) == expected
    order = [f"{a} × {b}" for a in tone.levels for b in sex.levels]
    assert list(found.levels) == [level for level in order if level in expected]


def test_three_may_be_crossed():
    parts = [
        of([*values], name=name) for name, values in (("a", "xxy"), ("b", "ppq"), ("c", "121"))
    ]
    found = crossed(crossed(*parts[:2]), parts[2])
    assert (found.name, found.levels) == ("a × b × c", ("x × p × 1", "x × p × 2", "y × q × 1"))
