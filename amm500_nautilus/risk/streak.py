"""Losing closes in a row, and how many of them chance alone would bring."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple


NS_PER_SECOND = 1_000_000_000


class Close(NamedTuple):
    """One finished close: its result net of fees and the value closed, in collateral units."""

    ts_ns: int
    net: float
    value: float


class LosingStreak:
    """
    Count losing closes in a row.

    All closing fills of one side within the window count as one close, net of their fees, since fills cluster. A close is judged
    once its window has passed or a fill of the other side has come.

    Parameters
    ----------
    window_secs : float
        Time from the first fill of a close to its last; 0 counts every fill by itself.

    """

    def __init__(self, window_secs: float) -> None:
        self._window_ns = int(window_secs * NS_PER_SECOND)
        self._open: list[float] | None = None
        self.losses = 0
        self.lost = 0.0

    def on_fill(
        self,
        ts_ns: int,
        side: int,
        *,
        lots: int,
        position_before: int,
        value: float,
        closed_pnl: float,
        fee: float,
    ) -> Close | None:
        """
        Take a fill and return the close that it completed, if any.

        Parameters
        ----------
        ts_ns : int
            Time of the fill.
        side : int
            1 bought, -1 sold.
        lots, position_before : int
            Size, and the signed position before it; an opening fill changes nothing.
        value, closed_pnl, fee : float
            Value of the fill, its realised PnL before the fee, and the fee; a fill through zero bears its closing part of the fee.

        """
        if position_before * side >= 0:
            return None
        share = min(lots, abs(position_before)) / lots
        net = closed_pnl - fee * share
        done: Close | None = None
        current = self._open
        if current is not None and (current[1] != side or ts_ns - current[0] > self._window_ns):
            done = self._finish()
            current = None
        if current is None:
            self._open = [ts_ns, side, net, value * share]
        else:
            current[2] += net
            current[3] += value * share
        if not self._window_ns:
            return self._finish()
        return done

    def advance(self, ts_ns: int) -> Close | None:
        """Return the close whose window has passed by now, if there is one."""
        current = self._open
        if current is None or ts_ns - current[0] <= self._window_ns:
            return None
        return self._finish()

    def _finish(self) -> Close | None:
        current = self._open
        if current is None:
            return None
        self._open = None
        net = current[2]
        if net < 0:
            self.losses += 1
            self.lost -= net
        else:
            self.reset()
        return Close(int(current[0]), net, current[3])

    def reset(self) -> None:
        """Begin to count anew."""
        self.losses = 0
        self.lost = 0.0

    def save(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"open": self._open, "losses": self.losses, "lost": self.lost}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what ``save`` returned."""
        current = state["open"]
        self._open = None if current is None else [int(current[0]), int(current[1]), *map(float, current[2:])]
        self.losses = int(state["losses"])
        self.lost = float(state["lost"])


def chance_of_run(closes: int, length: int, losing_share: float) -> float:
    """
    Return the chance of at least one run of ``length`` losers among independent closes.

    Exact, by following the length of the run at the end. 1,000 closes with half of them losers bring a run of ten with 38.5 %.

    Parameters
    ----------
    closes : int
        Number of closes.
    length : int
        Length of the run.
    losing_share : float
        Share of closes that lose.

    """
    _check_runs(closes, length, losing_share)
    if closes < length:
        return 0.0
    win = 1 - losing_share
    # safe[n]: no run within n closes; the first win comes after k < length losers, and the rest is safe by itself
    weights = [losing_share**k * win for k in range(length)]
    safe = [1.0] * length
    for _ in range(closes - length + 1):
        recent = sum(weight * value for weight, value in zip(weights, reversed(safe), strict=True))
        safe.append(recent)
        del safe[0]
    return min(1.0, max(0.0, 1.0 - safe[-1]))


def expected_runs(closes: int, losing_share: float, longest: int) -> tuple[float, ...]:
    """
    Return how many unbroken runs of exactly 1, 2, ... ``longest`` losers chance brings.

    Runs of ``k`` or more begin at the first close or after a win: ``p^k (1 + (n - k) (1 - p))`` of them.

    Parameters
    ----------
    closes : int
        Number of closes.
    losing_share : float
        Share of closes that lose.
    longest : int
        Longest run asked for.

    """
    _check_runs(closes, longest, losing_share)

    def at_least(length: int) -> float:
        if length > closes:
            return 0.0
        return losing_share**length * (1 + (closes - length) * (1 - losing_share))

    return tuple(at_least(length) - at_least(length + 1) for length in range(1, longest + 1))


def _check_runs(closes: int, length: int, losing_share: float) -> None:
    if closes < 0 or length < 1 or not 0 <= losing_share <= 1:
        msg = (
            f"closes {closes}, length {length}, losing_share {losing_share}: "
            "allowed are 0 or more, 1 or more, and 0 to 1"
        )
        raise ValueError(msg)
