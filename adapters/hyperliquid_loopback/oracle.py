"""What a market is worth: oracle, mark, premium and funding, open interest and the day's volume."""

from collections import deque
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from statistics import median
from typing import Final

from amm500_nautilus.margin.funding import IMPACT_NOTIONAL
from amm500_nautilus.margin.funding import SAMPLE_SECONDS
from amm500_nautilus.margin.funding import FundingTerms
from amm500_nautilus.margin.funding import average_premium
from amm500_nautilus.margin.funding import hip3_premium
from amm500_nautilus.margin.funding import hourly_rate
from amm500_nautilus.margin.funding import validator_premium
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.precision import tick_at
from hyperliquid_loopback.book import Book
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.types import number


# the venue's docs, HIP-3 deployer actions, setOracle
ORACLE_STALE_MS: Final = 10_000
ORACLE_MIN_GAP_MS: Final = 2_500
MARK_CLAMP: Final = Decimal("0.01")
DAY_CLAMP: Final = 10
# a stale mark follows the book at the pace that updates are allowed at
LOCAL_MARK_MS: Final = ORACLE_MIN_GAP_MS
SAMPLE_MS: Final = SAMPLE_SECONDS * 1_000
DAY_MS: Final = 86_400_000
VOLUME_BUCKET_MS: Final = 60_000
PREMIUM_STEP: Final = Decimal("0.0000000001")
# km's deployer set about 5 % a year: protocol, headline 7 (recorded contexts of 2026-05-30)
KM_TERMS: Final = FundingTerms(interest=Decimal("0.0000456624"))


