"""How an entry point ends: one line for what a user can mend, a traceback for what none can."""

import errno
import os

import pytest

from src.core.errors import run_main


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
