"""Stopping on request: SIGTERM and SIGINT let the step end, so that the run can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """`signal` is the number of the signal that asked this process to stop, 0 without one."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, _REPEATED[number])


_DEFAULT = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
# who presses Ctrl-C twice does not want to wait; launchers send SIGTERM twice and do
_REPEATED = {signal.SIGTERM: signal.SIG_IGN, signal.SIGINT: signal.default_int_handler}


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Signals of `SIGNALS` in the block are noted instead of ending the process.

    Those that somebody else handles already, such as a cluster's launcher, stay theirs.
    """
    request = StopRequest()
    taken = []
    if threading.current_thread() is threading.main_thread():
        taken = [n for n in SIGNALS if signal.getsignal(n) == _DEFAULT[n]]
    for number in taken:
        signal.signal(number, request)
    try:
        yield request
    finally:
        for number in taken:
            signal.signal(number, _DEFAULT[number])
