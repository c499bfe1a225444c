"""What several sites returned, as one evaluation: exact counts or bounds, AUROC, heterogeneity."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UserError, require
from ..core.files import expect_folder
from .disclosure import EDGES, logit
from .meta_analysis import LEAST_SITES, pool
from .options import MergeOptions
from .ranking import auroc_of_histograms
from .rows import MOST_GROUPS
from .signature import read_key, read_signed
from .study import CLASSES, FORMAT, REST

SAME = ("model", "positive", "rule", "threshold")  # of results that may be merged
ALL = "all"  # as a row names all images of the sites
MOST_COUNT = 10**9
POSITIVE, NEGATIVE = CLASSES


@dataclass(frozen=True)
class Count:
    """A number of images, exact where `low` is `high`, else within these."""

    low: int
    high: int

    def __add__(self, other: "Count") -> "Count":
        return Count(self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Row:
    """A group over all sites that told its numbers: images and flagged ones of each class."""

    grouping: str
    group: str
    n_sites: int
    n_positive: int
    n_negative: int
    detected: Count  # flagged positives
    false_alarms: Count  # flagged negatives


def read_sites(options: MergeOptions) -> list[dict[str, Any]]:
    """The sites' results, in order. Raises `UserError` for a file that is none, was changed, is of
    another model than the first, or of a site that another file is of."""
    if options.keys:
        expect_folder(options.keys, "--keys")
    sites: list = []
    for path in options.files:
        key = None
        if options.keys:
            key = read_key(options.keys / f"{path.stem}.key", "--keys")
        site = read_signed(path, key)
        _check(site, path)
        for name in SAME:
            is_same = not sites or site[name] == sites[0][name]
            require(is_same, f"{path}: its {name} is not that of {options.files[0]}")
        names = [other["site"] for other in sites]
        require(site["site"] not in names, f"{path}: site {site['site']} is there twice")
        sites.append(site)
    return sites


def merged(sites: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`rows` (see `Row`), `auroc` of all images, what is told `by_site`, and the `meta_analysis`.

    That holds the `Pooled` `auroc`, `sensitivity` and `specificity` over the sites, None where a
    site does not tell it: to pool the others would choose sites by their results.
    """
    return {
        "n_sites": len(sites),
        "rows": [asdict(row) for row in _rows(sites)],
        "auroc": _auroc(sites),
        "by_site": [_of_site(site) for site in sites],
        "meta_analysis": {
            name: _pooled([_effect(site, name) for site in sites])
            for name in ("auroc", "sensitivity", "specificity")
        },
    }


def _rows(sites: Sequence[dict]) -> list[Row]:
    found: dict[tuple[str, str], Row] = {}
    for site in sites:
        groups = {(site["grouping"], name): told for name, told in site["by_group"].items()}
        for key, told in {(ALL, ALL): site["all"], **groups}.items():
            if any("n" not in told[kind] for kind in CLASSES):
                continue
            counts = [told[kind]["n"] for kind in CLASSES]
            flagged = [_flagged(site, told, key, kind) for kind in CLASSES]
            old = found.get(key, Row(*key, 0, 0, 0, Count(0, 0), Count(0, 0)))
            found[key] = Row(
                *key,
                old.n_sites + 1,
                old.n_positive + counts[0],
                old.n_negative + counts[1],
                old.detected + flagged[0],
                old.false_alarms + flagged[1],
            )
    return sorted(found.values(), key=lambda row: (row.grouping != ALL, row.grouping, row.group))


def _flagged(site: dict, told: dict, key: tuple[str, str], kind: str) -> Count:
    """How many of a group's images of a class were flagged: as told, else within bounds."""
    if "flagged" in told[kind]:
        return Count(told[kind]["flagged"], told[kind]["flagged"])
    if site["threshold"] is None:
        return Count(0, told[kind]["n"])
    histograms = site["histograms"][kind]
    parts = histograms.values() if key == (ALL, ALL) else [histograms[key[1]]]
    at, total = float(logit(site["threshold"])), Count(0, 0)
    for part in parts:
        edges, counts = np.array(part["edges"]), np.array(part["counts"])
        above = edges[1:] > at
        above[-1] = at <= edges[-1]  # the last bin has its upper edge
        total += Count(int(counts[edges[:-1] >= at].sum()), int(counts[above].sum()))
    return total


