"""How well angles of skin tone agree with the types that people have given, with intervals."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.stats import rankdata

from .bootstrap import percentile_interval

FIGURES = ("spearman", "kappa", "exact", "within_one", "auc")
# The convention of published work (Groh et al. 2021): the angle above which a Fitzpatrick type
# begins, by the number of types. Other scales have none: their tones come from a fitted map.
BOUNDS = {6: (55.0, 41.0, 28.0, 19.0, 10.0), 3: (41.0, 19.0)}
FITZPATRICK = "Fitzpatrick"
PUBLISHED = (
    "published agreement of angles with six Fitzpatrick types: exact .28 to .40, within one "
)
PUBLISHED += ".65 to .76"

N_FOLDS = 5
KEPT = (1.0, 0.9, 0.8, 0.6, 0.4)  # shares of images, the least spread first
ESTIMATE, PICTURE = "estimate", "whole picture"


class TypedAngles(NamedTuple):
    """Images with angles and people's types.

    `rows`: `image`, `ita`, `ita_picture`, `ita_spread`, `valid`, `uncertain`, `domain`, and `type`,
    a place in `tones` (names of the `scale`, the lightest first). `clusters` int [N], equal within
    a `unit`. `methods` name the columns of angles, the first of them `ESTIMATE`; `n_typed` images
    have a type and were estimated, some without an angle.
    """

    rows: pd.DataFrame
    clusters: np.ndarray
    unit: str
    scale: str
    tones: tuple[str, ...]
    methods: dict[str, str]
    n_typed: int


class Figure(NamedTuple):
    """An estimate with the bounds of its 95 % interval; NaN where it is not defined."""

    estimate: float
    low: float
    high: float


def types_by_bounds(ita: np.ndarray, n_types: int) -> np.ndarray:
    """The place of the type, 0 the lightest, that the convention gives to each angle in degrees."""
    return np.sum([ita <= bound for bound in BOUNDS[n_types]], axis=0)


def fitted_types(
    ita: np.ndarray, types: np.ndarray, clusters: np.ndarray, n_types: int, n_folds: int, seed: int
) -> np.ndarray:
    """The type of each angle by a decreasing map fitted to the other folds' images.

    Folds are of whole clusters, int [N] from 0. The map is the isotonic regression, rounded.
    """
    fold = np.random.default_rng(seed).permutation(int(clusters.max()) + 1)[clusters] % n_folds
    found = np.zeros(len(ita), np.int64)
    for k in range(n_folds):
        held = fold == k
        if held.any() and not held.all():
            angles, levels = monotone_map(ita[~held], types[~held])
            expected = np.interp(ita[held], angles, levels)
            found[held] = np.clip(np.rint(expected), 0, n_types - 1)
    return found


def monotone_map(ita: np.ndarray, types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(angles, ascending; the expected type at each): the least squares that never rise."""
    order = np.argsort(ita, kind="stable")
    return ita[order], isotonic_regression(types[order].astype(float), increasing=False).x


def agreement(
    ita: np.ndarray, found: np.ndarray, types: np.ndarray, n_types: int
) -> dict[str, float]:
    """The `FIGURES` of angles and the types `found` from them against people's `types`.

    `auc` is that of an angle as a test for the lightest third of the scale against the darkest.
    """
    if len(ita) < 2:
        return dict.fromkeys(FIGURES, np.nan)
    distance = np.abs(found - types)
    third = n_types // 3
    light, dark = ita[types < third], ita[types >= n_types - third]
    return {
        "spearman": _correlation(rankdata(ita), rankdata(types)),
        "kappa": _quadratic_kappa(found, types, n_types),
        "exact": float(np.mean(distance == 0)),
        "within_one": float(np.mean(distance <= 1)),
        "auc": _auc(light, dark),
    }


