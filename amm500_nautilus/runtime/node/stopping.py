"""SIGINT and SIGTERM of a live run: heard from before the node exists to after it has gone, and none of them lost."""

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType
from types import TracebackType
from typing import Any
from typing import Self


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """
    Calls back when the process is told to stop.

    A node sets handlers on its loop when it is made, and uvloop loses a signal that comes before the loop runs. So the signals' own
    numbers are caught in a pipe meanwhile, and then the node's handlers, which stop it at once, give way: orders are to be seen gone,
    and a position closed, by a node that runs. A second Ctrl-C interrupts without waiting.

    Parameters
    ----------
    loop : AbstractEventLoop
        The node's loop.
    stop : Callable
        Called on the main thread, each time.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        self._loop = loop
        self._stop = stop
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        """Begin to catch; what was set before is remembered."""
        self._before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        return self

    def take_over(self) -> None:
        """Put the handlers in the place of those that the node has set by now, and hear what came meanwhile."""
        for number in STOP_SIGNALS:
            # uvloop takes none away before it runs, but lets one be replaced
            self._loop.add_signal_handler(number, _nothing)
            signal.signal(number, self._on_signal)
        if self._caught():
            self._stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._caught()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._stop()
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    def _caught(self) -> bool:
        """Close the pipe and return whether a signal to stop was in it."""
        if self._pipe is None:
            return False
        (out, into), self._pipe = self._pipe, None
        signal.set_wakeup_fd(-1)
        try:
            return any(number in STOP_SIGNALS for number in os.read(out, 64))
        except BlockingIOError:
            return False
        finally:
            os.close(out)
            os.close(into)


def _nothing() -> None:
    """Stand where the node's handler stood."""
