"""Augmentations: pure functions of sample and seed, alone and in chains; skin-former's draws."""

import pickle

import cv2
import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.loading import augment
from src.loading.augment import AUGMENTATIONS, Augmentation, AugmentedImage
from src.skin.masks import lesion_mask
from src.skin.skin_former import inner_lesion
from src.skin.tone import estimate_tone

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
Y, X = np.mgrid[-24:24, -32:32] + 0.5
LESION = (Y / 10) ** 2 + (X / 13) ** 2 < 1
FAR = (Y / 15) ** 2 + (X / 18) ** 2 > 1  # from the lesion, where only skin is
LIGHT, DARK, GREY = (232, 196, 172), (96, 68, 52), (180, 180, 180)
ALWAYS = "skin_former(probability=(1, 1, 1, 1), target={})"


def skin(color, seed=0):
    """A 48 x 64 image: a brown lesion on skin of this colour, both with some texture."""
    image = np.where(LESION[..., None], (110, 60, 45), color)
    return (image + np.random.default_rng(seed).integers(-4, 5, image.shape)).astype(np.uint8)


SKIN = skin(LIGHT)
SAMPLE = AugmentedImage(SKIN, 0, LESION, positive=True)
CHANGING = [name for name in AUGMENTATIONS.names() if name != "none"]


def pixels(text, image, seed):
    return Augmentation(text)(AugmentedImage(image, -1), seed).image


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_rgb_uint8_in_and_out_with_the_input_unchanged(name):
    for image in (IMAGE, SKIN):
        chain, lesion = Augmentation(name), np.zeros(image.shape[:2], bool)
        sample = AugmentedImage(image.copy(), 0, lesion, positive=True)
        for seed in range(12):
            found = chain(sample, seed).image
            assert (found.dtype, found.shape) == (np.uint8, image.shape)
            assert found.flags["C_CONTIGUOUS"]
            np.testing.assert_array_equal(sample.image, image)
            assert not lesion.any()


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_a_chain_goes_to_loading_processes_that_are_not_forked(name):
    sent = pickle.loads(pickle.dumps(Augmentation(name)))  # noqa: S301
    np.testing.assert_array_equal(sent(SAMPLE, 3).image, Augmentation(name)(SAMPLE, 3).image)


@pytest.mark.parametrize("name", CHANGING)
def test_same_seed_same_sample_and_others_differ(name):
    chain = Augmentation(name)
    found = [chain(SAMPLE, seed) for seed in range(12)]
    assert len({sample.image.tobytes() for sample in found}) >= 4  # flips alone have four outcomes
    for seed in (0, 5, 11, 2**32 - 1):
        again = [Augmentation(name)(SAMPLE, seed), chain(SAMPLE, seed)]
        np.testing.assert_array_equal(again[0].image, again[1].image)
        assert again[0].group == again[1].group


@pytest.mark.parametrize("name", [n for n in AUGMENTATIONS.names() if n != "skin_former"])
def test_group_and_mask_stay_with_the_sample(name):
    for group in (-1, 0, 3):
        found = Augmentation(name)(AugmentedImage(SKIN, group, LESION), 4)
        assert found.group == group
        assert found.lesion is LESION


@pytest.mark.parametrize("text", ["none", "", " ", "|", "none | none", "| none |"])
def test_none_and_an_empty_chain_change_nothing(text):
    found = Augmentation(text)(SAMPLE, 3)
    np.testing.assert_array_equal(found.image, SKIN)
    assert (found.group, Augmentation(text).groups) == (0, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flips(horizontal=1.0, vertical=0.0)", IMAGE[:, ::-1]),
        ("flips(horizontal=0.0, vertical=1.0)", IMAGE[::-1]),
        ("flips(horizontal=1.0, vertical=1.0)", IMAGE[::-1, ::-1]),
        (
            "flips(horizontal=1.0, vertical=0.0) | flips(horizontal=0.0, vertical=1.0)",
            IMAGE[::-1, ::-1],
        ),
        ("flips(horizontal=1.0, vertical=0.0)|flips(horizontal=1.0, vertical=0.0)", IMAGE),
    ],
)
def test_flips_mirror_pixels(text, expected):
    np.testing.assert_array_equal(pixels(text, IMAGE, 0), expected)


@pytest.mark.parametrize(("first", "second"), [("flips", "dermatoscopy"), ("lumen", "flips")])
def test_a_chain_applies_one_after_the_other(first, second):
    one, two = (AUGMENTATIONS.build(name).apply for name in (first, second))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        expected = two(one(AugmentedImage(IMAGE, -1), rng), rng).image
        found = pixels(f"{first} | {second}", IMAGE, seed)
        np.testing.assert_array_equal(found, expected)


