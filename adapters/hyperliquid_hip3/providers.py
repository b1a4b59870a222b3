"""The instruments of the dexes that were asked for, read from the venue, and what has changed of them since."""

import asyncio
import time
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any
from typing import Final
from typing import Protocol

from nautilus_trader.common.config import InstrumentProviderConfig
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import PerpetualContract

from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.constants import builder_asset_id
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.currency import collateral_currency
from hyperliquid_hip3.errors import PayloadError
from hyperliquid_hip3.instruments import FIRST_TIER
from hyperliquid_hip3.instruments import OwnRates
from hyperliquid_hip3.instruments import instrument_id
from hyperliquid_hip3.instruments import make_perpetual_from_entry
from hyperliquid_hip3.instruments import table_of
from hyperliquid_hip3.precision import price_decimals
from hyperliquid_hip3.precision import tick_range
from hyperliquid_hip3.records import DexMeta
from hyperliquid_hip3.records import PerpDex
from hyperliquid_hip3.records import PerpEntry
from hyperliquid_hip3.records import SpotToken
from hyperliquid_hip3.user_records import AssetContext


# the coarser tick is taken so far below a power of ten already, and kept until the price is so far below it again
COARSE_FROM: Final = Decimal("0.995")
FINE_BELOW: Final = Decimal("0.99")
# what of it changes nothing but the price of a fill
FEE_FIELDS: Final = frozenset(("maker_fee", "taker_fee", "growth_mode", "deployer_fee_scale"))
ID_END: Final = "-USD-PERP"

# what of an instrument's info counts as drift; the tick's price range follows from the tick
WATCHED_INFO: Final = (
    "asset_id",
    "collateral",
    "max_leverage",
    "growth_mode",
    "deployer_fee_scale",
    "margin_modes",
    "margin_tiers",
    "is_delisted",
)


