"""A limit on the seconds that a piece of work may take, kept even when a system call inside it never returns."""

import threading
import time
from collections.abc import Callable
from typing import Any

from amm500_catalog.errors import SourceUnavailableError


Clock = Callable[[], float]


class Deadline:
    """
    A point in time by which work must be over.

    Parameters
    ----------
    timeout_s : float
        Seconds from now.
    clock : callable, default ``time.monotonic``
        Seconds of a clock that never goes back.

    """

    def __init__(self, timeout_s: float, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + timeout_s

    def remaining(self) -> float:
        """Return the seconds left; never negative."""
        return max(0.0, self._end - self._clock())

    def check(self, what: str) -> float:
        """
        Return the seconds left.

        Raises
        ------
        SourceUnavailableError
            If none are.

        """
        left = self.remaining()
        if left <= 0:
            raise SourceUnavailableError(f"{what}: the time ran out")
        return left


def run_within[T](timeout_s: float, what: str, work: Callable[[], T]) -> T:
    """
    Return what the work returns, or give up on it after the time.

    The work runs in a daemon thread: a name lookup or a library that hangs can neither hold up the caller nor the end of the program.
    An abandoned thread must look at its own deadline between steps.

    Parameters
    ----------
    timeout_s : float
        Seconds to wait.
    what : str
        What was tried, the beginning of the sentence.
    work : callable
        Takes nothing; its exceptions reach the caller.

    Raises
    ------
    SourceUnavailableError
        If the work is not done in time.

    """
    outcome: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as e:  # noqa: BLE001 - the top of a thread: it is raised again in the caller's
            outcome.append((None, e))

    thread = threading.Thread(target=run, daemon=True, name=f"amm500 {what}")
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise SourceUnavailableError(f"{what}: no answer within {timeout_s:g} s")
    result, error = outcome[0]
    if error is not None:
        raise error
    answer: Any = result
    return answer  # type: ignore[no-any-return]
