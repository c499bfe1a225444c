"""The folder of a report: new each time, whole or not there."""

import os
import platform
import re
import subprocess
import sys

import pytest

from src.core.errors import UserError
from src.report.folder import claim_folder, require_new, write_folder

KILLED = """
import os, sys
from pathlib import Path
from src.report.folder import write_folder

def write(folder):
    (folder / "page.html").write_text("B")
    os.kill(os.getpid(), 9)

write_folder(Path(sys.argv[1]), "a", False, write)
"""


def write(text):
    return lambda folder: [(folder / name).write_text(text) for name in ("page.html", "a.json")]


def names(root):
    return sorted(path.name for path in root.iterdir())


def test_an_earlier_report_is_never_replaced(tmp_path):
    for text, name in (("A", "a"), ("B", "a_2"), ("C", "a_3")):
        assert write_folder(tmp_path, "a", False, write(text)) == tmp_path / name
    assert [(tmp_path / name / "page.html").read_text() for name in names(tmp_path)] == [*"ABC"]
    assert claim_folder(tmp_path, "a", False) == tmp_path / "a_4"
    with pytest.raises(UserError, match="--run_name"):
        write_folder(tmp_path, "a", True, write("D"))
    for refuse in (lambda: require_new(tmp_path / "a"), lambda: claim_folder(tmp_path, "a", True)):
        with pytest.raises(UserError, match="--run_name a"):
            refuse()
    assert names(tmp_path) == ["a", "a_2", "a_3", "a_4"]
    require_new(tmp_path / "b")
    assert write_folder(tmp_path, "b", True, write("E")) == tmp_path / "b"
    assert claim_folder(tmp_path, "c", True) == tmp_path / "c"


def test_an_error_in_between_leaves_nothing(tmp_path):
    write_folder(tmp_path, "a", False, write("A"))

    def fails(folder):
        write("B")(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_folder(tmp_path, "a", False, fails)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "page.html").read_text() == "A"


def test_a_kill_leaves_the_old_and_the_next_one_clears_up(tmp_path):
    write_folder(tmp_path, "a", False, write("A"))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    (hidden,) = (name for name in names(tmp_path) if name.startswith("."))
    assert (tmp_path / "a" / "page.html").read_text() == "A"
    assert (tmp_path / hidden / "page.html").read_text() == "B"
    host = re.sub(r"[^-\w]", "-", platform.node())
    others = (f".a.{host}.{os.getppid()}.tmp", ".a.elsewhere.1.tmp", ".hidden", ".x.1.tmp")
    for other in others:  # of a live process, of another machine, not of a report
        (tmp_path / other).mkdir()
    write_folder(tmp_path, "a", False, write("C"))
    assert names(tmp_path) == sorted(["a", "a_2", *others])
