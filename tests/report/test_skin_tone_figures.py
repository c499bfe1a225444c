"""What the figures of skin tones show: counts, bounds, colours, masks; no text collides."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from src.report import style
from src.report.skin_tone_figures import (
    HAIR_COLOR,
    LESION_COLOR,
    MaskPanel,
    TonePair,
    marked,
    plot_histogram,
    plot_overlays,
    plot_pairs,
    plot_strips,
)
from src.report.style import GROUP_COLORS, WRONG
from src.skin.tone import lab_from_rgb

# angles at and just above the bounds, by tone group
ANGLES = (
    [90.0, 60.5, 55.001],
    [55.0, 48.0, 41.5, 41.001],
    [41.0, 34.5, 28.001],
    [28.0, 19.0, 10.0, -30.0, -89.5],
)
CHARDON = {
    "Very light": (55, 90),
    "Light": (41, 55),
    "Intermediate": (28, 41),
    "Tan": (10, 28),
    "Brown": (-30, 10),
    "Dark": (-90, -30),
}
HOSTILE = "$\\frac{1}$\n皮膚" + "x" * 200 + ".jpg"


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """A function that plots to a path and returns the figure; its texts are clear of each other."""
    figures = []

    class RememberedFigure(Figure):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            figures.append(self)

    monkeypatch.setattr(style, "Figure", RememberedFigure)

    def run(plot, *values):
        plot(*values, tmp_path / "figure.png")
        assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]
        figure = figures.pop()
        inches = np.divide(cv2.imread(str(tmp_path / "figure.png")).shape[1::-1], 150)
        assert inches == pytest.approx(figure.get_size_inches(), abs=0.01)
        assert_texts_are_clear(figure)
        return figure

    return run


def texts(figure):
    """The texts of a figure but for the numbers on a y axis, whose places matplotlib chooses."""
    ticks = [label for axes in figure.axes for label in axes.get_yticklabels(which="both")]
    for axes in figure.axes:
        ticks += [] if axes.axison else axes.get_xticklabels(which="both")
    found = [text for text in figure.findobj(Text) if text not in ticks]
    return [text for text in found if text.get_visible() and text.get_text()]


def words(figure):
    return [text.get_text() for text in texts(figure)]


def assert_texts_are_clear(figure):
    """No text lies on another or reaches beyond the figure."""
    FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for text, box in boxes:
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, text
    for (text, box), (other_text, other) in combinations(boxes, 2):
        assert not box.overlaps(other), (text, other_text)


def png(tmp_path):
    return cv2.imread(str(tmp_path / "figure.png"), cv2.IMREAD_COLOR_RGB)


def n_pixels(image, color):
    """How many pixels are close to a colour (#rrggbb)."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(image.astype(int) - rgb).max(axis=2) <= 3).sum())


def test_histogram_counts_every_angle_once_in_the_colour_of_its_group(draw):
    figure = draw(plot_histogram, np.concatenate(ANGLES), {})
    (axes,) = figure.axes
    for color, angles in zip(GROUP_COLORS, ANGLES, strict=True):
        bars = [bar for bar in axes.patches if to_hex(bar.get_facecolor()) == color]
        assert sum(bar.get_height() for bar in bars) == len(angles)
        drawn = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars if bar.get_height()]
        assert all(any(left <= angle <= right for left, right in drawn) for angle in angles)
    assert axes.get_ylim()[1] > max(bar.get_y() + bar.get_height() for bar in axes.patches)
    low, high = axes.get_xlim()
    assert low <= min(ANGLES[-1]) and high >= 90


@pytest.mark.parametrize("angles", [[-90.0, 90.0], [50.0]])
def test_histogram_marks_and_names_chardons_categories(draw, angles):
    (axes,) = draw(plot_histogram, np.array(angles), {}).axes
    inner = [-30.0, 10.0, 28.0, 41.0, 55.0]
    assert sorted(axes.get_xticks()) == inner
    assert [label.get_text() for label in axes.get_xticklabels()][::-1] == [
        f"{bound:g}°" for bound in inner
    ]
    (lines,) = (c for c in axes.collections if len(c.get_segments()) == 5)
    assert sorted(segment[0][0] for segment in lines.get_segments()) == inner
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    for name, (above, upper) in CHARDON.items():
        assert above < places[name] < upper, name
    low, high = axes.get_xlim()
    assert low < -30 and high > 55


