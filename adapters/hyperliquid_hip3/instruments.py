"""Nautilus instruments of the venue's perpetuals."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from typing import Final
from typing import NamedTuple
from typing import Protocol

from nautilus_trader.model.enums import AssetClass
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.identifiers import Symbol
from nautilus_trader.model.instruments import PerpetualContract
from nautilus_trader.model.objects import Money
from nautilus_trader.model.objects import Price
from nautilus_trader.model.objects import Quantity

from amm500_nautilus.margin.fees import BASE_MAKER_RATE
from amm500_nautilus.margin.fees import BASE_TAKER_RATE
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import hip3_rates
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import allowed_modes
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import MarginTier
from amm500_nautilus.margin.tables import margin_table
from hyperliquid_hip3.constants import MAX_PERP_DECIMALS
from hyperliquid_hip3.constants import MIN_ORDER_NOTIONAL
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.currency import collateral_currency
from hyperliquid_hip3.precision import lot_size
from hyperliquid_hip3.precision import price_decimals
from hyperliquid_hip3.precision import tick_range
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import PerpEntry


class PerpFacts(Protocol):
    """The static facts that an instrument is made from; ``amm500_catalog.MarketSpec`` has them."""

    @property
    def coin(self) -> str:
        """The coin with its dex prefix."""
        ...

    @property
    def collateral(self) -> str:
        """The collateral token's name."""
        ...

    @property
    def sz_decimals(self) -> int:
        """Decimals of a size."""
        ...

    @property
    def max_leverage(self) -> int:
        """The largest leverage of the first margin tier."""
        ...

    @property
    def growth_mode(self) -> bool:
        """Whether fees are a tenth."""
        ...

    @property
    def deployer_fee_scale(self) -> float:
        """The deployer's share on top of the venue's fee."""
        ...


class OwnRates(NamedTuple):
    """An account's rates on the validators' dex, staking discount included, and its referral discount (``userFees``)."""

    maker: Decimal = BASE_MAKER_RATE
    taker: Decimal = BASE_TAKER_RATE
    referral_discount: Decimal = Decimal(0)


FIRST_TIER: Final = OwnRates()


def instrument_id(coin: str) -> InstrumentId:
    """Return the Nautilus id of a coin, for example ``km:US500-USD-PERP.HYPERLIQUID``."""
    return InstrumentId.from_str(f"{coin}-USD-PERP.{VENUE}")


def first_tier_fees(
    *, is_builder_dex: bool, growth_mode: bool, deployer_fee_scale: Decimal
) -> tuple[Decimal, Decimal]:
    """
    Return the maker and taker fee rates of an account without volume, referral or staking.

    They fill the instrument's fields; what a fill really pays is the ledger's own reckoning.
    """
    return perp_fees(
        FIRST_TIER,
        is_builder_dex=is_builder_dex,
        growth_mode=growth_mode,
        deployer_fee_scale=deployer_fee_scale,
    )


def perp_fees(
    own: OwnRates, *, is_builder_dex: bool, growth_mode: bool, deployer_fee_scale: Decimal
) -> tuple[Decimal, Decimal]:
    """
    Return the maker and taker fee rates that an account pays for a perpetual.

    See https://hyperliquid.gitbook.io/hyperliquid-docs/trading/fees, "Fee formula for developers".

    Parameters
    ----------
    own : OwnRates
        The account's rates before the dex's own scale.
    is_builder_dex, growth_mode, deployer_fee_scale
        Where it trades.

    """
    if not is_builder_dex:
        kept = 1 - own.referral_discount
        return (own.maker * kept if own.maker > 0 else own.maker), own.taker * kept
    rates = hip3_rates(
        FeeSchedule(
            base_maker=own.maker,
            base_taker=own.taker,
            deployer_fee_scale=deployer_fee_scale,
            growth_mode=growth_mode,
            referral_discount=own.referral_discount,
        )
    )
    return rates.maker, rates.taker


