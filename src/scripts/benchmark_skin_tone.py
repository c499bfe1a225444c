"""python -m src.scripts.benchmark_skin_tone DIR: seconds of tone and masks against plain recipes.

The recipes are those of earlier work, written as one would write them first. Images of DIR are
made into JPEG files of both sizes; each round times both ways on the same file, one thread.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from kneed import KneeLocator

from ..batch.per_image_csv import images_below
from ..core.errors import UserError, refuse_in_words, run_main
from ..preprocess.image import read_image
from ..skin.masks import value_otsu
from ..skin.tone import ita_opencv8
from .estimate_ita import tone_row
from .generate_skin_masks import mask_row

SMALL, LARGE = (200, 150), (3264, 2448)


def main(argv: list[str] | None) -> None:
    args = parse_args(argv)
    cv2.setNumThreads(0)
    paths = images_below(args.folder)[: args.n_rounds]
    if len(paths) < args.n_rounds:
        raise UserError(f"{args.folder}: {len(paths)} images, expected {args.n_rounds}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, size, plain, own in (
            ("skin tone", SMALL, plain_tone, own_tone),
            ("lesion mask", LARGE, plain_mask, own_mask),
        ):
            files = [write_jpeg(path, size, folder) for path in paths]
            own(files[0], folder)  # imports and caches are no part of it
            pairs = np.array([(timed(plain, f, folder), timed(own, f, folder)) for f in files])
            print(describe(title, size, pairs))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    refuse_in_words(parser)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of images")
    rounds_help = "images to time, one a round (default 5)"
    parser.add_argument("--n_rounds", "--n-rounds", type=int, default=5, help=rounds_help)
    args = parser.parse_args(argv)
    if args.n_rounds < 1:
        raise UserError(f"--n_rounds {args.n_rounds}: expected 1 or more")
    return args


def plain_tone(path: Path, _: Path) -> None:
    """Three to nine k-means clusters of the skin at 128x256, ten starts each, and the elbow."""
    image = cv2.resize(read_image(path), (128, 256))
    pixels = image[~value_otsu(image)].astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.2)
    counts = range(3, 10)
    fits = [cv2.kmeans(pixels, n, None, stop, 10, cv2.KMEANS_PP_CENTERS) for n in counts]
    inertia = [fit[0] for fit in fits]
    elbow = KneeLocator(counts, inertia, curve="convex", direction="decreasing").elbow
    _, labels, centers = fits[counts.index(elbow) if elbow else -1]
    ita_opencv8(centers[np.bincount(labels.ravel()).argmax()])


def own_tone(path: Path, _: Path) -> None:
    tone_row(path, "cielab", "median", "none", {})


def plain_mask(path: Path, folder: Path) -> None:
    """All of it at full size."""
    mask = value_otsu(read_image(path)).astype(np.uint8) * 255
    cv2.imwrite(str(folder / "plain_mask.png"), mask)


def own_mask(path: Path, folder: Path) -> None:
    mask_row(path, "lesion", "darker_than_skin", folder)


def write_jpeg(path: Path, size: tuple[int, int], folder: Path) -> Path:
    """The image at (width, height) `size` as a JPEG file in `folder`."""
    target = folder / f"{path.stem}_{size[0]}.jpg"
    image = cv2.resize(read_image(path), size, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(target), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return target


def timed(work, path: Path, folder: Path) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work(path, folder)
    return time.perf_counter() - started


def describe(title: str, size: tuple[int, int], pairs: np.ndarray) -> str:
    """A line with medians and the range of the ratio, of [rounds, (plain, own)] seconds."""
    plain, own = np.median(pairs, axis=0) * 1e3
    ratios = pairs[:, 0] / pairs[:, 1]
    return (
        f"{title} at {size[0]}x{size[1]}: plain {plain:.0f} ms, own {own:.1f} ms, "
        f"ratio {np.median(ratios):.1f} ({ratios.min():.1f}-{ratios.max():.1f}), "
        f"{len(pairs)} rounds"
    )


if __name__ == "__main__":
    run_main(main)
