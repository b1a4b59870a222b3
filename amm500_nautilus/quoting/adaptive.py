"""The adaptive mode: how boldly to quote, given what recent fills realised."""

from typing import Any

from amm500_nautilus.quoting.config import AdaptiveConfig
from amm500_nautilus.quoting.config import ModeRow


def mode_for(realised_bps: float | None, config: AdaptiveConfig) -> ModeRow:
    """Return the row that holds a realised spread; the start mode without one."""
    if realised_bps is None or not config.enabled:
        return next(row for row in config.rows if row.name == config.start_mode)
    return next(row for row in config.rows if realised_bps < row.below_bps or row is config.rows[-1])


class ModeKeeper:
    """Hold a mode for at least its dwell time."""

    def __init__(self, config: AdaptiveConfig) -> None:
        self._config = config
        self._start = self.row = mode_for(None, config)
        self._since_ns = 0

    def update(self, ts_ns: int, realised_bps: float | None) -> ModeRow:
        """Return the mode now; a change waits until the present mode has lasted ``dwell_secs``."""
        wanted = self._start if realised_bps is None else mode_for(realised_bps, self._config)
        if wanted is not self.row and ts_ns - self._since_ns >= self._config.dwell_secs * 1e9:
            self.row = wanted
            self._since_ns = ts_ns
        return self.row

    def save(self) -> dict[str, Any]:
        """Return the mode as plain values."""
        return {"mode": self.row.name, "since_ns": self._since_ns}

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned; a mode the table no longer has becomes the start mode."""
        rows = {row.name: row for row in self._config.rows}
        self.row = rows.get(state["mode"], mode_for(None, self._config))
        self._since_ns = int(state["since_ns"])
