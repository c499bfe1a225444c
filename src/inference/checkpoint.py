"""A checkpoint, ready to predict batches as its contract says; needs torch."""

from pathlib import Path

import numpy as np
import torch

from ..artifact.network import load_network


class CheckpointPredictor:
    """What `OnnxPredictor` is of an ONNX file, of a checkpoint of the trainer; on the CPU."""

    words, is_foreign = "", False

    def __init__(self, path: Path):
        self._network, self.contract = load_network(path)

    @torch.inference_mode()
    def outputs(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """(logits [N, n_outputs], probabilities [N, classes]) of float32 [N, 3, height, width]."""
        logits, probabilities = self._network(torch.from_numpy(images))
        return logits.numpy(), probabilities.numpy()
