"""The flags of `melanoma_eval.py`: what is evaluated, how, and the columns of a CSV."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from ..artifact.foreign import ForeignModel
from ..core.errors import UserError
from ..core.files import check_output
from ..core.options import flag
from ..core.registry import parse_call


@dataclass(frozen=True)
class Source:
    """Input (exactly one)"""

    checkpoint: str = flag("", "checkpoint of the trainer", metavar="FILE")
    onnx_model_path: str = flag(
        "", "ONNX model, or a folder of ONNX models: an ensemble", metavar="PATH"
    )
    predictions_csv: str = flag(
        "", "CSV with image_name, target and optionally probability_<class>", metavar="FILE"
    )

    def __post_init__(self):
        given = [name for name in SOURCES if getattr(self, name)]
        if len(given) != 1:
            raise UserError(f"expected one of --{', --'.join(SOURCES)}; found {len(given)} of them")

    @property
    def kind(self) -> str:
        """Which of `SOURCES` is given."""
        return next(name for name in SOURCES if getattr(self, name))

    @property
    def path(self) -> str:
        """Its path."""
        return getattr(self, self.kind)


SOURCES = tuple(f.name for f in fields(Source))


@dataclass(frozen=True)
class EvaluationOptions(ForeignModel):
    """Evaluation"""

    metadata_csv: str = flag("", "table of the images' metadata (default: --skin_color_csv)")
    metadata_image_column: str = flag(
        "", "its column of image names (default: the usual names, such as image_id)"
    )
    group_by: tuple[str, ...] = flag(
        (),
        "metadata columns that define the groups to compare: sex, with cut points "
        "age_approx:30,50,70, or combined sex*group",
    )
    resample_by: str = flag(
        "", "column that identifies bootstrap clusters (default: patients and lesions, else images)"
    )
    n_resamples: int = flag(2000, "number of bootstrap resamples", least=100, most=100_000)
    min_group: int = flag(
        10,
        "smallest number of images in a rate's denominator for a group to be compared",
        least=1,
        most=1_000_000,
    )
    n_bins: int = flag(15, "number of bins of calibration errors", least=2, most=1000)
    calibration: str = flag(
        "",
        "calibration fitted on the validation rows, as NAME or NAME(option=value): temperature, "
        "temperature(by='group')",
    )
    threshold: str = flag(
        "",
        "decision threshold chosen on the validation rows, as NAME or NAME(option=value): max_f1, "
        "youden, sensitivity(least=0.9), specificity(least=0.9), fixed(value=0.5)",
    )
    group_thresholds: bool = flag(
        False, "use one threshold per skin-tone group and report the trade-off"
    )
    valid_predictions_csv: str = flag(
        "", "predictions on the validation rows, with --predictions_csv"
    )
    compare: str = flag("", "second checkpoint, ONNX model or CSV, tested on the same images")
    table_metrics: tuple[str, ...] = flag(
        (),
        "metrics in table.md and table.tex (default: sensitivity specificity auroc)",
        metavar="METRIC",
    )
    voting: Literal["soft", "majority", "logits"] = flag(
        "soft", "how an ensemble decides: by mean probabilities, most members or mean logits"
    )
    member_weights: tuple[float, ...] = flag(
        (), "weights of an ensemble's members, in the order of their file names", least=0
    )
    tta: Literal["auto", "none", "flips", "dihedral"] = flag(
        "auto",
        "average an ONNX model's probabilities over the flips, or flips and turns, of each "
        "image; auto: as the model's threshold was fitted, else none",
    )
    aggregate: Literal["image", "lesion"] = flag(
        "image",
        "lesion: evaluate lesions, by the mean probabilities of their images; the evaluation of "
        "the images goes to the folder per_image inside",
    )
    image_folder: str = flag("", "folder of the images, to show misclassified ones")
    external: bool = flag(
        False,
        "evaluate on data that the model was not trained with: all labelled rows of --dataset are "
        "test rows, and overlap with the training rows is looked for",
    )
    skip_overlap: bool = flag(
        False, "leave out external images that the model has seen in training"
    )
    skip_unlabelled: bool = flag(False, "leave out images without a true class")
    class_map: str = flag(
        "",
        "classes of other data in the model's names, as 'melanoma=mel,nevus=nv'; * is all others "
        "(beside --positive, rest is any other class)",
        metavar="NAME=CLASS,...",
    )
    positive: str = flag("", "evaluate this class against all others together", metavar="CLASS")
    write_model: str = flag(
        "",
        "save the model with the fitted temperature and threshold, for use by predict.py "
        "(.onnx or .pth)",
    )

    def __post_init__(self):
        super().__post_init__()
        for call in (self.calibration, self.threshold):
            if call:
                parse_call(call)
        if self.aggregate == "lesion" and self.write_model:
            raise UserError(
                "--write_model: expected without --aggregate lesion: what is fitted on lesions "
                "does not fit the images that a model predicts"
            )
        if self.group_thresholds and not self.threshold:
            raise UserError("--group_thresholds: expected with --threshold, the rule to fit")
        if self.valid_predictions_csv and not self.needs_valid:
            raise UserError(
                "--valid_predictions_csv: expected with --calibration or --threshold to fit"
            )

    @property
    def needs_valid(self) -> bool:
        """Whether something is fitted on validation rows; a fixed threshold is not."""
        fits = self.threshold and parse_call(self.threshold).name != "fixed"
        return bool(self.calibration or fits or self.group_thresholds)


@dataclass(frozen=True)
class CsvColumns:
    """Column names in --predictions_csv"""

    image_column: str = flag(
        "",
        "column of image names (default: image_name, image_id, image, isic_id, DDI_file or "
        "file_name)",
    )
    decision_column: str = flag(
        "",
        "column of decisions, class names or indices (default: target; the most probable class "
        "if --probability_columns is given or target is missing)",
    )
    label_column: tuple[str, ...] = flag(
        (),
        "column of true classes, names or indices, or one column of 0 and 1 for each class, in "
        "the metadata or else in the CSV (default: label in the CSV, else target in the metadata)",
    )
    label_classes: tuple[str, ...] = flag(
        (),
        "classes, in order, that the indices or columns of --label_column stand for "
        "(default: --classes)",
    )
    probability_columns: tuple[str, ...] = flag(
        (),
        "one column of probabilities for each class, or a single column for the positive class "
        "(default: all probability_<class>)",
    )
    classes: tuple[str, ...] = flag(
        (), "class names in the order of --probability_columns (default: the names of the columns)"
    )
    class_values: Literal["auto", "names", "indices"] = flag(
        "auto",
        "what the CSV's decisions and labels are where class names are numbers that could be "
        "read as indices too",
    )
    positive_class: str = flag(
        "",
        "the class to detect (default: malignant, mel or melanoma; true, yes, positive or 1 of two"
        " classes; else the last)",
    )


USUAL_COLUMNS = CsvColumns()


def check_written_model(source: Source, options: EvaluationOptions) -> None:
    """Raise `UserError` where `--write_model` cannot hold the evaluated model, or has no reason."""
    target = options.write_model
    if not target:
        return
    is_onnx = source.kind == "onnx_model_path"
    suffixes = (".onnx",) if is_onnx else (".onnx", ".pth")
    problem = ""
    if source.kind == "predictions_csv":
        problem = "a predictions CSV holds no model; expected --checkpoint or --onnx_model_path"
    elif Path(source.path).is_dir():
        problem = f"{source.path} is an ensemble; expected a single model"
    elif Path(target).suffix.lower() not in suffixes:
        problem = f"expected a file name that ends in {' or '.join(suffixes)}"
    elif Path(target).is_dir() or Path(target).resolve() == Path(source.path).resolve():
        problem = "expected another file than the evaluated model"
    elif options.positive:
        problem = "expected without --positive, which changes the classes"
    elif not (options.calibration or options.threshold):
        problem = "nothing is fitted; expected --calibration or --threshold"
    elif options.calibration and parse_call(options.calibration).options.get("by") == "group":
        problem = "a model holds one temperature; expected --calibration temperature"
    if problem:
        raise UserError(f"--write_model {target}: {problem}")
    check_output(Path(target), Path(source.path))
