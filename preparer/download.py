"""Files over HTTP: continued where they broke off, checked, and in their place only when whole."""

import hashlib
import http.client
import json
import re
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from src import __version__
from src.core.cells import visible
from src.core.errors import UserError, first_line, require
from src.core.files import check_output, write_text
from src.core.progress import progress

CHUNK = 1 << 20
TIMEOUT_S = 60
TRIES = 6  # without a byte of progress
PAUSE_S, LONGEST_PAUSE_S = 0.25, 60
MAX_JSON = 50_000_000
SPARE_DISK = 200_000_000  # bytes that a download leaves free
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_BROKEN = (URLError, http.client.HTTPException, ConnectionError, TimeoutError)


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its name below the output folder, its address, and what is known of it.

    `secrets` are headers for this address alone: where it redirects, they are not sent.
    """

    name: str
    url: str
    size: int | None = None
    md5: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class NoNetworkError(UserError):
    """No answer from a server."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, url):
        require_web(url)
        is_worse = request.type == "https" and urlsplit(url).scheme == "http"
        require(not is_worse, f"{_shown(request.full_url)}: leads to an unencrypted address")
        return super().redirect_request(request, file, code, message, headers, url)


_opener = urllib.request.build_opener(_Redirects)


def require_web(url: str) -> None:
    """Raise `UserError` for an address that is not http or https: a file here, for example."""
    parts = urlsplit(url)
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    require(is_web, f"{_shown(url)}: expected an address that begins with https://")


def ask(url: str) -> Any:
    """The JSON at an address."""

    def read(answer: Any) -> Any:
        text = answer.read(MAX_JSON + 1)
        require(len(text) <= MAX_JSON, f"{_shown(url)}: an answer of over {MAX_JSON:,} bytes")
        return json.loads(text)

    try:
        return _with_patience(lambda: _open(url, {}, {}, read), url, lambda: 0)
    except (ValueError, RecursionError):
        raise UserError(f"{_shown(url)}: expected JSON; found something else") from None


def fetch(remote: Remote, path: Path, quiet: bool = False) -> str:
    """The SHA-256 of a file that is whole at `path` then.

    Until then it is `path` with `.part` after it, which a later call continues. Raises `UserError`
    for an answer that is not the file, and `NoNetworkError` where there is none.
    """
    part = path.with_name(f"{path.name}.part")
    check_output(path)
    check_output(part)
    tag = path.with_name(f"{path.name}.part.tag")
    _with_patience(lambda: _continue(remote, part, tag, quiet), remote.url, lambda: _size(part))
    digests = digests_of(part)
    wrong = _what_is_wrong(remote, _size(part), digests)
    tag.unlink(missing_ok=True)
    if wrong:
        part.unlink()
        raise UserError(f"{remote.name}: {wrong}: deleted; run the command again to fetch it anew")
    part.replace(path)
    return digests["sha256"]


def digests_of(path: Path) -> dict[str, str]:
    """The `md5` and `sha256` of a file's bytes."""
    found = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for digest in found.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in found.items()}


def is_whole(remote: Remote, path: Path, sha256: str) -> bool:
    """Whether the file at `path` is the remote one, as far as size and digests tell.

    `sha256` is what it had when it was fetched, if it was. Raises `UserError` for another file.
    """
    if not path.exists():
        return False
    digests, size = digests_of(path), path.stat().st_size
    wrong = _what_is_wrong(remote, size, digests)
    if not wrong and sha256 and digests["sha256"] != sha256:
        wrong = "it has changed since it was fetched"
    require(not wrong, f"{path}: is there, but {wrong}: move it away to fetch it")
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _what_is_wrong(remote: Remote, size: int, digests: Mapping[str, str]) -> str:
    if remote.size is not None and size != remote.size:
        return f"expected {remote.size:,} bytes, found {size:,}"
    if remote.md5 and digests["md5"] != remote.md5.lower():
        return f"expected the MD5 {visible(remote.md5, 40)}, found {digests['md5']}"
    return ""


