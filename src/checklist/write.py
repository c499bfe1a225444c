"""A filled checklist as Markdown, HTML and a Word document with one table."""

import html
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..core.files import replacing, write_text
from ..report.text_tables import markdown_text
from . import findings  # noqa: F401, registers its answers
from .answers import QUESTIONS
from .facts import Run
from .standards import STANDARDS

AUTHOR = "The author must write this."
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"


@dataclass(frozen=True)
class Answer:
    """An item of a guideline, what the run says of it and from which files; else the author's."""

    number: str
    item: str
    text: str
    source: str

    @property
    def is_open(self) -> bool:
        """Whether the author must write it."""
        return self.text == AUTHOR


def fill(run: Run, standard: str) -> list[Answer]:
    """The answers to all items of a standard. Raises `UserError` for damaged files."""
    filled = []
    for number, item, name in STANDARDS[standard][1]:
        text = QUESTIONS[name].answer(run) if name else ""
        source = run.source(*QUESTIONS[name].files) if text else ""
        filled.append(Answer(number, item, text or AUTHOR, source))
    return filled


def write_checklist(answers: list[Answer], title: str, stem: Path) -> list[Path]:
    """Write `<stem>.md`, `.html` and `.docx`; their paths."""
    rows = [(one.number, one.item, one.text, one.source) for one in answers]
    head = ("Item", "What to report", "Answer", "From")
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("md", "html", "docx")]
    lines = [f"| {' | '.join(map(markdown_text, row))} |" for row in (head, *rows)]
    lines.insert(1, "|" + " --- |" * len(head))
    write_text(paths[0], f"# {markdown_text(title)}\n\n" + "\n".join(lines) + "\n")
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{row}</tr>\n" for row in cells)
    heads = "".join(f"<th>{name}</th>" for name in head)
    write_text(
        paths[1],
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        "</title><style>body{font-family:sans-serif;margin:2rem}table{border-collapse:collapse}"
        "td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}"
        f"</style></head><body>\n<h1>{html.escape(title)}</h1>\n<table>\n<tr>{heads}</tr>\n{body}"
        "</table>\n</body></html>\n",
    )
    _write_docx(paths[2], title, [head, *rows])
    return paths


def _write_docx(path: Path, title: str, rows: list[tuple[str, ...]]) -> None:
    table = "".join(f"<w:tr>{''.join(map(_cell, row))}</w:tr>" for row in rows)
    sides = ("top", "left", "bottom", "right", "insideH", "insideV")
    borders = "".join(f'<w:{side} w:val="single" w:sz="4"/>' for side in sides)
    document = (
        f'{_XML}<w:document xmlns:w="{_WORD}"><w:body>{_paragraph(title)}<w:tbl><w:tblPr>'
        f"<w:tblBorders>{borders}</w:tblBorders></w:tblPr>{table}</w:tbl>{_paragraph('')}"
        "</w:body></w:document>"
    )
    types = (
        f'{_XML}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_MAIN}"/></Types>'
    )
    relations = (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Type='
        f'"{_OFFICE}/relationships/officeDocument" Target="word/document.xml"/></Relationships>'
    )
    parts = {"[Content_Types].xml": types, "_rels/.rels": relations, "word/document.xml": document}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, text in parts.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes every time
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)


def _cell(text: str) -> str:
    return f"<w:tc>{_paragraph(text)}</w:tc>"


def _paragraph(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return f'<w:p><w:r><w:t xml:space="preserve">{html.escape(shown)}</w:t></w:r></w:p>'
