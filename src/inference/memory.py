"""A bound on the memory that models take while they run."""

from functools import cache

import onnxruntime

# of all tensors of all sessions together; the largest known network takes an eighth of it
MAX_RUN_BYTES = 2**33


@cache
def _bounded() -> None:
    """Give the process an allocator that fails where a model wants more, instead of the machine."""
    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    limits = onnxruntime.OrtArenaCfg(MAX_RUN_BYTES, -1, -1, -1)  # -1: as usual
    onnxruntime.create_and_register_allocator(where, limits)


def bound_memory(options: onnxruntime.SessionOptions) -> None:
    """Let a session of these options take no more than `MAX_RUN_BYTES`.

    A tensor's size may depend on the images, or be the only absurd number in a small file: no
    look at the graph tells.
    """
    _bounded()
    options.add_session_config_entry("session.use_env_allocators", "1")
