"""The flags of predict.py that say what is predicted, how, and what is written."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import require
from ..core.options import REQUIRED, Section, flag

WEIGHTS = Path("weights")


@dataclass(frozen=True)
class PredictionOptions(Section):
    """Prediction"""

    onnx_model_path: Path | None = flag(
        None,
        f"ONNX file, or a folder of ONNX files: an ensemble (default: the file in ./{WEIGHTS})",
    )
    input_folder: Path = flag(REQUIRED, "folder of images", also=("--image_folder",))
    recursive: bool = flag(False, "also predict the images in its subfolders")
    output_csv: Path = flag(
        REQUIRED, "CSV to write; <output_csv>_errors.csv beside it has the rest"
    )
    probabilities: bool = flag(False, "add a column with the probability of each class")
    target_names: bool = flag(False, "write class names as targets, not indices")
    threshold: float | None = flag(
        None, "decide for the positive class from this probability on", least=0, most=1
    )
    tta: Literal["auto", "none", "flips", "dihedral"] = flag(
        "auto",
        "average the probabilities over the flips, or flips and turns, of each image; auto: "
        "as the model's threshold was fitted, else none",
    )
    voting: Literal["soft", "majority", "logits"] = flag(
        "soft", "how an ensemble decides: by mean probabilities, most members or mean logits"
    )
    member_weights: tuple[float, ...] = flag(
        (), "weights of an ensemble's members, in the order of their file names", least=0
    )
    aggregate: Literal["image", "lesion"] = flag(
        "image",
        "lesion: also write <output_csv>_lesions.csv, by the mean probabilities of each lesion's "
        "images",
    )
    metadata_csv: Path | None = flag(None, "table with the images' lesion_id, for --aggregate")
    save_processed: Path | None = flag(
        None, "folder for the images as the model's preprocessing makes them, as PNG"
    )
    batch_size: int = flag(8, "images per batch", least=1)
    num_workers: int = flag(
        os.cpu_count() or 1, "threads, each of which reads and predicts whole batches", least=1
    )
    providers: tuple[str, ...] = flag(
        ("CPUExecutionProvider",), "execution providers of ONNX Runtime, in order of preference"
    )
    resume: bool = flag(False, "go on where the same command was stopped, and join its shards")
    shard: str = flag("", "predict the i-th of n parts of the images only", metavar="I/N")
    classes: str = flag(
        "", "comma-separated classes of a model without a contract (default: benign,malignant)"
    )

    def __post_init__(self):
        super().__post_init__()
        _ = self.part  # raises for what is none
        is_lesion = self.aggregate == "lesion"
        require(
            is_lesion == bool(self.metadata_csv),
            "--aggregate lesion and --metadata_csv: expected both, or none of them",
        )

    @property
    def part(self) -> tuple[int, int]:
        """(number of the part, from 1; number of parts) that `shard` says: (1, 1) for all."""
        number, _, count = self.shard.partition("/") if self.shard else ("1", "", "1")
        is_part = number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)
        require(is_part, f"--shard {self.shard}: expected I/N, such as 1/3, 2/3 or 3/3")
        return int(number), int(count)

    def beside_output(self, what: str) -> Path:
        """The file `<output_csv>_<what>.csv`."""
        return self.output_csv.with_name(f"{self.output_csv.stem}_{what}.csv")
