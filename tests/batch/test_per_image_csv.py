"""A folder job ends with the same bytes whatever interrupts it and however many processes work."""

import csv
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from src.batch.per_image_csv import run_folder_job
from src.core.errors import UserError, run_main
from src.core.image_files import images_below
from src.datasets.csv_files import read_csv
from src.preprocess.image import ImageError, read_image

COLUMNS = ("length", "third", "is_even")
N_IMAGES = 24
NAMES = [f"{'abc'[i % 3]}/{i:02}.jpg" for i in range(N_IMAGES)]


def measure(path):
    """Closed forms of a file's length; a file of length 7 is a bad image."""
    length = len(path.read_bytes())
    if length == 7:
        raise ImageError("truncated")
    return {"is_even": length % 2 == 0, "length": length, "third": length / 3}


def log_and_measure(log, seconds, path):
    """`measure` that leaves a line in `log`."""
    with log.open("a") as file:
        file.write(f"{path.name}\n")
    time.sleep(seconds)
    return measure(path)


def die_at(name, path):
    if path.name == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(path)


def interrupt_at(name, path):
    if path.name == name:
        raise KeyboardInterrupt
    return measure(path)


class TwoPartError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def fail(kind, path):
    if kind == "columns":
        return {"length": 1}
    raise {
        "value": ValueError("a bug"),
        "file": FileNotFoundError(2, "No such file", "mask.png"),
        "two": TwoPartError("two", "parts"),
    }[kind]


def whereabouts(path):
    return {"process": os.getpid(), "threads": cv2.getNumThreads()}


def job(folder, work=measure, n_workers=0, columns=COLUMNS, output=None, **settings):
    output = output or folder.parent / "out.csv"
    paths = images_below(folder)
    return run_folder_job(work, paths, folder, output, columns, settings, n_workers, "measuring")


def hidden(folder):
    """The files of finished rows."""
    return [path for path in folder.parent.iterdir() if path.name.endswith(".partial")]


def lines_in(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture
def folder(tmp_path):
    """Images in three folders, lengths 1 to 24, of which 7 is a bad one."""
    for i, name in enumerate(NAMES):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(i + 1))
    return tmp_path / "images"


@pytest.fixture
def expected():
    """The bytes of the table of `folder`, by another way than the code's."""
    rows = []
    for i in sorted(range(N_IMAGES), key=NAMES.__getitem__):
        third = f"{(i + 1) / 3:.6f}".rstrip("0")
        cells = f"{i + 1},{third}{'0' * third.endswith('.')},{['true', 'false'][(i + 1) % 2]},ok"
        rows.append(f"{NAMES[i]},{cells if i != 6 else ',,,truncated'}\n")
    return ("image,length,third,is_even,status\n" + "".join(rows)).encode()


@pytest.mark.parametrize("n_workers", [0, 1, 2])
def test_table_is_that_of_the_closed_form(folder, expected, n_workers, capfd):
    table = job(folder, n_workers=n_workers)
    output = folder.parent / "out.csv"
    assert output.read_bytes() == expected
    pd.testing.assert_frame_equal(table.where(table.notna()), pd.read_csv(output))
    assert table["third"].dtype == float
    assert hidden(folder) == []
    out, told = capfd.readouterr()
    assert out == "" and "\r" not in told, "a log holds no bar"


def test_rows_follow_the_order_of_the_paths(folder, expected):
    paths = images_below(folder)[::-1]
    output = folder.parent / "new" / "folder" / "out.csv"
    run_folder_job(measure, paths, folder, output, COLUMNS, {}, 0, "")
    header, *rows = expected.splitlines()
    assert output.read_bytes().splitlines() == [header, *rows[::-1]]


