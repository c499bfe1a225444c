"""Memory is counted as the system counts it."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from src.core.memory import anonymous_megabytes, free_bytes, own_megabytes, peak_megabytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def test_what_is_taken_is_counted_and_what_a_file_holds_is_not(tmp_path):
    (tmp_path / "file").write_bytes(bytes(50_000_000))
    before, own = anonymous_megabytes(), own_megabytes(os.getpid())
    mapped = np.memmap(tmp_path / "file", np.uint8, "r")
    assert mapped.sum() == 0
    assert anonymous_megabytes() - before < 25
    taken = np.ones(50_000_000, np.uint8)
    assert 40 < anonymous_megabytes() - before < 75
    assert own_megabytes(os.getpid()) - own > 40
    assert peak_megabytes() > anonymous_megabytes()
    del taken


def test_free_memory_is_bounded_by_a_control_group(monkeypatch):
    whole = free_bytes()
    assert whole > 0
    texts = {"memory.max": "3000", "memory.current": "2000", "memory.stat": "inactive_file 500\n"}
    real = Path.read_text

    def read(path, *args, **kwargs):
        return texts[path.name] if path.name in texts else real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read)
    assert free_bytes() == 1500
    texts["memory.max"] = "max\n"
    assert free_bytes() > 1500
