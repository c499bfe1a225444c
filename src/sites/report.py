"""What the sites' evaluations say together: a page, a forest plot, a CSV and JSON."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..core.cells import guarded
from ..core.classes import NOTICE
from ..core.files import csv_lines, make_folder, replacing, to_strict_json, write_text
from ..report.style import INK, MAIN, RULE, SMALL, SOFT_INK, saved_figure
from .disclosure import LEAST

SHARES = {"auroc": "AUROC", "sensitivity": "Sensitivity", "specificity": "Specificity"}
REPORT, FOREST, COUNTS, ALL_FOUND = "report.html", "forest.png", "sites.csv", "sites.json"
FILES = (REPORT, FOREST, COUNTS, ALL_FOUND)
_STYLE = Path(__file__).resolve().parents[1] / "report" / "templates" / "page.css"
_ROW_HEIGHT, _COLUMN_WIDTH, _NAME_WIDTH = 0.3, 2.4, 2.6  # inches


def write_report(found: dict[str, Any], is_checked: bool, folder: Path) -> None:
    """Write `report.html`, `forest.png`, `sites.csv` (counts by group) and `sites.json`."""
    make_folder(folder)
    _plot_forest(found, folder / FOREST)
    write_text(folder / REPORT, _page(found, is_checked, folder / FOREST))
    with csv_lines(folder / COUNTS, list(_HEADER)) as line:
        for row in found["rows"]:
            line([guarded(str(cell)) for cell in _cells(row)])
    with replacing(folder / ALL_FOUND) as temporary:
        temporary.write_text(to_strict_json(found, indent=1), encoding="utf-8")


_HEADER = ("attribute", "group", "sites", "positive", "detected", "negative", "false alarms")
_SITE_HEADER = ("", "positive", "negative", *SHARES.values(), "not read", "standard error over")


def _cells(row: dict[str, Any]) -> list[Any]:
    return [
        *(row[name] for name in ("grouping", "group", "n_sites", "n_positive")),
        _number(row["detected"]),
        row["n_negative"],
        _number(row["false_alarms"]),
    ]


def _site_cells(site: dict[str, Any]) -> list[str]:
    counts = [site[f"n_{kind}"] for kind in ("positive", "negative")]
    return [
        site["site"],
        *("not told" if n is None else str(n) for n in counts),
        *("not told" if site[name] is None else f"{site[name]:.3f}" for name in SHARES),
        str(site["unread"]),
        "patients" if site["patients_known"] else "images, as patients were not given",
    ]


def _number(count: dict[str, int]) -> str:
    low, high = count["low"], count["high"]
    return f"{low}" if low == high else f"{low} to {high}"


def _plot_forest(found: dict[str, Any], path: Path) -> None:
    """Each site's shares as dots, the pooled ones as diamonds with their 95 % CIs."""
    sites, pooled = found["by_site"], found["meta_analysis"]
    size = (_NAME_WIDTH + 3 * _COLUMN_WIDTH, 1 + _ROW_HEIGHT * (len(sites) + 1))
    with saved_figure(size, path) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (name, title) in zip(panels, SHARES.items(), strict=True):
            axes.set(title=title, xlim=(-0.02, 1.02), ylim=(len(sites) + 0.6, -0.6))
            axes.grid(axis="x", color=RULE, linewidth=0.5)
            for y, site in enumerate(sites):
                if site[name] is None:
                    axes.text(0.02, y, "not told", va="center", color=SOFT_INK, fontsize=SMALL)
                else:
                    axes.plot(site[name], y, "o", color=MAIN)
            if one := pooled[name]:
                axes.plot([one["low"], one["high"]], [len(sites)] * 2, color=INK)
                axes.plot(one["mean"], len(sites), "D", color=INK)
        names = [*(site["site"] for site in sites), "all sites"]
        panels[0].set_yticks(range(len(names)), names, fontsize=SMALL)


def _page(found: dict[str, Any], is_checked: bool, forest: Path) -> str:
    picture = base64.b64encode(forest.read_bytes()).decode("ascii")
    signatures = (
        "Every file carries the signature of its site."
        if is_checked
        else "Signatures were not checked: nothing shows that the files are the sites' own."
    )
    parts = [
        f"<p>{found['n_sites']} sites. {signatures} Counts that a site may not tell, because fewer "
        f"than {LEAST} images stand behind them or because they would give such a count away, are "
        "given as bounds, or not at all: each line of the counts is of the sites that told it.</p>",
        f'<img alt="Shares of each site and of all sites" src="data:image/png;base64,{picture}">',
        "<h2>All sites</h2>",
        _table(
            ("", "mean (95 % CI)", "a further site (95 %)", "I²", "τ² (95 % CI)"), _pooled(found)
        ),
        _auroc_sentence(found["auroc"]),
        "<h2>Each site</h2>",
        _table(_SITE_HEADER, [_site_cells(site) for site in found["by_site"]]),
        "<h2>Counts</h2>",
        _table(_HEADER, [_cells(row) for row in found["rows"]]),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>External validation</title>'
        f"<style>{_STYLE.read_text(encoding='utf-8')}</style><main><h1>External validation</h1>"
        f"<p>{escape(NOTICE)}</p>{''.join(parts)}</main></html>"
    )


def _pooled(found: dict[str, Any]) -> list[list[str]]:
    lines = []
    for name, title in SHARES.items():
        one = found["meta_analysis"][name]
        if one is None:
            withheld = sum(site[name] is None for site in found["by_site"])
            why = f"not pooled: {withheld} of {found['n_sites']} sites do not tell it"
            lines.append(
                [title, why if withheld else "not pooled: one site, or all right", "", "", ""]
            )
            continue
        lines.append(
            [
                title,
                f"{one['mean']:.3f} ({one['low']:.3f}–{one['high']:.3f}), {one['n_sites']} sites",
                f"{one['new_low']:.3f}–{one['new_high']:.3f}",
                f"{one['i2']:.0%}",
                f"{one['tau2']:.2f} ({one['tau2_low']:.2f}–{one['tau2_high']:.2f})",
            ]
        )
    return lines


def _auroc_sentence(auroc: float | None) -> str:
    if auroc is None:
        return "<p>No site told histograms of both classes.</p>"
    return f"<p>AUROC of all images together, from the sites' histograms: {auroc:.3f}.</p>"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = (
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
