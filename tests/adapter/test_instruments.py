"""Instruments of the venue's perpetuals."""

from decimal import Decimal

import pytest
from nautilus_trader.model.instruments import PerpetualContract

from amm500_catalog import MarketSpec
from amm500_nautilus.margin.position import MarginMode
from hyperliquid_hip3.constants import builder_asset_id
from hyperliquid_hip3.constants import info_weight
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.instruments import OwnRates
from hyperliquid_hip3.instruments import declared_modes
from hyperliquid_hip3.instruments import declared_table
from hyperliquid_hip3.instruments import first_tier_fees
from hyperliquid_hip3.instruments import make_instrument
from hyperliquid_hip3.instruments import make_perpetual_from_entry
from hyperliquid_hip3.instruments import make_perpetual_from_meta
from hyperliquid_hip3.instruments import perp_fees
from hyperliquid_hip3.instruments import table_of
from hyperliquid_hip3.parsing import parse_meta
from hyperliquid_hip3.records import PerpEntry


def test_the_default_market_is_a_usdh_perpetual_with_a_cent_tick():
    instrument = make_instrument(MarketSpec(), 690.01, 1)
    assert str(instrument.id) == "km:US500-USD-PERP.HYPERLIQUID"
    assert instrument.quote_currency.code == instrument.settlement_currency.code == "USDH"
    assert (str(instrument.price_increment), str(instrument.size_increment)) == ("0.01", "0.001")
    assert (instrument.margin_init, instrument.margin_maint) == (Decimal("0.04"), Decimal("0.02"))
    assert str(instrument.min_notional) == "10.00000000 USDH"
    assert (instrument.maker_fee, instrument.taker_fee) == (Decimal("0.00003"), Decimal("0.00009"))
    assert (instrument.info["tick_from_price"], instrument.info["tick_below_price"]) == ("100", "1000")


def test_an_instrument_survives_the_catalogue_s_form():
    instrument = make_instrument(MarketSpec(), 690.01, 1)
    assert PerpetualContract.from_dict(PerpetualContract.to_dict(instrument)) == instrument


@pytest.mark.parametrize(
    ("coin", "sz_decimals", "price", "increment"),
    [
        ("xyz:SP500", 3, "7673.3", "0.1"),
        ("BTC", 5, "84143", "1"),
        ("SOL", 2, "201.5", "0.01"),
        ("km:US500", 3, None, "0.001"),
    ],
)
def test_the_price_picks_the_tick(coin, sz_decimals, price, increment):
    spec = MarketSpec(coin=coin, collateral="USDC", sz_decimals=sz_decimals, max_leverage=20)
    instrument = make_instrument(spec, price, 1)
    assert str(instrument.price_increment) == increment


@pytest.mark.parametrize(
    ("growth", "scale", "maker", "taker"),
    [
        # 0.015 % and 0.045 % times 2 (scale 1), a tenth in growth mode
        (True, "1", "0.00003", "0.00009"),
        (False, "1", "0.0003", "0.0009"),
        # scale 0.5: times 1.5
        (False, "0.5", "0.000225", "0.000675"),
        # scale 3: times 6
        (True, "3", "0.00009", "0.00027"),
    ],
)
def test_the_first_tier_s_fees_follow_the_deployer_s_scale(growth, scale, maker, taker):
    fees = first_tier_fees(is_builder_dex=True, growth_mode=growth, deployer_fee_scale=Decimal(scale))
    assert fees == (Decimal(maker), Decimal(taker))


def test_the_validator_dex_has_no_deployer_s_share():
    fees = first_tier_fees(is_builder_dex=False, growth_mode=False, deployer_fee_scale=Decimal(1))
    assert fees == (Decimal("0.00015"), Decimal("0.00045"))


def test_a_referral_discount_is_taken_off_on_the_validator_dex_too_but_never_off_a_rebate():
    own = OwnRates(maker=Decimal("-0.00002"), taker=Decimal("0.00045"), referral_discount=Decimal("0.04"))
    fees = perp_fees(own, is_builder_dex=False, growth_mode=False, deployer_fee_scale=Decimal(1))
    assert fees == (Decimal("-0.00002"), Decimal("0.000432"))


def test_an_entry_s_own_fee_scale_goes_before_the_dex_s():
    entry = PerpEntry(
        index=0, coin="km:US500", sz_decimals=3, max_leverage=25, deployer_fee_scale=Decimal("0.5")
    )
    instrument = make_perpetual_from_entry(
        entry, "USDH", "690", 1, asset_id=150_000, deployer_fee_scale=Decimal(1)
    )
    assert instrument.maker_fee == Decimal("0.000225")
    assert instrument.info["asset_id"] == 150_000


def test_fees_that_are_given_are_kept():
    instrument = make_instrument(
        MarketSpec(), 690, 1, maker_fee=Decimal("-0.000002"), taker_fee=Decimal("0.0001")
    )
    assert (instrument.maker_fee, instrument.taker_fee) == (Decimal("-0.000002"), Decimal("0.0001"))


