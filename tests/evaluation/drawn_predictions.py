"""Drawn predictions of realistic size, and drawn photographs."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.special import expit
from scipy.stats import norm, truncnorm

from src.evaluation.predictions import Predictions
from src.skin.tone import GROUP_NAMES

# ISIC 2020's validation images: by tone group images, melanomas and melanomas found
IMAGES, MELANOMAS, FOUND = (812, 3290, 1904, 544), (17, 58, 46, 16), (15, 36, 34, 14)
N_UNKNOWN, N_FALSE_ALARMS = 12, 632
LESIONS = ("AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC")
SHARES = (0.033, 0.051, 0.110, 0.012, 0.111, 0.669, 0.014)


def draw_binary(seed: int = 0) -> Predictions:
    """6,562 images, 137 of them malignant; 99 found, 632 false alarms; recall differs by tone."""
    rng = np.random.default_rng(seed)
    bound, shift = norm.isf(N_FALSE_ALARMS / 6425), norm.isf(N_FALSE_ALARMS / 6425) + 0.59

    def latent(n, mean, above):
        low, high = (bound - mean, 9) if above else (-9, bound - mean)
        return truncnorm.rvs(low, high, loc=mean, size=n, random_state=rng)

    parts = []
    for group, (n, ill, found) in enumerate(zip(IMAGES, MELANOMAS, FOUND, strict=True)):
        hits = np.r_[latent(found, shift, True), latent(ill - found, shift, False)]
        parts += [(hits, 1, group), (np.zeros(n - ill), 0, group)]
    parts.append((np.zeros(N_UNKNOWN), 0, -1))
    x = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([np.full(len(part[0]), part[1]) for part in parts])
    groups = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    benign = rng.permutation(np.flatnonzero(labels == 0))
    x[benign[:N_FALSE_ALARMS]] = latent(N_FALSE_ALARMS, 0, True)
    x[benign[N_FALSE_ALARMS:]] = latent(len(benign) - N_FALSE_ALARMS, 0, False)
    malignant = expit(0.9 * (np.log(137 / 6425) + shift * x - shift**2 / 2))
    return Predictions(
        names=[f"ISIC_{7000000 + row}.jpg" for row in range(len(x))],
        labels=labels,
        groups=groups,
        probabilities=np.stack([1 - malignant, malignant], axis=1),
        decisions=(x > bound).astype(np.int64),
        classes=("benign", "malignant"),
        positive=1,
        group_names=GROUP_NAMES,
    )


def draw_classes(
    n_rows: int = 1500,
    classes: tuple[str, ...] = LESIONS,
    group_names: tuple[str, ...] = GROUP_NAMES,
    seed: int = 0,
) -> Predictions:
    """Images of several classes, unequally many; 'MEL' or the last is the positive class."""
    rng = np.random.default_rng(seed)
    shares = np.array([*SHARES, 0.03][: len(classes)])
    labels = rng.choice(len(classes), size=n_rows, p=shares / shares.sum())
    logits = np.log(shares) + 3.2 * np.eye(len(classes))[labels]
    logits += rng.normal(scale=1.3, size=logits.shape)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(
        names=[f"HAM_{row:07d}.jpg" for row in range(n_rows)],
        labels=labels,
        groups=rng.integers(-1, len(group_names), size=n_rows),
        probabilities=probabilities,
        decisions=probabilities.argmax(axis=1).astype(np.int64),
        classes=classes,
        positive=classes.index("MEL") if "MEL" in classes else len(classes) - 1,
        group_names=group_names,
    )


def unknown_only(rows):
    return replace(rows, groups=np.full(len(rows.labels), -1))


def without_probabilities(rows):
    return replace(rows, probabilities=np.full(rows.probabilities.shape, np.nan))


def all_right(rows):
    return replace(rows, decisions=rows.labels)


def lesion_image(name: str, tone: int = 1) -> np.ndarray:
    """A drawn photograph, RGB uint8 [90, 120, 3]: a dark blot on skin, by its name."""
    rng = np.random.default_rng(list(name.encode()))
    skin = [(228, 190, 170), (205, 160, 130), (160, 112, 84), (110, 74, 54)][tone]
    y, x = np.mgrid[:90, :120]
    reach = np.hypot((x - 60) / rng.uniform(20, 32), (y - 45) / rng.uniform(18, 28))
    angle = np.arctan2(y - 45, x - 60)
    edge = 1 + sum(
        rng.normal(scale=0.12 / n) * np.sin(n * angle + rng.uniform(0, 6)) for n in range(2, 6)
    )
    blot = 1 / (1 + np.exp(14 * (reach - edge)))[..., None]
    mottle = cv2.GaussianBlur(rng.normal(size=(90, 120, 1)), (0, 0), 5)[..., None]
    lesion = np.array(skin) * rng.uniform(0.3, 0.55) * (1 + 0.9 * mottle)
    color = skin * (1 - blot) + lesion * blot
    return np.clip(color + rng.normal(scale=3, size=color.shape), 0, 255).astype(np.uint8)


def write_lesion(path: Path, name: str, size: tuple[int, int] = (40, 32)) -> None:
    """The small `lesion_image` of a name as a file of this (width, height)."""
    assert cv2.imwrite(str(path), cv2.resize(lesion_image(name), size))
