"""A lease has one holder at a time; of a dead one it is taken over."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import SoftFileLease

from src.core import lease as module
from src.core.errors import UserError
from src.core.lease import leased

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from src.core.lease import leased
with leased(Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lease `tmp_path/run/.lease` as part of SLURM job 17."""
    path = tmp_path / "run" / ".lease"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"SLURM_JOB_ID": "17"},
    )
    assert process.stdout.readline() == "held\n"
    yield process, path
    process.kill()
    process.communicate()


def edit(path, **changes):
    """The lease as if its file said so."""
    lines = dict(line.partition("=")[::2] for line in path.read_text().splitlines())
    lines.update({key: str(value) for key, value in changes.items()})
    path.write_text("".join(f"{k}={v}\n" if v else f"{k}\n" for k, v in lines.items()))


@pytest.mark.slow
def test_the_second_is_refused_in_a_line_and_takes_over_from_a_killed_one(holder):
    process, path = holder
    started = time.monotonic()
    with pytest.raises(UserError) as refused, leased(path, "the run"):
        pass
    assert time.monotonic() - started < 5
    text = str(refused.value)
    parts = ("the run is in use", f"process {process.pid} on ", "SLURM job 17", "last heartbeat")
    assert all(part in text for part in parts) and "\n" not in text
    assert path.exists()  # the refused one took nothing away
    process.send_signal(signal.SIGKILL)
    process.wait()
    with leased(path, "the run") as lease:
        lease.check()
    assert not list(path.parent.iterdir())


def test_folders_that_were_made_for_a_lease_go_with_it(tmp_path):
    (tmp_path / "old").mkdir()
    for folder in ("old", "new/er", "used/by"):
        with leased(tmp_path / folder / ".lease", "the run"):
            if folder == "used/by":
                (tmp_path / "used" / "file").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "used"]


@pytest.mark.slow
def test_a_job_that_is_queued_again_waits_for_its_earlier_attempt(holder, monkeypatch):
    process, path = holder
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    # waited for: what is killed and not waited for still has a process id
    ending = threading.Timer(2, lambda: (process.kill(), process.wait()))
    ending.start()
    with leased(path, "the run") as lease:
        assert ending.finished.is_set()
        lease.check()


@pytest.mark.slow
def test_of_another_machine_a_beating_lease_is_refused_and_a_silent_one_taken(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "STALE_S", 3)
    monkeypatch.setattr(module, "BEAT_S", 1)
    path = tmp_path / ".lease"
    other = SoftFileLease(path, lease_duration=3, heartbeat_interval=1, thread_local=False)
    other.acquire()
    edit(path, host="elsewhere")
    with pytest.raises(UserError, match="on elsewhere"), leased(path, "the run"):
        pass
    other._stop_heartbeat()  # as if its machine had lost its power
    with leased(path, "the run") as lease:
        lease.check()
        assert "host=elsewhere" not in path.read_text()
        edit(path, pid=os.getppid())
        with pytest.raises(UserError, match="taken over"):
            lease.check()


def test_a_deleted_folder_is_noticed(tmp_path):
    path = tmp_path / "run" / ".lease"
    with leased(path, "the run") as lease:
        lease.check()
        path.unlink()
        path.parent.rmdir()
        with pytest.raises(UserError, match="the run was deleted"):
            lease.check()


def test_what_cannot_be_leased_says_why(tmp_path):
    (tmp_path / "folder" / ".lease").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder" / ".lease", tmp_path / "file" / ".lease"):
        with pytest.raises(UserError, match="cannot be written"), leased(path, "the run"):
            pass
