"""How `melanoma_eval.py` judges: its flags beside those of the sources."""

from dataclasses import dataclass

from ..core.errors import UserError, nearest
from ..core.options import flag
from ..evaluation.evaluation import Fits
from ..inference.ensemble import VOTES

LIMITS = {"n_draws": (100, 100_000), "min_group": (1, 1_000_000), "n_bins": (2, 1000)}


@dataclass(frozen=True)
class Judging:
    """How to judge"""

    metadata_csv: str = flag("", "table of the images' metadata; empty: --skin_color_csv")
    metadata_image_column: str = flag("", "its column of image names; empty: the usual ones")
    group_by: tuple[str, ...] = flag(
        (),
        "columns of it, or of the CSV that is judged, to compare groups by: sex, bands "
        "age_approx:30,50,70, or both sex*group",
    )
    resample_by: str = flag(
        "", "column of what intervals resample; empty: patients and lesions, else images"
    )
    n_draws: int = flag(2000, "draws of the bootstrap")
    min_group: int = flag(10, "rows that a group needs to enter a gap or have values of its own")
    n_bins: int = flag(15, "bins of calibration errors")
    calibration: str = flag(
        "", "fitted on validation rows, a call string: temperature, temperature(by='group')"
    )
    threshold: str = flag(
        "",
        "decide anew at a threshold found on validation rows, a call string: max_f1, youden, "
        "sensitivity(least=0.9), specificity(least=0.9), fixed(value=0.5)",
    )
    group_thresholds: bool = flag(False, "one for each tone group, and what that costs")
    valid_predictions_csv: str = flag("", "validation rows beside --predictions_csv")
    compare: str = flag("", "another checkpoint, ONNX model or CSV on the same images")
    voting: str = flag("soft", "how the models of a folder decide: soft or majority")
    image_folder: str = flag("", "folder of the images, for those judged wrongly")

    def __post_init__(self):
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UserError(f"--{name} {getattr(self, name)}: expected {least:,} to {most:,}")
        if self.voting not in VOTES:
            hint = nearest(self.voting, VOTES)
            raise UserError(f"--voting {self.voting}: expected {' or '.join(VOTES)}{hint}")
        if self.group_thresholds and not self.threshold:
            raise UserError("--group_thresholds: expected the rule that finds them, --threshold")
        if self.valid_predictions_csv and not self.needs_valid:
            raise UserError("--valid_predictions_csv: expected --calibration or --threshold to fit")

    @property
    def needs_valid(self) -> bool:
        """Whether something is fitted on validation rows."""
        return bool(self.fits().flag)

    def fits(self) -> Fits:
        """What is fitted."""
        return Fits(self.calibration, self.threshold, self.group_thresholds)
