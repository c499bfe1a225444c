"""What the page says, in sentences; each is one that a reader without statistics understands."""

import math

from ..core.classes import described
from .answers import Answer, Tone
from .records import ALL, Record

ABOUT = """
This page shows what a trained classifier makes of a picture of a skin lesion, for research and
education. **It is not a medical device, and nothing here is a diagnosis.** If a spot worries you,
show it to a dermatologist, whatever this page says.

Pictures are processed in the memory of this computer and are neither stored nor logged; the
location that a camera records is not read. Closing the page deletes everything.
"""
FEW = 20  # positive images, with fewer of which a sensitivity says little


def tone_in_words(tone: Tone) -> str:
    """The skin tone of a picture, and how far it is to be trusted."""
    found = tone.estimate
    kind = {"clinical": "photograph", "dermoscopy": "dermoscopic picture"}[tone.domain]
    if not tone.group:
        reason = found.reason or "no skin was found"
        return f"Skin tone unknown ({reason}), in what looks like a {kind}."
    angle = f"individual typology angle {found.ita:.0f}° ± {found.ita_spread:.0f}°"
    doubt = " It lies so near another group that it may belong there." if found.uncertain else ""
    return f"**{tone.group}** skin ({angle}), in what looks like a {kind}.{doubt}"


def record_in_words(answer: Answer, positive: str) -> str:
    """How well the model did on this skin tone, which stands beside every answer."""
    record, tone = answer.record, answer.tone.group if answer.tone else ""
    if record is None and answer.record_of_all is None:
        return "How well this model finds what it looks for was not measured."
    if record is None:
        why = f"was not measured on {tone.lower()} skin" if tone else "depends on the skin tone"
        return f"How well it finds {positive} {why}. {record_line(answer.record_of_all, positive)}"
    return record_line(record, positive)


def record_line(record: Record, positive: str) -> str:
    """A record in a sentence."""
    whom = (
        "on all skin tones together" if record.group == ALL else f"on {record.group.lower()} skin"
    )
    if not record.n_positive or math.isnan(record.sensitivity):
        return f"It was not tested on any {positive} {whom}: whether it finds one is unknown."
    found = round(record.sensitivity * record.n_positive)
    few = " That is too few to rely on." if record.n_positive < FEW else ""
    interval = ""
    if not math.isnan(record.low):
        interval = f", 95 % interval {percent(record.low)} to {percent(record.high)}"
    return (
        f"In its test {whom} it found {found} of {record.n_positive} {positive} pictures "
        f"({percent(record.sensitivity)}{interval}).{few}"
    )


def headline(answer: Answer) -> str:
    """The answer in a line, an abstention as plainly as an answer."""
    if answer.trust and answer.trust.abstains:
        return "No answer: a person has to look at this"
    return f"{in_words(answer.predicted)}, {percent(answer.probabilities[answer.predicted])}"


def percent(share: float) -> str:
    """A share, 0 to 1, in whole percent."""
    return f"{100 * share:.0f} %"


def in_words(name: str) -> str:
    """A class's name and, where it is an abbreviation, what it stands for."""
    meaning = described(name)
    return name if meaning == name else f"{meaning} ({name})"


def advice(answer: Answer) -> str:
    """What was decided about the answer itself, and why; empty where nothing was fitted for it."""
    trust = answer.trust
    if trust is None:
        return ""
    said = trust.reason or trust.advice
    likely = ", ".join(map(in_words, trust.classes)) or "none of the known classes"
    return f"**{trust.category.replace('_', ' ').capitalize()}**: {said}. Not ruled out: {likely}."
