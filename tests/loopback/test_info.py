"""What /info answers: the keys of the venue's recorded replies, and its ways with what it does not know."""

import pytest

from hyperliquid_loopback.rules import unsourced_rules
from tests.loopback.venue_scene import COIN
from tests.loopback.venue_scene import START_MS
from tests.loopback.venue_scene import D
from tests.loopback.venue_scene import Trader
from tests.loopback.venue_scene import ask
from tests.loopback.venue_scene import order
from tests.loopback.venue_scene import still_venue


CLOID = "0x" + "ef" * 16
STRANGER = "0x" + "77" * 20
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def venue():
    """A venue on which the first account holds a position and a resting order."""
    with still_venue(limits=False) as running:
        trader = Trader(running)
        trader.place(order(px="691", sz="0.2", tif="Ioc"))
        trader.place(order(cloid=CLOID))
        yield running


@pytest.fixture(scope="module")
def user(venue):
    return venue.wallets[0].address


CASES = [
    ("metaAndAssetCtxs", {"dex": "km"}, None),
    (
        "clearinghouseState",
        {"dex": "km"},
        {"marginSummary", "crossMarginSummary", "crossMaintenanceMarginUsed"},
    ),
    ("spotClearinghouseState", {}, {"balances"}),
    ("userFees", {}, {"feeSchedule", "userCrossRate", "userAddRate", "dailyUserVlm"}),
    ("userRateLimit", {}, {"cumVlm", "nRequestsUsed", "nRequestsCap", "nRequestsSurplus"}),
    (
        "activeAssetData",
        {"coin": COIN},
        {"user", "coin", "leverage", "maxTradeSzs", "availableToTrade", "markPx"},
    ),
    ("exchangeStatus", {}, {"time", "specialStatuses"}),
    ("perpDexLimits", {"dex": "km"}, {"totalOiCap", "oiSzCapPerPerp", "maxTransferNtl", "coinToOiCap"}),
    ("perpDexStatus", {"dex": "km"}, {"totalNetDeposit"}),
    (
        "alignedQuoteTokenInfo",
        {"token": 360},
        {"isAligned", "firstAlignedTime", "evmMintedSupply", "dailyAmountOwed", "predictedRate"},
    ),
    ("l2Book", {"coin": COIN}, {"coin", "time", "levels"}),
    ("marginTable", {"id": 25, "dex": "km"}, {"description", "marginTiers"}),
]


@pytest.mark.parametrize(("kind", "more", "keys"), CASES, ids=[kind for kind, _, _ in CASES])
def test_a_reply_has_the_venue_s_keys(venue, user, kind, more, keys):
    reply = ask(venue, type=kind, user=user, **more)
    assert reply.status_code == 200
    if keys is not None:
        assert keys <= set(reply.json())


def test_contexts_stand_at_the_places_of_their_coins(venue):
    meta, contexts = ask(venue, type="metaAndAssetCtxs", dex="km").json()
    assert len(contexts) == len(meta["universe"])
    place = [row["name"] for row in meta["universe"]].index(COIN)
    assert contexts[place]["oraclePx"] == "690.0"


def test_orders_of_a_dex_are_asked_for_with_the_dex(venue, user):
    assert ask(venue, type="openOrders", user=user).json() == []
    (plain,) = ask(venue, type="openOrders", user=user, dex="km").json()
    (frontend,) = ask(venue, type="frontendOpenOrders", user=user, dex="km").json()
    assert plain["oid"] == frontend["oid"]
    assert (frontend["cloid"], frontend["tif"], frontend["orderType"]) == (CLOID, "Alo", "Limit")


def test_an_order_is_found_by_number_and_by_client_id(venue, user):
    by_cloid = ask(venue, type="orderStatus", user=user, oid=CLOID).json()
    by_oid = ask(venue, type="orderStatus", user=user, oid=by_cloid["order"]["order"]["oid"]).json()
    assert by_cloid == by_oid
    assert ask(venue, type="orderStatus", user=user, oid=1).json() == {"status": "unknownOid"}


