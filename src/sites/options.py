"""The flags of a site's evaluation, of the file that it runs, and of what merges its results."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require
from ..core.options import REQUIRED, Section, flag

LONGEST_NAME = 60


@dataclass(frozen=True)
class SiteOptions(Section):
    """Evaluation at a site"""

    input_folder: Path = flag(REQUIRED, "folder of images, searched at any depth")
    csv: Path = flag(REQUIRED, "CSV with a line for each image")
    site: str = flag(REQUIRED, "name of the site, as it is shown in the report")
    key_file: Path = flag(
        REQUIRED, "file with the site's secret key (16 bytes or more), which signs the result"
    )
    output_json: Path = flag(Path("site.json"), "the result: aggregates only")
    onnx_model_path: Path | None = flag(
        None, "the model (default: the one in the file that is run, see package_site)"
    )
    image_column: str = flag("image_name", "column of image names, with or without suffix")
    label_column: str = flag("label", "column of classes, by their names in the model, or 0 and 1")
    patient_column: str = flag(
        "", "column of patients; without it each image counts as a patient of its own"
    )
    group_by: str = flag(
        "", "column whose values are groups (default: skin tones, estimated from the images)"
    )
    batch_size: int = flag(8, "images in a batch", least=1)

    def __post_init__(self):
        super().__post_init__()
        fits = 0 < len(self.site) <= LONGEST_NAME and self.site.isprintable()
        require(fits, f"--site: expected a name of 1 to {LONGEST_NAME} printable characters")


@dataclass(frozen=True)
class PackageOptions(Section):
    """File for the sites"""

    onnx_model_path: Path = flag(REQUIRED, "the model that is evaluated")
    output_path: Path = flag(Path("evaluate_site.pyz"), "the file to write")


@dataclass(frozen=True)
class MergeOptions(Section):
    """Results of the sites"""

    files: tuple[Path, ...] = flag(
        REQUIRED, "what the sites' evaluations wrote", positional=True, metavar="SITE.json"
    )
    keys: Path | None = flag(
        None, "folder of the sites' keys, SITE.key, where SITE.json is the result"
    )
    unsigned: bool = flag(False, "do not check signatures: the result says so")
    output_dir: Path = flag(Path("sites"), "folder for report.html, sites.csv and sites.json")

    def __post_init__(self):
        super().__post_init__()
        told = bool(self.keys) != self.unsigned
        require(told, "--keys: expected the folder of the sites' keys, or --unsigned")
