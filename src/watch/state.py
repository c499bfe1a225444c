"""What is kept between two days: counts and p-values, and hashes of images whose outcome counts."""

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import UserError, require
from ..core.files import write_text
from ..trust.as_json import from_json, to_json
from .reference import Reference

MAX_BYTES = 1_000_000
_MOST_SEEN, _MOST_DAYS, _HASH = 40_000, 1_000, 16  # outcomes, days and hexadecimal digits


@dataclass(frozen=True)
class Day:
    """The `n` images of a day, and the lowest of its p-values with the sign that it is of."""

    n: int
    sign: str
    p_value: float
    is_alarm: bool


@dataclass(frozen=True)
class Counts:
    """Positive images of a group that were found, and that were missed, since the watch began.

    `highest` is the highest capital that the bets against the group have had, for a
    sensitivity of `bound`.
    """

    group: str
    hits: int
    misses: int
    highest: float
    bound: float


@dataclass(frozen=True)
class State:
    """`reference` is a digest of what is compared with, `seen` hashes of names with outcomes."""

    reference: str
    salt: str
    n_days: int
    days: tuple[Day, ...]
    counts: tuple[Counts, ...]
    seen: tuple[str, ...]


def digest_of(reference: Reference) -> str:
    """A digest of a reference: a watch goes on with the one it began with."""
    return hashlib.sha256(json.dumps(reference.to_json(), sort_keys=True).encode()).hexdigest()


def read_state(path: Path, reference: Reference) -> State:
    """The state in a file, a new one where there is none.

    Raises `UserError` for a damaged one, and for one of another reference.
    """
    digest = digest_of(reference)
    if not path.exists():
        return State(digest, secrets.token_hex(16), 0, (), (), ())
    require(
        path.is_file() and path.stat().st_size <= MAX_BYTES, f"--state {path}: not a state of watch"
    )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"--state {path}: not a state of watch, or damaged") from None
    state = from_json(State, content, f"--state {path}")
    fits = state.n_days >= len(state.days) and all(
        one.hits >= 0 and one.misses >= 0 for one in state.counts
    )
    require(fits, f"--state {path}: numbers that do not fit each other; damaged")
    require(
        state.reference == digest,
        f"--state {path}: begun with the reference of another model file; give another --state",
    )
    return state


def write_state(path: Path, state: State) -> None:
    """Replace the state; what is oldest goes where it would outgrow its limit."""
    kept = replace(state, days=state.days[-_MOST_DAYS:], seen=state.seen[-_MOST_SEEN:])
    write_text(path, json.dumps(to_json(kept)))


def name_hash(name: str, state: State) -> str:
    """A salted hash of an image's name: the same in one watch, another in the next.

    Two states cannot be linked by it; whoever has a state and guesses a name can check the guess.
    """
    return hashlib.sha256(f"{state.salt}\n{name}".encode()).hexdigest()[:_HASH]
