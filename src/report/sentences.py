"""What an evaluation says, in sentences for a clinician."""

from typing import NamedTuple

from .numbers import (
    Named,
    count,
    difference_unit,
    interval_of,
    is_known,
    metric,
    p_value,
    percent,
    value_of,
)

_UNITS = {"patient_id": ("patient", "patients"), "lesion_id": ("lesion", "lesions")}
_STATED = (0.1, 0.3, 0.5, 0.8)  # probabilities that the text on calibration looks at


class Words(NamedTuple):
    """What the images to detect, and the others, are called."""

    one: str
    many: str
    others: str


def words_for(source: dict) -> Words:
    """Names by the positive class: melanomas, malignant lesions, or images of a class."""
    positive, classes = source["positive"], source["classes"]
    rest = [name.lower() for name in classes if name != positive]
    others = "harmless lesions" if rest == ["benign"] else "other images"
    if positive.lower() in ("mel", "melanoma"):
        return Words("melanoma", "melanomas", others)
    if positive.lower() == "malignant":
        return Words("malignant lesion", "malignant lesions", others)
    return Words(f"image of “{positive}”", f"images of “{positive}”", others)


def in_short(evaluation: dict) -> list[str]:
    """The result in a few sentences, with natural frequencies."""
    found = [_found(evaluation), _false_alarms(evaluation), _alarms(evaluation)]
    found.append(worst_group(evaluation, "skin tone"))
    found.append(_against(evaluation))
    return [sentence for sentence in found if sentence]


def counted(evaluation: dict) -> str:
    """How many images of how many patients were judged."""
    part, unit = evaluation["overall"], evaluation["source"]["unit"]
    words = words_for(evaluation["source"])
    images = f"{count(part['n'])} {'image' if part['n'] == 1 else 'images'}"
    one, many = _UNITS.get(unit, ("", ""))
    units = f" of {count(part['n_units'])} {one if part['n_units'] == 1 else many}" if one else ""
    named = words.one if part["n_malignant"] == 1 else words.many
    return f"{images}{units}, {count(part['n_malignant'])} {named}. Images are counted, not people."


def plain(attribute: str) -> str:
    """The name of a metadata column in words: `age approx`."""
    return attribute.replace("_", " ")


def hits_of(part: dict, source: dict) -> int:
    """How many images of the positive class were judged to be so."""
    place = source["classes"].index(source["positive"])
    return part["confusion_matrix"][place][place]


def _found(evaluation: dict) -> str:
    part, words = evaluation["overall"], words_for(evaluation["source"])
    n = part["n_malignant"]
    if not n:
        return f"How many {words.many} it finds cannot be told: there are none among these images."
    hits = hits_of(part, evaluation["source"])
    share = _in_brackets(evaluation, "malignant_recall")
    named = words.one if n == 1 else words.many
    return f"Of {count(n)} {named} it found {count(hits)}{share} and missed {count(n - hits)}."


def _false_alarms(evaluation: dict) -> str:
    part, words = evaluation["overall"], words_for(evaluation["source"])
    n = part["n"] - part["n_malignant"]
    if not n:
        return "How often it raises a false alarm cannot be told: there are no other images."
    false = _alarms_of(part, evaluation["source"]) - hits_of(part, evaluation["source"])
    share = _in_brackets(evaluation, "false_positive_rate")
    return f"Of {count(n)} {words.others} it raised a false alarm for {count(false)}{share}."


def _alarms(evaluation: dict) -> str:
    part, words = evaluation["overall"], words_for(evaluation["source"])
    n, hits = _alarms_of(part, evaluation["source"]), hits_of(part, evaluation["source"])
    if not n:
        return "It raised no alarm at all." if part["n"] else ""
    share = _in_brackets(evaluation, "malignant_precision")
    common = percent(part["n_malignant"] / part["n"])
    return (
        f"Of {count(n)} alarms {count(hits)} were right{share}. That depends on how common "
        f"{words.many} are: here {common} of the images; where they are rarer, fewer alarms "
        "are right."
    )


def _alarms_of(part: dict, source: dict) -> int:
    place = source["classes"].index(source["positive"])
    return sum(row[place] for row in part["confusion_matrix"])


def _in_brackets(evaluation: dict, name: str) -> str:
    """` (72 %, 95 % interval 64–80 %)` of a metric of all images."""
    figure = evaluation["overall"]["metrics"][name]
    if not is_known(figure["value"]):
        return ""
    bounds = interval_of(figure, "%")
    level = percent(evaluation["settings"]["level"], 0)
    return f" ({value_of(figure, '%')}{f', {level} interval {bounds}' if bounds else ''})"


