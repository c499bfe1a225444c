"""The paths among a run's settings, checked before anything is loaded."""

from pathlib import Path

from .config import Config
from .errors import UserError, require
from .files import expect_file, expect_folder


def expect_output_folder(path: Path, what: str) -> None:
    """Raise `UserError` where no folder can be made, since a part of the path is a file."""
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    require(existing.is_dir(), f"{what} {path}: cannot be written to ({existing} is a file)")


def check_training_paths(cfg: Config) -> None:
    """Raise `UserError` for a path that is not what a training needs."""
    if cfg.run.checkpoint:
        raise UserError(
            "--checkpoint: expected with --test; resume a run with --resume FOLDER, start from "
            "weights with --weights FILE"
        )
    expect_folder(Path(cfg.data.data_path), "--data_path")
    if cfg.data.skin_color_csv:
        expect_file(Path(cfg.data.skin_color_csv), "--skin_color_csv")
    if cfg.model.weights:
        expect_file(Path(cfg.model.weights), "--weights")
    resume = cfg.run.resume
    if resume not in ("", "auto") and not Path(resume).exists():
        raise UserError(f"--resume {resume}: expected auto or the folder of a run; no such path")
    expect_output_folder(Path(cfg.run.output_dir), "--output_dir")
    expect_output_folder(Path(cfg.run.log_dir), "--log_dir")