def test_cells(tmp_path):
    """Rounded floats, lower-case truth values, empty cells, quoted text."""
    values = {
        "a": [1 / 3, -1e-9, 5.0, np.float32(0.1), float("nan"), None, 1e300, -np.inf],
        "b": [True, np.False_, 3, np.int64(-4), np.nan, "", 'a "b", c\r', "\udcff"],
    }
    texts = {
        "a": ["0.333333", "0.0", "5.0", "0.1", "", "", "1e+300", "-inf"],
        "b": ["true", "false", "3", "-4", "", "", '"a ""b"", c\r"', "\\udcff"],
    }
    for i in range(8):
        (tmp_path / f"{i}.png").touch()

    def work(path):
        return {column: values[column][int(path.stem)] for column in values}

    paths, output = images_below(tmp_path), tmp_path / "out.csv"
    table = run_folder_job(work, paths, tmp_path, output, ("a", "b"), {}, 0, "")
    rows = [f"{i}.png,{texts['a'][i]},{texts['b'][i]},ok\n" for i in range(8)]
    assert output.read_bytes().decode() == "".join(["image,a,b,status\n", *rows])
    assert table["a"].tolist()[:4] == [0.333333, 0.0, 5.0, 0.1]
    assert np.isnan(table["a"][4:6]).all()


def test_odd_names_and_names_that_are_not_utf8(tmp_path):
    names = ['a,b;"c".jpg', "new\nline.jpg", "return\r.jpg", " blank .jpg", "皮膚.jpg", "=1+1.jpg"]
    folder = tmp_path / "images"
    folder.mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / "x.jpg"), np.full((8, 8, 3), 200, np.uint8))
        (tmp_path / "x.jpg").rename(folder / name)
    Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.jpg")).touch()

    table = job(folder, lambda path: {"height": len(read_image(path))}, columns=("height",))
    text = (tmp_path / "out.csv").read_bytes().decode()
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    expected = {name: [name, "8", "ok"] for name in names}
    expected["b\udcff.jpg"] = ["b\\udcff.jpg", "", "its name is not UTF-8"]
    shown = [expected[name] for name in sorted(expected)]
    assert table["image"].tolist() == [row[0] for row in shown]
    assert read_csv(tmp_path / "out.csv", ())["image"].tolist() == [row[0] for row in shown]
    assert rows == [[name.replace("=1", "'=1"), *others] for name, *others in shown]


@pytest.fixture
def three_threads():
    n_threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(n_threads)


def on_a_terminal(monkeypatch):
    """What is written to stderr from here on, as if it were a terminal."""
    text = io.StringIO()
    text.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", text)
    return text


@pytest.mark.slow
def test_processes_are_others_with_one_thread_each(folder, three_threads):
    here = job(folder, whereabouts, 1, ("process", "threads"))
    assert set(here["process"]) == {os.getpid()} and set(here["threads"]) == {1}
    assert cv2.getNumThreads() == 3
    there = job(folder, whereabouts, 2, ("process", "threads"))
    assert os.getpid() not in set(there["process"]) and set(there["threads"]) == {1}


def start(folder, log, n_workers, seconds=0.04):
    """The job in a process of its own, a leader of its group as in a terminal."""
    places = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
    code = (
        f"import sys; sys.path[:0] = {places}; from test_per_image_csv import main; "
        f"main({str(folder)!r}, {str(log)!r}, {n_workers}, {seconds})"
    )
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def main(folder, log, n_workers, seconds):
    work = partial(log_and_measure, Path(log), seconds)
    run_main(lambda _: job(Path(folder), work, n_workers) is None)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def n_kept(folder):
    return sum(map(lines_in, hidden(folder)))


