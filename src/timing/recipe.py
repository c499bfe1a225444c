"""The plain recipe: a training sample as tutorials of torchvision make it, to compare with."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torchvision import transforms


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
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def sample(path: Path | str) -> torch.Tensor:
        with Image.open(path) as image:
            return change(image.convert("RGB"))

    return sample