def worst_group(evaluation: dict, attribute: str) -> str:
    """In which group fewest are found, and whether that may be chance; empty without groups."""
    source, levels = evaluation["source"], evaluation["groups"].get(attribute, {})
    gaps = evaluation["gaps"].get(attribute, {}).get(source["positive"])
    if not levels or gaps is None:
        return ""
    rate, words = gaps["rates"]["true_positive_rate"], words_for(source)
    least = evaluation["settings"]["min_group"]
    left_out = _left_out(rate["left_out"], levels, words, least)
    if not is_known(rate["difference"]["value"]):
        reason = f"fewer than two groups have {least} {words.many} or more"
        return (
            f"By {plain(attribute)}, sensitivity cannot be compared: {reason}. {left_out}".strip()
        )
    level = percent(evaluation["settings"]["level"], 0)
    lowest, highest = levels[rate["lowest"]], levels[rate["highest"]]
    if rate["difference"]["value"] == 0:
        return f"By {plain(attribute)}, {words.many} were found equally often. {left_out}".strip()
    least_often, most_often = (_where(attribute, rate[end]) for end in ("lowest", "highest"))
    sentence = (
        f"By {plain(attribute)}, {words.many} were found least often {least_often} "
        f"({_share(lowest, source)}) and most often {most_often} ({_share(highest, source)})."
    )
    return f"{sentence} {_chance(rate['difference'], level)} {left_out}".strip()


def _where(attribute: str, level: str) -> str:
    return f"on “{level}” skin" if attribute == "skin tone" else f"for “{level}”"


def _share(part: dict, source: dict) -> str:
    share = value_of(part["metrics"]["malignant_recall"], "%")
    return f"{count(hits_of(part, source))} of {count(part['n_malignant'])}, {share}"


def _chance(gap: dict, level: str) -> str:
    """Whether the interval of a gap, which holds for all pairs of groups, leaves room for none."""
    bounds = interval_of(gap, "points")
    if not bounds:
        return "There is no interval to say whether that is chance."
    told = f"The gap of {value_of(gap, 'points')} has the {level} interval {bounds}"
    if gap["low"] > 0:
        return f"{told}: chance alone hardly explains it."
    return f"{told}, so it may be chance."


def _left_out(left_out: list[str], levels: dict, words: Words, least: int) -> str:
    named = [f"“{name}” ({count(levels[name]['n_malignant'])})" for name in left_out]
    return f"Fewer than {least} {words.many}, so not judged: {', '.join(named)}." if named else ""


def calibration_sentences(evaluation: dict) -> list[str]:
    """What a stated probability is worth, by bins with enough images."""
    found, least = evaluation["calibration"], evaluation["settings"]["min_group"]
    positive = evaluation["source"]["positive"]
    bins = [b for b in found["positive"]["bins"] if b["n"] >= max(least, 1)]
    chosen = {}
    for stated in _STATED:
        for b in bins:
            if b["lower"] < stated <= b["upper"]:
                chosen.setdefault(b["lower"], b)
    sentences = [
        f"When it said about {percent(b['confidence'], 0)} for “{positive}” ({count(b['n'])} "
        f"images), that was right for {percent(b['accuracy'], 0)}."
        for b in chosen.values()
    ]
    if is_known(found["positive"]["ece"]):
        off = f"{100 * found['positive']['ece']:.1f} percentage points"
        sentences.append(f"On average, what it said and what was right are {off} apart.")
    return sentences


def differences(evaluation: dict) -> list[str]:
    """How this model differs from the other on the same images, a clause for each metric."""
    found = (evaluation["comparison"] or {"differences": {}})["differences"]
    names = ("auroc", "malignant_recall", "specificity")
    return [_difference(metric(name), found[name]) for name in names if name in found]


def _against(evaluation: dict) -> str:
    told = differences(evaluation)
    return f"Against “{evaluation['comparison']['name']}”: {told[0]}." if told else ""


def _difference(told: Named, figure: dict) -> str:
    value, unit = figure["value"], difference_unit(told.unit)
    title = told.title if told.title.isupper() else told.title.lower()
    if not is_known(value):
        return f"the difference in {title} is not defined"
    amount = value_of({**figure, "value": abs(value)}, unit)
    direction = "higher" if value > 0 else "lower" if value < 0 else "different"
    inside = [text for text in (interval_of(figure, unit), p_value(figure["p"])) if text]
    is_clear = is_known(figure["low"]) and (figure["low"] > 0 or figure["high"] < 0)
    verdict = "more than chance explains" if is_clear else "which may be chance"
    return f"{title} {amount} {direction} ({', '.join(inside)}), {verdict}"
