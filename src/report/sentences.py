"""What an evaluation says, in sentences for a clinician."""

from typing import NamedTuple

from ..core.registry import parse_call
from .numbers import (
    Named,
    ci_of,
    count,
    difference_unit,
    is_known,
    metric,
    p_value,
    percent,
    value_of,
)

_CLUSTERS = {
    "patient_id": ("patient", "patients"),
    "lesion_id": ("lesion", "lesions"),
    "patient_id and lesion_id": ("patient or lesion", "patients or lesions"),
    "image": ("image", "images"),
}
_RULES = {
    "max_f1": "chosen for the highest F1",
    "youden": "chosen for the highest Youden’s index (sensitivity + specificity − 1)",
    "sensitivity": "chosen as the highest with a sensitivity of at least {least}",
    "specificity": "chosen as the lowest with a specificity of at least {least}",
    "fixed": "given in advance",
}
_PREDICTED = (0.1, 0.3, 0.5, 0.8)  # probabilities that the text on calibration looks at


class Words(NamedTuple):
    """What the images to detect, and the others, are called."""

    one: str
    many: str
    others: str

    @property
    def other(self) -> str:
        """One of the others."""
        return self.others.removesuffix("s")


def words_for(source: dict) -> Words:
    """Names by the positive class: melanomas, malignant lesions, or images of a class."""
    positive, classes = source["positive"], source["classes"]
    rest = [name.lower() for name in classes if name != positive]
    others = "benign lesions" if rest == ["benign"] else "other images"
    if positive.lower() in ("mel", "melanoma"):
        return Words("melanoma", "melanomas", others)
    if positive.lower() == "malignant":
        return Words("malignant lesion", "malignant lesions", others)
    return Words(f"image of “{positive}”", f"images of “{positive}”", others)


def in_short(evaluation: dict) -> list[str]:
    """The result in a few sentences, with natural frequencies."""
    found = [_found(evaluation), _false_alarms(evaluation), _alarms(evaluation)]
    found.append(worst_group(evaluation, "skin tone"))
    for told in differences(evaluation)[:1]:
        found.append(f"Compared with “{evaluation['comparison']['name']}”: {told}")
    return [sentence for sentence in found if sentence]


def counted(evaluation: dict) -> str:
    """How many images of how many patients were evaluated."""
    part, source = evaluation["overall"], evaluation["source"]
    images = f"{count(part['n'])} {'image' if part['n'] == 1 else 'images'}"
    clusters = f" of {clusters_of(evaluation)}" if source["cluster"] != "image" else ""
    return f"{images}{clusters}, {_positives(part, source)}. Counts are of images, not patients."


def clusters_of(evaluation: dict) -> str:
    """`62 patients`: what the bootstrap resamples; a column of another name is quoted."""
    n, cluster = evaluation["overall"]["n_clusters"], evaluation["source"]["cluster"]
    told = f"cluster of “{cluster}”", f"clusters of “{cluster}”"
    one, many = _CLUSTERS.get(cluster, told)
    return f"{count(n)} {one if n == 1 else many}"


def rule_in_words(call: str) -> str:
    """How a threshold was chosen: `chosen for the highest F1`."""
    words = _RULES.get(call.partition("(")[0])
    if words is None:
        return f"chosen by “{call}”"
    return words.format(least=percent(parse_call(call).options.get("least", 0.9)))


def call_strings(evaluation: dict) -> list[tuple[str, str]]:
    """(name, call string) of what was fitted, as it was asked for."""
    found = {
        "calibration": evaluation["calibration"]["temperature"],
        "threshold": evaluation["threshold"],
    }
    return [(name, fitted["rule"]) for name, fitted in found.items() if fitted]


def _positives(part: dict, source: dict) -> str:
    words, n = words_for(source), part["n_positive"]
    return f"{count(n)} {words.one if n == 1 else words.many}"


def plain(attribute: str) -> str:
    """The name of a metadata column in words: `age approx`."""
    return attribute.replace("_", " ")


def hits_of(part: dict, source: dict) -> int:
    """How many images of the positive class were decided to be so."""
    place = source["classes"].index(source["positive"])
    return part["confusion_matrix"][place][place]


def _found(evaluation: dict) -> str:
    part, source = evaluation["overall"], evaluation["source"]
    n = part["n_positive"]
    if not n:
        words = words_for(source)
        return f"These images include no {words.many}, so sensitivity cannot be calculated."
    hits = hits_of(part, source)
    share = _in_brackets(evaluation, "sensitivity")
    return f"The model detected {count(hits)} of {_positives(part, source)}{share}."


def _false_alarms(evaluation: dict) -> str:
    part, source = evaluation["overall"], evaluation["source"]
    n, others = part["n"] - part["n_positive"], words_for(source).others
    if not n:
        return f"These images include no {others}, so specificity cannot be calculated."
    false = _alarms_of(part, source) - hits_of(part, source)
    share = _in_brackets(evaluation, "false_positive_rate")
    return f"It falsely flagged {count(false)} of {count(n)} {others}{share}."