def make_instrument(
    spec: PerpFacts,
    price: Decimal | float | str | None,
    ts: int,
    *,
    maker_fee: Decimal | None = None,
    taker_fee: Decimal | None = None,
) -> PerpetualContract:
    """
    Return the instrument of a market's static facts, with first-tier fees unless others are given.

    Parameters
    ----------
    spec : PerpFacts
        The facts, for example an ``amm500_catalog.MarketSpec``.
    price : Decimal, float, str or None
        A price of the level traded at, which picks the tick; None for the finest tick the coin can have.
    ts : int
        Time of the facts in ns UTC.
    maker_fee, taker_fee : Decimal, optional
        Rates of notional.

    Raises
    ------
    ValueError
        If the decimals, leverage or price are impossible.

    """
    scale = Decimal(str(spec.deployer_fee_scale))
    maker, taker = first_tier_fees(
        is_builder_dex=":" in spec.coin, growth_mode=spec.growth_mode, deployer_fee_scale=scale
    )
    return _make_contract(
        spec.coin,
        spec.collateral,
        spec.sz_decimals,
        spec.max_leverage,
        price,
        ts,
        fees=(maker if maker_fee is None else maker_fee, taker if taker_fee is None else taker_fee),
        info={"growth_mode": spec.growth_mode, "deployer_fee_scale": str(scale)},
    )


def make_perpetual_from_entry(
    entry: PerpEntry,
    collateral_code: str,
    price: Decimal | float | str | None,
    ts: int,
    *,
    asset_id: int,
    deployer_fee_scale: Decimal | None = None,
    table: MarginTable | None = None,
    own: OwnRates = FIRST_TIER,
) -> PerpetualContract:
    """
    Return the instrument of an entry of ``meta``, with first-tier fees unless the account's own rates are given.

    Its margin table and margin modes are kept in ``info``, where ``declared_table`` and ``declared_modes`` read them.

    Parameters
    ----------
    entry : PerpEntry
        The entry as parsed.
    collateral_code : str
        The collateral token's name from ``spotMeta``.
    price : Decimal, float, str or None
        A price of the level traded at, which picks the tick.
    ts : int
        Time of the reply in ns UTC.
    asset_id : int
        The venue's number of the asset.
    deployer_fee_scale : Decimal, optional
        The dex's scale, for an entry that has none of its own; 1 where neither says.
    table : MarginTable, optional
        The entry's margin table (see ``table_of``); one tier of its largest leverage when left out.
    own : OwnRates, default FIRST_TIER
        The account's rates.

    Raises
    ------
    ValueError
        If the decimals, leverage, price or margin mode are impossible.

    """
    scale = fee_scale(entry, deployer_fee_scale)
    return _make_contract(
        entry.coin,
        collateral_code,
        entry.sz_decimals,
        entry.max_leverage,
        price,
        ts,
        fees=perp_fees(
            own, is_builder_dex=":" in entry.coin, growth_mode=entry.growth_mode, deployer_fee_scale=scale
        ),
        info={
            "asset_id": asset_id,
            "growth_mode": entry.growth_mode,
            "deployer_fee_scale": str(scale),
            **_margin_info(entry, MarginTable(entry.max_leverage) if table is None else table),
            "is_delisted": entry.is_delisted,
        },
    )


def make_perpetual_from_meta(
    meta: DexMeta,
    coin: str,
    collateral_code: str,
    price: Decimal | float | str | None,
    ts: int,
    *,
    asset_base: int,
    deployer_fee_scale: Decimal | None = None,
) -> PerpetualContract:
    """
    Return the instrument of a coin from a whole ``meta``: lot, tick, leverage, margin tiers, fees and flags.

    Parameters
    ----------
    meta : DexMeta
        The reply as parsed.
    coin : str
        The coin with its dex prefix; delisted ones are made too, and say so in ``info``.
    collateral_code : str
        The collateral token's name from ``spotMeta``.
    price : Decimal, float, str or None
        A price of the level traded at, which picks the tick.
    ts : int
        Time of the reply in ns UTC.
    asset_base : int
        The venue's number of the dex's first asset (``builder_asset_id(dex, 0)``).
    deployer_fee_scale : Decimal, optional
        The dex's scale from ``perpDexs``.

    Raises
    ------
    ValueError
        If the coin is not in ``meta``, or its facts are impossible.

    """
    entry = meta.find(coin)
    if entry is None:
        names = ", ".join(entry.coin for entry in meta.universe)
        raise ValueError(f"`coin` was {coin}, must be one of {names}")
    return make_perpetual_from_entry(
        entry,
        collateral_code,
        price,
        ts,
        asset_id=asset_base + entry.index,
        deployer_fee_scale=deployer_fee_scale,
        table=table_of(entry, meta),
    )


