"""What the loopback venue knows: dexes, their perpetuals, candles and funding rates, all made from a seed."""

import random
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from functools import partial
from typing import Any
from typing import Final

from hyperliquid_hip3.constants import CANDLES_KEPT
from hyperliquid_hip3.constants import FUNDING_PAGE_ROWS
from hyperliquid_hip3.precision import round_price_away


USDH_TOKEN: Final = 360
USDC_TOKEN: Final = 0
# the identity by which sendAsset names the token: "USDH:0x54e0..."
USDH_IDENTITY: Final = "0x54e00a5988577cb0b0c9ab0cb6ef7f4b"
# the venue's list; position in it, after the null, is the dex's index: km is 5
DEX_NAMES: Final = ("xyz", "flx", "vntl", "hyna", "km")
HOUR_MS: Final = 3_600_000
INTERVAL_MS: Final[dict[str, int]] = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "1h": HOUR_MS,
    "1d": 24 * HOUR_MS,
}
# km's hourly baseline as observed
FUNDING_RATE: Final = "0.0000057078"

Json = dict[str, Any]


@dataclass
class Market:
    """
    The state behind the info server; change its fields to stage a case.

    Parameters
    ----------
    seed : int
        The seed of every price.
    end_ms : int
        The end of the last candle, ms UTC.
    dexes : list of dict
        Entries of ``perpDexs`` after the null.
    metas : dict
        The ``meta`` reply of each dex by name; the empty name is the validator dex.
    tokens : list of dict
        The tokens of ``spotMeta``.
    spot_pairs : list of dict
        The pairs of ``spotMeta``, its ``universe``.
    spot_mids : dict of str to Decimal
        Their mids, set figures: no spot pair is traded here.
    candles : dict
        Candles by coin and interval, oldest first; those of ``paths`` are made when first asked for.
    funding : dict
        Funding rows by coin, oldest first.
    trades : dict
        Recent trades by coin.
    paths : dict
        Coins whose candles can be made, each with its first price and ``szDecimals``.
    closes : dict
        Where a coin's made candles end, for those that do not just end anywhere.
    made_candles : int
        How many candles are made of an interval; the server shows the newest 5,000 only.

    """

    seed: int = 1
    end_ms: int = 1_780_000_200_000
    dexes: list[Json] = field(default_factory=list)
    metas: dict[str, Json] = field(default_factory=dict)
    tokens: list[Json] = field(default_factory=list)
    spot_pairs: list[Json] = field(default_factory=list)
    spot_mids: dict[str, Decimal] = field(default_factory=dict)
    candles: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    funding: dict[str, list[Json]] = field(default_factory=dict)
    trades: dict[str, list[Json]] = field(default_factory=dict)
    paths: dict[str, tuple[float, int]] = field(default_factory=dict)
    closes: dict[str, Decimal] = field(default_factory=dict)
    made_candles: int = 6_000

    def find(self, coin: str) -> Json | None:
        """Return the universe entry of a coin; None when no dex has it."""
        meta = self.metas.get(coin.partition(":")[0] if ":" in coin else "")
        return next((row for row in (meta or {"universe": []})["universe"] if row["name"] == coin), None)

    def candle_page(self, coin: str, interval: str, start_ms: int, end_ms: int) -> list[Json]:
        """Return the kept candles that touch [start, end], the newest 5,000 at most, as the venue does."""
        key = (coin, interval)
        if key not in self.candles and coin in self.paths and interval in INTERVAL_MS:
            price, sz_decimals = self.paths[coin]
            make = partial(
                make_candles,
                coin,
                interval,
                count=self.made_candles,
                end_ms=self.end_ms,
                sz_decimals=sz_decimals,
                seed=self.seed,
            )
            rows = make(price=price)
            if coin in self.closes and rows:
                # the walk multiplies, so one factor moves all of it
                rows = make(price=price * float(self.closes[coin] / Decimal(rows[-1]["c"])))
            self.candles[key] = rows
        kept = self.candles.get(key, [])[-CANDLES_KEPT:]
        return [row for row in kept if row["T"] >= start_ms and row["t"] <= end_ms]

    def funding_page(self, coin: str, start_ms: int, end_ms: int | None) -> list[Json]:
        """Return at most 500 funding rows from the start on."""
        rows = [
            row
            for row in self.funding.get(coin, [])
            if row["time"] >= start_ms and (end_ms is None or row["time"] <= end_ms)
        ]
        return rows[:FUNDING_PAGE_ROWS]


