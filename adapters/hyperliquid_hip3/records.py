"""What the venue's messages say, as plain records: times in ns UTC, numbers exact."""

from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import NamedTuple


class BookLevel(NamedTuple):
    """One price of a book: its size in coins and the number of orders there."""

    price: Decimal
    size: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A whole book, best price first on both sides; empty sides for a delisted coin."""

    coin: str
    ts_ns: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    is_fast: bool = False


@dataclass(frozen=True, slots=True)
class TopOfBook:
    """The best price of each side; None for an empty side."""

    coin: str
    ts_ns: int
    bid: BookLevel | None
    ask: BookLevel | None


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """
    One trade of the public tape.

    ``side`` is the aggressor's: +1 bought, -1 sold. ``users`` are buyer and seller, empty where the message leaves them out.
    """

    coin: str
    ts_ns: int
    side: int
    price: Decimal
    size: Decimal
    trade_id: int
    block_hash: str
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle [open, close) with the volume in coins and the number of trades."""

    coin: str
    interval: str
    ts_open_ns: int
    ts_close_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True)
class FundingRate:
    """The rate of one funding payment (per hour; longs pay when positive), stamped just after the hour."""

    coin: str
    ts_ns: int
    rate: Decimal
    premium: Decimal | None


@dataclass(frozen=True, slots=True)
class MarginTier:
    """From this notional on (collateral units), this maximum leverage."""

    lower_bound: Decimal
    max_leverage: int


@dataclass(frozen=True, slots=True)
class PerpEntry:
    """
    One perpetual of a dex's ``universe``.

    ``index`` is its slot, which delisted entries keep. ``deployer_fee_scale`` is None where the venue states it per dex.
    """

    index: int
    coin: str
    sz_decimals: int
    max_leverage: int
    margin_table_id: int | None = None
    is_delisted: bool = False
    only_isolated: bool = False
    margin_mode: str = ""
    growth_mode: bool = False
    deployer_fee_scale: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DexMeta:
    """A dex's perpetuals, its own margin tables, and its collateral token's index in ``spotMeta`` (0 where it says none: USDC)."""

    universe: tuple[PerpEntry, ...]
    collateral_token: int
    margin_tables: dict[int, tuple[MarginTier, ...]] = field(default_factory=dict)

    def find(self, coin: str) -> PerpEntry | None:
        """Return the entry of a coin by its full name, delisted or not; None when there is none."""
        return next((entry for entry in self.universe if entry.coin == coin), None)


@dataclass(frozen=True, slots=True)
class PerpDex:
    """A builder-deployed dex; ``index`` is its position in ``perpDexs``, of which 0 is the validator dex."""

    index: int
    name: str
    full_name: str
    deployer: str
    deployer_fee_scale: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SpotPair:
    """A spot pair by the name that its prices come under, ``@230``; ``tokens`` are the indices of base and quote."""

    name: str
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SpotToken:
    """A spot token; ``wei_decimals`` are the decimals of its balances."""

    index: int
    name: str
    sz_decimals: int
    wei_decimals: int
