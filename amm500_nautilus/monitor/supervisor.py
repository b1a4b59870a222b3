"""
Keep a node running: watch its sign of life, kill one that hangs, see its orders gone, start it again, and know when to stop.

Nothing here imports the venue's adapter: what is done to an account without a node comes as a ``Rescue``.
"""

import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.monitor.heartbeat import ENDED
from amm500_nautilus.monitor.heartbeat import OPENING
from amm500_nautilus.monitor.supervisor_child import Child
from amm500_nautilus.monitor.supervisor_child import Command
from amm500_nautilus.monitor.supervisor_child import exit_words


NS = 1_000_000_000
DONE, FAILED, BAD_CONFIG, HALTED, UNREACHABLE = 0, 1, 2, 3, 4
HOLD, FLATTEN = "hold", "flatten"
# a node that is told to stop before it has come up: interrupted, or ended by the signal itself
NOT_UP_YET = (130, -signal.SIGTERM)


class UnseenError(MonitorError):
    """The venue does not answer: what rests there is not known."""


class RescueError(MonitorError):
    """The venue answers and does not do what is asked, for example because it refuses the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperviseSettings:
    """
    When a node counts as hung, and what a crash leads to.

    Parameters
    ----------
    silence_secs : float, default 10
        Without a sign of life for so long a node that runs is killed.
    start_secs : float, default 150
        The time a node has until it runs.
    end_secs : float, default 180
        The time a node has to write its report after its loop has ended.
    stop_secs : float, default 120
        The time a node has to end in good order when it is told to.
    crashes : int, default 5
        With so many within the window it is not started again.
    window_secs : float, default 3600
        The time that crashes are counted in.
    pause_secs, max_pause_secs : float, default 1 and 60
        The time before a restart, twice as long each time; and between two tries to see the venue.
    check_secs : float, default 60
        How long a clean end waits for a venue that does not answer to say that nothing rests.
    on_give_up : {"hold", "flatten"}, default "hold"
        What becomes of the position then.
    poll_secs : float, default 0.1
        How often the process is looked at.

    """

    silence_secs: float = 10.0
    start_secs: float = 150.0
    end_secs: float = 180.0
    stop_secs: float = 120.0
    crashes: int = 5
    window_secs: float = 3_600.0
    pause_secs: float = 1.0
    max_pause_secs: float = 60.0
    check_secs: float = 60.0
    on_give_up: str = HOLD
    poll_secs: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What is left of an account after a look: own orders found and left resting, strangers' orders, the position if it was read."""

    found: int = 0
    left: int = 0
    foreign: int = 0
    position: Decimal | None = None
    words: str = ""


class Rescue(Protocol):
    """What can be done to an account without a node; each raises UnseenError or RescueError."""

    @property
    def outlives(self) -> bool:
        """Whether orders outlive their node at all; a simulated account has none that do."""

    def cancel(self) -> Swept:
        """Cancel what is ours, and look until nothing of it rests."""

    def flatten(self) -> Swept:
        """Cancel what is ours, and close the position."""


class Diary(Protocol):
    """Where a supervisor keeps what it did."""

    def event(self, kind: str, text: str) -> None:
        """Keep a line."""

    def started(self, pid: int) -> None:
        """Keep that a node was started."""

    def ended(self, words: str) -> None:
        """Keep how that node ended."""

    def crashed(self, ts_ns: int) -> None:
        """Keep a crash: it counts also after this process was killed."""

    @property
    def crashes_ns(self) -> tuple[int, ...]:
        """The crashes that count."""

    def alert(self, kind: str, title: str, body: str) -> None:
        """Tell a person."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a node ended: its code, and whether it hung or was told to end."""

    code: int
    is_hung: bool = False

    @property
    def words(self) -> str:
        return "it hung and was killed" if self.is_hung else exit_words(self.code)


