"""Judge a checkpoint, an ONNX model or a predictions CSV by tone group."""

import argparse
from pathlib import Path

from src.artifact.network import load_contract
from src.core.config import Config
from src.core.errors import UserError, run_main
from src.core.flags import make_parser, parse_flags, resolve
from src.engine.evaluate import report_folder, rows_to_judge, test, trained_settings
from src.engine.log import log_to_console, write_text
from src.evaluation.fairness import evaluate
from src.evaluation.predictions import Predictions
from src.evaluation.report import summary, to_strict_json, write_report
from src.inference.evaluate import predict_table
from src.inference.metadata import read_metadata
from src.inference.prediction_csv import CsvColumns, add_csv_flags, csv_columns, read_predictions
from src.inference.predictor import OnnxPredictor

SOURCES = ("checkpoint", "onnx_model_path", "predictions_csv")


def main(argv: list[str] | None) -> None:
    given = parse_flags(make_eval_parser(), argv)
    chosen = [name for name in SOURCES if given.get(name)]
    if len(chosen) != 1:
        raise UserError(f"expected one of --{', --'.join(SOURCES)}; found {len(chosen)} of them")
    onnx, csv = given.pop("onnx_model_path", ""), given.pop("predictions_csv", "")
    columns, image_column = csv_columns(given), given.pop("metadata_image_column", "")
    if not csv and (columns, image_column) != (CsvColumns(), ""):
        raise UserError("--image_column and other columns: expected with --predictions_csv only")
    log_to_console()
    if chosen == ["checkpoint"]:
        test(resolve(given, trained_settings(load_contract(given["checkpoint"]))))
        return
    if onnx:
        predictor = OnnxPredictor(Path(onnx))
        cfg = resolve(given, trained_settings(predictor.contract))
        table, split = rows_to_judge(cfg, predictor.contract, onnx)
        predictions = predict_table(predictor, table.split(split), cfg.learning.batch_size)
    else:
        cfg, split = resolve(given), Path(csv).stem
        table = cfg.data.skin_color_csv
        metadata = read_metadata(Path(table), image_column) if table else None
        predictions = read_predictions(Path(csv), metadata, columns)
    if cfg.run.device not in ("auto", "cpu"):
        raise UserError(f"--device {cfg.run.device}: ONNX models and CSVs are judged on the CPU")
    write(cfg, Path(onnx or csv), split, predictions)


def make_eval_parser() -> argparse.ArgumentParser:
    """The trainer's flags (data, `--output_dir`, `--checkpoint`) and the two other sources."""
    parser = make_parser(__doc__)
    group = parser.add_argument_group("What to judge, instead of --checkpoint")
    group.add_argument("--onnx_model_path", metavar="FILE", help="ONNX model of this software")
    group.add_argument(
        "--predictions_csv", metavar="FILE", help="CSV with image_name, target [, probability_...]"
    )
    add_csv_flags(parser.add_argument_group("Columns of --predictions_csv, where named otherwise"))
    return parser


def write(cfg: Config, source: Path, split: str, predictions: Predictions) -> None:
    """Judge predictions and write the files into a folder of their own."""
    folder = report_folder(cfg, source, "eval")
    metrics = evaluate(predictions)
    write_report(folder, split, predictions, metrics)
    write_text(folder / "metrics.json", to_strict_json({split: metrics}, indent=2))
    print(f"{summary(metrics)}\nwritten to {folder}")


if __name__ == "__main__":
    run_main(main)
