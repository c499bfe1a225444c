"""What a user says of an ONNX file that holds no contract; imports nothing heavy."""

from dataclasses import asdict, dataclass
from typing import Literal

from ..core.options import Section, flag


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
    normalize: Literal["imagenet", "half", "unit", "none"] | None = flag(
        None,
        "how pixels are scaled: by ImageNet's mean and standard deviation, half: to -1...1, unit: "
        "to 0...1, none: left at 0...255 (default: imagenet, for uint8 inputs none)",
    )

    @property
    def given(self) -> list[str]:
        """The flags that say more than the defaults."""
        default = asdict(NOTHING_SAID)
        return [f"--{name}" for name, value in asdict(self).items() if value != default[name]]


NOTHING_SAID = ForeignModel()