@pytest.mark.slow
@pytest.mark.parametrize(("n_workers", "n_kills"), [(0, 3), (2, 1)])
def test_killed_and_resumed_is_as_if_it_had_never_been(folder, expected, n_workers, n_kills):
    log, rng = folder.parent / "log", random.Random(n_workers)
    for n_rows in sorted(rng.sample(range(1, N_IMAGES - 9), n_kills)):
        process = start(folder, log, n_workers)
        wait_for(lambda n=n_rows: n_kept(folder) >= n)
        time.sleep(rng.uniform(0, 0.04))
        process.kill()
        # its worker processes have the same output: it closes when the last of them has ended
        assert process.communicate(timeout=60)[0] == ""
        assert process.returncode == -signal.SIGKILL
    assert not (folder.parent / "out.csv").exists()
    job(folder, partial(log_and_measure, log, 0), n_workers)
    assert (folder.parent / "out.csv").read_bytes() == expected
    assert set(log.read_text().split()) == {Path(name).name for name in NAMES}
    assert lines_in(log) <= N_IMAGES + n_kills * max(1, n_workers), "only unfinished rows again"
    assert hidden(folder) == []


@pytest.mark.slow
@pytest.mark.parametrize(("n_workers", "n_rows"), [(0, 3), (2, 3), (2, 0)])
def test_interrupted_from_the_terminal(folder, expected, n_workers, n_rows):
    process = start(folder, folder.parent / "log", n_workers)
    wait_for(lambda: hidden(folder) and n_kept(folder) >= n_rows)
    if n_workers and not n_rows:
        time.sleep(0.3)  # while the worker processes start
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
    assert process.returncode == 130
    assert n_rows <= n_kept(folder) < N_IMAGES
    job(folder)
    assert (folder.parent / "out.csv").read_bytes() == expected


@pytest.mark.slow
def test_a_second_interrupt_does_not_wait_for_an_image(folder):
    log = folder.parent / "log"
    process = start(folder, log, 2, seconds=300)
    wait_for(lambda: lines_in(log) == 2)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)  # it waits for the images to be finished
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
    assert process.returncode == 130


def interrupted(folder, name="b/13.jpg"):
    """The file of finished rows of a run that stopped at an image."""
    with pytest.raises(KeyboardInterrupt):
        job(folder, partial(interrupt_at, Path(name).name))
    (path,) = hidden(folder)
    return path


def resumed(folder):
    """Names of the images that a resumed run works on."""
    log = folder.parent / "log"
    log.write_text("")
    job(folder, partial(log_and_measure, log, 0))
    return log.read_text().split()


def damaged(line):
    """What may be there in the place of a line."""
    whole = [line[:-1], line[:-9], line[:1], b"", bytes(9), b"\xff\n", b"5\n", b"[5]\n"]
    of_other_shapes = ("[1, 2, 3]", '["a", null, 5]', '["a", null, []]', '[["a"], null, [1,2,3,4]]')
    nested = ('["a", 5, [1, 2, 3, "ok"]]', '["a", null, [1, [2], 3, "ok"]]', "[" * 9**5)
    return [*whole, *(f"{text}\n".encode() for text in (*of_other_shapes, *nested))]


@pytest.mark.parametrize("kind", range(len(damaged(b""))))
@pytest.mark.parametrize("n_whole", [0, 3, 12])
def test_damaged_lines_and_what_follows_them_are_computed_again(folder, expected, kind, n_whole):
    path = interrupted(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == sorted(NAMES).index("b/13.jpg") == 12
    torn = damaged(lines[n_whole - 1])[kind]
    path.write_bytes(b"".join([*lines[:n_whole], torn]))
    assert resumed(folder) == [Path(name).name for name in sorted(NAMES)[n_whole:]]
    assert (folder.parent / "out.csv").read_bytes() == expected


def test_whole_lines_after_a_damaged_one_are_not_trusted(folder, expected):
    path = interrupted(folder)
    first, _, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, bytes(4) + b"\n", *others]))
    assert len(resumed(folder)) == N_IMAGES - 1
    assert (folder.parent / "out.csv").read_bytes() == expected