def test_skin_former_in_a_chain_comes_before_what_moves_the_image():
    mirror = "flips(horizontal=1.0, vertical=0.0)"
    alone = Augmentation(ALWAYS.format("(0.0, 5.0)"))(SAMPLE, 8)
    found = Augmentation(f"{ALWAYS.format('(0.0, 5.0)')} | {mirror}")(SAMPLE, 8)
    np.testing.assert_array_equal(found.image, alone.image[:, ::-1])
    assert found.group == alone.group == 3


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_no_global_random_state_is_touched(name, monkeypatch):
    def forbidden(seed):
        raise AssertionError("seeding every GPU would repeat dropout's draws")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", forbidden)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    Augmentation(name)(SAMPLE, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_dihedral_is_the_group_of_the_square_each_element_equally_often():
    """Bit by bit, also of a side that no warp's grid of a thirty-second divides."""
    for side in (3, 40, 225):
        image = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
        group = [np.rot90(i, k).tobytes() for i in (image, image[:, ::-1]) for k in range(4)]
        n = 1600 if side == 3 else 64
        found = [pixels("dihedral", image, seed).tobytes() for seed in range(n)]
        assert set(found) == set(group) and len(set(group)) == 8
        if side == 3:  # counts of a fair draw are within four standard deviations
            assert max(abs(found.count(one) - n / 8) for one in group) < 4 * (n * 7 / 64) ** 0.5
    keeping = [np.rot90(i, k).tobytes() for i in (IMAGE, IMAGE[:, ::-1]) for k in (0, 2)]
    assert {pixels("dihedral", IMAGE, seed).tobytes() for seed in range(64)} == set(keeping)


def test_malignant_only_is_its_policy_on_positive_images_and_nothing_on_others():
    for policy in ("dermatoscopy", "flips(vertical=1.0)", "lumen(strength=2.0)"):
        text = f"malignant_only(policy={policy!r})"
        for seed in range(12):
            found = Augmentation(text)(SAMPLE, seed).image
            np.testing.assert_array_equal(found, pixels(policy, SKIN, seed))
            negative = AugmentedImage(SKIN, 0, LESION)
            assert Augmentation(text)(negative, seed) is negative
            # which draws nothing for them, so that what follows is as it would be alone
            after = Augmentation(f"{text} | lumen")(negative, seed).image
            np.testing.assert_array_equal(after, pixels("lumen", SKIN, seed))
    for policy, named in (("skin_former", "policy='skin_former'"), ("flip", "flips")):
        with pytest.raises(UserError, match=named):
            Augmentation(f"malignant_only(policy={policy!r})")


@pytest.mark.parametrize("name", ["dermatoscopy", "lumen"])
def test_strength_scales_all_but_flips(name):
    """0 is flips alone; the more, the farther from them, on average over seeds."""
    seeds = range(40)
    flipped = [pixels("flips", SKIN, seed).astype(int) for seed in seeds]
    changes = []
    for strength in (0.0, 0.3, 1.0, 2.0):
        found = [pixels(f"{name}(strength={strength})", SKIN, seed) for seed in seeds]
        changes.append(np.mean([np.abs(a - b) for a, b in zip(found, flipped, strict=True)]))
    assert changes[0] == 0 and (np.diff(changes) > 2).all()
    as_written = [pixels(f"{name}(strength=1.0)", SKIN, seed).tobytes() for seed in seeds]
    assert as_written == [pixels(name, SKIN, seed).tobytes() for seed in seeds]
    for wrong in (-0.1, 3.1):
        with pytest.raises(UserError, match=f"{name}\\(strength={wrong}"):
            Augmentation(f"{name}(strength={wrong})")


def test_colour_options_of_zero_leave_only_geometry():
    """Without rotation, jitter and cutout a uniform image stays uniform but for the border."""
    plain = np.full((32, 32, 3), (200, 150, 120), np.uint8)
    text = "dermatoscopy(rotation=0.0, color=0.0, hue=0.0, cutout=0.0)"
    for seed in range(6):
        found = pixels(text, plain, seed)[8:-8, 8:-8]
        assert np.abs(found.astype(int) - plain[8:-8, 8:-8]).max() <= 1


