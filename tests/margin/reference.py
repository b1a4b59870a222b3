"""
The account recomputed from nothing: an oracle for every ledger of the project.

It keeps no state between questions. Each answer walks the whole history with exact fractions, and gets equity from the
flows of money alone: no average entry, no running balance.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import trunc


MICRO = 10**6


@dataclass(frozen=True, slots=True)
class Transfer:
    """Collateral that came in (positive) or left."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of ``coin``; ``side`` is 1 or -1, ``fee`` negative for a rebate."""

    coin: str
    side: int
    size: Decimal
    price: Decimal
    fee: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Funding:
    """An hour's funding of ``coin``."""

    coin: str
    oracle_price: Decimal
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Mark:
    """A new mark price."""

    coin: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Leverage:
    """A new leverage."""

    coin: str
    leverage: int


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The position of ``coin`` went with its margin; with a cross position all cross positions and the whole pot."""

    coin: str


Event = Transfer | Fill | Funding | Mark | Leverage | TakenOver


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What is fixed about a coin: its tiers as (lower bound, largest leverage), leverage and mark at the start, and mode.

    ``isolated`` covers strict isolated too: the two differ only in what may be removed by hand.
    """

    tiers: tuple[tuple[int, int], ...]
    leverage: int
    mark: Decimal
    isolated: bool = False


