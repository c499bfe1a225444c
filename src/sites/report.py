"""The pooled sites for a reader: JSON, a forest plot, and a page."""

import base64
import html
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.classes import NOTICE
from ..core.files import to_strict_json, write_text
from ..report.style import MAIN, printable, saved_figure
from .pool import ALL, Pooled, pooled_aurocs, pooled_rate

_RATES = {"sensitivity": ("tp", "fn"), "specificity": ("tn", "fp"), "auroc": ()}


def write_report(folder: Path, sites: list[dict[str, Any]], merged: dict[str, Any]) -> None:
    """Write `sites.json`, `forest.png` and `sites.html` into a folder."""
    content = merged | {
        "groups": {
            name: part
            | {"random_effects": {k: asdict(v) for k, v in part["random_effects"].items()}}
            for name, part in merged["groups"].items()
        }
    }
    write_text(folder / "sites.json", to_strict_json(content, indent=1))
    plot_forest(sites, merged, folder / "forest.png")
    figure = base64.b64encode((folder / "forest.png").read_bytes()).decode("ascii")
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{part['n_sites']}</td>"
        + "".join(f"<td>{_text(part['random_effects'][rate])}</td>" for rate in _RATES)
        + f"<td>{html.escape(_counts(part))}</td></tr>"
        for name, part in merged["groups"].items()
    )
    write_text(
        folder / "sites.html",
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>External validation'
        "</title><style>body{font-family:sans-serif;margin:2rem;max-width:70rem}td,th{border:1px "
        "solid #bbb;padding:.3rem .5rem;text-align:left}table{border-collapse:collapse}img{max-"
        f"width:100%}}</style></head><body><h1>External validation at {merged['n_sites']} sites"
        f"</h1><p>{html.escape(NOTICE)}</p><p>{merged['n']:,} images. Random-effects means with 95 "
        "% CIs (Paule–Mandel, Hartung–Knapp); I² is the share of variance between sites. AUROC of "
        f"all images pooled from histograms: {merged['groups'][ALL]['auroc']:.3f}.</p><table><tr>"
        "<th>group</th><th>sites</th><th>sensitivity</th><th>specificity</th><th>AUROC</th><th>"
        f"counts</th></tr>{rows}</table><h2>Sites</h2><img alt='Forest plot of the sites' "
        f'src="data:image/png;base64,{figure}"></body></html>\n',
    )


def _text(found: Pooled) -> str:
    between = f", I² {100 * found.i2:.0f} %" if found.i2 == found.i2 else ""
    return f"{found.mean:.3f} ({found.low:.3f}–{found.high:.3f}){between}"


def _counts(part: dict[str, Any]) -> str:
    told = ", ".join(f"{name} {count:,}" for name, count in part["cells"].items())
    if "most" not in part:
        return told
    most = ", ".join(f"{name} {count:,}" for name, count in part["most"].items())
    return f"{told}; at most {most}"


def plot_forest(sites: list[dict[str, Any]], merged: dict[str, Any], path: Path) -> None:
    """Save a PNG: each rate of each site with its 95 % CI, and the random-effects mean."""
    told = [site for site in sites if site["cells"]]
    with saved_figure((11, 1.6 + 0.35 * len(told)), path) as figure:
        panels = figure.subplots(1, len(_RATES), sharey=True)
        names = [printable(site["site"]) for site in told]
        for axes, (rate, cells) in zip(panels, _RATES.items(), strict=True):
            lines = [_of_site(site, cells) for site in told]
            lines.append(merged["groups"][ALL]["random_effects"][rate])
            for y, one in enumerate(reversed(lines)):
                color = "black" if y == 0 else MAIN
                axes.plot([one.low, one.high], [y, y], color=color, linewidth=1.5)
                axes.plot(one.mean, y, "D" if y == 0 else "o", color=color)
            axes.set(xlabel="AUROC" if rate == "auroc" else rate)
        panels[0].set_yticks(range(len(told) + 1), ["random-effects mean", *reversed(names)])


def _of_site(site: dict[str, Any], cells: tuple[str, ...]) -> Pooled:
    if not cells:
        return pooled_aurocs([tuple(site["auroc"])])
    hit, miss = (site["cells"][name] for name in cells)
    return pooled_rate([hit], [hit + miss])