def test_changed_and_new_images_are_computed_again(folder, expected):
    interrupted(folder, "c/23.jpg")
    times = (folder / "a/00.jpg").stat().st_mtime_ns
    (folder / "a/00.jpg").write_bytes(bytes(50))
    os.utime(folder / "a/00.jpg", ns=(times, times))
    os.utime(folder / "b/04.jpg", ns=(1, 1))
    (folder / "new.jpg").write_bytes(bytes(7))
    assert resumed(folder) == ["00.jpg", "04.jpg", "23.jpg", "new.jpg"]
    changed = expected.replace(b"a/00.jpg,1,0.333333,false", b"a/00.jpg,50,16.666667,true")
    assert (folder.parent / "out.csv").read_bytes() == changed + b"new.jpg,,,,truncated\n"


def test_an_image_that_changes_under_work_is_computed_again(folder):
    def rewrite(path):
        row = interrupt_at("13.jpg", path)
        if path.name == "00.jpg":
            path.write_bytes(bytes(99))
        return row

    with pytest.raises(KeyboardInterrupt):
        job(folder, rewrite)
    assert resumed(folder)[:2] == ["00.jpg", "13.jpg"]


def test_a_missing_image_keeps_its_row_until_it_is_there(folder):
    (folder / "late.jpg").symlink_to(folder.parent / "late")
    (folder / "z.jpg").touch()

    def read(path, last="z.jpg"):
        if path.name == last:
            raise KeyboardInterrupt
        return {"height": len(read_image(path))}

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            job(folder, read, columns=("height",))
        (path,) = hidden(folder)
        assert path.read_text().count('"late.jpg", null, [null, "No such file or directory"]') == 1
    (folder.parent / "late").touch()
    table = job(folder, partial(read, last=""), columns=("height",)).set_index("image")
    assert table["status"]["late.jpg"] == "empty file"


def test_other_settings_or_columns_start_afresh_and_end_the_earlier_job(folder, expected):
    log = folder.parent / "log"
    interrupted(folder)
    for change in ({"method": "b"}, {"method": "c"}, {"columns": sorted(COLUMNS)}):
        log.unlink(missing_ok=True)
        job(folder, partial(log_and_measure, log, 0), **change)
        assert lines_in(log) == N_IMAGES
        assert n_kept(folder) == 0
    assert len(resumed(folder)) == N_IMAGES
    assert (folder.parent / "out.csv").read_bytes() == expected


def test_a_copy_of_the_folder_is_another_job_and_a_link_to_it_is_not(folder):
    n_finished = lines_in(interrupted(folder))
    (folder.parent / "link").symlink_to(folder)
    assert len(resumed(folder.parent / "link")) == N_IMAGES - n_finished
    shutil.copytree(folder, folder.parent / "copy")  # keeps sizes and times
    interrupted(folder)
    assert len(resumed(folder.parent / "copy")) == N_IMAGES


def test_a_finished_table_is_made_anew(folder, expected):
    job(folder)
    (folder.parent / "out.csv").write_text("earlier")
    assert len(resumed(folder)) == N_IMAGES
    assert (folder.parent / "out.csv").read_bytes() == expected


@pytest.mark.slow
def test_a_process_that_dies_is_one_line_that_names_its_image(folder, expected):
    pattern = r"/b/13\.jpg: the process at work on it died \(exit code -9\).*fewer processes"
    with pytest.raises(UserError, match=pattern) as error:
        job(folder, partial(die_at, "13.jpg"), 2)
    assert "\n" not in str(error.value)
    n_finished = n_kept(folder)
    # the other process may still have been at the image before it
    assert n_finished >= sorted(NAMES).index("b/13.jpg") - 1
    assert len(resumed(folder)) == N_IMAGES - n_finished
    assert (folder.parent / "out.csv").read_bytes() == expected