def default_market(
    *,
    seed: int = 1,
    end_ms: int = 1_780_000_200_000,
    candles: int = 6_000,
    funding_hours: int = 1_200,
) -> Market:
    """
    Return a venue with ``km:US500`` in USDH on dex 5 and ``xyz:SP500`` in USDC on dex 1.

    Parameters
    ----------
    seed : int
        The seed of the price paths.
    end_ms : int
        The end of the last candle, ms UTC; a whole interval for every interval served.
    candles : int
        Candles made of each interval; the server still shows the newest 5,000 only.
    funding_hours : int
        Hours of funding rows.

    """
    market = Market(
        seed=seed,
        end_ms=end_ms,
        dexes=[_dex(name) for name in DEX_NAMES],
        metas={
            "": _meta(USDC_TOKEN, _perp("BTC", sz_decimals=5, max_leverage=40)),
            "xyz": _meta(
                USDC_TOKEN, _perp("xyz:SP500", sz_decimals=3, max_leverage=50, growthMode="enabled")
            ),
            "flx": _meta(USDH_TOKEN, _perp("flx:USA500", sz_decimals=3, max_leverage=30, isDelisted=True)),
            "vntl": _meta(USDH_TOKEN),
            "hyna": _meta(235),
            "km": _meta(USDH_TOKEN, _perp("km:US500", sz_decimals=3, max_leverage=25, growthMode="enabled")),
        },
        tokens=[
            _token(USDC_TOKEN, "USDC", sz_decimals=8, token_id="0x" + "6d" * 16, is_canonical=True),
            _token(235, "USDE", sz_decimals=2, token_id="0x" + "2e" * 16),
            _token(USDH_TOKEN, "USDH", sz_decimals=2, token_id=USDH_IDENTITY),
        ],
        spot_pairs=[_spot_pair(230, base=USDH_TOKEN), _spot_pair(150, base=235)],
        spot_mids={"@230": Decimal(1)},
        paths={"km:US500": (690.0, 3), "xyz:SP500": (6_900.0, 3), "BTC": (84_000.0, 5)},
        made_candles=candles,
    )
    for coin, (price, sz_decimals) in market.paths.items():
        market.funding[coin] = make_funding(coin, count=funding_hours, end_ms=end_ms, seed=seed)
        market.trades[coin] = make_trades(
            coin, end_ms=end_ms, price=price, sz_decimals=sz_decimals, seed=seed
        )
    return market


def make_candles(
    coin: str,
    interval: str,
    *,
    count: int,
    end_ms: int,
    price: float,
    sz_decimals: int,
    seed: int,
) -> list[Json]:
    """Return a random walk of candles, oldest first, the last one ending at ``end_ms`` (cut to a whole interval)."""
    step_ms = INTERVAL_MS[interval]
    draws = random.Random(f"{seed} {coin} {interval}")  # noqa: S311 - prices, not secrets
    deviation = 0.0001 * (step_ms / 60_000) ** 0.5
    rows: list[Json] = []
    first_ms = end_ms // step_ms * step_ms - count * step_ms
    for i in range(count):
        steps = [price := price * (1 + draws.gauss(0.0, deviation / 2)) for _ in range(4)]
        path = [_price(value, sz_decimals) for value in steps]
        open_ms = first_ms + i * step_ms
        rows.append(
            {
                "t": open_ms,
                "T": open_ms + step_ms - 1,
                "s": coin,
                "i": interval,
                "o": str(path[0]),
                "c": str(path[-1]),
                "h": str(max(path)),
                "l": str(min(path)),
                "v": f"{draws.uniform(1, 50):.3f}",
                "n": draws.randint(1, 90),
            },
        )
    return rows


def make_funding(coin: str, *, count: int, end_ms: int, seed: int) -> list[Json]:
    """Return hourly funding rows, each stamped up to 118 ms after its hour as on the venue, oldest first."""
    draws = random.Random(f"{seed} {coin} funding")  # noqa: S311 - rates, not secrets
    last_ms = end_ms // HOUR_MS * HOUR_MS
    return [
        {
            "coin": coin,
            "fundingRate": FUNDING_RATE,
            "premium": f"{draws.gauss(0.0, 0.0001):.10f}",
            "time": last_ms - back * HOUR_MS + draws.randint(1, 118),
        }
        for back in range(count, 0, -1)
    ]


def make_trades(coin: str, *, end_ms: int, price: float, sz_decimals: int, seed: int) -> list[Json]:
    """Return thirty trades within the last half minute, newest first."""
    draws = random.Random(f"{seed} {coin} trades")  # noqa: S311 - prices, not secrets
    return [
        {
            "coin": coin,
            "side": draws.choice("AB"),
            "px": str(_price(price, sz_decimals)),
            "sz": f"{draws.uniform(0.1, 2):.3f}",
            "time": end_ms - 1_000 * back,
            "hash": "0x" + "0" * 64,
            "tid": draws.getrandbits(50),
            "users": ["0x" + "1" * 40, "0x" + "2" * 40],
        }
        for back in range(1, 31)
    ]


def _price(value: float, sz_decimals: int) -> Decimal:
    return round_price_away(Decimal(str(value)), side=1, sz_decimals=sz_decimals)


def _dex(name: str) -> Json:
    return {
        "name": name,
        "fullName": f"loopback {name}",
        "deployer": "0x" + "d" * 40,
        "oracleUpdater": None,
        "feeRecipient": None,
        "assetToStreamingOiCap": [],
        "subDeployers": [],
        "deployerFeeScale": "1.0",
        "lastDeployerFeeScaleChangeTime": "1970-01-01T00:00:00",
        "assetToFundingMultiplier": [],
        "assetToFundingInterestRate": [],
    }


def _token(index: int, name: str, *, sz_decimals: int, token_id: str, is_canonical: bool = False) -> Json:
    return {
        "name": name,
        "szDecimals": sz_decimals,
        "weiDecimals": 8,
        "index": index,
        "tokenId": token_id,
        "isCanonical": is_canonical,
        "evmContract": None,
        "fullName": None,
        "deployerTradingFeeShare": "0.0",
    }


def _spot_pair(index: int, *, base: int) -> Json:
    return {"tokens": [base, USDC_TOKEN], "name": f"@{index}", "index": index, "isCanonical": False}


def _perp(name: str, *, sz_decimals: int, max_leverage: int, **more: Any) -> Json:
    entry = {
        "szDecimals": sz_decimals,
        "name": name,
        "maxLeverage": max_leverage,
        "marginTableId": max_leverage,
    }
    return {**entry, **more}


def _meta(collateral_token: int, *universe: Json) -> Json:
    tables = [
        [
            perp["marginTableId"],
            {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": perp["maxLeverage"]}]},
        ]
        for perp in universe
    ]
    return {"universe": list(universe), "marginTables": tables, "collateralToken": collateral_token}
