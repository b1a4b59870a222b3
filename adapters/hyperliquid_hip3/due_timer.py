"""One timer for work that has a due time which moves."""

import asyncio
from collections.abc import Callable
from typing import Final


NS_PER_S: Final = 1_000_000_000


class DueTimer:
    """
    Rings when something is due; thirty commands in a row that put the time off need no thirty timers.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The loop to ring in.
    due_at : Callable[[], int | None]
        When something is due, in ns of ``monotonic_ns``; None for nothing.
    ring : Callable[[], None]
        The work. It is called in a turn of its own, never inside ``look``.
    monotonic_ns : Callable[[], int]
        A clock that never goes back.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        due_at: Callable[[], int | None],
        ring: Callable[[], None],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._due_at = due_at
        self._ring = ring
        self._monotonic_ns = monotonic_ns
        self._handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._set_ns = 0
        self._is_over = False

    def look(self) -> None:
        """Take note that the due time may have changed."""
        due = None if self._is_over else self._due_at()
        if due is None:
            self.clear()
            return
        if self._handle is not None:
            if self._set_ns <= due:
                # it looks again when it rings
                return
            self._handle.cancel()
        self._set_ns = due
        delay = due - self._monotonic_ns()
        if delay <= 0:
            self._handle = self._loop.call_soon(self._on_time)
        else:
            self._handle = self._loop.call_later(delay / NS_PER_S, self._on_time)

    def clear(self) -> None:
        """Drop what is set: it does not ring before the next look."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def end(self) -> None:
        """Never ring again."""
        self._is_over = True
        self.clear()

    def _on_time(self) -> None:
        self._handle = None
        due = None if self._is_over else self._due_at()
        if due is None:
            return
        if due > self._monotonic_ns():
            self.look()
        else:
            self._ring()
