"""
The figures of recorded account payloads, each to its last printed digit.

What cannot be had from a payload, and why:

- the ETH example of the venue's documents: its ``rawUsd`` is an input, since the fills and funding behind it are not in it
- the account of 2023: ``liquidationPx`` and ``withdrawable`` follow the rules of that time (no division by
  ``1 - l * side``, no tenth of the notional), and ``returnOnEquity`` is PnL over the margin at mark, where records from
  2024 on take the margin at entry; each older rule is written out below
- the account with a negative ``totalRawUsd``: it has no positions, and its ``withdrawable`` is the free collateral, not that
  less a tenth of the notional; its time stamp is made up, so the rule of its time is unknown
- ``maxTradeSzs`` and ``availableToTrade`` of the documents' HIP-3 example are 0 for an account not shown
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import fill_fee
from amm500_nautilus.margin.limits import trade_limits
from amm500_nautilus.margin.liquidation import account_liquidation_price
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.rounding import cut
from amm500_nautilus.margin.rounding import print_liquidation_price
from amm500_nautilus.margin.tables import MarginTable
from amm500_nautilus.margin.tables import margin_table
from amm500_nautilus.margin.tables import parse_margin_tables


pytestmark = pytest.mark.real_data

# size decimals of the markets of the account of 2023, as its printed entry prices and largest sizes show
SIZE_DECIMALS = {
    "BTC": 5, "ETH": 4, "ATOM": 2, "MATIC": 1, "DYDX": 1, "SOL": 2, "AVAX": 2, "BNB": 3, "APE": 1, "OP": 1, "LTC": 2, "ARB": 1,
}  # fmt: skip
LEVERAGE_OF_2023 = 50
FULL_SIZES = 24


def load(shared_dir: Path, name: str) -> Any:
    """The payload of a file; captures with a request line before it carry it on their last line."""
    text = (shared_dir / "payloads" / name).read_text(encoding="utf-8")
    return json.loads(text.strip().splitlines()[-1] if name.endswith(".txt") else text)


def read_position(row: dict[str, Any], *, size_decimals: int, max_leverage: int) -> Position:
    position = row["position"]
    size = Decimal(position["szi"])
    leverage = position["leverage"]
    return Position(
        coin=position["coin"],
        table=MarginTable(max_leverage),
        leverage=leverage["value"],
        mode=MarginMode(leverage["type"]),
        mark=Decimal(position["positionValue"]) / abs(size),
        size=size,
        entry_value=abs(size) * Decimal(position["entryPx"]),
        raw_usd=Decimal(leverage.get("rawUsd", 0)),
        size_decimals=size_decimals,
    )


def read_account(state: dict[str, Any], positions: tuple[Position, ...]) -> Account:
    cash = Decimal(state["crossMarginSummary"]["totalRawUsd"])
    return Account(collateral="USDC", cash=cash, positions=positions)


def assert_summaries(account: Account, state: dict[str, Any]) -> None:
    for name, summary in (
        ("marginSummary", account.summary),
        ("crossMarginSummary", account.cross_summary),
    ):
        assert summary.account_value == Decimal(state[name]["accountValue"])
        assert summary.total_ntl_pos == Decimal(state[name]["totalNtlPos"])
        assert summary.total_raw_usd == Decimal(state[name]["totalRawUsd"])
        assert summary.total_margin_used == Decimal(state[name]["totalMarginUsed"])


def assert_position(account: Account, row: dict[str, Any], *, decimals: int = 10) -> None:
    printed = row["position"]
    position = account.position(printed["coin"])
    assert position.notional == Decimal(printed["positionValue"])
    assert position.printed_entry == Decimal(printed["entryPx"])
    assert position.unrealized == Decimal(printed["unrealizedPnl"])
    assert position.margin_used == Decimal(printed["marginUsed"])
    price = account_liquidation_price(account, position.coin)
    assert price is not None
    assert str(print_liquidation_price(price, decimals)) == printed["liquidationPx"]
    at_entry = position.entry_value / position.leverage
    assert abs(position.unrealized / at_entry - Decimal(printed["returnOnEquity"])) < Decimal("5e-8")


def test_the_captured_hype_account_follows_from_one_taker_fill(shared_dir: Path) -> None:
    """2 bought at 37.829 at 10x isolated, as a taker without discount; every figure of the capture follows."""
    state = load(shared_dir, "jkorf_http_GetAccountInfo.txt")
    row = state["assetPositions"][0]
    price, size = Decimal(row["position"]["entryPx"]), Decimal(row["position"]["szi"])
    fee = fill_fee(FeeSchedule(deployer_fee_scale=Decimal(0), growth_mode=False), price * size, maker=False)
    flat = Position(
        coin="HYPE",
        table=MarginTable(row["position"]["maxLeverage"]),
        leverage=10,
        mark=price,
        mode=MarginMode.ISOLATED,
        size_decimals=2,
    )
    # before the fill: what is outside now and the initial margin of 7.5658
    before = Account(collateral="USDC", cash=Decimal("75.781884") + Decimal("7.5658"), positions=(flat,))
    account, _ = before.filled("HYPE", side=1, size=size, price=price, fee=fee.total)
    account = account.marked("HYPE", Decimal(row["position"]["positionValue"]) / size)
    assert account.position("HYPE").raw_usd == Decimal(row["position"]["leverage"]["rawUsd"])
    assert_summaries(account, state)
    assert_position(account, row)
    assert row["position"]["liquidationPx"] == "35.8559189474"
    assert account.withdrawable == Decimal(state["withdrawable"])
    assert account.cross_maintenance == Decimal(state["crossMaintenanceMarginUsed"])


def test_the_eth_account_of_the_documents_is_reproduced(shared_dir: Path) -> None:
    state = load(shared_dir, "docs_examples_hip3.json")["clearinghouseState"]
    row = state["assetPositions"][0]
    position = read_position(row, size_decimals=4, max_leverage=row["position"]["maxLeverage"])
    account = read_account(state, (position,))
    assert_summaries(account, state)
    # 2866.26936529 only if maintenance is cut to 1.000276; with 1.0002765 it would be 2866.26938038
    assert_position(account, row, decimals=8)
    assert account.withdrawable == Decimal(state["withdrawable"])
    assert account.cross_maintenance == Decimal(state["crossMaintenanceMarginUsed"])


def account_of_2023(shared_dir: Path) -> tuple[Account, dict[str, Any]]:
    state = load(shared_dir, "sdk_cassette_get_user_state.json")[0]["response"]
    positions = tuple(
        read_position(
            row, size_decimals=SIZE_DECIMALS[row["position"]["coin"]], max_leverage=LEVERAGE_OF_2023
        )
        for row in state["assetPositions"]
    )
    return read_account(state, positions), state


def test_the_cross_account_of_twelve_positions_is_reproduced(shared_dir: Path) -> None:
    account, state = account_of_2023(shared_dir)
    assert len(account.positions) == 12
    assert_summaries(account, state)
    for row in state["assetPositions"]:
        printed = row["position"]
        position = account.position(printed["coin"])
        assert position.margin_used == Decimal(printed["marginUsed"])
        assert position.unrealized == Decimal(printed["unrealizedPnl"])
        assert position.printed_entry == Decimal(printed["entryPx"])
    # without the later rule of a tenth of the notional
    assert account.free == Decimal(state["withdrawable"])
    assert account.withdrawable == cut(account.equity - Decimal("343.4815334"))


def test_the_liquidation_prices_of_2023_hold_maintenance_where_it_was(shared_dir: Path) -> None:
    account, state = account_of_2023(shared_dir)
    available = account.equity - account.cross_maintenance
    seen = 0
    for row in state["assetPositions"]:
        printed = row["position"]
        position = account.position(printed["coin"])
        side = 1 if position.size > 0 else -1
        # the formula of 2023: price - side * margin_available / size
        price = position.mark - side * available / abs(position.size)
        if printed["liquidationPx"] is None:
            assert price <= 0
            assert account_liquidation_price(account, position.coin) is None
        else:
            seen += 1
            assert print_liquidation_price(price, 8) == Decimal(printed["liquidationPx"])
            # today's formula divides by 1 + l for a short: nearer
            today = account_liquidation_price(account, position.coin)
            assert today is not None
            assert today - position.mark == pytest.approx((price - position.mark) / Decimal("1.01"))
    assert seen == 5


def test_the_largest_sizes_of_2023_are_reproduced_both_ways(shared_dir: Path) -> None:
    account, state = account_of_2023(shared_dir)
    right = 0
    for row in state["assetPositions"]:
        printed = row["position"]
        lot = Decimal(1).scaleb(-SIZE_DECIMALS[printed["coin"]])
        limits = trade_limits(account, printed["coin"], lot)
        expected = tuple(Decimal(size) for size in printed["maxTradeSzs"])
        right += sum(got == want for got, want in zip(limits.max_sizes, expected, strict=True))
    assert right == FULL_SIZES


def test_the_account_with_negative_raw_collateral_is_consistent(shared_dir: Path) -> None:
    state = load(shared_dir, "http_clearinghouse_state_negative_total_raw_usd.json")
    cross = state["crossMarginSummary"]
    # the payload names no position; one long of the whole value at 25x is the simplest that gives its figures
    value = Decimal(cross["totalNtlPos"])
    position = Position(
        coin="X", table=MarginTable(50), leverage=25, mark=value, size=Decimal(1), entry_value=value
    )
    account = read_account(state, (position,))
    assert account.cross_summary.account_value == Decimal(cross["accountValue"])
    assert account.cross_summary.total_margin_used == Decimal(cross["totalMarginUsed"])
    assert account.free == Decimal(state["withdrawable"])
    assert account.withdrawable == 0


def test_the_flat_testnet_account_is_all_zero(shared_dir: Path) -> None:
    state = load(shared_dir, "info_testnet_2026-07-28.json")["clearinghouseState_flat"]
    account = read_account(state, ())
    assert_summaries(account, state)
    assert account.withdrawable == Decimal(state["withdrawable"]) == 0
    assert account.position_margin_ratio == account.maintenance_ratio == 0


def test_recorded_margin_tables_give_the_leverage_of_their_markets(shared_dir: Path) -> None:
    meta = load(shared_dir, "docs_metaAndAssetCtxs_xyz_2026-01.json")[0]
    tables = parse_margin_tables(meta["marginTables"])
    assert tables == {50: MarginTable(50)}
    trimmed = load(shared_dir, "meta_per_dex_trimmed_after_km_delisting.json")
    markets = [
        *meta["universe"],
        *(market for dex in ("xyz", "mkts", "km") for market in trimmed[dex]["universe"]),
    ]
    assert len(markets) == 12
    for market in markets:
        assert margin_table(market["marginTableId"], tables).max_leverage == market["maxLeverage"]
    us500 = next(market for market in markets if market["name"] == "km:US500")
    assert margin_table(us500["marginTableId"], {}).maintenance_rate == Decimal("0.02")