def _alarms(evaluation: dict) -> str:
    part, source = evaluation["overall"], evaluation["source"]
    n, hits = _alarms_of(part, source), hits_of(part, source)
    if not n:
        return "It flagged no images." if part["n"] else ""
    share = _in_brackets(evaluation, "precision")
    common = percent(part["n_positive"] / part["n"])
    return (
        f"Of its {count(n)} alarms, {count(hits)} were correct{share}. This depends on prevalence, "
        f"here {common}: at lower prevalence, a smaller proportion of alarms is correct."
    )


def _alarms_of(part: dict, source: dict) -> int:
    place = source["classes"].index(source["positive"])
    return sum(row[place] for row in part["confusion_matrix"])


def _in_brackets(evaluation: dict, name: str) -> str:
    """` (sensitivity 72 %, 95 % CI 64–80 %)` of a metric of all images."""
    figure, told = evaluation["overall"]["metrics"][name], metric(name)
    if not is_known(figure["value"]):
        return ""
    bounds = ci_of(figure, "%", evaluation["settings"]["confidence"])
    return f" ({told.title.lower()} {value_of(figure, '%')}{f', {bounds}' if bounds else ''})"


def worst_group(evaluation: dict, attribute: str) -> str:
    """In which group fewest are detected, and whether that may be chance; empty without groups."""
    source, groups = evaluation["source"], evaluation["groups"].get(attribute, {})
    gaps = evaluation["gaps"].get(attribute, {}).get(source["positive"])
    if not groups or gaps is None:
        return ""
    rate, words = gaps["rates"]["sensitivity"], words_for(source)
    least, by = evaluation["settings"]["min_group"], f"By {plain(attribute)}, sensitivity"
    left_out = _left_out(rate["left_out"], groups, words, least)
    if not is_known(rate["difference"]["value"]):
        reason = f"fewer than two groups have {least} or more {words.many}"
        return f"{by} cannot be compared: {reason}. {left_out}".strip()
    if rate["difference"]["value"] == 0:
        return f"{by} was equal in all groups compared. {left_out}".strip()
    lowest, highest = (
        f"{_where(attribute, rate[end])} ({_share(groups[rate[end]], source)})"
        for end in ("lowest", "highest")
    )
    chance = _chance(rate["difference"], evaluation["settings"]["confidence"])
    return f"{by} was lowest {lowest} and highest {highest}. {chance} {left_out}".strip()


def _where(attribute: str, group: str) -> str:
    return f"on “{group}” skin" if attribute == "skin tone" else f"for “{group}”"


def _share(part: dict, source: dict) -> str:
    share = value_of(part["metrics"]["sensitivity"], "%")
    return f"{count(hits_of(part, source))} of {count(part['n_positive'])}, {share}"


def _chance(gap: dict, confidence: float) -> str:
    """Whether the interval of a gap, which holds for all pairs of groups, leaves room for none."""
    bounds = ci_of(gap, "points", confidence)
    told = f"The difference of {value_of(gap, 'points')}"
    if not bounds:
        return f"{told} has no confidence interval."
    is_clear = gap["low"] > 0
    return f"{told} ({bounds}) {'is unlikely to be' if is_clear else 'may be'} due to chance."


def _left_out(left_out: list[str], groups: dict, words: Words, least: int) -> str:
    named = [f"“{name}” ({count(groups[name]['n_positive'])})" for name in left_out]
    told = f"Not compared, with fewer than {least} {words.many}: {', '.join(named)}."
    return told if named else ""


def calibration_sentences(evaluation: dict) -> list[str]:
    """What a predicted probability is worth, by bins with enough images."""
    found, least = evaluation["calibration"], evaluation["settings"]["min_group"]
    positive = evaluation["source"]["positive"]
    bins = [b for b in found["positive"]["bins"] if b["n"] >= max(least, 1)]
    chosen: dict = {}
    for predicted in _PREDICTED:
        for b in bins:
            if b["lower"] < predicted <= b["upper"]:
                chosen.setdefault(b["lower"], b)
    sentences = [
        f"Of {count(b['n'])} images with a predicted probability of about "
        f"{percent(b['confidence'], 0)}, {percent(b['accuracy'], 0)} were “{positive}”."
        for b in chosen.values()
    ]
    if is_known(found["positive"]["ece"]):
        off = f"{100 * found['positive']['ece']:.1f} percentage points"
        sentences.append(f"The average gap between predicted and observed probability is {off}.")
    return sentences


def differences(evaluation: dict) -> list[str]:
    """How this model differs from the other on the same images, a sentence for each metric."""
    found = (evaluation["comparison"] or {"differences": {}})["differences"]
    confidence = evaluation["settings"]["confidence"]
    names = ("auroc", "sensitivity", "specificity")
    return [_difference(metric(name), found[name], confidence) for name in names if name in found]


def _difference(told: Named, figure: dict, confidence: float) -> str:
    value, unit = figure["value"], difference_unit(told.unit)
    if not is_known(value):
        return f"The difference in {told.title} could not be calculated."
    low, high = figure["low"], figure["high"]
    size = {"value": -value, "low": -high, "high": -low} if value < 0 else figure
    amount = f"was {value_of(size, unit)} {'higher' if value > 0 else 'lower'}"
    inside = [text for text in (ci_of(size, unit, confidence), p_value(figure["p"])) if text]
    return f"{told.title} {amount if value else 'did not differ'} ({', '.join(inside)})."