def _with_patience(work: Callable[[], Any], url: str, size: Callable[[], int]) -> Any:
    """What `work` returns, tried again where the connection breaks or the server is busy.

    As long as `size` grows, it may break as often as it likes.
    """
    failed, before = 0, size()
    while True:
        try:
            return work()
        except HTTPError as error:
            pause = error.headers.get("Retry-After", "") if error.headers else ""
            error.close()
            require(error.code in _BUSY, f"{_shown(url)}: {_refusal(error.code)}")
            problem = f"the server answers {error.code}"
        except _BROKEN as error:
            reason = getattr(error, "reason", None) or error
            pause, problem = "", first_line(reason)
            failed = TRIES if isinstance(reason, socket.gaierror) else failed  # no such name
        failed, before = (0 if size() > before else failed + 1), size()
        if failed >= TRIES:
            raise NoNetworkError(f"{_shown(url)}: no answer ({problem})")
        asked = int(pause) if re.fullmatch(r"\d{1,4}", pause) else 0
        time.sleep(min(LONGEST_PAUSE_S, max(asked, PAUSE_S * 2**failed)))


def _continue(remote: Remote, part: Path, tag: Path, quiet: bool) -> None:
    """Append what `part` lacks. Raises `IncompleteRead` where the connection ends before."""
    start, told = _size(part), _text_of(tag)
    if start and not (told or remote.md5):  # it may be of another version of the file
        start = 0
    if remote.size is not None and start >= remote.size:
        return
    headers = {"Range": f"bytes={start}-"} | ({"If-Range": told} if told else {})

    def take(answer: Any) -> None:
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        begins = int(found[1]) if answer.status == 206 and found else 0
        if begins not in (0, start):
            raise http.client.IncompleteRead(b"")
        length = answer.headers.get("Content-Length", "")
        total = begins + int(length) if length.isdecimal() else None
        is_told = total is not None or "chunked" in answer.headers.get("Transfer-Encoding", "")
        require(is_told, f"{_shown(remote.url)}: the server does not tell the size of the file")
        _expect(remote, total, part, begins)
        known = _known_version(answer.headers)
        write_text(tag, known) if known else tag.unlink(missing_ok=True)
        chunks = iter(lambda: answer.read(CHUNK), b"")
        n_chunks = total and -(-total // CHUNK)
        title = f"fetching {visible(remote.name, 60)}"
        with part.open("ab" if begins else "wb") as file:
            for chunk in progress(chunks, title, n_chunks, "MB", begins // CHUNK, quiet):
                file.write(chunk)
                _expect(remote, None, part, file.tell())
            ended = file.tell()
        if total is not None and ended != total:
            raise http.client.IncompleteRead(b"", total - ended)

    try:
        _open(remote.url, headers if start else {}, remote.secrets, take)
    except HTTPError as error:
        if error.code != 416:  # of a range: the file ends where ours does, or before
            raise
        error.close()
        if remote.size is None and error.headers.get("Content-Range") == f"bytes */{start}":
            return
        part.unlink()
        raise http.client.IncompleteRead(b"") from None


def _expect(remote: Remote, total: int | None, part: Path, done: int) -> None:
    """Raise `UserError` for a file of another size than it should have, or than the disk takes."""
    told = f"{_shown(remote.url)}: expected {remote.size or 0:,} bytes; the server has"
    if remote.size is not None:
        require(total in (None, remote.size), f"{told} {total or 0:,}")
        require(done <= remote.size, f"{told} more")
    if total is not None or done % (256 * CHUNK) < CHUNK:
        free = shutil.disk_usage(part.parent).free - SPARE_DISK
        lacks = (total or done) - done > free if total else free < 0
        require(not lacks, f"{part.parent}: {free:,} bytes free, too few for {remote.name}")


def _open(url: str, headers: Mapping, secrets: Mapping, take: Callable[[Any], Any]) -> Any:
    require_web(url)
    agent = {"User-Agent": f"melanoma-classification/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**agent, **headers})
    for name, value in secrets.items():
        request.add_unredirected_header(name, value)
    with _opener.open(request, timeout=TIMEOUT_S) as answer:
        return take(answer)


def _known_version(headers: Any) -> str:
    """What tells this version of a file from another: a strong ETag, else the time of change."""
    tag = headers.get("ETag", "")
    known = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    return known if known.isprintable() and len(known) < 500 else ""


def _text_of(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError):
        return ""
    return text if text.isprintable() and len(text) < 500 else ""


def _refusal(code: int) -> str:
    reasons = {
        401: "it wants a login",
        403: "it refuses: a login or an agreement to its terms may be needed",
        404: "it is not there",
        410: "it is no longer there",
    }
    return f"{reasons.get(code, 'it is refused')} (HTTP {code})"


def _shown(url: str) -> str:
    """An address without what is behind `?`, which may be secret."""
    return visible(url.partition("?")[0], 200)
