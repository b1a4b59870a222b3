"""A node as its supervisor sees it: a process, and a sign of life that grows old."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amm500_nautilus.monitor.heartbeat import last_beat


# what the process is told of its supervisor: its number, and the pipe that ends with it
PID_VARIABLE = "AMM500_SUPERVISED"
PIPE_VARIABLE = "AMM500_SUPERVISOR_PIPE"
# the process writes where each of its threads is
WHERE = signal.SIGUSR2
WHERE_S = 0.5
# a supervisor that did not run either (a laptop's lid, SIGSTOP) must not count its own silence
LONGEST_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Command:
    """
    How a node is started.

    ``heartbeat`` is the folder of its sign of life; ``descriptors`` stay open in it under their own numbers.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    heartbeat: Path
    descriptors: Sequence[int] = ()


class Child:
    """
    A node that was started: it is told to end if this process ends, however that comes.

    Parameters
    ----------
    command : Command
        How it is started.

    Raises
    ------
    OSError
        If it cannot be started.

    """

    def __init__(self, command: Command) -> None:
        self._folder = command.heartbeat
        out, self._pipe = os.pipe()
        env = {**command.env, PID_VARIABLE: str(os.getpid()), PIPE_VARIABLE: str(out)}
        try:
            # a session of its own: Ctrl-C is for the supervisor, which hands it on
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                list(command.argv),
                env=env,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(out, *command.descriptors),
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(out)
        self._looked = time.monotonic()
        self._quiet = 0.0
        self._last: tuple[int, str] | None = None
        self.started_ns = time.time_ns()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def state(self) -> str:
        """What the last sign of life said; empty before the first."""
        return "" if self._last is None else self._last[1]

    @property
    def silence_s(self) -> float:
        """Seconds since the last sign of life, or since the start, as far as this process ran meanwhile."""
        return self._quiet

    def poll(self) -> int | None:
        """Look at it: return its exit code, a signal's number below zero, None while it runs."""
        now = time.monotonic()
        self._quiet += min(now - self._looked, LONGEST_LOOK_S)
        self._looked = now
        try:
            beat = last_beat(self._folder)
        except ValueError:
            # half a line: the next look sees the whole
            beat = None
        if beat is not None and beat.pid == self.pid and (beat.ts_ns, beat.state) != self._last:
            self._last, self._quiet = (beat.ts_ns, beat.state), 0.0
        return self._process.poll()

    def tell(self, number: int) -> None:
        """Send it a signal; one that has ended hears none."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self, *, asks_where: bool = False) -> int:
        """End it at once and return its code; ``asks_where`` lets it say first where it hangs."""
        if asks_where and self._process.poll() is None:
            self._process.send_signal(WHERE)
            try:
                return self._process.wait(WHERE_S)
            except subprocess.TimeoutExpired:
                pass
        if self._process.poll() is None:
            self._process.kill()
        return self._process.wait()

    def close(self) -> None:
        """Let go of the pipe, once it has ended."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def exit_words(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
