"""One process trains in a folder; what ends it is told in a line, and what is told works."""

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from src.core.config import Config
from src.core.errors import UserError
from src.core.files import unfinished
from src.engine.loop import limits_told
from src.engine.run import train
from src.scripts.melanoma_train import main
from tests.engine.processes import finish, start, started


def wait_for(process, words):
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(process.stderr.read())


def children_of(pid):
    """The processes that a process has started, by their ids."""
    return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_the_second_run_is_refused_the_hint_works_and_a_killed_loader_is_told(
    tiny_settings, tmp_path
):
    settings = {**tiny_settings, "output_dir": str(tmp_path), "run_name": "it's", "num_workers": 1}
    settings |= {"epochs": 400, "resume": "auto", "save_ckpt": False}
    (first,) = start(settings)
    assert "left" in wait_for(first, "epoch 1/400")
    temporary = unfinished(tmp_path / "it's" / "metrics.json")
    temporary = temporary.with_name(temporary.name.replace(str(os.getpid()), str(first.pid)))
    temporary.touch()  # as if the first were writing it
    with pytest.raises(UserError) as refused:
        main([f"--{name}={value}" for name, value in settings.items()])
    assert f"in use by another process (process {first.pid} on " in str(refused.value)
    assert temporary.exists()
    first.send_signal(signal.SIGTERM)
    hint = wait_for(first, "stopped by signal 15").partition("continue with ")[2].strip()
    assert finish([first])[0][0] == 128 + signal.SIGTERM
    assert not (tmp_path / "it's" / ".lease").exists()

    python, *words = shlex.split(hint)
    assert python == "python"
    second = started([sys.executable, *words])
    wait_for(second, "continuing after")
    wait_for(second, "epoch ")
    assert not temporary.exists()  # of a run that is over
    while not (workers := children_of(second.pid)):
        pass
    os.kill(workers[-1], signal.SIGKILL)
    ((code, _, error),) = finish([second])
    *progress, line = error.splitlines()
    assert code == 2 and line.startswith("error: a data loading process ended"), error
    assert all(line.startswith("epoch ") for line in progress)


def test_a_run_whose_folder_is_deleted_ends_with_an_error(tiny_settings, tmp_path):
    cfg = Config().with_settings(**tiny_settings, output_dir=str(tmp_path), run_name="r")

    def delete(history):
        (tmp_path / "r").rename(tmp_path / "gone")  # at once: its writers are at work

    with pytest.raises(UserError, match=r"run .*r was deleted meanwhile"):
        train(cfg, after_epoch=delete)
    assert not (tmp_path / "r" / "checkpoint_latest.pth").exists()


def test_a_refused_run_leaves_no_folder(tiny_settings, tmp_path):
    settings = {**tiny_settings, "output_dir": str(tmp_path / "new"), "num_classes": 7}
    with pytest.raises(UserError, match="--num_classes 7"):
        train(Config().with_settings(**settings))
    assert not (tmp_path / "new").exists()


def test_what_a_machine_lacks_is_told_as_that():
    tried = "CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation"
    cpu = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"
    told = {
        "not enough memory .*lower --batch_size 16": [
            MemoryError(),
            OSError(12, "Cannot allocate memory"),
            RuntimeError(tried),
            RuntimeError(cpu),
            MemoryError("Caught MemoryError in DataLoader worker process 0."),
        ],
        "a data loading process ended .*--num_workers 4": [
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"),
        ],
        "too large a number .*lower --lr": [
            RuntimeError("value cannot be converted to type float without overflow"),
            OverflowError("math range error"),
        ],
    }
    for words, errors in told.items():
        for error in errors:
            with pytest.raises(UserError, match=words) as found, limits_told(Config()):
                raise error
            assert "\n" not in str(found.value)
    for error in (RuntimeError("shapes do not match"), FileNotFoundError("x"), KeyError("x")):
        with pytest.raises(type(error)), limits_told(Config()):
            raise error
