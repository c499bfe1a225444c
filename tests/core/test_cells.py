"""`core.cells`: spellings, unknown words, and text that is safe to show and to write."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from src.core.cells import (
    csv_text,
    guarded,
    known_id,
    names_no_class,
    one_spelling,
    says_nothing,
    tidy,
    unguarded,
    visible,
)
from src.datasets.csv_files import read_csv


def test_spellings_of_one_name_are_one():
    assert {tidy(text) for text in ("1", "1.0", " 1", "1 ", "1.00", "\ufeff1", "\u00a01")} == {"1"}
    written = ("1.", "1,0", "1,00", "\uff11", "1\u00ad", "\u202a1\u202c", "1\u200e", "\u30001")
    assert {tidy(text) for text in written} == {"1"}
    assert {tidy(text) for text in ("100000", "1e+05", "1.0E+5", "1,0e+05")} == {"100000"}
    assert tidy("\u22121") == "-1" and tidy("P\u20131") == "P-1" and tidy("o\ufb03ce") == "office"
    for text in ("1,000", "1e5", "12e4567", "1.5e+00", "001", "1,5"):
        assert tidy(text) == text
    assert tidy("caf\u0065\u0301") == tidy("caf\u00e9")
    assert tidy("a  b\t c") == "a b c"
    assert [tidy(text) for text in ("1.5", "01", "10", "1.0.0", "Mel")] == (
        ["1.5", "01", "10", "1.0.0", "Mel"]
    )
    assert known_id("IP_1 ") == known_id("ip_1") != known_id("ip_10")


def test_what_names_nobody_is_no_id():
    for text in ("", " ", "unknown", "Unknown ", "NaN", "-1", "-1.0", "N/A", "none", "NULL", "?"):
        assert says_nothing(text) and known_id(text) == "", text
    for text in (
        "<NA>",
        "#N/A",
        "NaT",
        "N.A.",
        "n.a.",
        "nd",
        "not_available",
        "Not-Known",
        "[unknown]",
    ):
        assert says_nothing(text), text
    for text in (
        "NOT APPLICABLE",
        "not recorded",
        "missing value",
        "\u22121",
        "\u2013",
        "(unknown)",
    ):
        assert says_nothing(text), text
    for text in ("-9", "-99", "-999.0", "-1,0", "---", "???", "..", "unknown.", "?\u00a0"):
        assert says_nothing(text), text
    for text in ("NA", "None", "none.", "<NA>"):
        assert says_nothing(text) and not names_no_class(text)
    assert names_no_class("unknown") and names_no_class("-1") and not names_no_class("nv")
    for text in ("0", "1", "no", "nv", "nan1", "other", "-2", "999", "unknown-1", "not-a-nevus"):
        assert not says_nothing(text) and known_id(text) == text


def test_the_most_frequent_spelling_is_used_and_the_others_are_told():
    texts = ["melanoma", "Melanoma", "melanoma", "melanoma ", "nevus", "1", "1.0"]
    used, merged = one_spelling(texts)
    assert used == {
        **dict.fromkeys(("melanoma", "Melanoma", "melanoma "), "melanoma"),
        "nevus": "nevus",
        **dict.fromkeys(("1", "1.0"), "1"),
    }
    assert [sorted(spellings) for spellings in merged] == [
        ["Melanoma", "melanoma", "melanoma "],
        ["1", "1.0"],
    ]


def test_control_characters_are_shown_not_sent_to_the_terminal():
    assert visible("a\x1b[2Jb\r\nc\u202ed\udc80") == "a\\x1b[2Jb\\r\\nc\\u202ed\\udc80"
    assert visible("C:\\new ähnlich 皮") == "C:\\new ähnlich 皮"
    assert visible("x" * 100, 20) == "x" * 17 + "..."


@given(st.text())
def test_a_guarded_text_is_no_formula_and_comes_back(text):
    cell = guarded(text)
    assert unguarded(cell) == text
    if not text.replace(".", "").strip("+-").isdigit():
        assert not cell.startswith(("=", "@"))


def test_numbers_are_not_guarded():
    assert [guarded(text) for text in ("-1", "+2.5e3", "-inf", "=1", "-1+1", "@a", "a=1")] == (
        ["-1", "+2.5e3", "-inf", "'=1", "'-1+1", "'@a", "a=1"]
    )


def test_a_table_of_formulas_is_written_as_text_and_read_back_the_same(tmp_path):
    texts = ["=1+1", "+a", "-1.jpg", "@x", "'=y", "plain", "a,b", ""]
    rows = pd.DataFrame({"image": texts, "value": [-1.5, 2] * 4, "mixed": [*range(7), "=z"]})
    text = csv_text(rows)
    assert [line.partition(",")[0][:1] for line in text.splitlines()[1:6]] == ["'"] * 5
    assert text.splitlines()[1] == "'=1+1,-1.5,0"
    (tmp_path / "rows.csv").write_text(text)
    found = read_csv(tmp_path / "rows.csv", ()).fillna("")
    assert found["image"].tolist() == texts
    assert found["mixed"].tolist()[-1] == "=z"
