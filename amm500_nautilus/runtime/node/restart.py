"""Whether a start goes on with a run that crashed: what that run had passed and when it was to end still hold then."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from amm500_nautilus.monitor.journal import NAME as JOURNAL
from amm500_nautilus.runtime.node.deadline import NAME as END
from amm500_nautilus.runtime.node.deadline import is_kept


CRASHED = (None, "failed")
LAST = "SELECT id, config_hash, outcome FROM run ORDER BY id DESC LIMIT 1"
GATE = "SELECT text FROM event WHERE run = ? AND kind = 'paper_gate' ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Crashed:
    """A run that ended without being told to: what the paper gate had said then, and its end (ns UTC) where it has one."""

    gate: str | None
    end_ns: int | None

    def left_s(self, now_ns: int, planned_s: float) -> float:
        """Return the seconds that are left of a run planned for so many, 0 for no end; all of them where it is begun anew."""
        if self.end_ns is None or not is_kept(self.end_ns, now_ns, planned_s):
            return planned_s
        return max(0.0, (self.end_ns - now_ns) / 1e9)


def crashed_run(state: Path, config_hash: str) -> Crashed | None:
    """Return the run of this very configuration that crashed in a state folder last; None where the last one did not."""
    path = state / "monitor" / JOURNAL
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as journal:
            last = journal.execute(LAST).fetchone()
            if last is None or last[1] != config_hash or last[2] not in CRASHED:
                return None
            gate = journal.execute(GATE, (last[0],)).fetchone()
            kept = journal.execute("SELECT value FROM saved WHERE name = ?", (END,)).fetchone()
        said = json.loads(kept[0]) if kept else {}
    except (sqlite3.Error, ValueError):
        # a damaged journal is looked at, and told of, when it is opened
        return None
    end_ns = said.get("end_ns") if said.get("config_hash") == config_hash else None
    return Crashed(gate[0] if gate else None, end_ns)
