"""The table of an evaluation by group, as a paper prints it."""

from ..evaluation.metrics import METRICS
from .numbers import count, is_known, percent, too_few
from .sentences import clusters_of, plain
from .style import interval_text
from .text_tables import UNDEFINED, Cell, Table

IN_PAPER = ("sensitivity", "specificity", "auroc")
_DIGITS = 3


def paper_table(evaluation: dict, metrics: tuple[str, ...] = IN_PAPER) -> Table:
    """Of all images and each group: n, n positive and `metrics` with intervals.

    Attributes are headings in bold. Figures of fewer than `min_group` images have a dagger.
    """
    settings, source = evaluation["settings"], evaluation["source"]
    ci = f"{percent(settings['confidence'], 0)} CI".replace("\u202f", " ")
    titles = [METRICS[name].label for name in metrics]
    headings = ["", "n", f"n {source['positive']}"]
    headings += [f"{title[:1].upper()}{title[1:]} ({ci})" for title in titles]
    rows = [_row("All images", evaluation["overall"], metrics, settings["min_group"])]
    for attribute, groups in evaluation["groups"].items():
        name = plain(attribute)
        heading = Cell(f"{name[:1].upper()}{name[1:]}", is_bold=True)
        rows.append([heading, *[Cell("")] * (len(headings) - 1)])
        rows += [
            _row(group, part, metrics, settings["min_group"]) for group, part in groups.items()
        ]
    return Table(_caption(evaluation, titles, ci), headings, rows)


def _row(name: str, part: dict, metrics: tuple[str, ...], least: int) -> list[Cell]:
    figures = [_figure(metric, part, least) for metric in metrics]
    texts = [name, count(part["n"]), count(part["n_positive"]), *figures]
    return [Cell(text) for text in texts]


def _figure(metric: str, part: dict, least: int) -> str:
    figure = part["metrics"][metric]
    if not is_known(figure["value"]):
        return UNDEFINED
    return interval_text(figure, _DIGITS) + (" †" if too_few(metric, part, least) else "")


def _caption(evaluation: dict, titles: list[str], ci: str) -> str:
    source, settings = evaluation["source"], evaluation["settings"]
    what = f"{', '.join(titles[:-1])} and {titles[-1]}" if len(titles) > 1 else titles[0]
    rows = f", {source['split']} set" if source["split"] else ""
    return (
        f"{source['name']}{rows}: {what} for “{source['positive']}” with {ci} "
        f"({count(settings['n_resamples'])} bootstrap resamples of {clusters_of(evaluation)}). "
        f"†: fewer than {settings['min_group']} images in the denominator; "
        f"{UNDEFINED}: not defined."
    )
