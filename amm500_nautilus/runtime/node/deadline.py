"""When a run ends: so long after it began to quote, and at the same moment after a restart."""

import json
from pathlib import Path
from typing import Protocol

from amm500_nautilus.monitor.journal import load_saved


NAME = "run.end"
NS = 1_000_000_000
# a run whose end passed this long ago was not restarted: it is begun anew
GRACE_NS = 600 * NS


def is_kept(end_ns: int, now_ns: int, duration_s: float) -> bool:
    """Return whether the end of an earlier run still holds: one that passed long ago, or that another clock wrote, does not."""
    return now_ns - GRACE_NS <= end_ns <= now_ns + int(duration_s * NS)


class Keeper(Protocol):
    """The part of ``Journal`` that is used."""

    path: Path

    def save(self, name: str, ts_ns: int, value: bytes) -> bool:
        """Keep the newest bytes under a name."""
        ...


class Deadline:
    """
    The end of one run.

    Parameters
    ----------
    keeper : Keeper
        The journal, open.
    config_hash : str
        The run file's digest: another file's end is not ours.
    duration_s : float
        How long it is to run.
    now_ns : int
        Wall time, UTC ns.

    """

    def __init__(self, keeper: Keeper, *, config_hash: str, duration_s: float, now_ns: int) -> None:
        self._keeper = keeper
        self._config_hash = config_hash
        self._duration_ns = int(duration_s * NS)
        kept = self._kept()
        is_ours = kept is not None and is_kept(kept, now_ns, duration_s)
        self.end_ns: int | None = kept if is_ours else None
        # the end is that of a run before this
        self.is_restored = is_ours

    def left_s(self, now_ns: int) -> float:
        """Return the seconds left, 0 when it is over."""
        end = now_ns + self._duration_ns if self.end_ns is None else self.end_ns
        return max(0.0, (end - now_ns) / NS)

    def begin(self, now_ns: int) -> float:
        """Count from now on, unless an earlier run's end holds; journal the end and return the seconds left."""
        if self.end_ns is None:
            self.end_ns = now_ns + self._duration_ns
        self._save(now_ns, self.end_ns)
        return self.left_s(now_ns)

    def done(self, now_ns: int) -> None:
        """Note that the run has had its time: the next one counts anew."""
        self._save(now_ns, None)

    def _save(self, now_ns: int, end_ns: int | None) -> None:
        text = json.dumps({"end_ns": end_ns, "config_hash": self._config_hash})
        self._keeper.save(NAME, now_ns, text.encode())

    def _kept(self) -> int | None:
        found = load_saved(self._keeper.path).get(NAME)
        if found is None:
            return None
        said = json.loads(found[1])
        return said["end_ns"] if said["config_hash"] == self._config_hash else None
