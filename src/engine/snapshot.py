"""A copy of this code, for jobs that start later: edits of the checkout do not reach them."""

import hashlib
import os
import shutil
from pathlib import Path

from src.engine.log import environment

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "COMMIT"


def snapshot(folder: Path, root: Path = ROOT) -> Path:
    """A folder inside `folder` that holds `root`'s entry points, `src` and commit as they are.

    It is named by its content: the same code is copied once, and no copy is ever changed.
    """
    paths = [*root.glob("*.py"), *(root / "src").rglob("*")]
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(paths)
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[COMMIT] = environment()["commit"].encode()
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
