"""Classify a folder of images with ONNX models and write a CSV (no PyTorch needed)."""

import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..artifact.foreign import DOMAIN_DISCRIMINATIVE, ForeignModel
from ..cluster.options import Jobs
from ..core.cells import visible
from ..core.classes import require_class_names
from ..core.errors import require, run_main
from ..core.files import check_replaceable, expect_file, expect_folder
from ..core.image_files import IMAGE_SUFFIXES, describe_left_out, left_out, list_images
from ..core.options import flag, parse_options
from ..explanation.options import Explanations
from ..prediction.hub import HubModel
from ..prediction.options import WEIGHTS, PredictionOptions

if TYPE_CHECKING:
    from ..inference.batches import Companion
    from ..inference.model import SkinLesionPredictor
    from ..prediction.folder import Outcome

MOST_SHOWN, MOST_LISTED = 80, 20  # characters of a name, images without a result


@dataclass(frozen=True)
class PredictionJobs(Jobs):
    """Cluster"""

    cluster: Literal["none", "slurm", "local"] = flag(
        "none",
        "predict in --shards jobs, on SLURM or on this machine, wait, and join their results",
    )
    shards: int = flag(0, "number of jobs, with --cluster", least=0)

    def __post_init__(self):
        super().__post_init__()
        is_none = self.cluster == "none"
        require(is_none or self.shards > 0, "--shards: expected the number of jobs of --cluster")
        require(not is_none or not self.shards, "--shards: expected with --cluster slurm or local")


@dataclass(frozen=True)
class Companions:
    """Makes what explains a model's predictions of a folder, and answers with `trust`.

    Called with the model it raises `UserError` for one that cannot explain itself, where a flag
    asks for it, or does not know when not to answer.
    """

    explanations: Explanations
    trust: bool
    folder: Path = field(repr=False)

    def __call__(self, model: "SkinLesionPredictor") -> tuple["Companion", ...]:
        found: list[Companion] = []
        if self.explanations.given:
            from ..explanation.folder import check_explainable, explaining

            predictor = check_explainable(model.predictors, self.explanations.given)
            found += [explaining(predictor, self.folder, model.decided, self.explanations)]
        if self.trust:
            from ..inference.trust import answering, check_trust

            check_trust(model.predictors, model.tta)
            found += [answering(model.predictors[0])]
        return tuple(found)


def parse(argv: list[str] | None) -> list[Any]:
    """The options, what is said of a model without a contract, explanations, the hub and jobs."""
    sections = PredictionOptions, ForeignModel, Explanations, HubModel, PredictionJobs
    return parse_options(argv, __doc__, *sections)


def main(argv: list[str] | None) -> int:
    """0, or 1 where images could not be predicted or a job failed."""
    options, foreign, explanations, hub, jobs = parse(argv)
    if options.classes:
        require_class_names(options.classes.split(","), "--classes")
    folder = options.input_folder
    expect_folder(folder, "--input_folder")
    explanations.check(folder)
    expect_file(options.metadata_csv, "--metadata_csv")
    check_replaceable(options.output_csv)
    others = _left_out(folder, options.recursive)
    found = f" ({others})" if others else ""
    suffixes = ", ".join(IMAGE_SUFFIXES)
    is_any = bool(list_images(folder, options.recursive))
    require(is_any, f"--input_folder {folder}: no {suffixes} images in it{found}")
    path = find_model(hub.or_given(options.onnx_model_path))
    accompany = Companions(explanations, options.trust, folder)
    if jobs.cluster != "none":
        if _failed_in_jobs(options, path, foreign, accompany, jobs):
            return 1
        options = replace(options, resume=True)

    from ..prediction.folder import predict_folder

    outcome = predict_folder(options, path, foreign, accompany)
    _tell(outcome, options)
    if others:
        print(others, file=sys.stderr)
    _tell_failed(outcome.failed, options)
    return 1 if outcome.failed else 0


