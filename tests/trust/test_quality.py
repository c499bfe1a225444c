"""The quality gate: a drawn picture for each reason, and drawn lesions that pass."""

import functools

import cv2
import numpy as np
import pytest

from preparer.draw_dermoscopy import photograph
from preparer.draw_lesion import draw_lesion
from src.trust.quality import REASONS, problems

SKIN = {"light": (226, 188, 165), "dark": (112, 76, 58)}


@functools.cache
def drawn(tone, seed):
    rng = np.random.default_rng(seed)
    return photograph(draw_lesion("mel", rng), np.uint8(SKIN[tone]), rng)[0]


def lesion(tone="light", seed=0):
    return drawn(tone, seed).copy()


def with_glare(image):
    cv2.ellipse(
        image, (image.shape[1] // 2, image.shape[0] // 2), (70, 50), 0, 0, 360, (255,) * 3, -1
    )
    return image


def a_lawn():
    noise = np.random.default_rng(1).integers(-40, 40, (300, 400, 3))
    return np.uint8(np.clip(np.array([60, 140, 50]) + noise, 0, 255))


def a_document():
    page = np.full((500, 400, 3), 245, np.uint8)
    for line in range(40, 480, 24):
        cv2.putText(
            page, "Report of 12 May", (30, line), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20,) * 3, 2
        )
    return page


def a_screenshot_in_skin_colour():
    page = np.full((400, 700, 3), SKIN["light"], np.uint8)
    cv2.rectangle(page, (40, 40), (300, 90), (30, 90, 200), -1)
    return page


def two_spots():
    image = np.uint8(
        np.clip(np.random.default_rng(2).normal(SKIN["light"], 5, (300, 400, 3)), 0, 255)
    )
    for x in (120, 280):
        cv2.circle(image, (x, 150), 35, (90, 55, 45), -1)
    return cv2.GaussianBlur(image, (0, 0), 1.0)


PICTURES = {
    "small": lambda: lesion()[:40, :40],
    "blur": lambda: cv2.GaussianBlur(lesion(), (0, 0), lesion().shape[1] / 40),
    "glare": lambda: with_glare(lesion()),
    "dark": lambda: np.uint8(lesion() * 0.15),
    "no_skin": a_lawn,
    "document": a_document,
    "several_lesions": two_spots,
}


@pytest.mark.slow
@pytest.mark.parametrize("reason", REASONS)
def test_a_picture_of_each_fault_gives_its_reason(reason):
    assert reason in problems(PICTURES[reason]())


def test_a_screenshot_is_told_by_its_flatness_whatever_its_colour():
    assert problems(a_screenshot_in_skin_colour())[0] == "document"


@pytest.mark.slow
def test_drawn_lesions_on_light_and_dark_skin_pass():
    for tone in SKIN:
        for seed in range(2):
            assert problems(lesion(tone, seed)) == [], (tone, seed)


@pytest.mark.slow
def test_an_enlarged_picture_keeps_its_signs():
    image = lesion()
    large = cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert problems(image) == problems(large) == []


@pytest.mark.parametrize("fill", [0, 255])
def test_blank_pictures_of_any_shape_are_refused_without_an_error(fill):
    for shape in ((64, 64), (64, 3000), (3000, 64)):
        assert "document" in problems(np.full((*shape, 3), fill, np.uint8))
