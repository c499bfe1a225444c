"""The commit of the code that runs."""

import subprocess
from pathlib import Path

FILE = "COMMIT"  # beside the package, in a job's copy of the code


def commit() -> str:
    """The commit of this checkout, empty outside of one."""
    root = Path(__file__).resolve().parents[2]
    copied = root / FILE
    if copied.is_file():
        return copied.read_text(encoding="utf-8").strip()
    if not (root / ".git").exists():  # an installed package may lie within another's checkout
        return ""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip()