def _failed_in_jobs(
    options: PredictionOptions,
    path: Path,
    foreign: ForeignModel,
    accompany: "Companions",
    jobs: PredictionJobs,
) -> bool:
    """Whether one of the jobs failed that predict the images in parts; waits for all."""
    require(not options.shard, "--shard: expected without --cluster, which makes the shards")
    from ..cluster.prediction import predict_in_jobs

    failures = predict_in_jobs(options, path, foreign, accompany, jobs.found(), jobs.shards)
    sys.stderr.write("".join(f"{failure}\n" for failure in failures))
    if failures:
        print("What was finished is kept: the same command with --resume goes on.")
    return bool(failures)


def find_model(path: Path | None) -> Path:
    """The given file or folder, else that of the usual name or the only file in `WEIGHTS`."""
    if path:
        is_there = path.is_file() or path.is_dir()
        found = "found a pipe or device" if path.exists() else "no such file"
        expected = "expected an ONNX file or a folder of them"
        require(is_there, f"--onnx_model_path {path}: {expected}; {found}")
        return path
    usual = WEIGHTS / DOMAIN_DISCRIMINATIVE
    if usual.is_file():
        return usual
    files = sorted(WEIGHTS.glob("*.onnx"))
    require(
        len(files) == 1,
        f"./{WEIGHTS} holds {len(files)} ONNX files and no {usual.name}: choose one with "
        "--onnx_model_path FILE",
    )
    return files[0]


def _tell(outcome: "Outcome", options: PredictionOptions) -> None:
    """Print what was done, and what the numbers in the CSV are."""
    model = outcome.model
    contract, n_models = model.contract, len(model.predictors)
    if outcome.n_resumed:
        print(f"{outcome.n_resumed:,} of {outcome.n_images:,} images were finished before")
    told = f"{outcome.n_predicted} of {outcome.n_images} images predicted"
    if options.shard:
        print(
            f"{told}, part {options.shard}: when all parts are done, the same command with "
            f"--resume and without --shard writes {visible(options.output_csv)}"
        )
        return
    print(f"{told}, written to {visible(options.output_csv)}")
    if options.metadata_csv:
        print(f"{outcome.n_lesions} lesions: {visible(options.beside_output('lesions'))}")
    for predictor in model.predictors:
        if predictor.words:
            print(predictor.words)
    if n_models > 1:
        ways = {"soft": "mean probabilities", "logits": "mean logits", "majority": "majority"}
        print(f"ensemble: {ways[model.voting]} of {n_models} models")
    if model.tta != "none":
        print(f"test-time augmentation: {model.tta}")
    classes = (f"{number} {_shown(name)}" for number, name in enumerate(contract.classes))
    print(f"target: {', '.join(classes)}")
    print(f"decision rule: {visible(contract.rule, 200)}")
    if contract.rule.name == "thresholds_by_group":
        source = contract.provenance.get("tone_source") or "not recorded"
        print(f"tone groups of its training: {visible(source, 300)}")
    if options.trust:
        counts = sorted(outcome.answers.items())
        told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts)
        print(f"answers (docs/TRUST.md): {told}; skin tones unknown, so that none is certified")
    print(contract.notice)


def _tell_failed(failed: list[tuple[str, str]], options: PredictionOptions) -> None:
    """Print the first images without a result, with the reason, and where all are."""
    for name, reason in failed[:MOST_LISTED]:
        print(f"not predicted: {_shown(name)}: {visible(reason, 200)}", file=sys.stderr)
    if failed:
        errors = visible(options.beside_output("errors"))
        print(f"{len(failed):,} images not predicted: {errors}", file=sys.stderr)


def _left_out(folder: Path, recursive: bool) -> str:
    """What of a folder is not predicted, in a sentence; empty where there is nothing."""
    names = left_out(folder, recursive)
    is_image = (name.lower().endswith(IMAGE_SUFFIXES) for name in names)
    hint = "; give --recursive to predict those in subfolders" if any(is_image) else ""
    return f"{describe_left_out(names)}{hint}" if names else ""


def _shown(text: str) -> str:
    return visible(text, MOST_SHOWN)


run = partial(run_main, main)  # the command as an installed program

if __name__ == "__main__":
    run()
