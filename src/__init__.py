"""Melanoma classification by skin tone: training, evaluation, export and prediction."""

__version__ = "0.1.0"
