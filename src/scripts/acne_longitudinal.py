"""Estimate how treatments change acne severity over time, with a linear mixed-effects model.

The CSV has a row for each patient and day: patient, day, treatment, severity (0 to 3).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from ..core.cells import visible
from ..core.errors import require, run_main
from ..core.files import check_output, make_folder, write_text
from ..core.options import MAX_SEED, REQUIRED, Section, flag, parse_options

FILES = ("effects.csv", "trajectories.png", "distributions.png")


@dataclass(frozen=True)
class Options(Section):
    """acne over time"""

    csv: Path = flag(REQUIRED, "CSV with the columns patient, day, treatment, severity (0 to 3)")
    simulate: bool = flag(
        False,
        "first write a simulated study to --csv: 10 patients, 14 days each of Baseline, "
        "Antibiotics (-0.6) and Cream (-0.4)",
    )
    seed: int = flag(0, "random seed of --simulate", least=0, most=MAX_SEED)
    baseline: str = flag("Baseline", "treatment that the others are compared with")
    output_dir: Path = flag(
        Path("acne_output"), "folder for effects.csv, trajectories.png and distributions.png"
    )


def main(argv: list[str] | None) -> int:
    """0 once table and figures are written; 1 where the model did not converge."""
    options = parse_options(argv, __doc__, Options)[0]
    is_there = options.simulate or options.csv.is_file()
    require(is_there, f"--csv {options.csv}: no such file; --simulate true writes one")

    from ..core.cells import csv_text
    from ..longitudinal.figures import plot_distributions, plot_trajectories
    from ..longitudinal.mixed_model import effect_table, fit_mixed_model
    from ..longitudinal.severity import read_severities, write_simulated

    folder = make_folder(options.output_dir)
    for name in FILES:
        check_output(folder / name, options.csv)
    if options.simulate:
        make_folder(options.csv.parent)
        write_simulated(options.csv, options.seed)
    rows = read_severities(options.csv, options.baseline)
    model = fit_mixed_model(rows, options.baseline)
    table, trajectories, distributions = (folder / name for name in FILES)
    write_text(table, csv_text(effect_table(model)))
    plot_trajectories(rows, options.baseline, trajectories)
    plot_distributions(rows, options.baseline, distributions)
    for effect in model.effects:
        print(
            f"{visible(effect.treatment, 40)}: {effect.estimate:+.2f} against "
            f"{visible(options.baseline, 40)} (95 % CI {effect.low:+.2f} to {effect.high:+.2f}, "
            f"{_p_text(effect.p_value)}; {effect.n_days} days of {effect.n_patients} patients)"
        )
    print(
        f"standard deviation between patients {model.patient_sd:.2f}, between days "
        f"{model.residual_sd:.2f}; written to {folder}"
    )
    for note in model.notes:
        print(f"note: {note}", file=sys.stderr)
    if not model.converged:
        print("the model did not converge: its figures must not be used", file=sys.stderr)
    return 0 if model.converged else 1


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


if __name__ == "__main__":
    run_main(main)