def table_of(entry: PerpEntry, meta: DexMeta) -> MarginTable:
    """
    Return the margin table of an entry of ``meta``: its own tiers, or one of its largest leverage.

    Raises
    ------
    ValueError
        If the entry names a table that ``meta`` lacks.

    """
    if entry.margin_table_id is None:
        return MarginTable(entry.max_leverage)
    tables = {
        table_id: MarginTable(
            tiers[0].max_leverage, tuple(MarginTier(tier.lower_bound, tier.max_leverage) for tier in tiers)
        )
        for table_id, tiers in meta.margin_tables.items()
        if table_id == entry.margin_table_id
    }
    return margin_table(entry.margin_table_id, tables)


def declared_table(info: Mapping[str, Any] | None) -> MarginTable | None:
    """Return the margin table that an instrument's ``info`` declares; None where it holds no tiers."""
    rows = (info or {}).get("margin_tiers")
    if not rows:
        return None
    tiers = tuple(MarginTier(Decimal(str(bound)), int(leverage)) for bound, leverage in rows)
    return MarginTable(tiers[0].max_leverage, tiers)


def declared_modes(info: Mapping[str, Any] | None) -> tuple[MarginMode, ...]:
    """Return the margin modes that an instrument's ``info`` declares; cross and isolated where it says nothing."""
    names = (info or {}).get("margin_modes")
    return tuple(MarginMode(name) for name in names) if names else allowed_modes(None)


def fee_scale(entry: PerpEntry, of_dex: Decimal | None) -> Decimal:
    """Return the deployer's fee scale: the entry's own, else its dex's, else 1."""
    if entry.deployer_fee_scale is not None:
        return entry.deployer_fee_scale
    return Decimal(1) if of_dex is None else of_dex


def _margin_info(entry: PerpEntry, table: MarginTable) -> dict[str, Any]:
    """Return the table and the modes in the form that ``declared_table`` and ``declared_modes`` read."""
    # `onlyIsolated` is the older way to say it
    modes = allowed_modes(entry.margin_mode or ("noCross" if entry.only_isolated else None))
    return {
        "margin_mode": entry.margin_mode,
        "margin_modes": [mode.value for mode in modes],
        "margin_table_id": entry.margin_table_id,
        "margin_tiers": [[f"{tier.lower_bound:f}", tier.max_leverage] for tier in table.tiers],
    }


def _make_contract(
    coin: str,
    collateral_code: str,
    sz_decimals: int,
    max_leverage: int,
    price: Decimal | float | str | None,
    ts: int,
    *,
    fees: tuple[Decimal, Decimal],
    info: Mapping[str, Any],
) -> PerpetualContract:
    """
    Return the contract; ``info`` is kept with it.

    Nautilus knows one tick for an instrument, the venue one for each power of ten: ``price`` picks it (the finest without one), and
    ``info`` says from which price to which it holds.
    """
    if max_leverage < 1:
        raise ValueError(f"`max_leverage` was {max_leverage}, must be at least 1")
    level = None if price is None else Decimal(str(price))
    precision = MAX_PERP_DECIMALS - sz_decimals if level is None else price_decimals(level, sz_decimals)
    low, high = (Decimal(0), None) if level is None else tick_range(level, sz_decimals)
    lot = Quantity(lot_size(sz_decimals), sz_decimals)
    margin_init = 1 / Decimal(max_leverage)
    currency = collateral_currency(collateral_code)
    dex, name = split_coin(coin)
    return PerpetualContract(
        instrument_id=instrument_id(coin),
        raw_symbol=Symbol(coin),
        underlying=name,
        asset_class=AssetClass.INDEX if dex else AssetClass.CRYPTOCURRENCY,
        quote_currency=currency,
        settlement_currency=currency,
        is_inverse=False,
        price_precision=precision,
        size_precision=sz_decimals,
        price_increment=Price(Decimal(10) ** -precision, precision),
        size_increment=lot,
        ts_event=ts,
        ts_init=ts,
        min_quantity=lot,
        min_notional=Money(MIN_ORDER_NOTIONAL, currency),
        margin_init=margin_init,
        margin_maint=margin_init / 2,
        maker_fee=fees[0],
        taker_fee=fees[1],
        info={
            "dex": dex,
            "coin": coin,
            "collateral": collateral_code,
            "max_leverage": max_leverage,
            "tick_from_price": f"{low:f}",
            "tick_below_price": None if high is None else f"{high:f}",
            **info,
        },
    )
