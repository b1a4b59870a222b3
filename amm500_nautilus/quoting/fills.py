"""What our own fills say: realised spread, markouts, and the streak of losing closes."""

from collections import deque
from typing import Any

from amm500_nautilus.quoting.config import FadingConfig


MARKOUT_SECS = (1, 5, 30, 60)


class FillTracker:
    """
    Remember recent fills and measure them.

    A markout is ``side * (mid - price) / price`` in bps: negative when the market went on against the fill.
    """

    def __init__(self, config: FadingConfig) -> None:
        self._config = config
        self._fills: dict[int, deque[tuple[int, float, float]]] = {
            side: deque(maxlen=config.fills_kept) for side in (1, -1)
        }
        self._due: dict[int, deque[tuple[int, int, float, float]]] = {h: deque() for h in MARKOUT_SECS}
        self._next_due_ns = 1 << 63
        self._keep = 0.5 ** (1.0 / config.markout_half_life_fills)
        self._markout_sums = {h: [0.0, 0.0] for h in MARKOUT_SECS}
        self._mid = 0.0
        self._streak = 0
        self._close: tuple[int, int, float] | None = None
        self._last_close_ns = 0
        self._realised: float | None = None
        self._valid_until_ns = 0

    def on_fill(
        self,
        ts_ns: int,
        side: int,
        price_ticks: float,
        lots: float,
        closed_pnl: float = 0.0,
        fee: float = 0.0,
        *,
        closed_lots: float = 0.0,
    ) -> None:
        """
        Take a fill; ``closed_pnl`` before the fee, both in collateral units.

        ``closed_lots`` of it closed a position (0 for an opening fill) and bear their part of the fee: a close at the entry
        price loses its fee.
        """
        self._fills[side].append((ts_ns, float(price_ticks), float(lots)))
        self._valid_until_ns = 0
        for horizon, due in self._due.items():
            at = ts_ns + horizon * 1_000_000_000
            due.append((at, side, float(price_ticks), float(lots)))
            self._next_due_ns = min(self._next_due_ns, at)
        if closed_lots > 0:
            self._on_close(ts_ns, side, closed_pnl - fee * closed_lots / lots)

    def _on_close(self, ts_ns: int, side: int, net: float) -> None:
        close = self._close
        if (
            close is not None
            and close[1] == side
            and ts_ns - close[0] <= self._config.close_window_secs * 1e9
        ):
            self._close = (close[0], side, close[2] + net)
        else:
            self._settle()
            self._close = (ts_ns, side, net)
        self._last_close_ns = ts_ns

    def _settle(self) -> None:
        if self._close is not None:
            self._streak = self._streak + 1 if self._close[2] < 0 else 0
            self._close = None

    def observe(self, ts_ns: int, mid: float) -> None:
        """Take mid in ticks; markouts due before ``ts_ns`` use the mid that held until now."""
        if ts_ns > self._next_due_ns:
            self._mark(ts_ns)
        self._mid = mid

    def _mark(self, ts_ns: int) -> None:
        next_due = 1 << 63
        for horizon, due in self._due.items():
            sums = self._markout_sums[horizon]
            while due and due[0][0] < ts_ns:
                _, side, price, lots = due.popleft()
                if self._mid > 0:
                    sums[0] = sums[0] * self._keep + side * (self._mid - price) / price * 1e4 * lots
                    sums[1] = sums[1] * self._keep + lots
            if due:
                next_due = min(next_due, due[0][0])
        self._next_due_ns = next_due

    def markouts(self) -> dict[str, float]:
        """Return the running size-weighted markouts, in bps, of the horizons that have any."""
        return {f"{h}s": sums[0] / sums[1] for h, sums in self._markout_sums.items() if sums[1] > 0}

    def streak(self, ts_ns: int) -> int:
        """Return the number of losing closes in a row; 0 once the last close is too old."""
        close = self._close
        if close is not None and ts_ns - close[0] > self._config.close_window_secs * 1e9:
            self._settle()
        if ts_ns - self._last_close_ns > self._config.max_age_secs * 1e9:
            self._streak = 0
            self._close = None
        open_loss = self._close is not None and self._close[2] < 0
        return self._streak + (1 if open_loss else 0)

    def realised_spread_bps(self, ts_ns: int) -> float | None:
        """
        Return ``(VWAP of sells - VWAP of buys) / their mean`` of recent fills in bps; None with too few of either.

        Buys at 100 and sells at 99.98 give (99.98 - 100) / 99.99 = -2 bps.
        """
        if ts_ns >= self._valid_until_ns:
            self._realised = self._measure(ts_ns)
        return self._realised

    def _measure(self, ts_ns: int) -> float | None:
        max_age = int(self._config.max_age_secs * 1e9)
        oldest = ts_ns
        prices: list[float] = []
        enough = True
        for side in (1, -1):
            fills = self._fills[side]
            while fills and ts_ns - fills[0][0] > max_age:
                fills.popleft()
            if fills:
                oldest = min(oldest, fills[0][0])
            lots = sum(fill[2] for fill in fills)
            if len(fills) < self._config.min_fills or lots <= 0:
                enough = False
                continue
            prices.append(sum(fill[1] * fill[2] for fill in fills) / lots)
        self._valid_until_ns = oldest + max_age + 1
        if not enough:
            return None
        buy, sell = prices
        return (sell - buy) / ((sell + buy) / 2) * 1e4

    def fading(self, ts_ns: int) -> float:
        """Return the spread factor of the recent realised spread; 1 unless it lost more than the threshold."""
        realised = self.realised_spread_bps(ts_ns)
        if realised is None or realised >= self._config.fade_below_bps:
            return 1.0
        return min(1.0 - realised / self._config.fade_scale_bps, self._config.fade_cap)

    def losing(self, ts_ns: int) -> tuple[float, float]:
        """Return the factors of the losing streak for the first and the last half-spread."""
        if self.streak(ts_ns) >= self._config.streak:
            return self._config.streak_min, self._config.streak_max
        return 1.0, 1.0

    def save(self) -> dict[str, Any]:
        """Return fills, markouts and streak as plain values; markouts still due are dropped."""
        return {
            "buys": [list(fill) for fill in self._fills[1]],
            "sells": [list(fill) for fill in self._fills[-1]],
            "markouts": {str(h): list(sums) for h, sums in self._markout_sums.items()},
            "streak": self._streak,
            "close": list(self._close) if self._close else None,
            "last_close_ns": self._last_close_ns,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``save`` returned."""
        for side, name in ((1, "buys"), (-1, "sells")):
            self._fills[side].clear()
            self._fills[side].extend((int(ts), float(price), float(lots)) for ts, price, lots in state[name])
        self._markout_sums = {h: [float(x) for x in state["markouts"][str(h)]] for h in MARKOUT_SECS}
        self._streak = int(state["streak"])
        close = state["close"]
        self._close = (int(close[0]), int(close[1]), float(close[2])) if close else None
        self._last_close_ns = int(state["last_close_ns"])
        self._valid_until_ns = 0
