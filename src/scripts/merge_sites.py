"""Pool what hospitals have returned: counts, AUROC, random-effects meta-analysis, forest plot.

Each file must be signed with the key of its site, `<site>.key` in --keys, and be of the same model.
Writes `sites.json`, `forest.png` and `sites.html`.
"""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import expect_file, expect_folder, make_folder
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """sites"""

    sites: tuple[Path, ...] = flag(
        REQUIRED, "JSON files of sites, <site>.json", positional=True, metavar="SITE"
    )
    keys: Path = flag(REQUIRED, "folder of the sites' keys, each named as its JSON: <site>.key")
    output_dir: Path = flag(REQUIRED, "folder to write to")


def main(argv: list[str] | None) -> None:
    """None once the report is written."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_folder(options.keys, "--keys")
    for path in options.sites:
        expect_file(path, "SITE")

    from ..sites.check import read_site
    from ..sites.pool import ALL, merge
    from ..sites.report import write_report
    from ..sites.signed import read_key

    sites = [read_site(path, read_key(options.keys / f"{path.stem}.key")) for path in options.sites]
    names = [site["site"] for site in sites]
    require(len(set(names)) == len(names), "SITE: a site is given twice; expected different ones")
    first = sites[0]["model"]
    for path, site in zip(options.sites, sites, strict=True):
        require(site["model"] == first, f"{path}: of another model than {options.sites[0]}")
    require(any(site["cells"] for site in sites), "SITE: no site has enough images to tell counts")
    folder = make_folder(options.output_dir)
    merged = merge(sites)
    write_report(folder, sites, merged)
    found = merged["groups"][ALL]
    told = ", ".join(f"{name} {count:,}" for name, count in found["cells"].items())
    print(f"{merged['n_sites']} sites, {merged['n']:,} images: {told}; AUROC {found['auroc']:.3f}")
    print(f"written to {folder / 'sites.html'}")


if __name__ == "__main__":
    run_main(main)
