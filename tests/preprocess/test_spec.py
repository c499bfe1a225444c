"""A spec: what stands before and after its augmentation point; an edited one does not load."""

import hashlib
import json
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.preprocess.spec import (
    PROBE_SIZE,
    PROBE_TOLERANCE,
    Preprocessing,
    parse_preprocessing,
    preprocessing_from_json,
)
from src.preprocess.steps import STEPS, center_crop, normalize, pad_resize, resize, to_lab

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (90, 120, 3), np.uint8)
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
SPECS = [
    "resize",
    "resize || normalize(stats='imagenet')",
    "pad_resize(size=48, value=9) || center_crop | normalize(stats='half')",
    "|| resize | to_lab | normalize(mean=(50, 0, 0), std=(20.5, 10, 10))",
    "resize(height=40, width=56) | center_crop(size=24) | normalize(stats='half')",
    "resize || to_lab",
    "resize || normalize(stats='half') | pad_resize(size=40)",
    "remove_hair | shades_of_grey | segment_out_skin(value=7) | resize || normalize(stats='half')",
    "shades_of_grey(norm=1) | pad_resize(size=64) || remove_hair | resize | to_lab",
]
FULL = "pad_resize(size=48, value=9) || center_crop | to_lab | normalize(stats='half')"


def parse(text):
    return parse_preprocessing(text, 32)


def saved(text=FULL):
    return json.loads(json.dumps(parse(text).to_json()))


