"""What one address holds: pots of collateral, spot balances, and the records of what happened to them."""

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal
from typing import Any
from typing import Final

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import AccountMode
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.position import allowed_modes
from amm500_nautilus.margin.tables import FIRST_CUSTOM_TABLE
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import parse_margin_tables
from hyperliquid_hip3.precision import lot_size
from hyperliquid_loopback.fees_view import VolumeBook
from hyperliquid_loopback.limits import AddressLimits
from hyperliquid_loopback.types import ZERO
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.universe import Universe


DISABLED: Final = "disabled"
UNIFIED: Final = "unifiedAccount"
PORTFOLIO: Final = "portfolioMargin"
# modes whose balance is the spot balance (protocol: info endpoints, spotClearinghouseState)
POOLED: Final = frozenset((UNIFIED, PORTFOLIO))
MODES: Final = (DISABLED, UNIFIED, PORTFOLIO)
# what a coin that the user never set trades at, where the market allows as much; no document says so
DEFAULT_LEVERAGE: Final = 20
# rows kept for userFills and userFillsByTime (protocol: info endpoints, userFills)
FILLS_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """
    What the accounts need to know of a coin.

    Parameters
    ----------
    coin, dex, token : str
        The coin, its dex, and the name of the collateral.
    size_decimals : int
        ``szDecimals``.
    lot : Decimal
        The smallest size.
    max_leverage : int
        The largest leverage of the first tier.
    table : MarginTable
        The coin's tiers.
    modes : tuple of MarginMode
        Allowed margin modes, the default first.
    growth : bool
        Whether fees and counted volume are a tenth.
    fee_scale : Decimal
        The deployer's scale; 0 on the validators' dex, whose fees are the account's own.

    """

    coin: str
    dex: str
    token: str
    size_decimals: int
    lot: Decimal
    max_leverage: int
    table: MarginTable
    modes: tuple[MarginMode, ...]
    growth: bool
    fee_scale: Decimal

    def default_position(self, mark: Decimal) -> Position:
        """Return the flat position of a user who never set anything for the coin."""
        return Position(
            coin=self.coin,
            table=self.table,
            leverage=min(DEFAULT_LEVERAGE, self.table.max_leverage),
            mark=mark,
            mode=self.modes[0],
            size_decimals=self.size_decimals,
        )


@dataclass(slots=True)
class _Read:
    """Terms, and the rows of the listing that they were read from."""

    row: Json
    place: int
    rows: list[Json]
    dex_row: Json | None
    tables: list[Any]
    key: tuple[Any, ...]
    tiers: Any
    terms: MarketTerms


