"""Reading figures: their texts, lines and points; whether texts are clear of each other."""

from itertools import combinations

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def texts(figure):
    """All texts that are seen: ticks beyond an axis' ends are not."""
    unseen = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not (axes.axison and low <= tick.get_loc() <= high):
                    unseen += [tick.label1, tick.label2]
    found = [text for text in figure.findobj(Text) if text not in unseen]
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


def lines_of(axes, marker="None"):
    return [line for line in axes.lines if line.get_marker() == marker]


def points(line):
    return np.stack(line.get_data(), axis=1)


def row_of(figure, name, place=0):
    """Where the line of this name is; `place` counts those that share it, from above."""
    texts = [text for text in figure.axes[0].texts if text.get_text() == name]
    return sorted(text.get_position()[1] for text in texts)[place]


def marks(axes, row):
    """The dot and the whisker's ends of a line, or two times None."""
    dots = [line for line in lines_of(axes, "o") if line.get_ydata()[0] == row]
    ends = [line.get_xdata() for line in lines_of(axes) if set(line.get_ydata()) == {row}]
    return (dots[0], list(ends[0])) if dots else (None, None)


def assert_has_ink(path):
    image = cv2.imread(str(path))
    height, width = image.shape[:2]
    assert 500 <= width <= 2000 and 200 <= height <= 6000, path.name
    assert ((image < 200).any(axis=2)).mean() > 0.005, path.name
    assert path.stat().st_size < 2_000_000