def digest(content):
    """The digest as documented: SHA-256 of steps and augmentation point as sorted JSON."""
    signed = {key: content[key] for key in ("steps", "augmentation_point")}
    return hashlib.sha256(json.dumps(signed, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("text", SPECS)
def test_prepare_then_finish_is_the_call(text):
    spec = parse(text)
    before = NOISE.copy()
    prepared = spec.prepare(NOISE)
    assert prepared.dtype == np.uint8
    assert prepared.shape[2] == 3
    result = spec(NOISE)
    np.testing.assert_array_equal(spec.finish(prepared), result)
    np.testing.assert_array_equal(NOISE, before)
    assert result.dtype == np.float32
    assert result.shape == (3, *spec.output_size)
    assert result.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("text", SPECS)
def test_every_image_comes_out_at_one_size(text):
    for shape in [(90, 120), (120, 90), (32, 32), (1, 1), (3, 500)]:
        spec = parse(text)
        image = RNG.integers(0, 256, (*shape, 3), np.uint8)
        result = spec(image)
        assert result.shape == (3, *spec.output_size)
        assert np.isfinite(result).all()


@pytest.mark.parametrize("name", STEPS.names())
def test_every_step_fits_into_a_spec_that_saves_and_loads(name):
    written = {"normalize": "normalize(stats='half')"}.get(name, name)
    text = f"resize(size=40) || {written}"
    text += " | resize" if name == "lesion_crop" else ""
    spec = parse(text)
    assert spec.steps[1].name == name
    assert preprocessing_from_json(saved(text)) == spec
    assert spec(NOISE).shape == (3, *spec.output_size)


def test_the_steps_before_the_augmentation_point_are_prepare_and_those_after_it_finish():
    spec = parse(
        "pad_resize(size=48, value=9) | resize(size=40) "
        "|| center_crop | to_lab | normalize(stats='half')"
    )
    working = resize(pad_resize(NOISE, height=48, width=48, value=9), height=40, width=40)
    np.testing.assert_array_equal(spec.prepare(NOISE), working)
    finished = normalize(to_lab(center_crop(working, height=32, width=32)), **HALF)
    np.testing.assert_array_equal(spec.finish(working), finished.transpose(2, 0, 1))
    assert (spec.augmentation_point, spec.output_size) == (2, (32, 32))


def picture_and_mask(shape=(90, 120)):
    """A red ellipse off the centre of a blue image, and its mask as a file holds it."""
    mask = np.zeros(shape, np.uint8)
    center = (round(shape[1] * 0.4), round(shape[0] * 0.6))
    cv2.ellipse(mask, center, (shape[1] // 4, shape[0] // 5), 30, 0, 360, 255, -1)
    picture = np.where(mask[..., None] > 0, np.uint8([255, 0, 0]), np.uint8([0, 0, 255]))
    return picture, mask[..., None].repeat(3, 2)


MOVED = [
    "resize(height=40, width=70)",
    "resize(height=200, width=160)",
    "pad_resize(height=80, width=50)",
    "center_crop(height=50, width=60)",
    "center_crop(height=110, width=60)",
    "resize(size=100) | center_crop(size=70) | pad_resize(height=70, width=90)",
    "pad_resize(size=64) | resize(height=30, width=90) | center_crop(size=28)",
]


@pytest.mark.parametrize("text", MOVED)
def test_a_mask_moves_exactly_as_its_image(text):
    for shape in [(90, 120), (120, 90), (31, 47)]:
        spec = parse(f"{text} || normalize(stats='half')")
        picture, mask = picture_and_mask(shape)
        moved = spec.prepare(picture)
        found = spec.prepare_mask(mask)
        assert (found.shape, found.dtype) == (moved.shape[:2], bool)
        np.testing.assert_array_equal(found, moved[..., 0] > 127)
        assert 0 < found.mean() < 1


def test_steps_that_do_not_move_leave_a_mask():
    _, mask = picture_and_mask()
    plain = parse("center_crop(size=70) | resize(size=40) || resize | normalize(stats='half')")
    busy = parse(
        "remove_hair | center_crop(size=70) | shades_of_grey | segment_out_skin "
        "| resize(size=40) | remove_hair || resize | normalize(stats='half')"
    )
    found = busy.prepare_mask(mask)
    assert found.shape == (40, 40)
    np.testing.assert_array_equal(found, plain.prepare_mask(mask))
    before = mask.copy()
    nothing = parse("|| resize")
    np.testing.assert_array_equal(nothing.prepare_mask(mask), mask[..., 0] > 127)
    np.testing.assert_array_equal(mask, before)


def test_padding_that_is_not_black_is_masked():
    """It could be taken for skin; black padding is told apart from skin by its colour."""
    for value in [1, 9, 127, 128, 255]:
        picture, mask = picture_and_mask()
        spec = parse(f"pad_resize(height=90, width=200, value={value}) || resize")
        found = spec.prepare_mask(mask)
        assert found[:, :40].all()
        assert found[:, 160:].all()
        np.testing.assert_array_equal(found[:, 40:160], picture[..., 0] > 127)
        assert (
            not parse("pad_resize(height=90, width=200) || resize").prepare_mask(mask)[:, :40].any()
        )


@pytest.mark.parametrize(
    "text",
    ["remove_hair", "shades_of_grey", "shades_of_grey(norm=1.5)", "segment_out_skin(value=9)"],
)
def test_steps_on_skin_work_before_and_at_the_augmentation_point_but_not_after_floats(text):
    name = text.partition("(")[0]
    early = f"{text} | resize || normalize(stats='half')"
    spec, content = parse(early), saved(early)
    assert (spec.augmentation_point, spec.steps[0].name) == (2, name)
    loaded = preprocessing_from_json(content)
    written = loaded.to_json()
    assert (written["probe"], written["digest"]) == (content["probe"], content["digest"])
    prepared = spec.prepare(NOISE)
    working = resize(spec.steps[0](NOISE), height=32, width=32)
    np.testing.assert_array_equal(prepared, working)
    assert parse(f"resize || {text} | normalize(stats='half')").augmentation_point == 1
    for late in ("normalize(stats='half')", "to_lab"):
        with pytest.raises(UserError, match=f"expected {name} before"):
            parse(f"resize || {late} | {text}")
    edited = saved(early)
    edited["steps"] = [edited["steps"][i] for i in (1, 2, 0)]
    edited["augmentation_point"] = 1
    with pytest.raises(UserError, match=f"expected {name} before"):
        preprocessing_from_json({**edited, "digest": digest(edited)})


@pytest.mark.parametrize("text", ["shades_of_grey", "segment_out_skin"])
def test_the_probe_sees_the_step(text):
    plain = np.array(saved("resize(size=96) || normalize(stats='half')")["probe"])
    probe = np.array(saved(f"{text} | resize(size=96) || normalize(stats='half')")["probe"])
    assert np.abs(plain - probe).max() > 100 * PROBE_TOLERANCE


def test_without_an_augmentation_point_every_step_before_lab_and_normalize_is_prepare():
    for text, point in [
        ("resize", 1),
        ("resize | center_crop", 2),
        ("resize | normalize(stats='half')", 1),
        ("resize | center_crop | to_lab | normalize(stats='half')", 2),
        ("resize | to_lab | center_crop | normalize(stats='half')", 1),
        ("normalize(stats='half') | resize", 0),
        ("resize ||", 1),
        ("|| resize", 0),
        ("resize || center_crop | normalize(stats='half')", 1),
        ("resize | | center_crop ||| normalize(stats='half')", 2),
    ]:
        assert parse(text).augmentation_point == point


def test_short_forms_are_written_out():
    spec = parse("resize || normalize(stats='half')")
    assert [(s.name, s.options) for s in spec.steps] == [
        ("resize", {"height": 32, "width": 32}),
        ("normalize", HALF),
    ]
    assert parse("pad_resize(size=64)").steps[0].options == {"height": 64, "width": 64, "value": 0}


# specs that cannot work, by what is named as wrong with them
REFUSED = {
    "a step that fixes the size": ("", "||", "normalize(stats='half')"),
    "at most one augmentation point": ("resize || to_lab || normalize(stats='half')",),
    "normalize at most once": ("resize | normalize(stats='half') | normalize(stats='half')",),
    "expected to_lab before to_lab": ("resize | to_lab | to_lab",),
    "after the augmentation point": ("resize | normalize(stats='half') ||", "to_lab || resize"),
    "to_lab before normalize": ("resize || normalize(stats='half') | to_lab",),
    "did you mean 'resize'": ("resise",),
    "did you mean 'height'": ("resize(hight=3)",),
    "'to_lab' has no option 'x'": ("to_lab(x=1) | resize",),
    "cannot read": (
        "resize(32)",
        "resize(size=__import__('os'))",
        "resize, to_lab",
        "resize | normalize(mean=(1e999, 0, 0), std=(1, 1, 1))",
    ),
    "resize: height is": ("resize(size=0)", "resize(size=None)"),
    "resize: width is": ("resize(width=True)",),
    "pad_resize: value is": ("pad_resize(value=300)",),
    "option 'value' is": ("pad_resize(value=0.5)",),
    "normalize: expected stats": ("resize | normalize",),
    "one of imagenet, half, pretrained, train": (
        "resize | normalize(stats='image')",
        "resize | normalize(stats=[1])",
    ),
    "option 'std'": ("resize | normalize(mean=(1, 1, 1))",),
    "option 'mean'": ("resize | normalize(std=(1, 1, 1))",),
    "not both": ("resize | normalize(stats='train', mean=(0, 0, 0))",),
    "mean is": (
        "resize | normalize(mean=(0, 0), std=(1, 1))",
        "resize | normalize(mean=0.5, std=0.5)",
    ),
    "std is": ("resize | normalize(mean=(0, 0, 0), std=(1, 1, 0))",),
}


def test_specs_that_cannot_work_are_refused_by_what_is_wrong():
    for named, texts in REFUSED.items():
        for text in texts:
            with pytest.raises(UserError, match=named):
                parse(text)


@given(st.text(alphabet="|resiz_ab(size=3,)to'n", max_size=24))
def test_random_text_is_a_spec_or_a_user_error(text):
    try:
        spec = parse(text)
    except UserError:
        return
    assert spec.output_size


@pytest.mark.parametrize(
    "head", ["", "to_lab | ", "center_crop(size=16) | ", "center_crop(size=16) | to_lab | "]
)
def test_statistics_are_those_of_all_pixels_that_normalize_meets(head):
    spec = parse(f"resize || {head}normalize(stats='train')")
    assert spec.waits_for == "train"
    images = [RNG.integers(0, 200, (h, w, 3), np.uint8) for h, w in ((32, 32), (40, 24), (17, 50))]
    counted = spec.with_statistics(iter(images))
    assert counted.waits_for == ""
    met = images
    if "crop" in head:
        met = [center_crop(image, height=16, width=16) for image in met]
    met = [to_lab(image) if "lab" in head else image / 255.0 for image in met]
    pixels = np.concatenate([image.reshape(-1, 3) for image in met]).astype(float)
    np.testing.assert_allclose(counted.steps[-1].options["mean"], pixels.mean(0), atol=1e-5)
    np.testing.assert_allclose(counted.steps[-1].options["std"], pixels.std(0), atol=1e-5)
    assert (counted.augmentation_point, counted.steps[:-1]) == (
        spec.augmentation_point,
        spec.steps[:-1],
    )
    assert spec.waits_for == "train"
    assert preprocessing_from_json(counted.to_json()) == counted


def test_counted_statistics_standardize_the_images_they_were_counted_on():
    images = RNG.integers(0, 256, (5, 32, 32, 3), np.uint8)
    spec = parse("resize || to_lab | normalize(stats='train')").with_statistics(images)
    outputs = np.stack([spec.finish(image) for image in images])
    np.testing.assert_allclose(outputs.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(outputs.std((0, 2, 3)), 1, atol=1e-4)


def test_statistics_of_constant_images_stay_usable():
    images = np.full((3, 32, 32, 3), (0, 77, 255), np.uint8)
    spec = parse("resize || normalize(stats='train')").with_statistics(images)
    assert min(spec.steps[-1].options["std"]) > 0
    assert np.isfinite(spec(NOISE)).all()
    assert preprocessing_from_json(spec.to_json()) == spec


@pytest.mark.parametrize("text", [*SPECS, FULL])
def test_a_saved_spec_loads_as_the_same_function(text):
    spec, content = parse(text), saved(text)
    loaded = preprocessing_from_json(content)
    assert loaded == spec
    assert loaded.to_json() == spec.to_json() == content
    np.testing.assert_array_equal(loaded(NOISE), spec(NOISE))


def test_saved_specs_hold_every_constant_the_augmentation_point_and_their_digest():
    content = saved()
    assert content["steps"] == [
        ["pad_resize", {"height": 48, "width": 48, "value": 9}],
        ["center_crop", {"height": 32, "width": 32}],
        ["to_lab", {}],
        ["normalize", {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}],
    ]
    assert content["augmentation_point"] == 1
    assert content["digest"] == digest(content)
    assert len(content["probe"]) == PROBE_SIZE == 16
    assert np.std(content["probe"]) > 0.1


def edits():
    """Every constant of a saved spec changed alone, its order and its augmentation point."""
    for index, (name, options) in enumerate(saved()["steps"]):
        for key, value in options.items():
            for place in range(len(value)) if isinstance(value, list) else [None]:
                content = saved()
                changed = content["steps"][index][1]
                if place is None:
                    changed[key] = value + 1
                else:
                    changed[key][place] = value[place] + 0.0001
                yield pytest.param(content, id=f"{name} {key} {place}")
    content = saved()
    content["steps"] = [content["steps"][i] for i in (1, 0, 2, 3)]
    yield pytest.param(content, id="order")
    yield pytest.param({**saved(), "augmentation_point": 2}, id="augmentation point")
    content = saved()
    del content["steps"][2]
    yield pytest.param(content, id="removed")


@pytest.mark.parametrize("content", list(edits()))
def test_any_edited_constant_changes_the_digest_and_is_refused(content):
    assert digest(content) != content["digest"]
    with pytest.raises(UserError, match=r"was edited: its digest does not match its steps$"):
        preprocessing_from_json(content)


def test_an_edited_digest_is_refused():
    for wrong in ("0" * 64, "", None, 5, saved()["digest"].upper()):
        with pytest.raises(UserError, match="was edited"):
            preprocessing_from_json({**saved(), "digest": wrong})


def test_a_drifting_probe_is_refused_and_rounding_is_not():
    for place in range(PROBE_SIZE):
        content = saved()
        content["probe"][place] += 0.9 * PROBE_TOLERANCE
        assert preprocessing_from_json(content) == parse(FULL)
        content["probe"][place] += 0.2 * PROBE_TOLERANCE
        with pytest.raises(UserError, match=r"gives other numbers than when .* \(by 0.0011\)"):
            preprocessing_from_json(content)


def test_a_constant_edited_together_with_its_digest_fails_the_probe():
    content = saved()
    content["steps"][3][1]["mean"][0] = 0.6
    content["digest"] = digest(content)
    with pytest.raises(UserError, match="gives other numbers"):
        preprocessing_from_json(content)


def test_a_missing_key_is_refused():
    for key in ["steps", "augmentation_point", "digest", "probe"]:
        content = saved()
        del content[key]
        with pytest.raises(UserError, match="unreadable: export the model again"):
            preprocessing_from_json(content)


def test_what_is_no_mapping_is_refused():
    for content in [None, 5, "text", [], {}, [1, 2]]:
        with pytest.raises(UserError, match="unreadable: export the model again"):
            preprocessing_from_json(content)


NESTED = [1]
for _ in range(5000):
    NESTED = [NESTED]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["height", "width", "value", "mean", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
HOSTILE = [NESTED, 10**5000, 10**400, 10**9, -1, float("inf"), float("nan"), True, "a" * 10**6]
HOSTILE += ["__import__('os').abort", "os.system", "resize(height=1, width=1)", {"stats": "half"}]
JUNK = st.sampled_from(HOSTILE) | st.sampled_from(STEPS.names()) | JSON


def places(value, path=()):
    """The paths to all that is in nested lists and mappings."""
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else inner:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def spoilt(draw):
    """A saved spec with junk in one place, or there beside what it has, or something missing."""
    content = saved()
    *path, last = draw(st.sampled_from([*places(content)]))
    parent = content
    for key in path:
        parent = parent[key]
    junk, change = draw(JUNK), draw(st.sampled_from(["replaced", "added", "removed"]))
    if change == "removed":
        del parent[last]
    elif change == "replaced":
        assume(type(junk) is not type(parent[last]) or junk != parent[last])
        parent[last] = junk
    elif isinstance(parent, list):
        parent.insert(last, junk)
    else:
        assume(parent is not content)  # a later version may add a key
        parent[draw(st.text(min_size=1, max_size=3))] = junk
    return content


@settings(max_examples=400)
@given(spoilt())
def test_a_spoilt_spec_is_refused_and_with_a_digest_to_match_never_breaks(content):
    with pytest.raises(UserError):
        preprocessing_from_json(content)
    with suppress(UserError):  # it may load where only a number is another within tolerance
        with suppress(KeyError, TypeError, ValueError, RecursionError):
            content["digest"] = digest(content)
        preprocessing_from_json(content)


def test_specs_are_values():
    assert parse(FULL) == parse(FULL)
    assert parse(FULL) != parse(FULL.replace("value=9", "value=8"))


def test_a_chain_of_steps_has_a_limit():
    chain = " | ".join(["resize"] * 33)
    with pytest.raises(UserError, match="34 steps, expected at most 32"):
        parse_preprocessing(f"{chain} || normalize(stats='imagenet')", 32)


def test_a_spec_that_would_take_too_long_is_refused_before_it_is_run(monkeypatch):
    content = saved()
    assert parse("resize(size=2048) | remove_hair || normalize(stats='half')")
    monkeypatch.setattr(Preprocessing, "__call__", lambda *_: pytest.fail("was run"))
    large, small = (["resize", {"height": n, "width": n}] for n in (2049, 224))
    for steps, named in (
        ([large], "resize gives 4,198,401 pixels"),
        ([["resize", {"height": 2048, "width": 2048}]] * 5, "pixels together"),
        ([["remove_hair", {}]] * 8 + [small], "pixels together"),
    ):
        with pytest.raises(UserError, match=named):
            preprocessing_from_json({**content, "steps": steps})
    with pytest.raises(UserError, match="edited"):
        preprocessing_from_json({**content, "digest": "0"})
    with pytest.raises(UserError, match="1000000 steps"):
        preprocessing_from_json({**content, "steps": [None] * 10**6})


def test_digest_and_probe_are_computed_once(monkeypatch):
    content = saved()
    spec = preprocessing_from_json(content)
    monkeypatch.setattr(Preprocessing, "__call__", lambda *_: pytest.fail("was run again"))
    assert spec.to_json() == content


def test_samples_that_are_looked_up_are_those_of_the_step():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    spec = parse_preprocessing("resize(size=8) || normalize(stats='imagenet')", 8)
    for other in (image, np.asfortranarray(image), image[::-1, ::-1]):
        expected = spec.steps[-1](other).transpose(2, 0, 1)
        found = spec.finish(other)
        np.testing.assert_array_equal(found, expected)
        assert found.flags["C_CONTIGUOUS"] and found.dtype == np.float32
