"""A copy of this code, for jobs that start later: edits of the checkout do not reach them."""

import hashlib
import os
import shutil
from pathlib import Path

from ..core.commit import FILE, commit

PACKAGE = Path(__file__).resolve().parents[1]  # `src` in a clone, else the installed package


def snapshot(folder: Path, package: Path = PACKAGE) -> Path:
    """A folder inside `folder` that holds the package and its commit as they are now.

    It is named by its content: the same code is copied once, and no copy is ever changed.
    """
    files = {
        path.relative_to(package.parent).as_posix(): path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[FILE] = commit().encode()
    digest = hashlib.sha256(repr(list(files.items())).encode()).hexdigest()[:16]
    copy = folder / digest
    if copy.exists():
        return copy
    unfinished = folder / f".{digest}.{os.getpid()}"
    for name, content in files.items():
        (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
        (unfinished / name).write_bytes(content)
    try:
        unfinished.rename(copy)
    except OSError:  # another submission was faster
        shutil.rmtree(unfinished)
    return copy