def test_no_leverage_is_refused():
    with pytest.raises(ValueError, match="max_leverage"):
        make_instrument(MarketSpec(coin="BTC", sz_decimals=5, max_leverage=0), "84143", 1)


@pytest.mark.parametrize(
    ("dex", "index", "asset"), [(5, 0, 150_000), (1, 0, 110_000), (9, 3, 190_003), (0, 4, 4)]
)
def test_an_asset_s_number_is_its_place_among_dexes_and_coins(dex, index, asset):
    assert builder_asset_id(dex, index) == asset


@pytest.mark.parametrize(("dex", "index"), [(-1, 0), (1, -1), (1, 10_000)])
def test_an_impossible_place_has_no_number(dex, index):
    with pytest.raises(ValueError, match="index"):
        builder_asset_id(dex, index)


@pytest.mark.parametrize(("coin", "parts"), [("km:US500", ("km", "US500")), ("BTC", ("", "BTC"))])
def test_a_coin_splits_into_dex_and_name(coin, parts):
    assert split_coin(coin) == parts


@pytest.mark.parametrize(
    ("kind", "rows", "weight"),
    # 20 + 5000 // 60 = 103; 20 + 500 // 20 = 45
    [
        ("candleSnapshot", 5_000, 103),
        ("fundingHistory", 500, 45),
        ("l2Book", 40, 2),
        ("meta", 99, 20),
        ("userRole", 0, 60),
    ],
)
def test_a_request_weighs_its_type_and_its_rows(kind, rows, weight):
    assert info_weight(kind, rows) == weight


META = {
    "universe": [
        {"name": "km:OLD", "szDecimals": 2, "maxLeverage": 10, "marginTableId": 10, "isDelisted": True},
        {
            "name": "km:US500",
            "szDecimals": 3,
            "maxLeverage": 25,
            "marginTableId": 61,
            "growthMode": "enabled",
            "deployerFeeScale": "0.5",
        },
        {
            "name": "km:THIN",
            "szDecimals": 1,
            "maxLeverage": 5,
            "marginTableId": 5,
            "marginMode": "strictIsolated",
        },
    ],
    "marginTables": [
        [
            61,
            {
                "description": "tiers of this test",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 25},
                    {"lowerBound": "2000000.0", "maxLeverage": 10},
                ],
            },
        ]
    ],
    "collateralToken": 360,
}


def from_meta(coin: str, price: str | None = "690") -> PerpetualContract:
    return make_perpetual_from_meta(parse_meta(META), coin, "USDH", price, 1, asset_base=150_000)


def test_an_instrument_from_meta_has_its_lot_tick_leverage_fees_and_flags():
    instrument = from_meta("km:US500")
    assert (str(instrument.price_increment), str(instrument.size_increment)) == ("0.01", "0.001")
    assert (instrument.margin_init, instrument.margin_maint) == (Decimal("0.04"), Decimal("0.02"))
    # base 0.015 % times 1 + 0.5, a tenth in growth mode
    assert instrument.maker_fee == Decimal("0.0000225")
    info = instrument.info
    assert (info["asset_id"], info["growth_mode"], info["is_delisted"]) == (150_001, True, False)
    assert info["margin_table_id"] == 61


@pytest.mark.parametrize(("price", "tick"), [("99.5", "0.001"), ("690", "0.01"), ("1050", "0.1")])
def test_the_tick_keeps_five_significant_figures(price, tick):
    assert str(from_meta("km:US500", price).price_increment) == tick


def test_the_margin_tiers_survive_in_the_instrument_and_give_the_venue_s_maintenance():
    instrument = from_meta("km:US500")
    kept = PerpetualContract.from_dict(PerpetualContract.to_dict(instrument))
    table = declared_table(kept.info)
    assert table is not None
    # 2 % of two million and 5 % of the million above
    assert table.maintenance(Decimal(3_000_000)) == Decimal(90_000)
    assert table.max_leverage_at(Decimal(3_000_000)) == 10


def test_a_delisted_market_says_so_and_a_strict_isolated_one_allows_nothing_else():
    assert from_meta("km:OLD").info["is_delisted"] is True
    assert declared_modes(from_meta("km:THIN").info) == (MarginMode.STRICT_ISOLATED,)
    assert declared_modes(from_meta("km:US500").info) == (MarginMode.CROSS, MarginMode.ISOLATED)
    assert declared_table(None) is None


def test_a_coin_or_a_margin_table_that_meta_lacks_is_refused():
    with pytest.raises(ValueError, match="must be one of km:OLD, km:US500, km:THIN"):
        from_meta("km:NONE")
    entry = PerpEntry(index=0, coin="km:US500", sz_decimals=3, max_leverage=25, margin_table_id=70)
    with pytest.raises(ValueError, match="margin table 70"):
        table_of(entry, parse_meta(META))