class Reference:
    """Answers about an account that lived through ``history``."""

    def __init__(self, terms: Mapping[str, Terms], history: Sequence[Event]) -> None:
        self.terms = dict(terms)
        self.history = tuple(history)

    # -- sums over the history ------------------------------------------------------------------------

    @property
    def transfers(self) -> Fraction:
        return _sum(event.amount for event in self.history if isinstance(event, Transfer))

    @property
    def fees(self) -> Fraction:
        return _sum(event.fee for event in self.history if isinstance(event, Fill))

    @property
    def funding(self) -> Fraction:
        return sum((amount for _, amount in self._payments()), Fraction(0))

    @property
    def trade_flow(self) -> Fraction:
        """Money got for what was sold less money paid for what was bought, fees left out."""
        return _sum(
            -event.side * event.size * event.price for event in self.history if isinstance(event, Fill)
        )

    @property
    def forfeited(self) -> Fraction:
        """The cross account values and isolated margins that went with positions taken over."""
        return sum((lost for lost, _ in self._taken()), Fraction(0))

    # -- the account now ------------------------------------------------------------------------------

    def size(self, coin: str) -> Fraction:
        total = Fraction(0)
        for event in self.history:
            if isinstance(event, Fill) and event.coin == coin:
                total += Fraction(event.side * event.size)
            elif isinstance(event, TakenOver) and self._goes_with(coin, event.coin):
                total = Fraction(0)
        return total

    def mark(self, coin: str) -> Fraction:
        marks = [event.price for event in self.history if isinstance(event, Mark) and event.coin == coin]
        return Fraction(marks[-1] if marks else self.terms[coin].mark)

    def leverage(self, coin: str) -> int:
        set_to = [
            event.leverage for event in self.history if isinstance(event, Leverage) and event.coin == coin
        ]
        return set_to[-1] if set_to else self.terms[coin].leverage

    @property
    def equity(self) -> Fraction:
        """
        Transfers, trade flow, funding and fees, plus what is open at mark, less what was forfeited.

        A position taken over left at mark: its value then stands for the flow of closing it.
        """
        open_value = sum((self.size(coin) * self.mark(coin) for coin in self.terms), Fraction(0))
        gone_value = sum((value for _, value in self._taken()), Fraction(0))
        moved = self.transfers + self.trade_flow + self.funding - self.fees
        return moved + open_value + gone_value - self.forfeited

    def isolated_margin(self, coin: str) -> Fraction:
        """The margin of an isolated position: its raw collateral plus its value."""
        return self._raw(coin) + self.size(coin) * self.mark(coin)

    @property
    def cross_value(self) -> Fraction:
        isolated = (coin for coin, terms in self.terms.items() if terms.isolated)
        return self.equity - sum((self.isolated_margin(coin) for coin in isolated), Fraction(0))

    @property
    def margin_used(self) -> Fraction:
        """Initial margin of cross positions, cut to six decimals, and the margins of isolated ones."""
        total = Fraction(0)
        for coin, terms in self.terms.items():
            if terms.isolated:
                total += self.isolated_margin(coin)
            else:
                total += _cut(self.notional(coin) / self.leverage(coin))
        return total

    def notional(self, coin: str) -> Fraction:
        return abs(self.size(coin)) * self.mark(coin)

    def maintenance(self, coin: str) -> Fraction:
        """Maintenance margin, added up slice by slice: each slice of the notional at the rate of its own tier."""
        notional, tiers = self.notional(coin), self.terms[coin].tiers
        total = Fraction(0)
        for n, (bound, leverage) in enumerate(tiers):
            top = tiers[n + 1][0] if n + 1 < len(tiers) else None
            slice_top = notional if top is None else min(notional, Fraction(top))
            total += max(Fraction(0), slice_top - bound) / (2 * leverage)
        return _cut(total)

    @property
    def cross_maintenance(self) -> Fraction:
        return sum(
            (self.maintenance(coin) for coin, terms in self.terms.items() if not terms.isolated), Fraction(0)
        )

    @property
    def withdrawable(self) -> Fraction:
        cross = [coin for coin, terms in self.terms.items() if not terms.isolated]
        initial = sum((_cut(self.notional(coin) / self.leverage(coin)) for coin in cross), Fraction(0))
        tenth = sum((self.notional(coin) for coin in cross), Fraction(0)) / 10
        return max(Fraction(0), _cut(self.cross_value - max(initial, tenth)))

    # -- how it is got --------------------------------------------------------------------------------

    def _goes_with(self, coin: str, taken: str) -> bool:
        """Whether ``coin`` goes when ``taken`` is taken over."""
        return coin == taken or not (self.terms[coin].isolated or self.terms[taken].isolated)

    def _payments(self) -> Iterable[tuple[str, Fraction]]:
        for n, event in enumerate(self.history):
            if isinstance(event, Funding):
                size = Reference(self.terms, self.history[:n]).size(event.coin)
                yield event.coin, _cut(-size * Fraction(event.oracle_price) * Fraction(event.rate))

    def _taken(self) -> Iterable[tuple[Fraction, Fraction]]:
        """For every take-over: the value that went, and the value at mark of the positions that went."""
        for n, event in enumerate(self.history):
            if isinstance(event, TakenOver):
                then = Reference(self.terms, self.history[:n])
                gone = [coin for coin in self.terms if self._goes_with(coin, event.coin)]
                value = sum((then.size(coin) * then.mark(coin) for coin in gone), Fraction(0))
                isolated = self.terms[event.coin].isolated
                yield then.isolated_margin(event.coin) if isolated else then.cross_value, value

    def _raw(self, coin: str) -> Fraction:
        raw, size, leverage = Fraction(0), Fraction(0), self.terms[coin].leverage
        for event in self.history:
            if isinstance(event, TakenOver) and event.coin == coin:
                raw = size = Fraction(0)
            elif isinstance(event, Leverage) and event.coin == coin:
                leverage = event.leverage
            elif isinstance(event, Funding) and event.coin == coin:
                raw += _cut(-size * Fraction(event.oracle_price) * Fraction(event.rate))
            elif isinstance(event, Fill) and event.coin == coin:
                raw, size = _isolated_fill(raw, size, leverage, event)
        return raw


def _isolated_fill(raw: Fraction, size: Fraction, leverage: int, fill: Fill) -> tuple[Fraction, Fraction]:
    """Book a fill on an isolated position: a closing part first, then an opening part."""
    amount, price, fee = Fraction(fill.size), Fraction(fill.price), Fraction(fill.fee)
    closing = min(amount, abs(size)) if size * fill.side < 0 else Fraction(0)
    opening = amount - closing
    if closing:
        share = fee if not opening else _cut(fee * closing / amount)
        margin = raw + size * price - share
        # what is left is the margin times the open share, less the value that stays open
        left = abs(size) - closing
        released = margin if left == 0 else _cut(margin * closing / abs(size))
        size += fill.side * closing
        raw = margin - released - size * price
        fee -= share
    if opening:
        raw += _cut(opening * price / leverage) - fill.side * opening * price - fee
        size += fill.side * opening
    return raw, size


def _cut(amount: Fraction) -> Fraction:
    return Fraction(trunc(amount * MICRO), MICRO)


def _sum(amounts: Iterable[Decimal]) -> Fraction:
    return sum((Fraction(amount) for amount in amounts), Fraction(0))