@dataclass(slots=True)
class MarketState:
    """
    The figures of one coin beside its book.

    Parameters
    ----------
    coin : str
        Market.
    sz_decimals : int
        Decimals of sizes.
    terms : FundingTerms
        What decides its funding.
    open_interest : Decimal
        Contracts held long by everybody.

    """

    coin: str
    sz_decimals: int
    terms: FundingTerms = field(default_factory=FundingTerms)
    open_interest: Decimal = ZERO
    oracle: Decimal | None = None
    mark: Decimal | None = None
    oracle_ms: int = 0
    mark_ms: int = 0
    deployer_marks: tuple[Decimal, ...] = ()
    previous_day: Decimal | None = None
    samples: list[Decimal] = field(default_factory=list)
    last_sample_ms: int = 0
    halted: bool = False
    at_cap: bool = False
    # prices of before the start, which the first real update replaces whatever the distance
    seeded: bool = False
    _day: int = -1
    _day_open: Decimal | None = None
    _day_open_mark: Decimal | None = None
    _volume: deque[tuple[int, Decimal, Decimal]] = field(default_factory=deque)

    @property
    def reference(self) -> Decimal | None:
        """The price that orders are measured against: the mark, else the oracle, else None."""
        return self.mark if self.mark is not None else self.oracle

    def local_mark(self, book: Book) -> Decimal | None:
        """
        Return the median of best bid, best ask and last trade, of those that there are; None when there is none.

        Source: the venue's docs, HIP-3 deployer actions.
        """
        parts = [price for price in (book.bids.best, book.asks.best, book.last_trade) if price is not None]
        return median(parts) if parts else None

    def seed(self, price: Decimal) -> None:
        """Begin with the last price of before the start as oracle and mark."""
        self.oracle = self.mark = price
        self.seeded = True

    def set_oracle(
        self, price: Decimal, book: Book, now_ms: int, marks: tuple[Decimal, ...] | None = None
    ) -> bool:
        """
        Take a deployer's update in and move the mark; return whether anything changed.

        An update less than 2.5 s after the one before is not taken, and returns False.

        Parameters
        ----------
        price : Decimal
            The oracle price.
        book : Book
            For the local mark.
        now_ms : int
            Venue time.
        marks : tuple of Decimal or None
            Up to two mark prices of the deployer; None keeps it at the local mark alone.

        """
        if self.oracle is not None and not self.seeded and now_ms - self.oracle_ms < ORACLE_MIN_GAP_MS:
            return False
        before = (self.oracle, self.mark)
        if self.seeded:
            self.oracle = self.mark = None
            self.seeded = False
        self._start_day(now_ms, price)
        self.oracle = self._within_day(price, self._day_open)
        self.oracle_ms = now_ms
        self.deployer_marks = marks or ()
        inputs = [*self.deployer_marks]
        local = self.local_mark(book)
        if local is not None:
            inputs.append(local)
        self._move_mark(median(inputs) if inputs else self.oracle, now_ms)
        return before != (self.oracle, self.mark)

    def refresh_stale(self, book: Book, now_ms: int) -> bool:
        """Let the mark follow the local one while the oracle is older than 10 s; return whether it moved."""
        if self.oracle is None or self.seeded or now_ms - self.oracle_ms <= ORACLE_STALE_MS:
            return False
        local = self.local_mark(book)
        if local is None or now_ms - self.mark_ms < LOCAL_MARK_MS:
            return False
        before = self.mark
        self._move_mark(local, now_ms)
        return self.mark != before

    def premium(self, book: Book) -> Decimal | None:
        """Return the premium at this moment; None without an oracle or with too thin a book."""
        bid = book.impact_price(1, IMPACT_NOTIONAL)
        ask = book.impact_price(-1, IMPACT_NOTIONAL)
        if self.oracle is None or bid is None or ask is None or bid > ask:
            return None
        rule = hip3_premium if split_coin(self.coin)[0] else validator_premium
        return rule(impact_bid=bid, impact_ask=ask, oracle_price=self.oracle)

    def sample(self, book: Book, now_ms: int) -> None:
        """Take a premium sample when five seconds have passed since the last."""
        if now_ms - self.last_sample_ms < SAMPLE_MS:
            return
        self.last_sample_ms = now_ms
        premium = self.premium(book)
        if premium is not None:
            self.samples.append(premium)

    def average(self) -> Decimal:
        """Return the mean premium of the hour so far; 0 without a sample, so that the rate is the interest's."""
        return average_premium(self.samples) if self.samples else ZERO

    def funding_rate(self) -> Decimal:
        """Return the hourly rate that the samples so far lead to."""
        return hourly_rate(self.average(), self.terms)

    def end_hour(self) -> tuple[Decimal, Decimal]:
        """Return the hour's rate and mean premium, and begin a new hour."""
        rate, premium = self.funding_rate(), self.average()
        self.samples.clear()
        return rate, premium

    def traded(self, price: Decimal, size: Decimal, now_ms: int) -> None:
        """Count a trade into the volume of the last 24 hours."""
        bucket = now_ms - now_ms % VOLUME_BUCKET_MS
        if self._volume and self._volume[-1][0] == bucket:
            _, notional, base = self._volume.pop()
            self._volume.append((bucket, notional + price * size, base + size))
        else:
            self._volume.append((bucket, price * size, size))

    def day_volume(self, now_ms: int) -> tuple[Decimal, Decimal]:
        """Return the notional and the contracts traded in the last 24 hours."""
        while self._volume and self._volume[0][0] <= now_ms - DAY_MS:
            self._volume.popleft()
        return (
            sum((row[1] for row in self._volume), ZERO),
            sum((row[2] for row in self._volume), ZERO),
        )

    def context(self, book: Book, now_ms: int) -> Json:
        """Return the ``ctx`` of ``metaAndAssetCtxs`` and ``activeAssetCtx``; what is not known yet is null."""
        premium = self.premium(book)
        impact = [book.impact_price(side, IMPACT_NOTIONAL) for side in (1, -1)]
        notional, base = self.day_volume(now_ms)
        mid = book.mid if book.mid is not None else book.last_trade
        return {
            "funding": number(self.funding_rate()),
            "openInterest": number(self.open_interest),
            "prevDayPx": number(self.previous_day or self.oracle or ZERO),
            "dayNtlVlm": number(notional),
            "premium": None if premium is None else number(premium.quantize(PREMIUM_STEP)),
            "oraclePx": number(self.oracle or ZERO),
            "markPx": number(self.mark or self.oracle or ZERO),
            "midPx": None if mid is None else number(mid),
            "impactPxs": None
            if None in impact
            else [self._impact_text(price) for price in impact if price is not None],
            "dayBaseVlm": number(base),
        }

    def _impact_text(self, price: Decimal) -> str:
        # one decimal more than the book's prices, as recorded: 752.453 beside a tick of 0.01
        return number(price.quantize(tick_at(price, self.sz_decimals) / 10))

    def _move_mark(self, price: Decimal, now_ms: int) -> None:
        if self.mark is not None:
            step = self.mark * MARK_CLAMP
            price = max(self.mark - step, min(self.mark + step, price))
        if self._day_open_mark is None:
            self._day_open_mark = price
        price = self._within_day(price, self._day_open_mark)
        # the venue shows no finer mark than the coin's decimals allow
        self.mark = price.quantize(Decimal(1).scaleb(-(6 - self.sz_decimals)))
        self.mark_ms = now_ms

    def _start_day(self, now_ms: int, price: Decimal) -> None:
        day = now_ms // DAY_MS
        if day == self._day:
            return
        if self._day >= 0:
            self.previous_day = self.mark
        elif self.previous_day is None:
            self.previous_day = price
        self._day = day
        self._day_open = price if self.oracle is None else self.oracle
        self._day_open_mark = self.mark

    @staticmethod
    def _within_day(price: Decimal, day_open: Decimal | None) -> Decimal:
        if day_open is None:
            return price
        return max(day_open / DAY_CLAMP, min(day_open * DAY_CLAMP, price))
