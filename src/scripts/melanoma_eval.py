"""Judge a model or its predictions: how good, for whom, how sure, and is a difference real?"""

import argparse
from pathlib import Path

from ..core.errors import UserError, run_main
from ..core.flags import make_parser
from ..core.options import add_section, parse_flags, take_section
from ..engine.evaluate import report_folder
from ..engine.log import log_to_console
from ..evaluation.evaluation import evaluate_subject
from ..evaluator.flags import Judging
from ..evaluator.inputs import SOURCES, Inputs
from ..evaluator.predictions_csv import add_csv_flags, csv_columns
from ..report.files import evaluation_summary, write_evaluation


def main(argv: list[str] | None) -> None:
    given = parse_flags(make_eval_parser(), argv)
    chosen = {name: given.pop(name) for name in SOURCES if name in given}
    if len(chosen) != 1:
        raise UserError(f"expected one of --{', --'.join(SOURCES)}; found {len(chosen)} of them")
    ((kind, path),) = chosen.items()
    judging, columns = take_section(Judging, given), csv_columns(given)
    inputs = Inputs(given, judging, columns)
    inputs.check(kind, path)
    log_to_console()
    opened = inputs.open(kind, path)
    other = inputs.open_other() if judging.compare else None
    if opened is None or (judging.compare and other is None):
        return  # a process that helped the main one to predict
    subject, evaluation = evaluate_subject(
        opened.subject,
        inputs.groupings(opened),
        inputs.settings(),
        judging.fits(),
        other.subject if other else None,
    )
    folder = report_folder(opened.cfg, Path(path), "eval")
    write_evaluation(folder, subject, evaluation)
    print(f"{evaluation_summary(evaluation)}\nwritten to {folder}")


def make_eval_parser() -> argparse.ArgumentParser:
    """The trainer's flags (data, `--output_dir`, `--checkpoint`), the other sources, `Judging`."""
    parser = make_parser(__doc__)
    group = parser.add_argument_group("What to judge, instead of --checkpoint")
    group.add_argument(
        "--onnx_model_path", metavar="PATH", help="ONNX model, or a folder of them: an ensemble"
    )
    group.add_argument(
        "--predictions_csv", metavar="FILE", help="CSV with image_name, target [, probability_...]"
    )
    add_csv_flags(parser.add_argument_group("Columns of --predictions_csv, where named otherwise"))
    add_section(parser, Judging)
    return parser


def run() -> None:
    """The command as an installed program."""
    run_main(main)


if __name__ == "__main__":
    run()
