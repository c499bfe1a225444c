"""Text of strangers' tables and files: what names nobody, which spellings are one, how it is shown.

Every reader tidies what it reads and every writer guards what it writes here, so that the trainer,
the evaluator, predict.py and the preparers understand a cell alike.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

# what stands for an unknown patient, lesion, group or category, as `_bare` writes it
UNKNOWN_WORDS = frozenset(
    {"", "-1", "-9", "-99", "-999", "-nan", "blank", "missing", "missing data", "missing value"}
    | {"n.a", "n.d", "n/a", "n / a", "n\\a", "n/d", "n/k", "na", "nan", "nat", "nd"}
    | {"no data", "none"}
    | {f"not {told}" for told in ("applicable", "available", "given", "known", "provided")}
    | {f"not {told}" for told in ("recorded", "reported", "specified")}
    | {"null", "undefined", "unk", "unknown", "unspecified"}
)
_NAMES_TOO = frozenset({"na", "nd", "none"})  # as what else is typed, they may be names of classes
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
# what spreadsheets and pandas make of integers; `1,000` is rather a thousand than 1
_WHOLE_NUMBER = re.compile(r"([+-]?\d+)(?:\.0*|,00?)")
_POWER_OF_TEN = re.compile(r"[+-]?\d+(?:[.,]\d+)?e\+\d\d?", re.IGNORECASE)  # as R has 100000
_WITHIN_WORDS = re.compile(r"(?<=\w)[_-]+(?=\w)")
_LONE_MARKS = re.compile(r"[-_?.*\s]*")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def tidy(text: str) -> str:
    """The text in one spelling: NFKC, one kind of dash, no invisible characters, single blanks and
    none around it, `1.0`, `1,0` and `1.` as `1`, `1e+05` as `100000`.

    Capital and small letters stay as they are.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES)
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = " ".join(text.split())
    if whole := _WHOLE_NUMBER.fullmatch(text):
        return whole[1]
    if _POWER_OF_TEN.fullmatch(text):
        number = Decimal(text.replace(",", "."))
        return str(int(number)) if number == int(number) else text
    return text


def folded(text: str) -> str:
    """The text as names are compared: tidy and in small letters."""
    return tidy(text).casefold()


def says_nothing(text: str) -> bool:
    """Whether a text is blank, a mark such as `?` or one of `UNKNOWN_WORDS`, in any spelling."""
    return _says_nothing(folded(text))


def names_no_class(text: str) -> bool:
    """Whether a text says nothing and is no name either, as `None` and `NA` may be of a class."""
    return says_nothing(text) and _bare(folded(text)) not in _NAMES_TOO


def known_id(text: str) -> str:
    """An id as ids are compared: `folded`; empty where it names nobody."""
    key = folded(text)
    return "" if _says_nothing(key) else key


def _says_nothing(key: str) -> bool:
    return bool(_LONE_MARKS.fullmatch(key)) or _bare(key) in UNKNOWN_WORDS


def _bare(key: str) -> str:
    """`not available` of `<Not_available>`, given in small letters."""
    return _WITHIN_WORDS.sub(" ", key.strip("<>()[]#.?")).strip()


def one_spelling(texts: Iterable[str]) -> tuple[dict[str, str], list[list[str]]]:
    """(the spelling to use for each text, the lists of spellings that are one).

    Spellings that `tidy` makes one, in any case, are one: the most frequent of them, of equally
    frequent ones the first in alphabetical order.
    """
    spellings: dict[str, Counter[str]] = {}
    for text, count in Counter(texts).items():
        spellings.setdefault(folded(text), Counter())[text] += count
    used: dict[str, str] = {}
    merged: list[list[str]] = []
    for counts in spellings.values():
        written = sorted(counts, key=lambda text: (-counts[text], text))
        used |= dict.fromkeys(written, tidy(written[0]))
        merged += [written] if len(written) > 1 else []
    return used, merged


def is_text(text: str) -> bool:
    """Whether a file or table could hold it: names of files may have bytes that are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def visible(text: object, most: int | None = None) -> str:
    """The text on one line with control characters and escape sequences written out.

    Longer texts than `most` characters are cut, with `...` at their end.
    """
    shown = "".join(c if c.isprintable() else _escaped(c) for c in str(text))
    return shown if most is None or len(shown) <= most else f"{shown[: most - 3]}..."


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def guarded(text: str) -> str:
    """The text for a CSV cell, after `'` where a spreadsheet would run it as a formula.

    Numbers stay as they are. `unguarded` gives the text back.
    """
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(frame: Any, **options: Any) -> str:
    """The text of a CSV of a DataFrame, without its index and with all text `guarded`.

    `options` are those of its `to_csv`.
    """
    cells = {
        name: [guarded(cell) if isinstance(cell, str) else cell for cell in values]
        for name, values in frame.items()
        if any(isinstance(cell, str) for cell in values)  # whole numbers beside None stay whole
    }
    guarded_names = {name: guarded(str(name)) for name in frame}
    return frame.assign(**cells).rename(columns=guarded_names).to_csv(index=False, **options)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