@pytest.mark.parametrize(("ita", "group"), [(-40, 3), (10, 3), (27, 3), (35, 2), (45, 1)])
def test_skin_reaches_its_angle_and_the_sample_its_group(ita, group):
    assert estimate_tone(SKIN, FAR).ita > 46
    for seed in range(3):
        found = Augmentation(ALWAYS.format((ita, ita)))(
            AugmentedImage(skin(LIGHT, seed), 0, LESION), seed
        )
        assert estimate_tone(found.image, FAR).ita == pytest.approx(ita, abs=2)
        assert found.group == group


@pytest.mark.parametrize("group", range(4))
def test_lesion_stays_as_it_is_and_all_skin_changes(group):
    found = Augmentation(ALWAYS.format((5, 5)))(AugmentedImage(SKIN, group, LESION), 2).image
    np.testing.assert_array_equal(found[inner_lesion(LESION)], SKIN[inner_lesion(LESION)])
    assert (found[FAR] < SKIN[FAR]).all()


def test_the_given_mask_counts_whatever_the_image_shows():
    edge = X < -20
    found = Augmentation(ALWAYS.format((5, 5)))(AugmentedImage(SKIN, 0, edge), 2).image
    np.testing.assert_array_equal(found[inner_lesion(edge)], SKIN[inner_lesion(edge)])
    assert (found[LESION] < SKIN[LESION]).all(), "no lesion, says the mask"


@pytest.mark.parametrize(
    ("color", "group"), [(LIGHT, -1), (DARK, 0), (DARK, 2), (GREY, 0)], ids=str
)
def test_unknown_groups_and_skin_that_cannot_be_shifted_stay_as_they_are(color, group):
    """Skin darker than the angle is a wrong group's, grey skin has no tone."""
    chain = Augmentation(ALWAYS.format((5, 5)))
    for seed in range(10):
        found = chain(AugmentedImage(skin(color), group, LESION), seed)
        np.testing.assert_array_equal(found.image, skin(color))
        assert found.group == group


def test_probabilities_of_one_and_zero_are_exact():
    chain = Augmentation("skin_former(probability=(1, 0.0, 1.0, 0))")
    for seed in range(25):
        for group in range(4):
            found = chain(AugmentedImage(SKIN, group, LESION), seed)
            assert (found.image != SKIN).any() == (group in (0, 2))
            assert found.group == (3 if group in (0, 2) else group)


def test_why_an_image_can_never_be_darkened_is_told():
    chain, dark = Augmentation(ALWAYS.format((5, 19))), skin(DARK)
    told = {
        "": AugmentedImage(SKIN, 0, LESION),
        "no lesion found": AugmentedImage(SKIN, 0, LESION & False),
        "skin as dark already": AugmentedImage(dark, 0, LESION),
        "colour cast": AugmentedImage(skin(GREY), 0, LESION),
    }
    for reason, image in told.items():
        assert chain.why_unchanged(image) == reason
        assert all((chain(image, seed).image is image.image) == bool(reason) for seed in range(9))


def test_the_domain_says_where_skin_and_lesion_are(monkeypatch):
    """In a photograph what is beside the skin keeps its colour."""
    image = cv2.resize(SKIN, (256, 192), interpolation=cv2.INTER_CUBIC)
    image[:, :90] = (60, 110, 170)  # a blue drape
    lesion = cv2.resize(LESION.astype(np.uint8), (256, 192)) > 0
    lesion[:, :90] = False
    text = "skin_former(probability=(1, 1, 1, 1), target=(5, 5), domain='{}')"
    found = Augmentation(text.format("clinical"))(AugmentedImage(image, 0, lesion), 1)
    np.testing.assert_array_equal(found.image[:, :85], image[:, :85])
    assert (found.image[:, 240:].mean() < 0.8 * image[:, 240:].mean()) and found.group == 3
    other = Augmentation(text.format("dermoscopy"))(AugmentedImage(image, 0, lesion), 1)
    assert (other.image[:, :85] != image[:, :85]).any()
    with pytest.raises(UserError, match="domain='radiology'"):
        Augmentation(text.format("radiology"))


@pytest.fixture
def shifts(monkeypatch):
    """The angles asked for, of a skin-former that only adds one to each sample."""
    asked = []

    def darken(image, lesion, skin, ita, domain):
        asked.append(ita)
        return image + np.uint8(1)

    monkeypatch.setattr(augment, "darken_skin", darken)
    monkeypatch.setattr(augment, "skin_mask", lambda image, lesion, domain: lesion)
    monkeypatch.setattr(augment, "domain_of", lambda image, domain: domain)
    return asked