class MetaReader(Protocol):
    """The part of ``VenueClient`` that instruments are made from."""

    async def perp_dexs(self) -> tuple[PerpDex, ...]:
        """Return the builder-deployed dexes."""
        ...

    async def spot_meta(self) -> tuple[SpotToken, ...]:
        """Return the spot tokens."""
        ...

    async def meta_and_contexts(self, dex: str) -> tuple[DexMeta, tuple[AssetContext, ...]]:
        """Return a dex's perpetuals and their contexts, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class DexFacts:
    """One dex as the venue describes it; ``index`` is its position in ``perpDexs``, 0 for the validator-operated one."""

    name: str
    index: int
    meta: DexMeta
    contexts: tuple[AssetContext, ...]
    collateral: SpotToken
    deployer_fee_scale: Decimal | None = None


@dataclass(frozen=True, slots=True)
class InstrumentChange:
    """An instrument that is not what it was; ``fields`` maps what changed to its old and new value."""

    old: PerpetualContract
    new: PerpetualContract
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def coin(self) -> str:
        """The coin with its dex prefix."""
        return str(self.new.raw_symbol.value)

    @property
    def is_of_fees_only(self) -> bool:
        """Whether orders placed before are still as they must be."""
        return FEE_FIELDS.issuperset(self.fields)

    def __str__(self) -> str:
        words = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in self.fields.items())
        return f"{self.coin}: {words}"


type ChangeListener = Callable[[InstrumentChange], None]


class HyperliquidInstrumentProvider(InstrumentProvider):
    """
    Load the perpetuals that are asked for, and no other dex's.

    The collateral token, the fees, the leverage and the tick are read, never assumed; delisted coins are loaded too and say so in
    their ``info``. The two clients of a node share one provider: each adds what it wants.

    Parameters
    ----------
    client : MetaReader
        A ``VenueClient``.
    config : InstrumentProviderConfig, optional
        With ``load_ids`` only these instruments are loaded; otherwise what was asked for by :meth:`want`.
    now_ns : callable, optional
        The clock for the instruments' times, ns UTC.

    """

    def __init__(
        self,
        client: MetaReader,
        config: InstrumentProviderConfig | None = None,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        given = config or InstrumentProviderConfig()
        # the engine's provider loads nothing unless told to; ours knows from its clients what to load
        super().__init__(config=given if given.load_ids else InstrumentProviderConfig(load_all=True))
        self._client = client
        self._now_ns = now_ns
        self._whole_dexes: set[str] = set()
        self._coins: set[str] = set()
        self._dexes: dict[str, DexFacts] = {}
        self._listeners: list[ChangeListener] = []
        self._refreshing = asyncio.Lock()
        self._own = FIRST_TIER

    # -- what is wanted -------------------------------------------------------------------------------------------

    def want(self, dex: str, coins: Iterable[str] = ()) -> None:
        """Ask for these coins, which may be of several dexes, or for all of ``dex`` when none is named."""
        coins = tuple(coins)
        if coins:
            fresh = set(coins) - self._coins
            self._coins.update(fresh)
        else:
            fresh = {dex} - self._whole_dexes
            self._whole_dexes.update(fresh)
        if fresh:
            self.expire()

    def expire(self) -> None:
        """Load again at the next ``initialize``."""
        self._loaded = False

    def set_rates(self, own: OwnRates) -> bool:
        """Take the rates of the account that trades; instruments have them from the next reading on. False when they are the same."""
        is_new, self._own = own != self._own, own
        return is_new

    def on_change(self, listener: ChangeListener) -> None:
        """Call back for each instrument that :meth:`refresh` finds changed."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def off_change(self, listener: ChangeListener) -> None:
        """Call back no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    # -- loading --------------------------------------------------------------------------------------------------

    async def load_all_async(self, filters: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - the engine's
        """
        Load what was asked for.

        Raises
        ------
        TransportError
            If the venue does not answer.
        ValueError
            If a dex or coin that was asked for does not exist; the text names what there is.

        """
        await self._load(self._whole_dexes, self._coins)

    async def load_ids_async(
        self,
        instrument_ids: list[InstrumentId],
        filters: dict[str, Any] | None = None,  # noqa: ARG002 - the engine's
    ) -> None:
        """
        Load these instruments, and only the dexes they are of, with what else was asked for.

        Raises
        ------
        TransportError
            If the venue does not answer.
        ValueError
            If one of them does not exist.

        """
        self._coins.update(coin_of(wanted) for wanted in instrument_ids)
        await self._load(self._whole_dexes, self._coins)

    async def load_async(
        self,
        instrument_id: InstrumentId,
        filters: dict[str, Any] | None = None,  # noqa: ARG002 - the engine's
    ) -> None:
        """Load one instrument if it is not loaded yet, see :meth:`load_ids_async`."""
        if self.find(instrument_id) is None:
            coin = coin_of(instrument_id)
            await self._load((), (coin,))
            self._coins.add(coin)

    async def refresh(self) -> tuple[InstrumentChange, ...]:
        """
        Read everything loaded once more; changed instruments replace the old ones, and the listeners hear of each.

        Raises
        ------
        TransportError
            If the venue does not answer; nothing is changed then.

        """
        async with self._refreshing:
            facts = await self._read(self._dexes)
            self._dexes.update(facts)
            changes = []
            for old in list(self._instruments.values()):
                coin = str(old.raw_symbol.value)
                entry = facts[split_coin(coin)[0]].meta.find(coin)
                if entry is None:
                    # a slot of `meta` never goes away: without it, say what it was last
                    continue
                new = self._make(facts[split_coin(coin)[0]], entry)
                difference = differences(old, new)
                if difference:
                    self.add(new)
                    changes.append(InstrumentChange(old, new, difference))
        for change in changes:
            for listener in list(self._listeners):
                listener(change)
        return tuple(changes)

    async def _load(self, whole_dexes: Iterable[str], coins: Iterable[str]) -> None:
        whole_dexes, coins = list(whole_dexes), list(coins)
        names = dict.fromkeys([*whole_dexes, *(split_coin(coin)[0] for coin in coins)])
        async with self._refreshing:
            facts = await self._read(names)
            self._dexes.update(facts)
            entries = [(facts[name], entry) for name in whole_dexes for entry in facts[name].meta.universe]
            entries += [_entry(facts[split_coin(coin)[0]], coin) for coin in coins]
            for dex, entry in entries:
                self.add_currency(collateral_currency(dex.collateral.name))
                self.add(self._make(dex, entry))

    async def _read(self, names: Iterable[str]) -> dict[str, DexFacts]:
        names = list(names)
        tokens = {facts.collateral.index: facts.collateral for facts in self._dexes.values()}
        # read each time: a fee scale may be said here, for the whole dex
        dexes = await self._client.perp_dexs()
        indices = {"": 0, **{dex.name: dex.index for dex in dexes}}
        scales = {dex.name: dex.deployer_fee_scale for dex in dexes}
        facts = {}
        for name in names:
            if name not in indices:
                raise ValueError(f"`dex` was {name!r}, must be one of {_some(sorted(indices))}")
            meta, contexts = await self._client.meta_and_contexts(name)
            token = meta.collateral_token
            if token not in tokens:
                tokens = {token.index: token for token in await self._client.spot_meta()}
            if token not in tokens:
                raise PayloadError("meta", f"the collateral token {token} of {name!r} is not in spotMeta")
            facts[name] = DexFacts(name, indices[name], meta, contexts, tokens[token], scales.get(name))
        return facts

    def _make(self, dex: DexFacts, entry: PerpEntry) -> PerpetualContract:
        current = self._instruments.get(instrument_id(entry.coin))
        price = level_of(_context(dex, entry))
        if price is not None:
            price = tick_level(
                price, entry.sz_decimals, None if current is None else int(current.price_precision)
            )
        elif current is not None:
            # a market without any price keeps its tick
            low, high = current.info["tick_from_price"], current.info["tick_below_price"]
            price = Decimal(low) or (None if high is None else Decimal(high) * FINE_BELOW)
        return make_perpetual_from_entry(
            entry,
            dex.collateral.name,
            price,
            self._now_ns(),
            asset_id=builder_asset_id(dex.index, entry.index),
            deployer_fee_scale=dex.deployer_fee_scale,
            table=table_of(entry, dex.meta),
            own=self._own,
        )

    # -- what is known --------------------------------------------------------------------------------------------

    def dex(self, name: str) -> DexFacts:
        """
        Return what was read of a dex.

        Raises
        ------
        KeyError
            If it was not loaded.

        """
        return self._dexes[name]

    def asset_id(self, coin: str) -> int:
        """
        Return the venue's number of a coin, for example 150000 for ``km:US500``.

        Raises
        ------
        KeyError
            If the coin was not loaded.

        """
        instrument = self._instruments[instrument_id(coin)]
        return int(instrument.info["asset_id"])

    def find_coin(self, coin: str) -> PerpetualContract | None:
        """Return the instrument of a coin by its full name, None when it was not loaded."""
        return self.find(instrument_id(coin))

    def is_tick_due(self, coin: str, price: Decimal) -> bool:
        """Return whether a price calls for another tick than the loaded instrument has; False for one not loaded."""
        instrument = self.find_coin(coin)
        if instrument is None:
            return False
        decimals, size = int(instrument.price_precision), int(instrument.size_precision)
        return price_decimals(tick_level(price, size, decimals), size) != decimals


def coin_of(wanted: InstrumentId) -> str:
    """
    Return the coin of an instrument id: ``km:US500`` of ``km:US500-USD-PERP.HYPERLIQUID``.

    Raises
    ------
    ValueError
        If it is not an id of this adapter.

    """
    symbol = wanted.symbol.value
    if wanted.venue.value != VENUE or not symbol.endswith(ID_END) or symbol == ID_END:
        raise ValueError(f"`instrument_id` was {wanted}, must be like km:US500{ID_END}.{VENUE}")
    return str(symbol.removesuffix(ID_END))


def level_of(context: AssetContext | None) -> Decimal | None:
    """Return the price at which a coin trades by its context: mid, else mark, else oracle, else the day before's."""
    if context is None:
        return None
    candidates = (context.mid_price, context.mark_price, context.oracle_price, context.previous_day_price)
    return next((price for price in candidates if price is not None and price > 0), None)


