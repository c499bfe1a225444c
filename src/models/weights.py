"""Files of weights: opened safely, their tensors found and named as the model names them."""

import zipfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from ..core.cells import visible
from ..core.errors import UserError, first_line, require
from ..core.files import require_regular

_NESTED_KEYS = ("model_state_dict", "state_dict", "model")
_MOST_NESTED = 5
_COMPILED = "_orig_mod."  # what torch.compile puts before the names of what it compiles
_MAX_BYTES = 20_000_000_000


def load_tensors(path: str | Path, what: str, **options: Any) -> Any:
    """The content of a torch file, on the CPU; nothing in it is executed.

    `options` are those of `torch.load`. Raises `UserError` that calls the file no `what` for any
    other, and for one that would unpack to more than its size.
    """
    path = Path(path)
    require_regular(path, f"{path}: no such {what}")
    _require_stored(path, what)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, **options)
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        raise UserError(f"{path}: not a {what}, or a truncated one ({first_line(error)})") from None


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by name, on the CPU as stored."""
    content = load_tensors(path, "state dict")
    for _ in range(_MOST_NESTED):
        inner = content if isinstance(content, dict) else {}
        nested = [inner[key] for key in _NESTED_KEYS if isinstance(inner.get(key), dict)]
        if not nested:
            break
        content = nested[0]
    tensors = content.items() if isinstance(content, dict) else ()
    return {str(k): v for k, v in tensors if isinstance(v, torch.Tensor)}


def plain_names(
    state: dict[str, torch.Tensor], wanted: Collection[str], source: str
) -> tuple[dict[str, torch.Tensor], str]:
    """(tensors by the names that the model gives them, the prefix that their names had).

    Whatever stands before `wanted` names is taken off (`module.`, `model.`, `backbone.` in any
    nesting), and `_orig_mod.` wherever it is; tensors without the prefix keep their names. Raises
    `UserError`, which begins with `source`, where two prefixes fit equally well.
    """
    state = {name.replace(_COMPILED, ""): tensor for name, tensor in state.items()}
    counts: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in wanted:
                counts[name.removesuffix(".".join(parts[place:]))] += 1
    # of equally good ones none, if that is one of them
    best = [prefix for prefix, count in counts.items() if count == max(counts.values())]
    prefix = "" if "" in best or not best else best[0]
    if prefix and len(best) > 1 and counts[prefix] > 1:
        shown = " and ".join(visible(name, 40) for name in best[:2])
        raise UserError(
            f"{source}: the weights of {len(best)} models ({shown} before their names): expected "
            "one; save the one to use"
        )
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}, prefix


def names_in_words(names: Collection[str], most: int = 3) -> str:
    """The first of some names, shown safely."""
    more = ", ..." if len(names) > most else ""
    return ", ".join(visible(name, 60) for name in list(names)[:most]) + more


def mismatch(found: dict[str, Any], wanted: Collection[str], prefix: str) -> str:
    """How names differ, in a line: the prefix that was taken off, what lacks, what is left over."""
    lacking = [name for name in wanted if name not in found]
    others = [name for name in found if name not in wanted]
    seen = f"after the prefix {visible(prefix, 60)!r}: " if prefix else ""
    return (
        f"{seen}{len(lacking)} of {len(wanted)} tensors are missing"
        + (f" ({names_in_words(lacking)})" if lacking else "")
        + (f", others are named {names_in_words(others)}" if others else "")
    )


def _require_stored(path: Path, what: str) -> None:
    """Raise `UserError` for a file that unpacks to more than itself: torch compresses nothing."""
    size = path.stat().st_size
    require(size <= _MAX_BYTES, f"{path}: larger than {_MAX_BYTES} bytes, not a {what}")
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return  # torch says what it is
    is_packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    total = sum(entry.file_size for entry in entries)
    require(
        not is_packed and total <= size,
        f"{path}: not a {what}: it would unpack from {size:,} to {total:,} bytes, but torch "
        "writes files without compression",
    )
