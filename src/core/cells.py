"""Text of strangers' tables and files: what names nobody, which spellings are one, how it is shown.

Every reader tidies what it reads and every writer guards what it writes here, so that the trainer,
the evaluator, predict.py and the preparers understand a cell alike.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

# what stands for an unknown patient, lesion, group or category, in any case
UNKNOWN_WORDS = frozenset(
    {"", "-", "--", "-1", "?", "missing", "n/a", "na", "nan", "none", "not available"}
    | {"not known", "not specified", "null", "undefined", "unk", "unknown", "unspecified"}
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0+")  # what pandas makes of integers beside empty cells
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def tidy(text: str) -> str:
    """The text in one spelling: NFC, single blanks and none around it, `1.0` as `1`.

    Capital and small letters stay as they are.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_INVISIBLE)
    text = " ".join(text.split())
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def says_nothing(text: str) -> bool:
    """Whether a text is blank or one of `UNKNOWN_WORDS`."""
    return tidy(text).casefold() in UNKNOWN_WORDS


def known_id(text: str) -> str:
    """An id as ids are compared: tidy and in small letters; empty where it names nobody."""
    key = tidy(text).casefold()
    return "" if key in UNKNOWN_WORDS else key


def one_spelling(texts: Iterable[str]) -> tuple[dict[str, str], list[list[str]]]:
    """(the spelling to use for each text, the lists of spellings that are one).

    Spellings that differ in blanks, in case or as `1` and `1.0` are one: the most frequent of
    them, of equally frequent ones the first in alphabetical order.
    """
    spellings: dict[str, Counter[str]] = {}
    for text, count in Counter(texts).items():
        spellings.setdefault(tidy(text).casefold(), Counter())[text] += count
    used, merged = {}, []
    for counts in spellings.values():
        written = sorted(counts, key=lambda text: (-counts[text], text))
        used |= dict.fromkeys(written, tidy(written[0]))
        merged += [written] if len(written) > 1 else []
    return used, merged


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
    """The text of a CSV of a DataFrame, without its index and with its text cells `guarded`.

    `options` are those of its `to_csv`.
    """
    texts = frame.select_dtypes(exclude="number")
    cells = {name: [guarded(c) if isinstance(c, str) else c for c in texts[name]] for name in texts}
    return frame.assign(**cells).to_csv(index=False, **options)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
