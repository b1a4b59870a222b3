"""Fair value: the microprice shifted by imbalance, blended with a liquid twin, guarded by the oracle."""

from math import inf
from math import log
from typing import Any

from amm500_nautilus.quoting.book import BookAnalysis
from amm500_nautilus.quoting.config import FairValueConfig
from amm500_nautilus.quoting.config import ReferenceConfig


def _clamp(value: float, limit: float) -> float:
    return limit if value > limit else max(value, -limit)


def own_fair_ticks(book: BookAnalysis, config: FairValueConfig) -> float:
    """
    Return mid, moved to the microprice and then by imbalance, each at most its cap.

    At mid 69000.5 ticks, microprice +0.3 ticks, imbalance 0.4, 0.5 bp a unit: 69000.5 + 0.3 + 0.4 * 0.5 * 6.90005 = 69002.18.
    """
    mid = book.mid_ticks
    tick_bps = mid * 1e-4
    micro = _clamp(book.microprice_ticks - mid, config.microprice_cap_bps * tick_bps)
    shift = _clamp(book.imbalance_top * config.imbalance_shift_bps, config.imbalance_cap_bps)
    return mid + micro + shift * tick_bps


class ReferenceTracker:
    """Follow a liquid twin: its microprice times a slow average of the price ratio."""

    def __init__(self, config: ReferenceConfig) -> None:
        self._config = config
        self._ts_ns = 0
        self._since_ns = 0
        self._price = 0.0
        self._ratio = 0.0
        # the last sample before a restart; 0 while there was none
        self._kept_ns = 0

    def on_reference(self, ts_ns: int, microprice: float, own_ticks: float | None) -> None:
        """Take the twin's microprice (its own units), with our own fair value in ticks when that is fresh."""
        if microprice <= 0:
            return
        if self._ts_ns == 0:
            self._resume(ts_ns)
        elapsed = (ts_ns - self._ts_ns) / 1e9
        if own_ticks is not None:
            ratio = own_ticks / microprice
            if self._ratio <= 0:
                self._ratio = ratio
                self._since_ns = ts_ns
            elif elapsed > 0:
                # a stable form of 1 - 2^(-elapsed / half-life) for steps far shorter than the half-life
                weight = elapsed * log(2.0) / self._config.ratio_half_life_secs
                self._ratio += (ratio - self._ratio) * (weight / (1 + weight))
        self._ts_ns = ts_ns
        self._price = microprice

    def _resume(self, ts_ns: int) -> None:
        """Go on with the ratio of before a restart from the first sample on, or forget one older than its half-life."""
        if ts_ns - self._kept_ns > self._config.ratio_half_life_secs * 1e9:
            self._ratio = 0.0
        self._ts_ns = ts_ns

    def blend(self, ts_ns: int, own_ticks: float) -> tuple[float, str]:
        """
        Return fair value in ticks and why the twin was dropped.

        The reason is empty when the twin was used, or was never there.
        """
        config = self._config
        if config.weight == 0 or self._ts_ns == 0:
            return own_ticks, ""
        if ts_ns - self._ts_ns > config.stale_secs * 1e9:
            return own_ticks, "reference_stale"
        if self._ratio <= 0 or ts_ns - self._since_ns < config.warmup_secs * 1e9:
            return own_ticks, "reference_warming_up"
        twin = self._price * self._ratio
        if abs(twin - own_ticks) > config.divergence_bps * 1e-4 * own_ticks:
            return own_ticks, "reference_diverged"
        return own_ticks + config.weight * (twin - own_ticks), ""

    def save(self) -> dict[str, Any]:
        """Return the ratio as plain values."""
        return {"ratio": self._ratio, "since_ns": self._since_ns, "ts_ns": self._ts_ns or self._kept_ns}

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned."""
        self._ratio = float(state["ratio"])
        self._since_ns = int(state["since_ns"])
        self._kept_ns = int(state["ts_ns"])


class Guards:
    """Say why fair value cannot be trusted: a stale book, a stale oracle, too wide a gap between the two."""

    def __init__(self, config: FairValueConfig, tick: float) -> None:
        self._config = config
        self._tick = tick
        self._book_ns = 0
        self._oracle_ns = 0
        self._changed_ns = 0
        self._oracle = 0.0
        self._mid_at_change = 0.0
        self._stale_ns = 0
        self._was_stale = False

    def on_market(self, ts_ns: int) -> None:
        """Note any book message."""
        self._book_ns = ts_ns

    def on_oracle(self, ts_ns: int, price: float, mid_ticks: float) -> None:
        """Take the oracle price (collateral units) with mid at that time (0 when unknown)."""
        ticks = price / self._tick
        if ticks != self._oracle or self._mid_at_change <= 0:
            self._oracle = ticks
            self._changed_ns = ts_ns
            self._mid_at_change = mid_ticks
        self._oracle_ns = ts_ns

    def is_book_fresh(self, ts_ns: int) -> bool:
        """Return whether a book message is young enough."""
        return self._book_ns > 0 and ts_ns - self._book_ns <= self._config.book_stale_secs * 1e9

    def ages(self, ts_ns: int, mid_ticks: float) -> tuple[float, float | None, bool]:
        """
        Return the seconds since the last book and oracle message, and whether the oracle stands still while mid moves.

        Infinite while no book has come, None while no oracle has.
        """
        book = (ts_ns - self._book_ns) * 1e-9 if self._book_ns else inf
        if not self._oracle_ns:
            return book, None, False
        return book, (ts_ns - self._oracle_ns) * 1e-9, self._is_frozen(ts_ns, mid_ticks)

    def _is_frozen(self, ts_ns: int, mid_ticks: float) -> bool:
        config = self._config
        return (
            ts_ns - self._changed_ns > config.oracle_unchanged_secs * 1e9
            and self._mid_at_change > 0
            and mid_ticks > 0
            and abs(mid_ticks - self._mid_at_change) > config.oracle_move_ticks
        )

    def reasons(self, ts_ns: int, fair_ticks: float, mid_ticks: float) -> list[str]:
        """Return the names of the guards that forbid quoting now."""
        config = self._config
        out: list[str] = []
        if not self.is_book_fresh(ts_ns):
            out.append("book_stale")
        if self._oracle > 0:
            if ts_ns - self._oracle_ns > config.oracle_silence_secs * 1e9 or self._is_frozen(
                ts_ns, mid_ticks
            ):
                out.append("oracle_stale")
            elif abs(fair_ticks - self._oracle) > config.oracle_gap_bps * 1e-4 * self._oracle:
                out.append("oracle_gap")
        if out and out != ["oracle_gap"]:
            self._was_stale = True
            self._stale_ns = ts_ns
        elif self._was_stale:
            if ts_ns - self._stale_ns < config.fresh_secs * 1e9:
                out.append("warming_up")
            else:
                self._was_stale = False
        return out
