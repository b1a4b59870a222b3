"""Which candidate market is taken."""

import pytest

from amm500_catalog import MarketSpec
from amm500_catalog.errors import SourceUnavailableError


CANDIDATES = ["km:US500", "mkts:US500", "xyz:SP500"]


def delist(venue, coin):
    venue.market.find(coin)["isDelisted"] = True


def test_the_first_listed_candidate_is_taken_with_the_exchange_s_facts(source):
    market = source.fetch_market(CANDIDATES)
    assert market.spec == MarketSpec(
        coin="km:US500",
        collateral="USDH",
        sz_decimals=3,
        max_leverage=25,
        growth_mode=True,
        deployer_fee_scale=1.0,
    )
    # dex 5, first coin: 100000 + 5 * 10000 + 0
    assert (market.asset_id, market.collateral_token) == (150_000, 360)
    assert market.sentence == "km:US500 is listed, in USDH (asset 150000)"


def test_a_delisted_candidate_and_an_unknown_dex_are_passed_over_and_named(venue, source):
    delist(venue, "km:US500")
    market = source.fetch_market(CANDIDATES)
    assert (market.spec.coin, market.spec.collateral, market.asset_id) == ("xyz:SP500", "USDC", 110_000)
    assert market.passed_over == ("km:US500 (delisted)", "mkts:US500 (no dex mkts)")
    assert market.sentence == (
        "xyz:SP500 is listed, in USDC (asset 110000); passed over: km:US500 (delisted), mkts:US500 (no dex mkts)"
    )


def test_no_listed_candidate_is_an_error_that_names_each(venue, source):
    delist(venue, "km:US500")
    with pytest.raises(SourceUnavailableError, match=r"none .* km:US500 .delisted., km:GONE .not listed."):
        source.fetch_market(["km:US500", "km:GONE"])


def test_an_asset_s_own_fee_scale_goes_before_its_dex_s(venue, source):
    venue.market.find("km:US500")["deployerFeeScale"] = "0.5"
    assert source.fetch_market(CANDIDATES).spec.deployer_fee_scale == 0.5


def test_a_fee_scale_that_is_nowhere_stated_is_one_and_named(venue, source):
    for dex in venue.market.dexes:
        del dex["deployerFeeScale"]
    market = source.fetch_market(CANDIDATES)
    assert market.spec.deployer_fee_scale == 1.0
    assert market.notes == ("deployer fee scale 1 (the exchange states none)",)


def test_growth_mode_is_read_and_not_assumed(venue, source):
    del venue.market.find("km:US500")["growthMode"]
    assert not source.fetch_market(CANDIDATES).spec.growth_mode


def test_a_coin_of_the_validator_dex_has_its_position_as_number(source):
    market = source.fetch_market(["BTC"])
    assert (market.spec.coin, market.spec.collateral, market.asset_id) == ("BTC", "USDC", 0)


def test_a_collateral_token_that_spot_meta_lacks_is_an_error(venue, source):
    venue.market.metas["km"]["collateralToken"] = 999
    with pytest.raises(SourceUnavailableError, match="no token 999"):
        source.fetch_market(CANDIDATES)


def test_each_dex_is_asked_once(venue, source):
    source.fetch_market(["km:A", "km:B", "km:US500"])
    assert [request["type"] for request in venue.requests] == ["perpDexs", "meta", "spotMeta"]


def test_no_candidates_is_refused(source):
    with pytest.raises(ValueError, match="at least one coin"):
        source.fetch_market([])
