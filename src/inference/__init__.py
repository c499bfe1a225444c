"""How a model is applied, without torch: `SkinLesionPredictor(path).predict(images)`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import SkinLesionPredictor

__all__ = ["SkinLesionPredictor"]


def __getattr__(name: str) -> Any:
    """The class, imported when it is asked for: flags are read without ONNX Runtime."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from . import model

    return getattr(model, name)