def test_histogram_says_how_many_are_shown_and_why_others_are_not(draw):
    left_out = {"colour cast": 1200, "vignette": 30, "a": 4, HOSTILE: 3, "b": 2, "c": 1}
    found = words(draw(plot_histogram, np.concatenate(ANGLES), left_out))
    assert "Skin tone of 15 images" in found
    (line,) = (text for text in found if "not shown" in text)
    assert line.startswith("1,240 others not shown: 1,200 colour cast, 30 vignette, 4 a, 3 ")
    assert line.endswith(", 3 of other reasons")
    names = ["Very light (n=3)", "Light (n=4)", "Intermediate (n=3)", "Tan, Brown, Dark (n=5)"]
    assert [text for text in found if "(n=" in text] == names


def test_histogram_without_others_says_so(draw):
    assert "every image has a valid tone" in words(draw(plot_histogram, np.array([12.0]), {}))


def strips(figure):
    """By row: the colours found and that of the median."""
    rows = {}
    for image in figure.axes[0].images:
        rows.setdefault(round(np.mean(image.get_extent()[2:])), []).append(image.get_array()[0])
    return rows


def test_strips_hold_the_colours_found_by_category_lightest_first(draw):
    ita = np.array([50.0, 54.0, 20.0, 48.5, 90.0, -90.0])
    colors = np.array([[200, 160, 140]] * 6) + np.arange(6)[:, None]
    rows = strips(draw(plot_strips, ita, colors))
    expected = {0: [4], 1: [1, 0, 3], 5: [2], 8: [5]}  # category: rows from light to dark
    assert rows.keys() == expected.keys()
    for row, order in expected.items():
        assert rows[row][0].tolist() == colors[order].tolist()


def test_strips_end_in_the_median_of_lightness_and_opponent_colours(draw):
    colors = np.array([[220, 180, 160], [190, 150, 120], [210, 150, 150]])
    figure = draw(plot_strips, np.full(3, 50.0), colors)
    found, median = strips(figure)[1]
    assert len(found) == 3 and median.shape == (1, 3)
    wanted = [sorted(channel)[1] for channel in lab_from_rgb(colors).T]
    assert lab_from_rgb(median[0]) == pytest.approx(wanted, abs=0.5)
    assert "RGB {} {} {}".format(*median[0]) in words(figure)


def test_strips_name_every_category_with_its_count(draw):
    found = words(draw(plot_strips, np.array([60.0] * 1234 + [-5.0]), np.full((1235, 3), 200)))
    assert [text for text in found if "°" in text] == [
        "very light, above 55°",
        "light 2, 48° to 55°",
        "light 1, 41° to 48°",
        "intermediate 2, 34.5° to 41°",
        "intermediate 1, 28° to 34.5°",
        "tan 2, 19° to 28°",
        "tan 1, 10° to 19°",
        "brown, -30° to 10°",
        "dark, -30° and below",
    ]
    counts = [text for text in found if text.startswith("n=")]
    assert counts == ["n=1,234", *["n=0"] * 6, "n=1", "n=0"]
    assert found.count("no image") == 7


def panel(shape=(40, 60), **values):
    """A light image with a square lesion and a line of hair."""
    image = np.full((*shape, 3), (210, 170, 150), np.uint8)
    lesion, hair = np.zeros(shape, bool), np.zeros(shape, bool)
    lesion[10:30, 20:40] = True
    hair[5] = True
    given = {"name": "a.jpg", "image": image, "lesion": lesion, "hair": hair}
    given |= {"skin": ~lesion & ~hair, "ita": 51.4, "ita_spread": 3.6, "reason": ""}
    return MaskPanel(**given | values)


def test_marked_keeps_skin_paints_hair_and_veils_the_rest():
    one = panel()
    found = marked(one.image, one.hair, one.skin)
    assert found.dtype == np.uint8
    assert (found[one.skin] == (210, 170, 150)).all()
    assert (found[one.hair] == (0, 114, 178)).all()
    assert to_hex(np.array([0, 114, 178]) / 255) == HAIR_COLOR
    # 0.65 of grey 120 and 0.35 of the image
    assert (found[one.lesion] == np.rint([78 + 73.5, 78 + 59.5, 78 + 52.5])).all()
    assert (one.image == (210, 170, 150)).all()