def test_history_holds_filled_and_open_orders(venue, user):
    rows = ask(venue, type="historicalOrders", user=user).json()
    assert {row["status"] for row in rows} == {"filled", "open"}


def test_fills_are_asked_for_by_time_and_by_number(venue, user):
    (fill,) = ask(venue, type="userFills", user=user).json()
    assert (fill["coin"], fill["sz"], fill["feeToken"]) == (COIN, "0.2", "USDH")
    asked = {"type": "userFillsByTime", "user": user}
    assert ask(venue, **asked, startTime=fill["time"]).json() == [fill]
    assert ask(venue, **asked, startTime=fill["time"] + 1).json() == []
    assert ask(venue, **asked, startTime=0, endTime=fill["time"] - 1).json() == []


def test_a_position_is_worth_what_was_paid_for_it(venue, user):
    state = ask(venue, type="clearinghouseState", user=user, dex="km").json()
    (row,) = state["assetPositions"]
    summary = state["marginSummary"]
    assert (row["position"]["coin"], row["position"]["szi"]) == (COIN, "0.2")
    assert D(summary["accountValue"]) == D(summary["totalRawUsd"]) + D(summary["totalNtlPos"])
    assert ask(venue, type="clearinghouseState", user=user).json()["assetPositions"] == []


def test_a_stranger_has_nothing_and_that_is_no_error(venue):
    state = ask(venue, type="clearinghouseState", user=STRANGER, dex="km").json()
    assert (state["assetPositions"], D(state["marginSummary"]["accountValue"])) == ([], 0)
    for kind in ("userFills", "historicalOrders", "openOrders", "extraAgents"):
        assert ask(venue, type=kind, user=STRANGER).json() == []
    assert ask(venue, type="userRole", user=STRANGER).json()["role"] == "missing"


def test_an_address_is_read_in_any_case(venue, user):
    upper = "0x" + user[2:].upper()
    assert ask(venue, type="userFills", user=upper).json() == ask(venue, type="userFills", user=user).json()


def test_candles_of_before_the_start_and_of_the_venue_join(venue):
    req = {
        "coin": COIN,
        "interval": "1m",
        "startTime": START_MS - 3 * MINUTE_MS,
        "endTime": START_MS + MINUTE_MS,
    }
    rows = ask(venue, type="candleSnapshot", req=req).json()
    assert [row["t"] for row in rows] == [START_MS + k * MINUTE_MS for k in (-3, -2, -1, 0)]
    assert (rows[-1]["n"], rows[-1]["v"]) == (1, "0.2")
    # the made history ends at the price that the market begins with
    assert rows[-2]["c"] == "690.0" or abs(D(rows[-2]["c"]) - 690) < D("0.1")


def test_trades_are_newest_first(venue):
    rows = ask(venue, type="recentTrades", coin=COIN).json()
    assert (rows[0]["px"], rows[0]["sz"]) == ("690.01", "0.2")
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)


def test_mids_are_of_one_dex(venue):
    assert ask(venue, type="allMids", dex="km").json() == {COIN: "690.0"}
    assert set(ask(venue, type="allMids").json()) == {"BTC", "@230"}


def test_a_rounded_book_tells_its_spread(venue):
    book = ask(venue, type="l2Book", coin=COIN, nSigFigs=3).json()
    assert [side[0]["px"] for side in book["levels"]] == ["689.0", "691.0"]
    assert D(book["spread"]) == 2


