"""The figure of training: which curves are drawn, where the best epoch is marked."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from src.core.errors import UserError
from src.runs.history import History
from src.runs.learning_curves import COLORS, MOST_RUNS, panels_of, plot_training

pytestmark = pytest.mark.slow

NAN = float("nan")


def run(n_epochs=4, best=2, **metrics):
    steps = np.arange(n_epochs) / 10
    valid = {"loss": 0.8 - steps, "auroc": 0.5 + steps, "sensitivity": steps}
    valid |= {"specificity": 1 - steps, "auprc": steps / 2, "f1": steps / 3}
    valid = {name: values for name, values in (valid | metrics).items() if values is not None}
    return History(0.7 - steps, np.full(n_epochs, 1e-3), valid, best)


def titles(figure):
    """The panels' titles, without the values at the best epoch."""
    return [axes.get_title(loc="left").split(": ")[0] for axes in figure.axes]


def texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_run_has_a_panel_for_each_figure(tmp_path, drawn):
    plot_training({"one": run()}, ["f1"], tmp_path / "x.png")
    assert titles(drawn[0]) == [
        "loss",
        "F1 (selects the epoch)",
        "AUROC",
        "sensitivity",
        "specificity",
        "learning rate",
    ]
    loss, f1, auroc, *_ = drawn[0].axes
    training, validation, _ = loss.lines
    np.testing.assert_allclose(training.get_ydata(), [0.7, 0.6, 0.5, 0.4])
    np.testing.assert_allclose(validation.get_ydata(), [0.8, 0.7, 0.6, 0.5])
    assert training.get_linestyle() == "--" and validation.get_linestyle() == "-"
    assert training.get_xdata().tolist() == [1, 2, 3, 4]
    for axes, value in ((loss, 0.6), (f1, 0.2 / 3), (auroc, 0.7)):
        assert axes.lines[-1].get_xdata().tolist() == [3]
        assert axes.lines[-1].get_ydata()[0] == pytest.approx(value)
        assert axes.get_title(loc="left").endswith(f": {value:.3g}")
    assert texts(drawn[0])[-1] == "one: best epoch 3 of 4"
    assert (tmp_path / "x.png").stat().st_size > 20_000


@pytest.mark.parametrize("monitor", ["auroc", "sensitivity", "specificity", "loss"])
def test_auprc_takes_the_place_of_a_metric_that_is_shown_anyway(monitor):
    shown = [panel.title for panel in panels_of([run()], [monitor])]
    assert len(shown) == 6
    assert sum("selects" in title for title in shown) == (monitor != "loss")
    assert "AUPRC" in shown


def test_several_runs_share_the_panels(tmp_path, drawn):
    runs = {"a": run(), "b": run(7, 5), "c": run(1, 0)}
    plot_training(runs, ["auroc", "log_loss"], tmp_path / "x.png")
    auroc = drawn[0].axes[1]
    lines, rings = auroc.lines[:3], auroc.lines[3:]
    assert [len(line.get_xdata()) for line in lines] == [4, 7, 1]
    assert [line.get_color() for line in lines] == [*COLORS[:3]]
    assert [ring.get_color() for ring in rings] == [*COLORS[:3]]
    assert [ring.get_xdata()[0] for ring in rings] == [3, 6, 1]
    assert lines[2].get_marker() == "o"  # a single epoch is a point
    assert not any(":" in axes.get_title(loc="left") for axes in drawn[0].axes)
    assert texts(drawn[0])[-3:] == [
        f"{n}: best epoch {e}" for n, e in zip("abc", ("3 of 4", "6 of 7", "1 of 1"), strict=True)
    ]


def test_what_no_run_has_is_left_out_and_what_one_lacks_is_a_gap(tmp_path, drawn):
    full, bare = run(), History(np.ones(4), np.ones(4), {}, 3)
    plot_training({"bare": bare}, ["auroc"], tmp_path / "x.png")
    assert titles(drawn[0]) == ["loss", "learning rate"]
    plot_training({"full": full, "bare": bare}, ["auroc"], tmp_path / "y.png")
    assert np.isnan(drawn[1].axes[1].lines[1].get_ydata()).all()
    nothing = run(auroc=np.full(4, NAN))
    assert not any("AUROC" in panel.title for panel in panels_of([nothing], ["auroc"]))


def test_undefined_values_are_gaps_and_never_zero(tmp_path, drawn):
    undefined = np.array([NAN, 0.5, NAN, 0.6])
    plot_training({"a": run(auroc=undefined, loss=undefined)}, [], tmp_path / "x.png")
    auroc = drawn[0].axes[1]
    np.testing.assert_array_equal(auroc.lines[0].get_ydata(), undefined)
    assert auroc.get_title(loc="left") == "AUROC"  # the best epoch's is undefined


def test_a_strangers_name_stays_one_short_line(tmp_path, drawn):
    plot_training({"a/" * 60 + "$x_1\n漢": run()}, [], tmp_path / "x.png")
    (label,) = texts(drawn[0])[3:]
    assert label.startswith("…") and label.endswith("a/$x_1??: best epoch 3 of 4")
    assert len(label) < 70


def visible_texts(figure):
    """Legends, titles, labels and those tick labels that are within their axis."""
    yield from (text for legend in figure.legends for text in legend.get_texts())
    for axes in figure.axes:
        yield from (axes.title, axes._left_title, axes._right_title, axes.xaxis.label)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield from (t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high)


@pytest.mark.parametrize(("n_runs", "has_valid"), [(14, True), (1, True), (14, False), (1, False)])
def test_no_text_overlaps_another_or_leaves_the_figure(tmp_path, drawn, n_runs, has_valid):
    one = run(30, 7) if has_valid else History(np.ones(30), np.ones(30), {}, 29)
    runs = {f"20260101_000000_convnextv2_tiny_bs16_recall_ce_{i}": one for i in range(n_runs)}
    plot_training(runs, ["equal_opportunity_difference"], tmp_path / "x.png")
    (figure,) = drawn
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [text for text in visible_texts(figure) if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert len(boxes) > 15
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not [(i, j) for i, a in enumerate(boxes) for j in range(i) if a.overlaps(boxes[j])]


def test_too_many_runs_are_refused(tmp_path):
    runs = {str(i): run() for i in range(MOST_RUNS + 1)}
    with pytest.raises(UserError, match="15 runs: expected at most 14"):
        plot_training(runs, [], tmp_path / "x.png")