def _auroc(sites: Sequence[dict]) -> float | None:
    """Of the images of all sites that told histograms of both classes."""
    told = [s["histograms"] for s in sites if all(s["histograms"][kind] for kind in CLASSES)]
    if not told:
        return None
    return auroc_of_histograms(*([h for t in told for h in t[kind].values()] for kind in CLASSES))


def _of_site(site: dict) -> dict[str, Any]:
    everyone = site["all"]
    return {
        "site": site["site"],
        "n_positive": everyone[POSITIVE].get("n"),
        "n_negative": everyone[NEGATIVE].get("n"),
        "patients_known": site["patients_known"],
        "unread": site["unread"],
        **{name: _share(site, name) for name in ("auroc", "sensitivity", "specificity")},
    }


def _share(site: dict, name: str) -> float | None:
    """A site's share, None where it is not told."""
    if name == "auroc":
        return _auroc([site])
    told = site["all"][POSITIVE if name == "sensitivity" else NEGATIVE]
    if "flagged" not in told:
        return None
    flagged = told["flagged"] / told["n"]
    return flagged if name == "sensitivity" else 1 - flagged


def _effect(site: dict, name: str) -> tuple[float, float] | None:
    """(logit of a site's share, its variance), None where they are not told."""
    share = _share(site, name)
    if share is None or not 0 < share < 1:
        return None
    spread = share * (1 - share)
    if name == "auroc":
        error = site["auroc_standard_error"]
        variance = None if not error else (error / spread) ** 2
    else:
        n = site["all"][POSITIVE if name == "sensitivity" else NEGATIVE]["n"]
        variance = 1 / (n * spread)
    return None if variance is None else (math.log(share / (1 - share)), variance)


def _pooled(effects: Sequence[tuple[float, float] | None]) -> dict[str, float] | None:
    told = [effect for effect in effects if effect]
    if len(told) < max(LEAST_SITES, len(effects)):
        return None
    return asdict(pool(*np.array(told).T))


def _check(site: Any, path: Path) -> None:
    """Raise `UserError` for content that no site's evaluation writes."""
    try:
        fits = _head_fits(site) and _counts_fit(site) and _histograms_fit(site)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        fits = False
    if not fits:
        raise UserError(f"{path}: is not what a site's evaluation wrote ({FORMAT})")


def _head_fits(site: Any) -> bool:
    error, threshold = site["auroc_standard_error"], site["threshold"]
    return (
        site["format"] == FORMAT
        and all(isinstance(site[name], str) for name in ("site", "grouping", "model", "rule"))
        and site["site"].isprintable()
        and site["grouping"] != ALL
        and (error is None or (type(error) is float and 0 < error < 1))
        and (threshold is None or (type(threshold) in (int, float) and 0 <= threshold <= 2))
        and {*SAME, "patients_known", "unread"} <= site.keys()
    )


def _counts_fit(site: dict) -> bool:
    groups = [site["all"], *site["by_group"].values()]
    of_kinds = [told[kind] for told in groups for kind in CLASSES]
    return (
        len(groups) <= MOST_GROUPS + 1
        and all(map(str.isprintable, site["by_group"]))
        and all(_is_count(n) for told in of_kinds for n in told.values())
        and all(told.get("flagged", 0) <= told.get("n", 0) for told in of_kinds)
    )


def _histograms_fit(site: dict) -> bool:
    for kind in CLASSES:
        told = {name: n[kind]["n"] for name, n in site["by_group"].items() if n[kind]}
        found = {name: sum(h["counts"]) for name, h in site["histograms"][kind].items()}
        rest = {REST: found[REST]} if REST in found else {}
        if found != told | rest or not all(map(_is_histogram, site["histograms"][kind].values())):
            return False
    return True


def _is_histogram(told: dict) -> bool:
    edges, means = (np.array(told[name]) for name in ("edges", "means"))
    counts = told["counts"]
    return (
        edges.dtype == means.dtype == np.float64
        and all(map(_is_count, counts))
        and sum(counts) > 0
        and len(edges) - 1 == len(counts) == len(means) < len(EDGES)
        and bool(np.isin(edges, EDGES).all() and (np.diff(edges) > 0).all())
        and bool(((edges[:-1] <= means) & (means <= edges[1:])).all())
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_COUNT