class Supervisor:
    """
    Runs a node until it has done its work, or a person is needed.

    Parameters
    ----------
    settings : SuperviseSettings
        When and how.
    command : callable
        Returns how the next node is started; its number, from 1 on, is given.
    rescue : Rescue
        What sees the orders of a dead node gone.
    diary : Diary
        Keeps what happened.
    say : callable
        Takes a line for whoever watches.
    now_ns : callable
        Wall time, UTC ns.

    """

    def __init__(
        self,
        settings: SuperviseSettings,
        command: Callable[[int], Command],
        rescue: Rescue,
        diary: Diary,
        say: Callable[[str], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._command = command
        self._rescue = rescue
        self._diary = diary
        self._say = say
        self._now_ns = now_ns
        self._child: Child | None = None
        self._told = 0
        self._number = 0
        # whether a node of this supervisor has ever come up, and whether nothing of ours is known to rest
        self._has_run = False
        self.is_clear = True

    def tell_to_stop(self) -> None:
        """Begin to stop; the second time without waiting for the node. May be called by a signal handler."""
        self._told += 1

    @property
    def child_pid(self) -> int | None:
        """The number of the node that runs now."""
        return None if self._child is None else self._child.pid

    def run(self, *, cancels_first: bool) -> int:
        """
        Run to the end and return the exit code.

        Parameters
        ----------
        cancels_first : bool
            Whether an earlier node may have left orders: they are canceled before one starts.

        """
        self.is_clear = not cancels_first or not self._rescue.outlives
        if cancels_first and not self._clear("a supervisor before this one did not end in good order"):
            return UNREACHABLE
        while not self._told:
            end = self._watch()
            code = self._after(end)
            if code is not None:
                return code
        return DONE

    # -- one node ----------------------------------------------------------------------------------------------------

    def _watch(self) -> _End:
        self._number += 1
        child = self._child = Child(self._command(self._number))
        self._diary.started(child.pid)
        self._note("start", f"node {child.pid} started")
        try:
            end = self._until_end(child)
        finally:
            # whatever happens here, no node runs unwatched
            child.kill()
            child.close()
            self._child = None
        self._diary.ended(end.words)
        self._note("end", f"node {child.pid} ended: {end.words}")
        return end

    def _until_end(self, child: Child) -> _End:
        settings = self._settings
        heard = 0
        stop_at: float | None = None
        while (code := child.poll()) is None:
            now = time.monotonic()
            if self._told > heard:
                heard = self._told
                if heard > 1:
                    self._note("kill", f"node {child.pid} is killed: told to stop twice")
                    return _End(child.kill())
                stop_at = now + settings.stop_secs
                self._note("stop", f"node {child.pid} is told to stop")
                child.tell(signal.SIGTERM)
            if stop_at is not None and now > stop_at:
                self._note("kill", f"node {child.pid} is killed: it did not stop in {settings.stop_secs:g} s")
                return _End(child.kill(asks_where=True), is_hung=True)
            allowed = self._allowed(child.state)
            if child.silence_s > allowed:
                self._note("kill", f"node {child.pid} is killed: no sign of life for {child.silence_s:.1f} s")
                return _End(child.kill(asks_where=True), is_hung=True)
            self._mark(child.state)
            time.sleep(settings.poll_secs)
        self._mark(child.state)
        return _End(code)

    def _mark(self, state: str) -> None:
        if state:
            self.is_clear = not self._rescue.outlives
            self._has_run = self._has_run or state != OPENING

    def _allowed(self, state: str) -> float:
        if state in ("", OPENING):
            return self._settings.start_secs
        return self._settings.end_secs if state == ENDED else self._settings.silence_secs

    # -- after it ----------------------------------------------------------------------------------------------------

    def _after(self, end: _End) -> int | None:
        """Return the exit code that this end leads to, None where the node is started again."""
        code = end.code
        if self._told:
            if not self._clear("the node was stopped"):
                return UNREACHABLE
            if not end.is_hung and code in NOT_UP_YET and self._told == 1:
                return DONE
            return code if code in (DONE, FAILED, BAD_CONFIG, HALTED, UNREACHABLE) else FAILED
        is_crash = end.is_hung or code < 0 or code == FAILED
        if code == UNREACHABLE and self._number > 1:
            # at a restart the venue may be away for a while, as the node that crashed perhaps noticed first
            is_crash = True
        if is_crash:
            return self._crashed(end)
        if code in (DONE, HALTED):
            return code if self._clear(f"the node ended with {end.words}") else UNREACHABLE
        why = f"the node ended with {end.words}"
        if self._has_run:
            return self._given_up(why, code)
        # it did not come up: if it had not even begun to, there is nothing to look at
        return code if self.is_clear or self._clear(why, patience=self._settings.check_secs) else UNREACHABLE

    def _crashed(self, end: _End) -> int | None:
        settings, now_ns = self._settings, self._now_ns()
        self._diary.crashed(now_ns)
        since = now_ns - int(settings.window_secs * NS)
        count = sum(ts_ns > since for ts_ns in self._diary.crashes_ns)
        if count >= settings.crashes:
            code = UNREACHABLE if end.code == UNREACHABLE else FAILED
            return self._given_up(
                f"crash {count} within {settings.window_secs / 60:g} min: {end.words}", code
            )
        # where the key is refused the next node, with its own, takes its orders up again: leaving it down would leave them alone
        is_clear = self._clear(f"the node crashed: {end.words}", goes_on=True)
        if self._told:
            return FAILED if is_clear else UNREACHABLE
        pause = min(settings.max_pause_secs, settings.pause_secs * 2 ** (count - 1))
        text = f"crash {count} of {settings.crashes} within {settings.window_secs / 60:g} min ({end.words})"
        self._note("restart", f"{text}; the node starts again in {pause:g} s")
        self._diary.alert("supervisor_restart", "notice: the node crashed and is started again", text)
        self._wait(pause)
        return FAILED if self._told else None

    def _given_up(self, why: str, code: int) -> int:
        on_give_up = self._settings.on_give_up
        lines = [f"{why}; it is not started again"]
        is_clear = self._clear(why)
        if is_clear and on_give_up == FLATTEN and self._rescue.outlives:
            is_clear, text = self._flatten()
            lines.append(text)
        elif self._rescue.outlives:
            lines.append("the position is held" if is_clear else "it is not known whether orders rest")
        self._note("give_up", "; ".join(lines))
        self._diary.alert("supervisor_give_up", "ACT NOW: the node is given up", "\n".join(lines))
        return code if is_clear else UNREACHABLE

    def _flatten(self) -> tuple[bool, str]:
        try:
            swept = self._rescue.flatten()
        except MonitorError as error:
            return False, f"the position was not closed: {error}"
        return swept.position == 0, swept.words

    # -- the account without a node ----------------------------------------------------------------------------------

    def _clear(self, why: str, *, goes_on: bool = False, patience: float = math.inf) -> bool:
        """
        See that nothing of ours rests; False where that is not known and nothing can be done about it here.

        A venue that does not answer is asked until it does: while orders cannot be seen no node is started and none is left. Told
        to stop, it is asked for ``check_secs`` more, and never for longer than ``patience`` seconds. A venue that refuses is not asked
        again: True where it ``goes_on`` all the same.
        """
        settings = self._settings
        if not self._rescue.outlives:
            return True
        began, pause, tries = time.monotonic(), settings.pause_secs, 0
        until = began + patience
        while True:
            tries += 1
            try:
                swept = self._rescue.cancel()
            except UnseenError as error:
                reason = str(error)
            except MonitorError as error:
                self._note("cancel", f"{why}; not canceled directly: {error}")
                self._diary.alert("supervisor_cancel", "ACT NOW: orders may rest without a node", str(error))
                return goes_on and not self._told
            else:
                if not swept.left:
                    took = time.monotonic() - began
                    self._note("cancel", f"{why}; {swept.words} ({took:.1f} s)")
                    self.is_clear = True
                    return True
                reason = swept.words
            self._note("cancel", f"{why}; try {tries}: {reason}")
            if tries == 2:
                self._diary.alert("supervisor_cancel", "ACT NOW: orders may rest without a node", reason)
            now = time.monotonic()
            if self._told:
                until = min(until, now + settings.check_secs)
            if now > until or self._told > 2:
                self._note("cancel", f"not known to be clear after {now - began:.1f} s: {reason}")
                return False
            self._wait(min(pause, max(0.0, until - now)), is_stubborn=bool(self._told))
            pause = min(settings.max_pause_secs, 2 * pause)

    def _wait(self, seconds: float, *, is_stubborn: bool = False) -> None:
        """Wait; being told to stop ends it, unless that is known already."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and (is_stubborn or not self._told):
            time.sleep(min(self._settings.poll_secs, max(0.0, until - time.monotonic())))

    def _note(self, kind: str, text: str) -> None:
        self._diary.event(f"supervisor_{kind}", text)
        self._say(text)
