"""What a user says of an ONNX file that holds no contract; imports nothing heavy."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from ..core.errors import require
from ..core.options import Section, flag

# the published model of this software's ancestor, whose outputs are those of several groups
DOMAIN_DISCRIMINATIVE = "best_model_domain_discriminative.onnx"


@dataclass(frozen=True)
class ForeignModel(Section):
    """ONNX models without a contract"""

    image_height: int | None = flag(None, "input height (default: as the model states)", least=1)
    image_width: int | None = flag(None, "input width (default: as the model states)", least=1)
    outputs: Literal["auto", "logits", "probabilities"] = flag(
        "auto",
        "what the model gives, one value for each class or one for the positive class; auto: as "
        "its last operation or its values tell",
    )
    normalize: Literal["auto", "imagenet", "half", "unit", "none"] = flag(
        "auto",
        "how pixels are scaled: by ImageNet's mean and standard deviation, half: to -1...1, unit: "
        "to 0...1, none: left at 0...255; auto: imagenet, for uint8 inputs none",
    )

    layout: Literal["auto", "nchw", "nhwc"] = flag(
        "auto",
        "order of the input's axes, nhwc: channels last; auto: as the model states, else nchw",
    )
    mean: tuple[float, ...] = flag(
        (), "three means of the channels on the scale 0...1, with --std, instead of --normalize"
    )
    std: tuple[float, ...] = flag((), "three standard deviations of the channels")
    cielab: bool = flag(
        False, "convert images to CIE L*a*b* (L* 0...100), scaled by --mean and --std alone"
    )
    num_groups: int = flag(
        1, "groups in the outputs, which are then num_groups x classes, group by group", least=1
    )
    reduction: Literal["sum_over_groups", "mean_over_groups"] = flag(
        "sum_over_groups",
        "how they become one probability for each class: the sum of a softmax over all of them, or "
        "the mean of the groups' own softmax",
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("mean", "std"):
            values = getattr(self, name)
            require(len(values) in (0, 3), f"--{name}: found {len(values)} numbers: expected three")
        require(
            bool(self.mean) == bool(self.std), "--mean and --std: expected both, or none of them"
        )
        is_plain = self.normalize == "auto"
        require(
            is_plain or not self.mean, "--mean: expected without --normalize, which stands for one"
        )
        require(
            is_plain or not self.cielab,
            "--cielab: expected with --mean and --std, since --normalize is of RGB",
        )
        for f in fields(ForeignModel):
            known, value = get_args(f.type), getattr(self, f.name)
            if isinstance(value, str):
                require(
                    value in known, f"{f.name} is {value!r}: expected one of {', '.join(known)}"
                )

    @property
    def given(self) -> list[str]:
        """The flags of a foreign model that say more than the defaults."""
        names = [f.name for f in fields(ForeignModel)]
        return [f"--{n}" for n in names if getattr(self, n) != getattr(NOTHING_SAID, n)]


NOTHING_SAID = ForeignModel()
