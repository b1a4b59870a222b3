"""What the loopback venue lists: dexes, perpetuals, tokens, their numbers, and how the listing drifts while it runs."""

from decimal import Decimal
from typing import Any
from typing import Final

from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import margin_table
from amm500_nautilus.margin.tables import parse_margin_tables
from hyperliquid_hip3.constants import BUILDER_ASSET_BASE
from hyperliquid_hip3.constants import BUILDER_ASSET_STRIDE
from hyperliquid_hip3.constants import builder_asset_id
from hyperliquid_hip3.constants import split_coin
from hyperliquid_loopback.market import Json
from hyperliquid_loopback.market import Market
from hyperliquid_loopback.market import default_market


# spot pairs are numbered from here, perpetuals of builders from BUILDER_ASSET_BASE
SPOT_ASSET_BASE: Final = 10_000
MARGIN_MODES: Final = ("", "noCross", "strictIsolated")
MAX_FEE_SCALE: Final = Decimal(3)
MAX_GROWTH_FEE_SCALE: Final = Decimal(10)


class Universe:
    """
    The listing of the venue: what exists, under which number, in which collateral.

    The rows are the very objects that ``meta`` shows, so a change here is what a client reads next.

    Parameters
    ----------
    market : Market, optional
        The rows and the history of before the start; by default ``km:US500`` on dex 5 in USDH beside ``xyz:SP500``.

    """

    def __init__(self, market: Market | None = None) -> None:
        self.market = default_market() if market is None else market

    # dexes

    @property
    def dex_names(self) -> tuple[str, ...]:
        """Names of all dexes; the place is the dex's index, and the empty name at 0 is the validators' own."""
        return ("", *(row["name"] for row in self.market.dexes))

    def perp_dexs(self) -> list[Json | None]:
        """Return the reply to ``perpDexs``: null first (protocol: info endpoints, perpDexs)."""
        return [None, *self.market.dexes]

    def has_dex(self, dex: str) -> bool:
        """Return whether there is a dex of this name; the empty name is the validators' own."""
        return dex in self.market.metas

    def dex_index(self, dex: str) -> int:
        """
        Return the place of a dex in ``perpDexs``.

        Raises
        ------
        KeyError
            If there is no such dex.

        """
        try:
            return self.dex_names.index(dex)
        except ValueError:
            raise KeyError(dex) from None

    def meta(self, dex: str = "") -> Json:
        """
        Return the ``meta`` reply of a dex: a plain object, delisted entries in their slots.

        Raises
        ------
        KeyError
            If there is no such dex.

        """
        return self.market.metas[dex]

    def all_metas(self) -> list[Json]:
        """Return the reply to ``allPerpMetas``: plain metas, the place is the dex's index."""
        return [self.market.metas[name] for name in self.dex_names]

    def collateral_of(self, dex: str) -> tuple[int, str]:
        """
        Return index and name of the token that a dex's accounts are kept in: ``(360, "USDH")`` for km.

        Raises
        ------
        KeyError
            If there is no such dex, or ``spotMeta`` lacks its token.

        """
        index = int(self.meta(dex).get("collateralToken", 0))
        return index, str(self.token(index)["name"])

    def fee_scale(self, dex: str) -> Decimal:
        """Return the deployer's fee scale of a dex; 1 for the validators' own, which has none."""
        row = next((row for row in self.market.dexes if row["name"] == dex), None)
        return Decimal(1) if row is None else Decimal(str(row.get("deployerFeeScale", "1.0")))

    # coins

    def coins(self, dex: str | None = None, *, listed_only: bool = False) -> tuple[str, ...]:
        """Return the coins of a dex, or of all, in the order of their numbers."""
        names = self.dex_names if dex is None else (dex,)
        return tuple(
            row["name"]
            for name in names
            for row in self.meta(name)["universe"]
            if not (listed_only and row.get("isDelisted"))
        )

    def find(self, coin: str) -> Json | None:
        """Return the row of a coin in its dex's ``universe``, delisted or not; None when there is none."""
        return self.market.find(coin)

    def entry(self, coin: str) -> Json:
        """
        Return the row of a coin in its dex's ``universe``, delisted or not.

        Raises
        ------
        KeyError
            If no dex has the coin; names are case sensitive and carry the dex (protocol: transport).

        """
        row = self.market.find(coin)
        if row is None:
            raise KeyError(coin)
        return row

    def dex_of(self, coin: str) -> str:
        """Return the dex in a coin's name, empty for the validators' own."""
        return split_coin(coin)[0]

    def asset_of(self, coin: str) -> int:
        """
        Return the number of a perpetual or a spot pair: 150000 for the first coin of dex 5, 10230 for ``@230``.

        Raises
        ------
        KeyError
            If there is no such coin.

        """
        for pair in self.market.spot_pairs:
            if pair["name"] == coin:
                return SPOT_ASSET_BASE + int(pair["index"])
        dex = self.dex_of(coin)
        if dex in self.market.metas:
            for place, row in enumerate(self.market.metas[dex]["universe"]):
                if row["name"] == coin:
                    return builder_asset_id(self.dex_index(dex), place)
        raise KeyError(coin)

    def coin_of(self, asset: int) -> str:
        """
        Return the coin of a number, delisted or not.

        Raises
        ------
        KeyError
            If nothing has this number.

        """
        if SPOT_ASSET_BASE <= asset < BUILDER_ASSET_BASE:
            for pair in self.market.spot_pairs:
                if SPOT_ASSET_BASE + int(pair["index"]) == asset:
                    return str(pair["name"])
            raise KeyError(asset)
        dex_index, place = divmod(asset - BUILDER_ASSET_BASE, BUILDER_ASSET_STRIDE)
        if asset < SPOT_ASSET_BASE:
            dex_index, place = 0, asset
        names = self.dex_names
        if 0 <= dex_index < len(names) and (dex_index > 0 or asset < SPOT_ASSET_BASE):
            rows = self.meta(names[dex_index])["universe"]
            if 0 <= place < len(rows):
                return str(rows[place]["name"])
        raise KeyError(asset)

    def is_spot(self, asset: int) -> bool:
        """Return whether a number is in the range of spot pairs."""
        return SPOT_ASSET_BASE <= asset < BUILDER_ASSET_BASE

    def size_decimals(self, coin: str) -> int:
        """Return the decimals of a coin's sizes; KeyError when there is no such coin."""
        return int(self.entry(coin)["szDecimals"])

    def max_leverage(self, coin: str) -> int:
        """Return the largest leverage of a coin's first tier; KeyError when there is no such coin."""
        return int(self.entry(coin)["maxLeverage"])

    def is_delisted(self, coin: str) -> bool:
        """Return whether a coin keeps its slot only; KeyError when there is no such coin."""
        return bool(self.entry(coin).get("isDelisted", False))

    def growth_mode(self, coin: str) -> bool:
        """Return whether a coin's fees and counted volume are a tenth (protocol: HIP-3 fees)."""
        return self.entry(coin).get("growthMode") == "enabled"

    def margin_mode(self, coin: str) -> str:
        """Return ``noCross`` or ``strictIsolated``; empty where cross margin is allowed."""
        row = self.entry(coin)
        return str(row.get("marginMode") or ("noCross" if row.get("onlyIsolated") else ""))

    def margin_table(self, coin: str) -> MarginTable:
        """
        Return the tiers of a coin; an id below 50 needs no row, it is one tier at the id (protocol: margin).

        Raises
        ------
        KeyError
            If there is no such coin.
        ValueError
            If its dex's meta lacks a custom table.

        """
        tables = parse_margin_tables(self.meta(self.dex_of(coin)).get("marginTables", ()))
        return margin_table(int(self.entry(coin)["marginTableId"]), tables)

    # tokens

    def spot_meta(self) -> Json:
        """Return the reply to ``spotMeta``; the SDK's ``Info`` reads it first."""
        return {"tokens": self.market.tokens, "universe": self.market.spot_pairs}

    def spot_mids(self) -> dict[str, str]:
        """Return the mids of spot pairs; a pair without one is left out."""
        return {name: _text(price) for name, price in self.market.spot_mids.items()}

    def set_spot_mid(self, name: str, price: Decimal | None) -> None:
        """
        Set the mid of a spot pair such as ``@230``; None takes it away.

        Raises
        ------
        ValueError
            If the price is not positive.

        """
        if price is None:
            self.market.spot_mids.pop(name, None)
            return
        if not price > 0:
            raise ValueError(f"`price` was {price}, must be positive")
        self.market.spot_mids[name] = price

    def token(self, key: int | str) -> Json:
        """
        Return the row of a token by index, by name, or by the wire's ``USDH:0x54e0...``.

        Raises
        ------
        KeyError
            If there is no such token, or the identity after the colon is not the token's.

        """
        for row in self.market.tokens:
            if isinstance(key, int):
                if row["index"] == key:
                    return row
            else:
                name, colon, identity = key.partition(":")
                if row["name"] == name and (not colon or row.get("tokenId") == identity):
                    return row
        raise KeyError(key)

    # history of before the start

    def candles(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Json]:
        """Return the kept candles of before the start that touch [start, end], oldest first."""
        return self.market.candle_page(coin, interval, start_ms, end_ms)

    def funding(self, coin: str, start_ms: int, end_ms: int | None) -> list[Json]:
        """Return at most 500 funding rows from the start on, oldest first; the engine appends to the same list."""
        return self.market.funding_page(coin, start_ms, end_ms)

    def trades(self, coin: str) -> list[Json]:
        """Return the trades of before the start, newest first."""
        return self.market.trades.get(coin, [])

    def end_history_at(self, coin: str, price: Decimal) -> None:
        """
        Make the candles of before the start end at a price, so that a chart has no jump where the venue begins.

        Candles that were asked for before stay as they are.

        Raises
        ------
        ValueError
            If the price is not positive.

        """
        if not price > 0:
            raise ValueError(f"`price` was {price}, must be positive")
        self.market.closes[coin] = price

    # drift

    def delist(self, coin: str) -> None:
        """Mark a coin as delisted; it keeps its slot and so its number."""
        self.entry(coin)["isDelisted"] = True

    def relist(self, coin: str) -> None:
        """Take a delisting back."""
        self.entry(coin).pop("isDelisted", None)

    def set_max_leverage(self, coin: str, leverage: int) -> None:
        """
        Change a coin's largest leverage and its margin table, as a deployer does.

        Raises
        ------
        ValueError
            If the leverage is not 1 to 50.

        """
        if not 1 <= leverage <= 50:
            raise ValueError(f"`leverage` was {leverage}, must be 1 to 50")
        row = self.entry(coin)
        row["maxLeverage"] = row["marginTableId"] = leverage
        tables = self.meta(self.dex_of(coin))["marginTables"]
        if all(table[0] != leverage for table in tables):
            tables.append(_one_tier(leverage))

    def set_margin_tiers(self, coin: str, table_id: int, tiers: list[tuple[Decimal, int]]) -> None:
        """
        Give a coin a custom table of up to three tiers (lower bound in collateral units, largest leverage).

        Raises
        ------
        ValueError
            If the id is below 50, or the tiers break the venue's rules.

        """
        if table_id < 50:
            raise ValueError(f"`table_id` was {table_id}, must be 50 or more: smaller ids are one tier each")
        body = {
            "description": "",
            "marginTiers": [{"lowerBound": _text(low), "maxLeverage": most} for low, most in tiers],
        }
        parse_margin_tables([[table_id, body]])
        tables = self.meta(self.dex_of(coin))["marginTables"]
        tables[:] = [table for table in tables if table[0] != table_id]
        tables.append([table_id, body])
        row = self.entry(coin)
        row["maxLeverage"], row["marginTableId"] = tiers[0][1], table_id

    def set_growth_mode(self, coin: str, *, on: bool, at: str | None = None) -> None:
        """Switch a coin's growth mode; ``at`` is the change's time as the venue writes it, without a zone."""
        row = self.entry(coin)
        if on:
            row["growthMode"] = "enabled"
        else:
            row.pop("growthMode", None)
        if at is not None:
            row["lastGrowthModeChangeTime"] = at

    def set_margin_mode(self, coin: str, mode: str) -> None:
        """
        Set ``noCross``, ``strictIsolated`` or, with an empty text, cross margin.

        Raises
        ------
        ValueError
            If there is no such mode.

        """
        if mode not in MARGIN_MODES:
            raise ValueError(f"`mode` was {mode!r}, must be one of {', '.join(map(repr, MARGIN_MODES))}")
        row = self.entry(coin)
        for name in ("onlyIsolated", "marginMode"):
            row.pop(name, None)
        if mode:
            # the deprecated flag is still shown beside the mode
            row["onlyIsolated"], row["marginMode"] = True, mode

    def set_fee_scale(self, dex: str, scale: Decimal) -> None:
        """
        Set a deployer's fee scale: 0 to 3, or to 10 where all its coins are in growth mode (protocol: HIP-3 fees).

        Raises
        ------
        KeyError
            If there is no such dex, or it is the validators' own.
        ValueError
            If the scale is outside its range.

        """
        row = next((row for row in self.market.dexes if row["name"] == dex), None)
        if row is None:
            raise KeyError(dex)
        coins = self.coins(dex)
        most = (
            MAX_GROWTH_FEE_SCALE if coins and all(self.growth_mode(coin) for coin in coins) else MAX_FEE_SCALE
        )
        if not 0 <= scale <= most:
            raise ValueError(f"`scale` was {scale}, must be 0 to {most}")
        row["deployerFeeScale"] = _text(scale)

    def list_perp(
        self,
        dex: str,
        name: str,
        *,
        sz_decimals: int,
        max_leverage: int,
        price: Decimal | None = None,
        **more: Any,
    ) -> str:
        """
        Add a perpetual at the end of a dex's universe and return its coin.

        Parameters
        ----------
        dex : str
            The dex; empty for the validators' own.
        name : str
            The bare name, for example ``USTECH``.
        sz_decimals, max_leverage : int
            As in ``meta``.
        price : Decimal, optional
            The price its history begins at; without one it has none.
        **more : object
            Further keys of the row, for example ``growthMode="enabled"``.

        Raises
        ------
        KeyError
            If there is no such dex.
        ValueError
            If the coin is listed already.

        """
        coin = f"{dex}:{name}" if dex else name
        if self.find(coin) is not None:
            raise ValueError(f"`name` was {name!r}, {coin} is listed already")
        row = {"szDecimals": sz_decimals, "name": coin, "maxLeverage": max_leverage, **more}
        meta = self.meta(dex)
        meta["universe"].append({"marginTableId": max_leverage, **row})
        if all(table[0] != max_leverage for table in meta["marginTables"]):
            meta["marginTables"].append(_one_tier(max_leverage))
        if price is not None:
            self.market.paths[coin] = (float(price), sz_decimals)
        return coin


def _one_tier(leverage: int) -> list[Any]:
    return [
        leverage,
        {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": leverage}]},
    ]


def _text(value: Decimal) -> str:
    plain = format(value.normalize(), "f")
    return plain if "." in plain else plain + ".0"