def tick_level(price: Decimal, sz_decimals: int, decimals: int | None = None) -> Decimal:
    """
    Return the price whose tick an instrument at ``price`` should have.

    Every multiple of the coarser tick is a valid price on both sides of a power of ten, one of the finer tick is not. So from half
    a percent below it the coarser tick is taken, and kept (``decimals`` are the present tick's) until one percent below.

    Parameters
    ----------
    price : Decimal
        A positive price.
    sz_decimals : int
        The coin's ``szDecimals``.
    decimals : int, optional
        Of the tick in use; None when there is none yet.

    """
    _, high = tick_range(price, sz_decimals)
    if high is None:
        return price
    is_coarse = decimals is not None and decimals < price_decimals(price, sz_decimals)
    return high if price >= high * (FINE_BELOW if is_coarse else COARSE_FROM) else price


def differences(old: PerpetualContract, new: PerpetualContract) -> dict[str, tuple[Any, Any]]:
    """Return what of an instrument changed, by name, as pairs of old and new value; empty when nothing that matters did."""
    pairs: dict[str, tuple[Any, Any]] = {
        name: (getattr(old, name), getattr(new, name))
        for name in (
            "price_increment",
            "size_increment",
            "maker_fee",
            "taker_fee",
            "margin_init",
            "margin_maint",
        )
    }
    old_info, new_info = old.info or {}, new.info or {}
    pairs |= {name: (old_info.get(name), new_info.get(name)) for name in WATCHED_INFO}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _entry(dex: DexFacts, coin: str) -> tuple[DexFacts, PerpEntry]:
    entry = dex.meta.find(coin)
    if entry is None:
        names = [entry.coin for entry in dex.meta.universe]
        raise ValueError(f"`coin` was {coin!r}, must be one of {_some(names)}")
    return dex, entry


def _context(dex: DexFacts, entry: PerpEntry) -> AssetContext | None:
    return dex.contexts[entry.index] if entry.index < len(dex.contexts) else None


def _some(names: list[str], most: int = 20) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
