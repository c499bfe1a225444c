"""What one process at a time may work on, also on a file system that several machines share.

The lease is a file that names its holder, who renews its time: a kernel's locks are not seen by the
other machines of every cluster. Its protocol is filelock's.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from .errors import UserError
from .files import make_folder

BEAT_S = 10  # between two heartbeats of the holder
STALE_S = 60  # without one: a lease of another machine is then taken over
REQUEUED_S = 600  # SLURM may start a job again before all of its earlier attempt has ended
log = logging.getLogger(__name__)


class Lease:
    """A lease that this process holds."""

    def __init__(self, path: Path, what: str):
        self._path, self._what = path, what
        self.lock = SoftFileLease(
            path, lease_duration=STALE_S, heartbeat_interval=BEAT_S, thread_local=False
        )

    def check(self) -> None:
        """Raise `UserError` where the lease is lost: deleted, or taken over while this slept."""
        if not self.lock.is_lock_held_by_us:
            time.sleep(0.2)  # a contender may be looking at the file
            if not self.lock.is_lock_held_by_us:
                what_happened = "taken over by another process" if self.lock.owner else "deleted"
                raise UserError(f"{self._what} was {what_happened} meanwhile: stopped")

    @property
    def seems_lost(self) -> bool:
        """Whether the last heartbeats failed; costs nothing to ask."""
        return self.lock.compromise is not None


@contextmanager
def leased(path: Path, what: str, waits: bool = False) -> Iterator[Lease]:
    """Holds the lease file `path` in the block; folders made for it are removed if left empty.

    `what` it stands for is named to others. The lease of a dead process of this machine is taken
    over at once, and that of another machine after `STALE_S` seconds without a heartbeat.
    While another process holds it, this `waits` for as long as that takes, or raises `UserError`.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    make_folder(path.parent)
    lease, job = Lease(path, what), os.environ.get("SLURM_JOB_ID", "")
    job_path = path.with_name(f"{path.name}.job")
    try:
        _acquire(lease.lock, path, job_path, what, waits)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    try:
        with suppress(OSError):
            job_path.write_text(job) if job else job_path.unlink(missing_ok=True)
        yield lease
    finally:
        if lease.lock.is_lock_held_by_us:
            with suppress(OSError):
                job_path.unlink(missing_ok=True)
        with suppress(OSError):
            lease.lock.release()
            for folder in made:
                folder.rmdir()


def _acquire(
    lock: SoftFileLease, path: Path, job_path: Path, what: str, waits: bool = False
) -> None:
    with suppress(Timeout, LeaseSettingsMismatch):
        lock.acquire(timeout=1, poll_interval=0.2)  # the first try removes what a dead one left
        return
    if waits:
        log.info("%s: waiting", _refusal(lock, path, job_path, what))
        lock.acquire(poll_interval=1)
        return
    first, requeued = _last_beat(path), os.environ.get("SLURM_RESTART_COUNT", "0") != "0"
    with suppress(Timeout, LeaseSettingsMismatch):
        if requeued or not _is_of_this_machine(lock):
            log.info("%s: waiting for a heartbeat", _refusal(lock, path, job_path, what))
            lock.acquire(
                timeout=REQUEUED_S if requeued else STALE_S + BEAT_S,
                poll_interval=1,
                cancel_check=lambda: not requeued and _last_beat(path) not in (first, None),
            )
            return
    raise UserError(f"{_refusal(lock, path, job_path, what)}: wait, or end it")


def _is_of_this_machine(lock: SoftFileLease) -> bool:
    """Whether the holder is of this machine, so that filelock knows that it is alive."""
    return lock.owner is not None and lock.owner.hostname == socket.gethostname()


def _last_beat(path: Path) -> float | None:
    with suppress(OSError):
        return path.stat().st_mtime
    return None


def _refusal(lock: SoftFileLease, path: Path, job_path: Path, what: str) -> str:
    owner, beat, job = lock.owner, _last_beat(path), ""
    with suppress(OSError):
        job = job_path.read_text(errors="replace").strip()
    parts = [f"process {owner.pid} on {owner.hostname.partition('?')[0]}"] if owner else []
    parts += [f"SLURM job {job}"] if job else []
    parts += [f"last heartbeat {max(0.0, time.time() - beat):.0f} s ago"] if beat else []
    return f"{what} is in use by another process ({', '.join(parts)})"
