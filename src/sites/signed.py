"""A site's JSON, signed with its key: whether it is as the site has written it."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from ..core.errors import UserError, require

MAX_BYTES = 2_000_000
LEAST_KEY = 16  # bytes


def read_key(path: Path) -> bytes:
    """A site's key. Raises `UserError` for one that is too short to keep anybody out."""
    try:
        key = path.read_bytes()[:4096].strip()
    except OSError as error:
        raise UserError(f"--key {path}: cannot be read ({error.strerror})") from None
    require(len(key) >= LEAST_KEY, f"--key {path}: expected {LEAST_KEY} bytes or more")
    return key


def _signature(content: dict[str, Any], key: bytes) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def signed(content: dict[str, Any], key: bytes) -> str:
    """JSON text with the content and its `signature` (HMAC-SHA256)."""
    return json.dumps(content | {"signature": _signature(content, key)}, indent=1, sort_keys=True)


def read_signed(path: Path, key: bytes) -> dict[str, Any]:
    """The content of a site's file. Raises `UserError` where the signature is not the key's."""
    try:
        require(path.stat().st_size <= MAX_BYTES, f"{path}: too large for the file of a site")
        content = json.loads(path.read_text(encoding="utf-8"))
        signature = content.pop("signature")
        is_right = hmac.compare_digest(str(signature), _signature(content, key))
    except (OSError, ValueError, RecursionError, KeyError, AttributeError, TypeError):
        raise UserError(f"{path}: not the file of a site, or damaged") from None
    require(
        is_right,
        f"{path}: its signature is not that of the site's key: it was changed, or is of another "
        "site; ask the site for it again",
    )
    return content