def with_intervals(
    columns: dict[str, tuple[np.ndarray, np.ndarray]],
    types: np.ndarray,
    clusters: np.ndarray,
    n_types: int,
    n_resamples: int,
    seed: int,
) -> tuple[dict[str, dict[str, Figure]], dict[str, dict[str, Figure]]]:
    """(`FIGURES` of each method; their differences from the last method's, on the same resamples).

    `columns`: by method its angles and types [N], all finite. Whole clusters are resampled.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
    draws = [np.arange(len(types))]
    for _ in range(n_resamples):
        draws.append(
            np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
        )
    table = np.array(
        [
            [
                list(agreement(ita[rows], found[rows], types[rows], n_types).values())
                for rows in draws
            ]
            for ita, found in columns.values()
        ]
    )  # [methods, 1 + resamples, figures]
    own = dict(zip(columns, map(_figures, table), strict=True))
    differences = dict(zip(columns, map(_figures, table - table[-1]), strict=True))
    return own, {name: found for name, found in differences.items() if name != [*columns][-1]}


def report(
    joined: TypedAngles, fit: bool, n_resamples: int, seed: int
) -> tuple[dict, pd.DataFrame]:
    """(agreement by subset of the images as JSON types, the rows with the types found).

    Subsets are all images, the valid ones, of these the certain ones, and each domain's valid ones.
    """
    rows, n_types = joined.rows, len(joined.tones)
    types = rows["type"].to_numpy()
    fit = fit or joined.scale != FITZPATRICK
    found = {}
    for name, column in (joined.methods | {PICTURE: "ita_picture"}).items():
        ita = rows[column].to_numpy(float)
        if np.isnan(ita).any():
            continue  # the CSV is not estimate_ita's
        by_fit = (types, joined.clusters, n_types, N_FOLDS, seed)
        found[name] = ita, fitted_types(ita, *by_fit) if fit else types_by_bounds(ita, n_types)
    own_types = found[ESTIMATE][1]
    told = {
        "scale": joined.scale,
        "types": list(joined.tones),
        "types_from_angles": f"monotone map, {N_FOLDS} folds" if fit else "convention",
        "unit": joined.unit,
        "subsets": {
            name: _of_subset(joined, found, chosen, n_resamples, seed)
            for name, chosen in _subsets(rows).items()
            if chosen.sum() > 1
        },
        "confusion": confusion(own_types, types, n_types).tolist(),
        "coverage": _coverage(joined, own_types, n_resamples, seed),
    }
    if fit:
        told["map"] = _steps(*monotone_map(rows["ita"].to_numpy(float), types))
    return told, rows.assign(type_found=own_types)


def _subsets(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    valid, certain = rows["valid"].to_numpy(bool), ~rows["uncertain"].to_numpy(bool)
    subsets = {"all": np.ones(len(rows), bool), "valid": valid, "certain": valid & certain}
    domains = sorted(set(rows["domain"]) - {""})
    return subsets | {name: valid & (rows["domain"] == name).to_numpy() for name in domains}


def _of_subset(
    joined: TypedAngles, found: dict, chosen: np.ndarray, n_resamples: int, seed: int
) -> dict:
    kept = {method: (ita[chosen], types[chosen]) for method, (ita, types) in found.items()}
    types = joined.rows["type"].to_numpy()[chosen]
    sizes = (len(joined.tones), n_resamples, seed)
    own, differences = with_intervals(kept, types, joined.clusters[chosen], *sizes)
    return {
        "n_images": int(chosen.sum()),
        "share": float(chosen.sum() / joined.n_typed),
        "agreement": _plain(own),
        "difference_from_whole_picture": _plain(differences if PICTURE in kept else {}),
    }


def _steps(angles: np.ndarray, levels: np.ndarray) -> dict:
    """The angles between which a map's rounded type stays, and these types."""
    rounded = np.rint(levels).astype(int)
    last = np.flatnonzero(np.diff(rounded))
    bounds = (angles[last] + angles[last + 1]) / 2
    return {"bounds": bounds.round(1).tolist(), "types": rounded[[*last, -1]].tolist()}