def test_the_cap_of_open_interest_is_listed(venue):
    asked = {"type": "perpsAtOpenInterestCap", "dex": "km"}
    assert ask(venue, **asked).json() == []
    venue.call(lambda exchange: exchange.set_oi_cap(COIN, True))
    assert ask(venue, **asked).json() == [COIN]
    venue.call(lambda exchange: exchange.set_oi_cap(COIN, False))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "clearinghouseState", "user": "me"}, 422),
        ({"type": "clearinghouseState"}, 422),
        ({"type": "clearinghouseState", "user": STRANGER, "dex": "none"}, 500),
        ({"type": "clearinghouseState", "user": STRANGER, "dex": 5}, 422),
        ({"type": "userFills", "user": STRANGER, "aggregateByTime": 1}, 422),
        ({"type": "userFillsByTime", "user": STRANGER}, 422),
        ({"type": "orderStatus", "user": STRANGER}, 422),
        ({"type": "orderStatus", "user": STRANGER, "oid": 1.5}, 422),
        ({"type": "l2Book", "coin": 5}, 422),
        ({"type": "l2Book", "coin": COIN, "nSigFigs": "5"}, 422),
        ({"type": "l2Book", "coin": COIN, "nSigFigs": 9}, 500),
        (
            {"type": "candleSnapshot", "req": {"coin": COIN, "interval": "9m", "startTime": 0, "endTime": 1}},
            422,
        ),
        ({"type": "activeAssetData", "user": STRANGER, "coin": "km:NONE"}, 500),
        ({"type": "marginTable", "id": 7, "dex": "km"}, 500),
        ({"type": 5}, 422),
    ],
)
def test_what_cannot_be_answered_has_its_status(venue, body, status):
    assert ask(venue, **body).status_code == status


def test_the_readme_lists_every_rule_without_a_source(request):
    text = (request.config.rootpath / "adapters/hyperliquid_loopback/README.md").read_text()
    listed = text.partition("## Rules without a source")[2]
    assert listed.count("\n- ") == len(unsourced_rules()) == len(set(unsourced_rules()))
    assert all(f"\n- {rule}\n" in listed for rule in unsourced_rules())


def test_a_dex_names_a_cap_for_each_coin_and_what_its_accounts_are_worth(venue):
    limits = ask(venue, type="perpDexLimits", dex="km").json()
    assert [coin for coin, _ in limits["coinToOiCap"]] == ["US500"] + [
        row["name"].partition(":")[2]
        for row in ask(venue, type="meta", dex="km").json()["universe"]
        if row["name"] != COIN and not row.get("isDelisted")
    ]
    worth = sum(
        D(
            ask(venue, type="clearinghouseState", user=wallet.address, dex="km").json()["marginSummary"][
                "accountValue"
            ]
        )
        for wallet in venue.wallets
    )
    assert D(ask(venue, type="perpDexStatus", dex="km").json()["totalNetDeposit"]) == worth > 0


@pytest.mark.parametrize("kind", ["perpDexLimits", "perpDexStatus"])
def test_the_first_dex_has_no_limits_of_a_deployer(venue, kind):
    for body in ({}, {"dex": ""}, {"dex": "nowhere"}):
        reply = ask(venue, type=kind, **body)
        assert (reply.status_code, reply.text) == (500, "null")


def test_predicted_fundings_are_of_the_first_dex_and_the_hour_to_come(venue):
    rows = ask(venue, type="predictedFundings").json()
    own = [row["name"] for row in ask(venue, type="meta").json()["universe"] if not row.get("isDelisted")]
    assert [coin for coin, _ in rows] == own
    for coin, ((exchange, told),) in rows:
        assert exchange == "HlPerp"
        assert told["fundingRate"] == venue.exchange.ctx(coin)["funding"]
        assert 0 < told["nextFundingTime"] - venue.now_ms <= 60 * MINUTE_MS


def test_market_order_notionals_fall_with_the_leverage(venue):
    rows = ask(venue, type="maxMarketOrderNtls").json()
    assert rows[0] == [25, "15000000.0"]
    assert rows == sorted(rows, reverse=True)
    assert [D(notional) for _, notional in rows] == sorted((D(n) for _, n in rows), reverse=True)


@pytest.mark.parametrize("token", [99_999, -1])
def test_a_token_that_there_is_not_is_not_aligned_either(venue, token):
    assert ask(venue, type="alignedQuoteTokenInfo", token=token).text == "null"
    assert ask(venue, type="alignedQuoteTokenInfo", token="USDH").status_code == 422
