"""Compare estimated skin tone with the tones that people have given: Fitzpatrick, Monk, MILK10k.

Writes `tone_agreement.json`, `types_by_image.csv` and, of `--images`, `worst_tones.png`, and prints
the agreement with 95 % intervals, beside that of the median over the whole picture.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.cells import csv_text
from ..core.errors import require, run_main
from ..core.files import check_output, expect_file, make_folder, to_strict_json, write_text
from ..core.image_files import Workers, images_below
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options(Workers):
    """tones"""

    csv: Path = flag(REQUIRED, "table of images with the skin tones that people have given")
    tone_column: str = flag(
        REQUIRED,
        "its column of tones: Fitzpatrick types (I to VI, 1 to 6, or 12, 34, 56), Monk tones (1 to "
        "10) or MILK10k's classes (5 very light to 0 very dark)",
        also=("--fitzpatrick_column",),
    )
    scale: Literal["auto", "Fitzpatrick", "Monk", "MILK10k"] = flag(
        "auto", "scale of the tones (auto: by the column's name and cells, else Fitzpatrick)"
    )
    output_dir: Path = flag(REQUIRED, "folder to write to")
    ita_csv: tuple[Path, ...] = flag(
        (),
        "CSV that estimate_ita wrote for the images; more of them are other methods, compared on "
        "the same images",
    )
    images: Path | None = flag(None, "folder of the images: estimates them without --ita_csv")
    fit: bool = flag(
        False,
        "from angle to type by a monotone map, cross-validated, not by the convention (always for "
        "scales other than Fitzpatrick's)",
    )
    n_resamples: int = flag(1000, "bootstrap resamples of patients", least=10)
    seed: int = flag(0, "seed of resamples and folds", least=0)

    def __post_init__(self):
        super().__post_init__()
        given = self.ita_csv or self.images
        require(given, "--ita_csv, --images: expected one of them, or both")


def main(argv: list[str] | None) -> int:
    """0 once the files are written."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.csv, "--csv")
    for path in options.ita_csv:
        expect_file(path, "--ita_csv")
    paths = images_below(options.images) if options.images else []
    output = make_folder(options.output_dir)
    ita_csv, *others = options.ita_csv or [output / "ita.csv"]
    check_output(output / "types_by_image.csv")

    from ..evaluation.tone_agreement import report, report_text
    from ..evaluator.tone_types import join_types
    from ..report.skin_tone_examples import plot_worst_tones

    if not options.ita_csv:
        estimate(options.images, paths, ita_csv, options.num_workers)
    scale = "" if options.scale == "auto" else options.scale
    joined = join_types(options.csv, options.tone_column, scale, ita_csv, others)
    found, rows = report(joined, options.fit, options.n_resamples, options.seed)
    write_text(output / "types_by_image.csv", csv_text(rows))
    write_text(output / "tone_agreement.json", to_strict_json(found))
    print(report_text(found))
    if paths:
        figure = output / "worst_tones.png"
        n_shown = plot_worst_tones(rows, options.images, paths, joined.tones, figure)
        print(f"{figure}: the {n_shown} images whose type is farthest from people's")
    return 0


def estimate(folder: Path, paths: list[Path], csv: Path, n_workers: int) -> None:
    """Write what estimate_ita writes with its usual options."""
    from ..batch.tone_estimates import estimate_tones
    from .estimate_ita import Options as Usual

    names = ("method", "color", "color_constancy", "domain", "white_reference")
    usual: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Usual)}
    estimate_tones(folder, paths, csv, {}, n_workers, **{name: usual[name] for name in names})


if __name__ == "__main__":
    run_main(main)