def test_overlays_say_angle_spread_and_validity(draw):
    panels = [
        panel(),
        panel(reason="colour cast", name="folder.jpg"),
        panel(ita=float("nan"), ita_spread=float("nan"), reason="too little skin"),
        panel(reason=HOSTILE, name=HOSTILE),
    ]
    figure = draw(plot_overlays, panels)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == [
        "51° ± 4°\nvalid",
        "51° ± 4°\nnot valid: colour cast",
        "no angle\nnot valid: too little skin",
    ]
    assert titles[3].count("\n") == 1 and "皮" not in titles[3] and titles[3].endswith("x…")
    assert [axes.get_xlabel() for axes in figure.axes][:2] == ["a.jpg", "folder.jpg"]
    assert words(figure)[-3:] == ["lesion", "hair", "not measured as skin"]
    colors = [axes._left_title.get_color() for axes in figure.axes[:2]]
    assert colors == ["black", WRONG]


@pytest.mark.parametrize("n_panels", [1, 2, 5, 8])
def test_overlays_have_a_panel_for_each_image_and_no_empty_one(draw, n_panels):
    figure = draw(plot_overlays, [panel() for _ in range(n_panels)])
    assert len(figure.axes) == n_panels
    assert all(len(axes.images) == 1 for axes in figure.axes)
    tops = {round(axes.get_position().y1, 3) for axes in figure.axes}
    assert len(tops) == -(-n_panels // 4)


def test_overlays_outline_the_lesion(draw, tmp_path):
    (axes,) = draw(plot_overlays, [panel()]).axes
    with_lesion = n_pixels(png(tmp_path), LESION_COLOR)
    border = np.concatenate([path.vertices for c in axes.collections for path in c.get_paths()])
    assert border.min(axis=0).tolist() == [19.5, 9.5]
    assert border.max(axis=0).tolist() == [39.5, 29.5]
    nothing = np.zeros((40, 60), bool)
    draw(plot_overlays, [panel(lesion=nothing, skin=~panel().hair)])
    only_key = n_pixels(png(tmp_path), LESION_COLOR)
    assert with_lesion > only_key + 500 and only_key > 50


@pytest.mark.parametrize("lesion", ["all", "one row"])
def test_overlays_take_masks_without_an_edge(draw, lesion):
    shape = (40, 60) if lesion == "all" else (1, 60)
    mask = np.ones(shape, bool)
    mask[0, :30] = lesion == "all"
    image = np.full((*shape, 3), 200, np.uint8)
    given = panel(image=image, lesion=mask, hair=mask & False, skin=~mask)
    (axes,) = draw(plot_overlays, [given]).axes
    assert len(axes.images) == 1 and not axes.collections


@pytest.mark.parametrize("n_pairs", [1, 2, 5])
def test_pairs_stand_side_by_side_with_both_angles(draw, n_pairs):
    before, after = np.full((30, 40, 3), 220, np.uint8), np.full((30, 40, 3), 90, np.uint8)
    pairs = [TonePair(f"{i}.jpg", before, after - i, 60.2 - i, 9.6) for i in range(n_pairs)]
    figure = draw(plot_pairs, pairs, 10.0)
    assert figure.get_suptitle() == "Skin darkened to 10°, lesions as they were"
    assert len(figure.axes) == n_pairs
    for i, axes in enumerate(figure.axes):
        shown = np.asarray(axes.images[0].get_array())
        assert (shown[:, :40] == 220).all() and (shown[:, -40:] == 90 - i).all()
        assert (shown[:, 40:-40] == 255).all() and shown.shape[1] > 80
        assert [text.get_text() for text in axes.texts] == [f"before: {60 - i}°", "after: 10°"]
        assert axes.texts[0].get_position()[0] == 20
        assert axes.texts[1].get_position()[0] == shown.shape[1] - 20
        assert axes.get_xlabel() == f"{i}.jpg"
