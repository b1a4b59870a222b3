"""How long quotes rested, on which sides, how wide, and why not; in session time only."""

from collections.abc import Iterable
from collections.abc import Sequence

from amm500_nautilus.quoting.types import QuoteSample


NS_PER_SECOND = 1_000_000_000
BPS = 1e4
# more kinds of state than this within a minute only happen when reasons carry numbers; the table is then restarted
MAX_KINDS = 256


def merge_sessions(sessions: Iterable[tuple[int, int]], start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """
    Return the sessions clipped to the data, touching ones joined, in order.

    Sessions that touch are one: a market that never closes has a single session, however its days were listed.
    """
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(sessions):
        begin, end = max(begin, start_ns), min(end, end_ns)
        if end <= begin:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


class UptimeMeter:
    """
    Attribute session time to what rested.

    The time from one sample to the next belongs to the first of them; time before the first sample, and time outside
    sessions, is nobody's: the former counts as not quoted with the reason ``no_decision``, the latter not at all.

    Parameters
    ----------
    sessions : Sequence[tuple[int, int]]
        Non-overlapping ``[open, close)`` in UTC ns, in order.
    band_bps : float
        The farthest a best quote may be from the mid, in bp, to count as within the band where the sample's factors name no
        ``base_max_bps``.

    """

    __slots__ = (
        "_ask",
        "_band_bps",
        "_bid",
        "_bucket",
        "_buckets",
        "_close",
        "_index",
        "_last_ns",
        "_open",
        "_reasons",
        "_sessions",
        "_spread_bps",
        "_state",
        "_two",
        "last",
        "quoted_ns",
        "session_ns",
        "spread_bps_ns",
        "two_sided_ns",
    )

    def __init__(self, sessions: Sequence[tuple[int, int]], band_bps: float = 50.0) -> None:
        self._sessions = list(sessions)
        self._band_bps = band_bps
        self._index = 0
        self._open, self._close = self._sessions[0] if self._sessions else (0, 0)
        self._last_ns = self._open
        self._state = "starting"
        self._reasons: tuple[str, ...] = ("no_decision",)
        self._bid = False
        self._ask = False
        self._two = False
        self._spread_bps = 0.0
        # key -> [ns, spread bp x ns]
        self._buckets: dict[tuple[str, str, str, bool], list[float]] = {}
        self._bucket = self._bucket_of()
        self.last: QuoteSample | None = None
        self.session_ns = 0
        self.quoted_ns = 0
        self.two_sided_ns = 0
        self.spread_bps_ns = 0.0

    @property
    def session_index(self) -> int:
        """The current session, or the next one inside a gap; the number of sessions after the last."""
        return self._index

    def on_sample(self, sample: QuoteSample) -> None:
        """Take what rests from ``sample.ts_ns`` on; about a microsecond."""
        ts_ns = sample.ts_ns
        if ts_ns >= self._close or self._last_ns < self._open:
            self.advance(ts_ns)
        elif ts_ns > self._last_ns:
            elapsed = ts_ns - self._last_ns
            bucket = self._bucket
            bucket[0] += elapsed
            bucket[1] += elapsed * self._spread_bps
            self._last_ns = ts_ns
        self.last = sample
        bid = sample.bid_ticks
        ask = sample.ask_ticks
        has_bid = bid is not None
        has_ask = ask is not None
        two = False
        mid = sample.mid_ticks
        if bid is not None and ask is not None and mid > 0:
            reach = mid * sample.factors.get("base_max_bps", self._band_bps) / BPS
            two = mid - bid <= reach and ask - mid <= reach
            self._spread_bps = (ask - bid) / mid * BPS if two else 0.0
        else:
            self._spread_bps = 0.0
        if (
            two is not self._two
            or has_bid is not self._bid
            or has_ask is not self._ask
            or sample.reasons != self._reasons
            or sample.state is not self._state
        ):
            self._two, self._bid, self._ask = two, has_bid, has_ask
            self._state, self._reasons = sample.state, sample.reasons
            self._bucket = self._bucket_of()

    def advance(self, ts_ns: int) -> None:
        """Attribute session time up to ``ts_ns`` to the last sample; time never runs back."""
        while self._index < len(self._sessions) and ts_ns > self._last_ns:
            begin = max(self._last_ns, self._open)
            end = min(ts_ns, self._close)
            if end > begin:
                self._bucket[0] += end - begin
                self._bucket[1] += (end - begin) * self._spread_bps
            if ts_ns < self._close:
                break
            self._last_ns = max(self._last_ns, self._close)
            self._index += 1
            if self._index < len(self._sessions):
                self._open, self._close = self._sessions[self._index]
        self._last_ns = max(self._last_ns, ts_ns)

    def drain(self, ts_ns: int) -> list[dict[str, object]]:
        """
        Advance to ``ts_ns``, add to the totals, and return what filled the time since the last call.

        Each row has ``state``, ``reasons`` (joined by ``|``), ``sides`` (``none``, ``bid``, ``ask`` or ``both``),
        ``two_sided`` and ``seconds``; no row has zero seconds.
        """
        self.advance(ts_ns)
        rows: list[dict[str, object]] = []
        for (state, reasons, sides, two), bucket in self._buckets.items():
            held = int(bucket[0])
            if held:
                self.session_ns += held
                if sides != "none":
                    self.quoted_ns += held
                if two:
                    self.two_sided_ns += held
                    self.spread_bps_ns += bucket[1]
                rows.append(
                    {
                        "state": state,
                        "reasons": reasons,
                        "sides": sides,
                        "two_sided": int(two),
                        "seconds": held / NS_PER_SECOND,
                    }
                )
                bucket[0] = 0
                bucket[1] = 0.0
        if len(self._buckets) > MAX_KINDS:
            self._buckets.clear()
            self._bucket = self._bucket_of()
        return rows

    def _bucket_of(self) -> list[float]:
        sides = ("both" if self._ask else "bid") if self._bid else ("ask" if self._ask else "none")
        return self._buckets.setdefault(
            (str(self._state), "|".join(self._reasons), sides, self._two), [0, 0.0]
        )
