"""The listing of the loopback venue: numbers, collaterals, tokens, history and drift."""

from decimal import Decimal

import pytest

from hyperliquid_hip3.parsing import parse_all_perp_metas
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.parsing import parse_perp_dexs
from hyperliquid_hip3.parsing import parse_spot_meta
from hyperliquid_loopback.market import default_market
from hyperliquid_loopback.universe import Universe


D = Decimal
COIN = "km:US500"
END_MS = 1_780_000_200_000


@pytest.fixture
def universe():
    return Universe(default_market(end_ms=END_MS, candles=300, funding_hours=40))


def test_km_is_the_fifth_dex_after_the_null_and_us500_is_asset_150000(universe):
    dexes = parse_perp_dexs(universe.perp_dexs())
    assert [(dex.index, dex.name) for dex in dexes][-1] == (5, "km")
    assert universe.dex_names[5] == "km"
    assert universe.asset_of(COIN) == 150_000
    assert universe.coin_of(150_000) == COIN


def test_every_coin_has_a_number_of_its_own_and_gets_it_back(universe):
    coins = universe.coins()
    assets = [universe.asset_of(coin) for coin in coins]
    assert len(set(assets)) == len(coins)
    assert [universe.coin_of(asset) for asset in assets] == list(coins)


@pytest.mark.parametrize("asset", [1, 7, 10_999, 99_999, 100_000, 150_001, 160_000, 10**9])
def test_a_number_of_nothing_is_a_key_error(universe, asset):
    with pytest.raises(KeyError):
        universe.coin_of(asset)


@pytest.mark.parametrize("coin", ["US500", "km:us500", "KM:US500", "zz:US500", "km:", "", "@1"])
def test_names_are_case_sensitive_and_carry_their_dex(universe, coin):
    with pytest.raises(KeyError):
        universe.asset_of(coin)
    with pytest.raises(KeyError):
        universe.entry(coin)


def test_km_is_kept_in_usdh_token_360_and_xyz_in_usdc(universe):
    assert universe.collateral_of("km") == (360, "USDH")
    assert universe.collateral_of("xyz") == (0, "USDC")
    usdh = universe.token(360)
    assert (usdh["weiDecimals"], usdh["tokenId"]) == (8, "0x54e00a5988577cb0b0c9ab0cb6ef7f4b")
    assert universe.token(f"USDH:{usdh['tokenId']}") is usdh
    with pytest.raises(KeyError):
        universe.token("USDH:0x00")


def test_the_usdh_pair_is_spot_230_and_its_number_is_10230(universe):
    pair = next(row for row in universe.spot_meta()["universe"] if row["name"] == "@230")
    assert pair["tokens"] == [360, 0]
    assert universe.asset_of("@230") == 10_230
    assert universe.coin_of(10_230) == "@230"
    assert universe.is_spot(10_230)
    assert not universe.is_spot(150_000)


def test_the_replies_are_what_the_adapter_s_parsers_read(universe):
    metas = parse_all_perp_metas(universe.all_metas())
    assert len(metas) == len(universe.dex_names)
    km = parse_meta(universe.meta("km"))
    entry = km.find(COIN)
    assert (entry.index, entry.sz_decimals, entry.max_leverage, entry.growth_mode) == (0, 3, 25, True)
    assert km.collateral_token == 360
    assert {token.index for token in parse_spot_meta(universe.spot_meta())} >= {0, 235, 360}


def test_what_drifts_is_what_meta_shows_next(universe):
    universe.delist(COIN)
    universe.set_max_leverage(COIN, 20)
    universe.set_growth_mode(COIN, on=False, at="2026-01-01T00:00:00")
    universe.set_margin_mode(COIN, "strictIsolated")
    entry = parse_meta(universe.meta("km")).find(COIN)
    assert (entry.is_delisted, entry.max_leverage, entry.margin_table_id) == (True, 20, 20)
    assert (entry.growth_mode, entry.margin_mode) == (False, "strictIsolated")
    assert universe.margin_table(COIN).max_leverage == 20
    universe.relist(COIN)
    universe.set_margin_mode(COIN, "")
    assert not universe.is_delisted(COIN)
    assert universe.margin_mode(COIN) == ""


def test_a_delisted_coin_keeps_its_slot_and_its_number(universe):
    second = universe.list_perp("km", "USTECH", sz_decimals=3, max_leverage=20, price=D(2_500))
    assert universe.asset_of(second) == 150_001
    universe.delist(COIN)
    assert universe.asset_of(second) == 150_001
    assert universe.coins("km", listed_only=True) == (second,)
    assert universe.coins("km") == (COIN, second)
    with pytest.raises(ValueError, match="listed already"):
        universe.list_perp("km", "USTECH", sz_decimals=3, max_leverage=20)


def test_custom_tiers_reach_the_margin_table_and_bad_ones_are_refused(universe):
    universe.set_margin_tiers(COIN, 77, [(D(0), 25), (D(100_000), 10)])
    table = universe.margin_table(COIN)
    assert table.max_leverage_at(D(100_001)) == 10
    assert parse_meta(universe.meta("km")).margin_tables[77][1].max_leverage == 10
    with pytest.raises(ValueError, match="margin tier"):
        universe.set_margin_tiers(COIN, 78, [(D(0), 10), (D(100_000), 25)])
    with pytest.raises(ValueError, match="table_id"):
        universe.set_margin_tiers(COIN, 49, [(D(0), 25)])


def test_a_fee_scale_goes_to_ten_only_while_all_coins_are_in_growth_mode(universe):
    universe.set_fee_scale("km", D(10))
    assert universe.fee_scale("km") == 10
    universe.set_growth_mode(COIN, on=False)
    with pytest.raises(ValueError, match="must be 0 to 3"):
        universe.set_fee_scale("km", D("3.5"))
    with pytest.raises(KeyError):
        universe.set_fee_scale("", D(1))
    assert universe.fee_scale("") == 1


@pytest.mark.parametrize("interval", ["1m", "1h"])
def test_history_can_be_made_to_end_at_the_price_that_the_market_opens_at(universe, interval):
    universe.end_history_at(COIN, D("715.25"))
    rows = universe.candles(COIN, interval, 0, END_MS)
    assert abs(D(rows[-1]["c"]) - D("715.25")) <= D("0.02")
    assert all(D(row["l"]) <= min(D(row["o"]), D(row["c"])) for row in rows)
    assert rows[-1]["T"] < END_MS
    assert len(universe.funding(COIN, 0, None)) == 40
    assert universe.trades(COIN)