def test_each_group_is_drawn_with_its_probability(shifts):
    n, probability = 1500, (0.9, 0.5, 0.25, 0.02)
    chain, black = Augmentation(f"skin_former(probability={probability})"), np.zeros_like(SKIN)
    for group, expected in enumerate(probability):
        found = [chain(AugmentedImage(black, group, LESION), seed) for seed in range(n)]
        changed = [sample.image.any() for sample in found]
        assert abs(np.mean(changed) - expected) < 4 * (expected * (1 - expected) / n) ** 0.5
        assert {sample.group for sample in found} == {group, 3}


@pytest.mark.parametrize("probability", [0.3, 1])
def test_angles_are_uniform_in_their_range(shifts, probability):
    """Kolmogorov's bound at a probability of 1e-6, whatever share of samples is drawn."""
    chain = Augmentation(f"skin_former(target=(-60, 20), probability=({probability}, 0, 0, 0))")
    for seed in range(2000):
        chain(AugmentedImage(SKIN, 0, LESION), seed)
    shares = (np.sort(shifts) + 60) / 80
    assert shares[0] >= 0
    assert shares[-1] <= 1
    distance = np.abs(shares - np.arange(len(shares)) / len(shares)).max()
    assert distance < 2.7 / len(shares) ** 0.5


def test_default_shifts_the_three_lighter_groups_to_brown_or_tan(shifts):
    """The published flag has no options: half of the light images, a quarter in between."""
    chain, n = Augmentation("skin_former"), 600
    for group, expected in enumerate((0.5, 0.5, 0.25, 0)):
        drawn = [
            chain(AugmentedImage(SKIN, group, LESION), seed).image is not SKIN for seed in range(n)
        ]
        assert abs(np.mean(drawn) - expected) <= 0.08 * (expected > 0)
    assert -10 <= min(shifts) < -8
    assert 17 < max(shifts) <= 19


def test_masks_are_wanted_of_groups_that_are_drawn():
    wanted = {
        "skin_former": [False, True, True, True, False],
        "skin_former(probability=(0, 0.5, 0, 1)) | flips": [False, False, True, False, True],
        "skin_former(masks='estimated') | flips": [False] * 5,
        "flips": [False] * 5,
        "": [False] * 5,
    }
    for text, expected in wanted.items():
        chain = Augmentation(text)
        assert [chain.needs_mask(group) for group in range(-1, 4)] == expected


def test_without_a_file_the_lesion_is_found_in_the_image():
    lesion = lesion_mask(SKIN)
    assert lesion[LESION].mean() > 0.8
    text = "skin_former(target=(5, 5), probability=(1, 1, 1, 1), masks='estimated')"
    found = Augmentation(text)(AugmentedImage(SKIN, 1), 0).image
    np.testing.assert_array_equal(found[inner_lesion(lesion)], SKIN[inner_lesion(lesion)])
    assert (found[~lesion] != SKIN[~lesion]).any(axis=1).mean() > 0.8


NO_RANGE = "() (10,) (10,20,30) (20,10) (-61,10) (10,56) ('a',10) (None,10) (False,True) ((1,2),3)"
NO_SHARES = (
    "() (1,1,1) (1,1,1,1,1) (0,0,0,0.0) (0.5,0.5,-0.1,0) (1.01,0,0,0) ('a',0,0,0) (True,0,0,0) 0.5"
)


def test_options_that_cannot_be_are_refused_by_their_name():
    wrong = {"target": NO_RANGE, "probability": NO_SHARES, "masks": "'file' '' True"}
    for option, values in wrong.items():
        for value in values.split():
            with pytest.raises(UserError, match=rf"skin_former.*{option}") as error:
                Augmentation(f"skin_former({option}={value}) | flips")
            assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="'mask'; did you mean 'masks'"):
        Augmentation("skin_former(mask='files')")


@pytest.mark.parametrize("options", ["target=(-60, 55)", "target=(0, 0)", "probability=(0,0,0,1)"])
def test_options_at_their_bounds_are_taken(options):
    assert Augmentation(f"skin_former({options})").groups


@pytest.mark.parametrize(
    "text", ["flips | skin_former", "none|skin_former", "skin_former | flips | skin_former"]
)
def test_skin_former_anywhere_but_first_is_refused(text):
    with pytest.raises(UserError) as error:
        Augmentation(text)
    assert str(error.value) == f"--augment '{text}': skin_former must come first"


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("skinformer", "skin_former"),
        ("skin_former | dermoscopy", "dermatoscopy"),
        ("none | flip | none", "flips"),
    ],
)
def test_unknown_name_anywhere_in_a_chain_suggests_the_nearest(text, nearest):
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        Augmentation(text)
