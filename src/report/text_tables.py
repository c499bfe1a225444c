"""Tables as text: Markdown and LaTeX, with names of strangers escaped."""

import re
from collections.abc import Callable
from dataclasses import dataclass

UNDEFINED = "–"
# `[` and `*` after a line's end would be an option of it
_LATEX = (
    {c: f"\\{c}" for c in "{}$&#_%"}
    | {c: f"{{{c}}}" for c in "[]*"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "–": "--",
        "−": "$-$",
        "±": r"$\pm$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "†": r"$\dagger$",
        "κ": r"$\kappa$",
        "“": "``",
        "”": "''",
        "’": "'",
    }
)


@dataclass(frozen=True)
class Cell:
    """A text and whether it is bold."""

    text: str
    is_bold: bool = False


@dataclass(frozen=True)
class Table:
    """A caption, a heading for each column, and rows of as many cells."""

    caption: str
    headings: list[str]
    rows: list[list[Cell]]


def to_markdown(table: Table) -> str:
    """The table as GitHub's Markdown, under its caption."""
    lines = [
        [markdown_text(heading) for heading in table.headings],
        ["---"] * len(table.headings),
        *(_cells(row, markdown_text, "**{}**") for row in table.rows),
    ]
    caption = markdown_text(table.caption)
    return "\n".join([caption, "", *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def to_latex(table: Table) -> str:
    """The table for LaTeX with the packages booktabs and graphicx, no wider than the text."""
    rows = [_cells(row, latex_text, r"\textbf{{{}}}") for row in table.rows]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(table.caption)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{'l' * len(table.headings)}}}",
            r"\toprule",
            rf"{' & '.join(map(latex_text, table.headings))} \\",
            r"\midrule",
            *(rf"{' & '.join(row)} \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _cells(row: list[Cell], escape: Callable[[str], str], bold: str) -> list[str]:
    return [bold.format(escape(c.text)) if c.is_bold else escape(c.text) for c in row]


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in one cell; characters that do not print are `?`."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return re.sub(r"[\\`*\[\]<>|~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", plain)


def latex_text(text: str) -> str:
    """Text that LaTeX prints as it is; letters beyond the Latin ones are `?`."""
    is_known = [c in _LATEX or (c.isprintable() and c < "\u0180") for c in text]
    plain = [c if known else "?" for c, known in zip(text, is_known, strict=True)]
    return "".join(_LATEX.get(c, c) for c in plain)
