"""How an entry point ends: one line for what a user can mend, a traceback for what none can."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.core.errors import run_main

ROOT = Path(__file__).resolve().parents[2]


def main_that_raises(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_one_line(number, capsys):
    with pytest.raises(SystemExit) as stop:
        run_main(main_that_raises(OSError(number, os.strerror(number))))
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: writing a file: {os.strerror(number)}\n"


@pytest.mark.parametrize("error", [OSError("no number"), OSError(errno.EBADF, "Bad descriptor")])
def test_other_errors_without_a_file_are_raised(error):
    with pytest.raises(OSError) as raised:
        run_main(main_that_raises(error))
    assert raised.value is error


def command(body):
    """A process of an entry point with this body; its folder is the repository."""
    text = f"""import sys, time
from pathlib import Path
from src.core.errors import run_main
from src.core.files import replacing
def main(argv):
    {body}
run_main(main)"""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, stdout=pipe, stderr=pipe)


def test_sigterm_ends_a_command_with_one_line_and_leaves_nothing(tmp_path):
    output = str(tmp_path / "out.csv")
    process = command(
        f"with replacing(Path({output!r})): print('at work', flush=True), time.sleep(60)"
    )
    assert process.stdout.readline() == b"at work\n"
    assert [path.name.startswith(".out.csv.") for path in tmp_path.iterdir()] == [True]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == (b"", b"terminated\n")
    assert process.returncode == 143
    assert [*tmp_path.iterdir()] == []


def test_a_reader_that_goes_away_is_no_traceback():
    for body in ("print('x' * 10)", "print('x' * 10**6)", "print('x' * 10**6); sys.exit(0)"):
        process = command(body)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
        process.stderr.close()
