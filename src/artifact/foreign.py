"""What a user says of an ONNX file that holds no contract; imports nothing heavy."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from ..core.errors import require
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
    normalize: Literal["auto", "imagenet", "half", "unit", "none"] = flag(
        "auto",
        "how pixels are scaled: by ImageNet's mean and standard deviation, half: to -1...1, unit: "
        "to 0...1, none: left at 0...255; auto: imagenet, for uint8 inputs none",
    )

    def __post_init__(self):
        super().__post_init__()
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
