"""Plain recipes, to compare with: samples and inputs as tutorials of torchvision make them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def plain_sample(size: tuple[int, int]) -> Callable[[Path | str], torch.Tensor]:
    """A function from an image's path to float32 [3, height, width].

    It changes as much as the augmentation `dermatoscopy` with its defaults, one operation after
    another.
    """
    change = transforms.Compose(
        [
            transforms.Resize(size),
            transforms.RandomHorizontalFlip(),
            transforms.RandomVerticalFlip(),
            transforms.RandomAffine(25, translate=(0.1, 0.1), scale=(0.9, 1.1)),
            transforms.ColorJitter(0.2, 0.2, 0.2, 0.02),
            transforms.RandomApply([transforms.GaussianBlur(5, (0.1, 2.0))], p=0.1),
            transforms.ToTensor(),
            transforms.RandomErasing(0.1, scale=(0.02, 0.1)),
            transforms.Normalize(MEAN, STD),
        ]
    )

    def sample(path: Path | str) -> torch.Tensor:
        with Image.open(path) as image:
            return change(image.convert("RGB"))

    return sample


def plain_input(size: tuple[int, int]) -> Callable[[Path | str], np.ndarray]:
    """A function from an image's path to a model's input, float32 [1, 3, height, width]."""
    change = transforms.Compose(
        [transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )

    def prepared(path: Path | str) -> np.ndarray:
        with Image.open(path) as image:
            return change(image.convert("RGB")).unsqueeze(0).numpy()

    return prepared
