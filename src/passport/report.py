"""The passport for a reader: JSON, a page with examples, and a few lines for a terminal."""

import base64
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core.cells import visible
from ..core.files import to_strict_json, write_text
from ..report import page
from .corruptions import CORRUPTIONS, N_SEVERITIES
from .edits import EDITS
from .effects import Effect, Rate
from .examine import ALL, Answers

Found = dict[str, dict[str, Effect]]


def write_passport(
    folder: Path, model: str, contract, answers: Answers, found: Found, tolerance: float
) -> list[str]:
    """Write `passport.json` and `passport.html`; the artefacts found, a line each."""
    positive = contract.classes[contract.positive]
    lines = shortcuts(found, positive)
    content = {
        "model": model,
        "notice": contract.notice,
        "positive": positive,
        "tolerance": tolerance,
        "n": len(answers.names),
        "found": lines,
        "effects": {
            group: {name: asdict(effect) for name, effect in rows.items() if effect.n}
            for group, rows in found.items()
        },
    }
    write_text(folder / "passport.json", to_strict_json(content, indent=1))
    environment = Environment(
        loader=FileSystemLoader(Path(page.__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    n_corrupted = found[ALL][f"{next(iter(CORRUPTIONS))} 1"].n
    shown = {name: content[name] for name in ("model", "notice", "positive", "tolerance", "n")}
    text = environment.get_template("passport.html").render(
        **shown,
        found=lines,
        tables={group: _rows(effects) for group, effects in found.items()},
        corruptions=_corruption_rows(found[ALL]) if n_corrupted else [],
        n_corrupted=n_corrupted,
        examples=[_pictures(example) for example in answers.examples],
    )
    write_text(folder / "passport.html", text)
    return lines


def shortcuts(found: Found, positive: str) -> list[str]:
    """A line for each artefact that changes the answers of all images beyond the tolerance."""
    lines = []
    for name, edit in EDITS.items():
        effect = found[ALL][name]
        if edit.is_artefact and effect.is_found:
            flips = effect.to_positive if effect.change > 0 else effect.to_negative
            to = "to" if effect.change > 0 else "from"
            lines.append(
                f"{edit.label}: probability of {visible(positive, 60)} {_change(effect)}; "
                f"{flips.hits} of {flips.n} decisions flip {to} it"
            )
    return lines


def _rows(effects: dict[str, Effect]) -> list[list[str]]:
    return [
        [
            edit.label + (" – reported" if edit.is_artefact and effects[name].is_found else ""),
            f"{effects[name].n:,}",
            _change(effects[name]),
            _rate(effects[name].to_positive),
            _rate(effects[name].to_negative),
        ]
        for name, edit in EDITS.items()
    ]


def _change(effect: Effect) -> str:
    if not effect.n:
        return "not defined (the edit was possible in no image)"
    bounds = f" ({effect.low:+.3f} to {effect.high:+.3f})" if effect.n > 1 else ""
    return f"{effect.change:+.3f}{bounds}"


def _rate(found: Rate) -> str:
    if not found.n:
        return "not defined (no such decision)"
    bounds = f"({100 * found.low:.0f}–{100 * found.high:.0f} %)"
    return f"{found.hits} of {found.n}, {100 * found.value:.0f} % {bounds}"


def _corruption_rows(effects: dict[str, Effect]) -> list[list[str]]:
    rows = []
    for name in CORRUPTIONS:
        cells = [name.replace("_", " ")]
        for severity in range(1, N_SEVERITIES + 1):
            effect = effects[f"{name} {severity}"]
            n_flips = effect.to_positive.hits + effect.to_negative.hits
            cells.append(f"{100 * n_flips / effect.n:.0f} %" if effect.n else "–")
        rows.append(cells)
    return rows


def _pictures(example: dict[str, np.ndarray | None]) -> list[tuple[str, str]]:
    labels = {"": "as it is"} | {name: edit.label for name, edit in EDITS.items()}
    return [
        (labels[name], f"data:image/jpeg;base64,{_jpeg(image)}")
        for name, image in example.items()
        if image is not None
    ]


def _jpeg(image: np.ndarray) -> str:
    small = cv2.resize(image, (224, 224 * image.shape[0] // image.shape[1]))
    data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
    return base64.b64encode(data.tobytes()).decode("ascii")
