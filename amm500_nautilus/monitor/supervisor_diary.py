"""What a supervisor keeps of what it did, in a journal of its own: the node's is checked for damage by the node alone, before it is opened."""

import json
import sqlite3
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.alerts import COOLDOWN_S
from amm500_nautilus.monitor.alerts import Alert
from amm500_nautilus.monitor.alerts import Alerter
from amm500_nautilus.monitor.alerts import Channel
from amm500_nautilus.monitor.errors import MonitorError
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.monitor.journal import load_saved
from amm500_nautilus.monitor.journal import number_of


STATE = "supervision"
KEPT_CRASHES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """What is supervised, as each row of the journal says it; ``account`` is an address."""

    name: str
    mode: str
    coin: str
    account: str
    config_hash: str
    version: str


@dataclass(frozen=True, slots=True)
class Before:
    """What the supervisor before this one left: whether it ended in good order, and the node it had then (0 for none)."""

    is_ended: bool = True
    child: int = 0


class SupervisorDiary:
    """
    Journal and alerts of one supervisor.

    Parameters
    ----------
    folder : Path
        Its journal's folder.
    about : Supervised
        What is supervised.
    channels : sequence of Channel
        Where alerts go.
    cooldown_secs : float
        Between two alerts of one kind.
    now_ns : callable
        Wall time, UTC ns.

    """

    def __init__(
        self,
        folder: Path,
        about: Supervised,
        channels: Sequence[Channel] = (),
        *,
        cooldown_secs: float = COOLDOWN_S,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.journal = Journal(folder)
        self._about = about
        self._now_ns = now_ns
        self._alerter = Alerter(channels, self._on_alert, cooldown_secs=cooldown_secs)
        self._run = self._session = 0
        self._row: dict[str, Any] = {}
        self._crashes: list[int] = []
        self._child = 0
        self._is_open = False
        self.before = Before()

    # -- life --------------------------------------------------------------------------------------------------------

    def open(self, pid: int) -> tuple[str, ...]:
        """
        Open the journal and return what a user should be told; one that cannot be used stops no supervisor.

        Crashes go on to count where the supervisor before this one was killed; a person who starts anew begins at none.
        """
        self._alerter.start()
        notes = []
        try:
            opening = self.journal.open()
            path = self.journal.path
            self._run = number_of(path, "SELECT max(id) FROM run")
            self._session = number_of(path, "SELECT max(id) FROM session") + 1
            saved = load_saved(path).get(STATE)
            self._is_open = True
        except (MonitorError, OSError, sqlite3.Error) as error:
            self.before = Before(is_ended=False)
            return (f"nothing is journaled: {error}",)
        if opening.damaged is not None:
            notes.append(
                f"the supervisor's journal was damaged ({opening.why}); it is kept as {opening.damaged.name}"
            )
            self.before = Before(is_ended=False)
        if saved is not None:
            state = json.loads(saved[1])
            self.before = Before(bool(state["ended"]), int(state["child"]))
            # a node of the one before may still be there: whoever comes next must know of it as well
            self._child = self.before.child
            if not self.before.is_ended:
                self._crashes = [int(ts_ns) for ts_ns in state["crashes_ns"]]
        self.journal.write(
            "session", id=self._session, started_ns=self._now_ns(), started_by=f"process {pid}"
        )
        self._save(is_ended=False)
        for note in notes:
            self.event("journal", note)
        return tuple(notes)

    def close(self, *, is_ended: bool = True) -> bool:
        """End, in good order or not, which the next one hears; return whether every row is on disk."""
        self._alerter.close()
        if not self._is_open:
            return False
        self._save(is_ended=is_ended)
        return self.journal.close()

    # -- what happens ------------------------------------------------------------------------------------------------

    @property
    def crashes_ns(self) -> tuple[int, ...]:
        """The crashes that count, UTC ns."""
        return tuple(self._crashes)

    def event(self, kind: str, text: str) -> None:
        """Keep a line."""
        if self._is_open:
            self.journal.write("event", ts_ns=self._now_ns(), run=self._run, kind=kind, text=text)

    def started(self, pid: int) -> None:
        """Keep that a node was started."""
        self._run += 1
        self._child = pid
        about = self._about
        self._row = {
            "id": self._run,
            "session": self._session,
            "started_ns": self._now_ns(),
            "name": about.name,
            "mode": about.mode,
            "coin": about.coin,
            "account": about.account,
            "config_hash": about.config_hash,
            "pid": pid,
            "version": about.version,
        }
        if self._is_open:
            self.journal.write("run", **self._row)
            self._save(is_ended=False)

    def ended(self, words: str) -> None:
        """Keep how that node ended."""
        self._child = 0
        if self._is_open and self._row:
            self.journal.write("run", **self._row, ended_ns=self._now_ns(), outcome=words)
            self._save(is_ended=False)

    def crashed(self, ts_ns: int) -> None:
        """Keep a crash."""
        self._crashes = [*self._crashes[-KEPT_CRASHES:], ts_ns]
        self._save(is_ended=False)

    def alert(self, kind: str, title: str, body: str) -> None:
        """Tell a person."""
        about = self._about
        self._alerter.tell(
            Alert(self._now_ns(), kind, f"{about.name} ({about.mode} {about.coin}): {title}", body)
        )

    # -- inside ------------------------------------------------------------------------------------------------------

    def _save(self, *, is_ended: bool) -> None:
        if not self._is_open:
            return
        state = {"ended": is_ended, "child": self._child, "crashes_ns": self._crashes}
        self.journal.save(STATE, self._now_ns(), json.dumps(state).encode())
        # a killed supervisor must not have forgotten which node is its own
        self.journal.flush(1.0)

    def _on_alert(self, alert: Alert, outcome: str) -> None:
        if self._is_open:
            self.journal.write("alert", run=self._run, outcome=outcome, **asdict(alert))
