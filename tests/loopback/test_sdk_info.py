"""The official SDK's ``Info`` reads the loopback venue."""

import time
from decimal import Decimal

import pytest
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.error import ServerError

from tests.loopback.sdk_scene import COIN
from tests.loopback.sdk_scene import WALLET
from tests.loopback.sdk_scene import running_venue
from tests.loopback.sdk_scene import sdk_info


pytestmark = pytest.mark.live_node

D = Decimal
ADDRESS = WALLET.address


@pytest.fixture(scope="module")
def venue():
    with running_venue() as running:
        yield running


@pytest.fixture(scope="module")
def info(venue):
    with sdk_info(venue) as client:
        yield client


def now_ms():
    return int(time.time() * 1_000)


def test_the_sdk_numbers_us500_as_the_venue_does(info):
    assert info.name_to_asset(COIN) == 150_000
    assert info.asset_to_sz_decimals[150_000] == 3
    assert info.name_to_asset("USDH/USDC") == 10_230


def test_dexes_and_metas_are_read(info):
    dexes = info.perp_dexs()
    assert dexes[0] is None
    assert dexes[5]["name"] == "km"
    (entry,) = [row for row in info.meta("km")["universe"] if row["name"] == COIN]
    assert (entry["szDecimals"], entry["maxLeverage"]) == (3, 25)
    assert info.meta("km")["collateralToken"] == 360
    assert info.meta()["universe"][0]["name"] == "BTC"
    meta, contexts = info.meta_and_asset_ctxs()
    assert len(meta["universe"]) == len(contexts)


def test_the_contexts_of_km_are_positional_and_priced(info):
    meta, contexts = info.post("/info", {"type": "metaAndAssetCtxs", "dex": "km"})
    context = dict(zip([row["name"] for row in meta["universe"]], contexts, strict=True))[COIN]
    for name in ("oraclePx", "markPx", "midPx", "funding", "openInterest", "prevDayPx", "dayNtlVlm"):
        assert isinstance(context[name], str), name
    assert abs(D(context["markPx"]) - 690) < 7
    assert abs(D(context["oraclePx"]) - 690) < 7


def test_the_book_and_the_mids_agree(info):
    book = info.l2_snapshot(COIN)
    assert book["coin"] == COIN
    bids, asks = book["levels"]
    assert 0 < len(bids) <= 20
    prices = [D(row["px"]) for row in bids]
    assert prices == sorted(prices, reverse=True)
    assert D(bids[0]["px"]) < D(asks[0]["px"])
    assert all(D(row["sz"]) > 0 and row["n"] >= 1 for row in bids + asks)
    mid = D(info.all_mids("km")[COIN])
    assert mid == (D(bids[0]["px"]) + D(asks[0]["px"])) / 2
    assert COIN not in info.all_mids()


def test_candles_reach_back_before_the_start_and_join_up(info):
    end = now_ms()
    rows = info.candles_snapshot(COIN, "1m", end - 3_600_000, end)
    assert 55 <= len(rows) <= 62
    assert [row["t"] for row in rows] == sorted({row["t"] for row in rows})
    assert {row["s"] for row in rows} == {COIN}
    for row in rows:
        assert D(row["l"]) <= min(D(row["o"]), D(row["c"])) <= max(D(row["o"]), D(row["c"])) <= D(row["h"])
    # no jump where history ends and the venue's own book begins
    assert abs(D(rows[-1]["c"]) - 690) < 7


def test_funding_history_is_hourly(info):
    end = now_ms()
    rows = info.funding_history(COIN, end - 24 * 3_600_000, end)
    assert 22 <= len(rows) <= 25
    assert {row["coin"] for row in rows} == {COIN}
    assert all(row["time"] % 3_600_000 < 1_000 for row in rows)
    assert all(D(row["fundingRate"]) != 0 for row in rows)


def test_a_funded_flat_account_is_read(info):
    state = info.user_state(ADDRESS, "km")
    assert D(state["marginSummary"]["accountValue"]) == 1_000_000
    assert D(state["withdrawable"]) == 1_000_000
    assert state["assetPositions"] == []
    assert abs(state["time"] - now_ms()) < 5_000
    # the account is funded on km alone
    assert D(info.user_state(ADDRESS)["marginSummary"]["accountValue"]) == 0
    assert isinstance(info.spot_user_state(ADDRESS)["balances"], list)
    assert info.open_orders(ADDRESS, "km") == []
    assert info.frontend_open_orders(ADDRESS, "km") == []
    assert info.user_fills(ADDRESS) == []
    assert info.user_fills_by_time(ADDRESS, 0) == []
    assert info.historical_orders(ADDRESS) == []
    assert info.user_funding_history(ADDRESS, 0) == []


def test_fees_limits_role_and_mode_are_read(info):
    fees = info.user_fees(ADDRESS)
    assert (D(fees["userCrossRate"]), D(fees["userAddRate"])) == (D("0.00045"), D("0.00015"))
    limit = info.user_rate_limit(ADDRESS)
    assert (limit["nRequestsUsed"], limit["nRequestsCap"]) == (0, 10_000)
    assert info.user_role(ADDRESS) == {"role": "user"}
    assert info.user_role("0x" + "9" * 40) == {"role": "missing"}
    assert info.extra_agents(ADDRESS) == []
    assert info.query_user_abstraction_state(ADDRESS) == "disabled"


def test_an_order_nobody_placed_is_unknown(info):
    assert info.query_order_by_oid(ADDRESS, 1) == {"status": "unknownOid"}


def test_the_venue_s_errors_are_the_sdk_s(info):
    with pytest.raises(ServerError):
        info.meta("nosuch")
    with pytest.raises(ClientError) as refused:
        info.post("/info", {"type": "noSuchType"})
    assert refused.value.status_code == 422
    assert info.post("/info", {"type": "l2Book", "coin": "km:NONE"}) is None