@pytest.mark.parametrize("n_sent", [0, 1])
def test_a_process_that_dies_before_it_reads_is_one_line_too(folder, n_sent, monkeypatch):
    send = Connection.send

    def kill_around_send(self, path):
        for _ in range(n_sent):
            send(self, path)
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        send(self, path)

    monkeypatch.setattr(Connection, "send", kill_around_send)
    with pytest.raises(UserError, match=r"/a/00.jpg: the process at work on it died"):
        job(folder, n_workers=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n_workers", "error", "message"),
    [
        ("value", 0, ValueError, "a bug"),
        ("value", 2, ValueError, "a bug"),
        ("file", 0, FileNotFoundError, "mask.png"),
        ("file", 2, FileNotFoundError, "mask.png"),
        ("two", 0, TwoPartError, "two parts"),
        ("two", 2, RuntimeError, "TwoPartError: two parts"),
        ("columns", 0, ValueError, "work gave .*: expected"),
    ],
)
def test_any_other_exception_comes_through(folder, kind, n_workers, error, message):
    with pytest.raises(error, match=message) as caught:
        job(folder, partial(fail, kind), n_workers)
    assert multiprocessing.active_children() == []
    assert not (folder.parent / "out.csv").exists()
    if n_workers:
        text = str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
        assert "Traceback" in text and "in fail" in text


@pytest.mark.slow
def test_the_same_job_twice_at_once_is_refused(folder, expected):
    def work(path):
        if path.name == "13.jpg":
            with pytest.raises(UserError, match=r"out\.csv is in use by another process"):
                job(folder)
            with pytest.raises(UserError, match=r"out\.csv is in use by another process"):
                job(folder, other="settings")
            assert not (folder.parent / "out.csv").exists()
            job(folder, output=folder.parent / "another.csv")
        return measure(path)

    job(folder, work)
    for name in ("out.csv", "another.csv"):
        assert (folder.parent / name).read_bytes() == expected


def test_outputs_that_cannot_be_are_refused_before_any_work(folder):
    os.mkfifo(folder.parent / "pipe")
    before = sorted(folder.parent.rglob("*"))
    image = "images/a/00.jpg"
    for place in (f"{image}/sub/out.csv", "images", image, "new.PNG", "pipe", "x" * 250):
        with pytest.raises(UserError, match=r"cannot be written|expected a CSV file"):
            job(folder, partial(fail, "value"), output=folder.parent / place)
        assert sorted(folder.parent.rglob("*")) == before


def test_a_full_disk_loses_nothing(folder, expected, three_threads, monkeypatch):
    """A limit on the size of files fails in the middle of a line, as a full disk does."""
    log = folder.parent / "log"
    on_a_terminal(monkeypatch)  # tqdm closes what it iterates over only where it shows nothing
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(UserError, match=r"out\.csv: cannot be written \(File too large\)") as _:
            job(folder, partial(log_and_measure, log, 0))
        assert cv2.getNumThreads() == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (path,) = hidden(folder)
    assert path.stat().st_size == 500 and not path.read_bytes().endswith(b"\n")
    n_finished = lines_in(path)
    assert lines_in(log) == n_finished + 1
    assert len(resumed(folder)) == N_IMAGES - n_finished
    assert (folder.parent / "out.csv").read_bytes() == expected


def test_rows_outlive_a_table_that_cannot_be_written(folder, expected, monkeypatch):
    def full(self, text, **options):
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (folder.parent / "out.csv").write_text("earlier")
    with monkeypatch.context() as patch, pytest.raises(UserError, match="No space left on device"):
        patch.setattr(Path, "write_text", full)
        job(folder)
    assert (folder.parent / "out.csv").read_text() == "earlier"
    assert resumed(folder) == []
    assert (folder.parent / "out.csv").read_bytes() == expected


def test_a_terminal_sees_a_bar_that_starts_at_the_finished_rows(folder, monkeypatch):
    n_finished = lines_in(interrupted(folder))
    terminal = on_a_terminal(monkeypatch)
    job(folder)
    assert f"measuring: {n_finished / N_IMAGES:4.0%}" in terminal.getvalue()
    assert f"{n_finished}/{N_IMAGES}" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r"), "it is wiped out"
