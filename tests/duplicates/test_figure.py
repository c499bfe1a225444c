"""The figure of image pairs: a place for each, at one height, whatever their sizes and texts."""

import cv2
import numpy as np
import pytest

from src.duplicates.run import plot_image_pairs


@pytest.mark.parametrize("n_pairs", [1, 4])
def test_both_images_of_every_pair_are_drawn(tmp_path, n_pairs):
    red, blue = np.full((40, 60, 3), (255, 0, 0), np.uint8), np.full((90, 50, 3), (0, 0, 255))
    pairs = [(red, blue.astype(np.uint8), "$\\frac{1}$\n皮膚")] * n_pairs
    plot_image_pairs(pairs, "pairs", tmp_path / "pairs.png")
    assert [file.name for file in tmp_path.iterdir()] == ["pairs.png"]
    drawn = cv2.imread(str(tmp_path / "pairs.png"), cv2.IMREAD_COLOR_RGB)
    for color in ((255, 0, 0), (0, 0, 255)):
        mask = (drawn == color).all(axis=2).astype(np.uint8)
        n_parts, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
        assert n_parts - 1 == n_pairs
        heights = boxes[1:, cv2.CC_STAT_HEIGHT]
        assert np.ptp(heights) <= 1
        expected = 60 / 40 if color[0] else 50 / 90
        np.testing.assert_allclose(boxes[1:, cv2.CC_STAT_WIDTH] / heights, expected, rtol=0.03)
