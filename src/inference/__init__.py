"""How a model is applied, without torch: `load(path).predict(images)`."""

from .model import ImagePrediction, Model, load

__all__ = ["ImagePrediction", "Model", "load"]
