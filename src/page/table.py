"""The answers of a visit as a CSV that the visitor can save."""

from collections.abc import Sequence

import pandas as pd

from ..core.cells import csv_text
from .answers import Answer


def as_csv(answers: Sequence[Answer], classes: Sequence[str]) -> str:
    """A line for each picture: what was said, the probabilities, the skin tone, why no answer."""
    rows = []
    for answer in answers:
        tone, trust = answer.tone, answer.trust
        rows.append(
            {
                "image_name": answer.name,
                "predicted_class": answer.predicted,
                "category": trust.category if trust else "",
                **{f"probability_{name}": answer.probabilities.get(name) for name in classes},
                "skin_tone": tone.group if tone else "",
                "ita": round(tone.estimate.ita, 1) if tone else None,
                "reason": answer.refusal or (trust.reason if trust else ""),
            }
        )
    return csv_text(pd.DataFrame(rows))
