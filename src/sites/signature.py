"""Signed JSON: a site's key signs what it returns, so that a change on the way is seen."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from ..core.errors import UserError, require
from ..core.files import expect_file, to_strict_json

LEAST_KEY, MOST_KEY = 16, 4096  # bytes
MAX_JSON = 20_000_000
SIGNATURE = "signature"


def read_key(path: Path, flag: str) -> bytes:
    """The bytes of a key file, without its line end. Raises `UserError` for too few of them."""
    expect_file(path, flag)
    with path.open("rb") as file:
        key = file.read(MOST_KEY + 1).rstrip(b"\r\n")
    fits = LEAST_KEY <= len(key) <= MOST_KEY
    require(fits, f"{flag} {path}: {len(key)} bytes; expected a key of {LEAST_KEY} to {MOST_KEY}")
    return key


def signed(content: dict[str, Any], key: bytes) -> str:
    """The JSON text with its HMAC-SHA256 in `signature`."""
    return to_strict_json(content | {SIGNATURE: _signature(content, key)}, indent=1)


def read_signed(path: Path, key: bytes | None) -> dict[str, Any]:
    """The content of a signed file. Raises `UserError` for what is none, or was changed.

    Without a `key` the signature is not checked.
    """
    expect_file(path, "SITE.json")
    size = path.stat().st_size
    require(size <= MAX_JSON, f"{path}: {size:,} bytes; expected at most {MAX_JSON:,}")
    try:
        content = json.loads(path.read_bytes())
        told = str(content.pop(SIGNATURE)).encode()
        own = _signature(content, key or b"").encode()
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise UserError(f"{path}: is not what a site's evaluation wrote") from None
    is_own = key is None or hmac.compare_digest(told, own)
    changed = "it was changed, or signed with another key"
    require(is_own, f"{path}: its signature does not fit: {changed}")
    return content


def _signature(content: dict[str, Any], key: bytes) -> str:
    text = to_strict_json(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