class Terms:
    """
    The terms of every coin, read again from the listing when it has drifted.

    Parameters
    ----------
    universe : Universe
        The listing; its rows may change at any time.

    """

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self._known: dict[str, _Read] = {}
        # within a block, where the listing stands still: what was compared already
        self._held: dict[str, MarketTerms] | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Compare each coin with the listing once only while this lasts, for a block asks for it at every step."""
        self._held = {}
        try:
            yield
        finally:
            self._held = None

    def of(self, coin: str) -> MarketTerms:
        """
        Return the present terms of a coin; the same object until they change.

        Raises
        ------
        KeyError
            If no dex has the coin.

        """
        if self._held is None:
            return self._present(coin)
        terms = self._held.get(coin)
        if terms is None:
            terms = self._held[coin] = self._present(coin)
        return terms

    def _present(self, coin: str) -> MarketTerms:
        known = self._known.get(coin)
        # only what a drift may change is compared
        if (
            known is not None
            and known.rows[known.place] is known.row
            and known.key == _key(known.row, known.dex_row)
            and known.tiers is _tiers(known.tables, known.row["marginTableId"])
        ):
            return known.terms
        universe = self.universe
        row, dex = universe.entry(coin), universe.dex_of(coin)
        meta = universe.meta(dex)
        rows: list[Json] = meta["universe"]
        tables: list[Any] = meta.setdefault("marginTables", [])
        dex_row = next((each for each in universe.market.dexes if each["name"] == dex), None)
        tiers = _tiers(tables, row["marginTableId"])
        place = next(n for n, each in enumerate(rows) if each is row)
        terms = self._read(coin, dex, int(row["marginTableId"]), tiers)
        self._known[coin] = _Read(row, place, rows, dex_row, tables, _key(row, dex_row), tiers, terms)
        return terms

    def _read(self, coin: str, dex: str, table_id: int, tier_row: Any) -> MarketTerms:
        universe = self.universe
        # the validators' dex has no deployer
        own = universe.entry(coin).get("deployerFeeScale")
        scale = Decimal(str(own)) if own is not None else universe.fee_scale(dex)
        if not dex:
            scale = ZERO
        decimals = universe.size_decimals(coin)
        if tier_row is not None:
            table = parse_margin_tables([tier_row])[table_id]
        elif table_id < FIRST_CUSTOM_TABLE:
            table = MarginTable(table_id)
        else:
            raise ValueError(f"margin table {table_id} of {coin} is not in the meta of its dex")
        return MarketTerms(
            coin=coin,
            dex=dex,
            token=universe.collateral_of(dex)[1],
            size_decimals=decimals,
            lot=lot_size(decimals),
            max_leverage=universe.max_leverage(coin),
            table=table,
            modes=allowed_modes(universe.margin_mode(coin) or None),
            growth=universe.growth_mode(coin),
            fee_scale=scale,
        )


def _key(row: Json, dex_row: Json | None) -> tuple[Any, ...]:
    return (
        row["marginTableId"],
        row["maxLeverage"],
        row.get("marginMode"),
        row.get("onlyIsolated"),
        row.get("growthMode"),
        row.get("deployerFeeScale"),
        None if dex_row is None else dex_row.get("deployerFeeScale"),
    )


def _tiers(tables: list[Any], table_id: int) -> Any:
    # the row of a custom table is replaced, not changed, when its tiers drift
    for table in tables:
        if table[0] == table_id:
            return table
    return None


@dataclass(slots=True)
class FundingPaid:
    """Funding of a coin so far; positive is what the user paid (``cumFunding``)."""

    all_time: Decimal = ZERO
    since_open: Decimal = ZERO
    since_change: Decimal = ZERO


@dataclass(slots=True)
class Holder:
    """
    One address with an account.

    Parameters
    ----------
    address : str
        In lower case.
    house : bool
        Background flow: positions are counted, nothing else is.
    mode : str
        ``disabled`` (standard), ``unifiedAccount`` or ``portfolioMargin``.
    master : str or None
        Whose sub-account this is.
    leader : str or None
        Who leads it, when it is a vault.

    """

    address: str
    house: bool = False
    mode: str = DISABLED
    master: str | None = None
    leader: str | None = None
    # by dex in standard mode, by token when pooled
    pots: dict[str, Account] = field(default_factory=dict)
    # by token; empty when pooled, except tokens that are no dex's collateral
    spot: dict[str, Decimal] = field(default_factory=dict)
    spot_cost: dict[str, Decimal] = field(default_factory=dict)
    sizes: dict[str, Decimal] = field(default_factory=dict)
    fills: deque[Json] = field(default_factory=lambda: deque(maxlen=FILLS_KEPT))
    fundings: list[Json] = field(default_factory=list)
    ledger: list[Json] = field(default_factory=list)
    funding: dict[str, FundingPaid] = field(default_factory=dict)
    volume: VolumeBook = field(default_factory=VolumeBook)
    limits: AddressLimits = field(default_factory=AddressLimits)
    staked_hype: Decimal = ZERO
    maker_share: Decimal = ZERO
    referral_discount: Decimal = ZERO
    last_part_ms: int | None = None
    in_liquidation: bool = False

    @property
    def pooled(self) -> bool:
        """Whether one spot balance of a token carries every dex of it."""
        return self.mode in POOLED

    def key(self, dex: str, token: str) -> str:
        """Return the key of the pot that carries a dex."""
        return token if self.pooled else dex

    def pot(self, dex: str, token: str) -> Account:
        """Return the pot that carries a dex, empty when nothing was ever put there."""
        key = self.key(dex, token)
        pot = self.pots.get(key)
        if pot is None:
            pot = Account(
                collateral=token,
                cash=ZERO,
                mode=AccountMode.UNIFIED if self.pooled else AccountMode.STANDARD,
                dex="" if self.pooled else dex,
            )
            self.pots[key] = pot
        return pot


def settled(position: Position, terms: MarketTerms, mark: Decimal) -> Position:
    """
    Return a position at the present mark and terms, the very same object when nothing has changed.

    Where the largest leverage fell below the one set, the latter follows; an open position keeps a margin mode that is
    no longer allowed until it is closed. No document says what the venue does; nothing else leaves the account valid.
    """
    mode = position.mode
    if not position.size and mode not in terms.modes:
        mode = terms.modes[0]
    if mark == position.mark and terms.table is position.table and mode is position.mode:
        return position
    return replace(
        position,
        mark=mark,
        table=terms.table,
        leverage=min(position.leverage, terms.table.max_leverage),
        mode=mode,
    )
