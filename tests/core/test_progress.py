"""A bar on a terminal, else a line a minute with the time that is left."""

import io
import sys
import threading

import pytest

from src.core import progress as module
from src.core.progress import duration, in_threads, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """`clock[0]` is the time in seconds; each look at it takes none."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "_last_line", -float("inf"))
    return now


def walk(clock, seconds, items, *args, **options):
    for _ in progress(items, *args, **options):
        clock[0] += seconds


def test_a_line_a_minute_tells_how_much_is_done_and_left(clock, capsys):
    walk(clock, 10, range(12), "drawing", unit="image")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "drawing: 1 of 12 images (8%), about 2 min left",
        "drawing: 7 of 12 images (58%), about 50 s left",
    ]
    walk(clock, 4, range(1), "short work")  # of a moment, and soon after the line before
    walk(clock, 40, iter(range(2)), "of unknown length")
    walk(clock, 100, range(1), "at its end")
    assert capsys.readouterr().err == "of unknown length: 1\n"


def test_what_was_done_before_counts_as_done_but_not_in_the_time_left(clock, capsys):
    walk(clock, 30, range(3), "going on", initial=97)
    assert capsys.readouterr().err.splitlines()[0].startswith("going on: 98 of 100 (98%), about 60")


def test_a_terminal_shows_a_bar_and_what_is_quiet_shows_nothing(clock, capsys, monkeypatch):
    walk(clock, 100, range(3), "hidden", quiet=True)
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress([3, 4], "shown")) == [3, 4]
    assert "shown" in terminal.getvalue() and "0/2" in terminal.getvalue()


def test_threads_give_results_in_order_and_an_error_ends_them(monkeypatch):
    monkeypatch.setattr(module, "_HANDED_OUT", 4)
    items = list(range(11))
    assert list(in_threads(lambda item: item * 2, items, "doubling")) == [2 * i for i in items]
    assert list(in_threads(str, [], "nothing")) == []
    done = []

    def fail(item):
        done.append(item)
        return 1 / (item - 3)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(fail, items, "dividing"))
    assert max(done) < 8, "the rest was not started"


def test_durations_are_read_at_a_glance():
    cases = {0.2: "0 s", 99: "99 s", 120: "2 min", 5400: "90 min", 11100: "3 h 05 min"}
    cases |= {187200: "2 d 04 h", -3: "0 s"}
    assert {seconds: duration(seconds) for seconds in cases} == cases


def test_work_without_parts_says_every_minute_that_it_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(module, "FIRST_S", 0.05)
    monkeypatch.setattr(module, "EVERY_S", 0.05)

    @module.working("exporting")
    def work(seconds):
        threading.Event().wait(seconds)

    work(0)
    assert capsys.readouterr().err == ""
    work(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"exporting: at work for 0 s"}