def report_text(told: dict) -> str:
    """The report for a terminal."""
    lines = [
        f"types from angles: {told['types_from_angles']}; intervals: 95 %, resampled by "
        f"{told['unit']}"
    ]
    for name, subset in told["subsets"].items():
        lines.append(f"{name}: {subset['n_images']} images ({subset['share']:.0%} of those typed)")
        less = subset["difference_from_whole_picture"].items()
        differences = {f"{method} less {PICTURE}": figures for method, figures in less}
        for method, figures in (subset["agreement"] | differences).items():
            lines.append(f"  {method}: {_cells(figures)}")
    lines.append(f"people's type (rows) and found type (columns): {', '.join(told['types'])}")
    lines += ["  " + " ".join(f"{n:>5}" for n in row) for row in told["confusion"]]
    for kept in told["coverage"]:
        head = f"least spread {kept['share']:.0%} ({kept['n_images']} images)"
        lines.append(f"{head}: {_cells(kept['agreement'])}")
    is_published = (told["scale"], len(told["types"])) == (FITZPATRICK, 6)
    return "\n".join([*lines, *([PUBLISHED] if is_published else [])])


def _cells(figures: dict[str, list[float]]) -> str:
    return ", ".join(
        f"{k} {e:.3f} ({low:.3f} to {high:.3f})" for k, (e, low, high) in figures.items()
    )


def _coverage(joined: TypedAngles, found: np.ndarray, n_resamples: int, seed: int) -> list[dict]:
    """Agreement of the images of least spread, the invalid ones last."""
    rows = joined.rows.assign(bad=~joined.rows["valid"])
    order = rows.sort_values(["bad", "ita_spread"], kind="stable").index
    ita, types, n_types = rows["ita"].to_numpy(float), rows["type"].to_numpy(), len(joined.tones)
    table = []
    for share in KEPT:
        kept = order[: max(2, round(share * len(rows)))].to_numpy()
        columns, clusters = {ESTIMATE: (ita[kept], found[kept])}, joined.clusters[kept]
        own, _ = with_intervals(columns, types[kept], clusters, n_types, n_resamples, seed)
        table.append({"share": share, "n_images": len(kept), "agreement": _plain(own)[ESTIMATE]})
    return table


def _plain(methods: dict[str, dict[str, Figure]]) -> dict:
    return {
        method: {name: list(figure) for name, figure in figures.items()}
        for method, figures in methods.items()
    }


def confusion(found: np.ndarray, types: np.ndarray, n_types: int) -> np.ndarray:
    """int [people's type, found type]: how many images."""
    counts = np.zeros((n_types, n_types), np.int64)
    np.add.at(counts, (types, found), 1)
    return counts


def _figures(values: np.ndarray) -> dict[str, Figure]:
    """Of [1 + resamples, figures], the first row the estimate."""
    columns = zip(FIGURES, values.T, strict=True)
    return {name: Figure(float(v[0]), *percentile_interval(v[1:])) for name, v in columns}


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else np.nan


def _quadratic_kappa(found: np.ndarray, types: np.ndarray, n_types: int) -> float:
    """Cohen's kappa with weights that grow with the squared distance (Cohen 1968)."""
    counts = confusion(found, types, n_types).astype(float)
    weights = np.subtract.outer(np.arange(n_types), np.arange(n_types)) ** 2
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    by_chance = (weights * expected).sum()
    return float(1 - (weights * counts).sum() / by_chance) if by_chance else np.nan


def _auc(light: np.ndarray, dark: np.ndarray) -> float:
    if not len(light) or not len(dark):
        return np.nan
    ranks = rankdata(np.concatenate([light, dark]))[: len(light)]
    return float((ranks.sum() - len(light) * (len(light) + 1) / 2) / (len(light) * len(dark)))
