"""Every row of the worked example of docs/account.md is what the code computes."""

import re
from decimal import Decimal
from pathlib import Path

from amm500_nautilus.margin.account import Account
from amm500_nautilus.margin.account import RestingOrders
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import fill_fee
from amm500_nautilus.margin.limits import trade_limits
from amm500_nautilus.margin.liquidation import account_liquidation_price
from amm500_nautilus.margin.liquidation import full_position_distance
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.rounding import print_liquidation_price
from amm500_nautilus.margin.tables import MarginTable


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "account.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| (-?[0-9.]+) \|$", re.MULTILINE)
COIN = "km:US500"
SIX = Decimal("0.000001")


def worked_example() -> dict[str, Decimal]:
    price, size = Decimal("690.00"), Decimal(5)
    fee = fill_fee(FeeSchedule(), price * size, maker=True).total
    flat = Position(coin=COIN, table=MarginTable(25), leverage=20, mark=price)
    account = Account(collateral="USDH", dex="km", cash=Decimal(1000), positions=(flat,))
    account, _ = account.filled(COIN, side=1, size=size, price=price, fee=fee)
    account = account.marked(COIN, Decimal("695.00"))
    account, paid = account.funded(COIN, oracle_price=Decimal("694.80"), hourly_rate=Decimal("0.0000057078"))
    account = account.with_orders(RestingOrders(COIN, Decimal(4000), Decimal(2000)))
    position = account.position(COIN)
    limits = trade_limits(account, COIN, Decimal("0.001"))
    liquidation = account_liquidation_price(account, COIN)
    assert liquidation is not None
    return {
        "fee": fee,
        "funding": paid,
        "unrealized PnL": position.unrealized,
        "account value": account.equity,
        "initial margin": position.initial,
        "maintenance margin": position.maintenance,
        "free collateral": account.free,
        "withdrawable": account.withdrawable,
        "order margin": account.order_margin,
        "margin ratio": account.margin_ratio.quantize(SIX),
        "maintenance ratio": account.maintenance_ratio.quantize(SIX),
        "liquidation price": print_liquidation_price(liquidation),
        "largest buy": limits.max_sizes[0],
        "largest sell": limits.max_sizes[1],
    }


def test_the_worked_example_of_the_document_is_what_the_code_computes() -> None:
    written = {name: Decimal(value) for name, _, value in ROW.findall(DOCUMENT.read_text(encoding="utf-8"))}
    assert written == worked_example()


def test_the_distances_that_the_document_states_are_computed() -> None:
    text = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    long, short = (
        full_position_distance(leverage=25, table=MarginTable(25), side=side) * 100 for side in (1, -1)
    )
    assert f"{long:.2f} % (long) or {short:.2f} % (short)" in text
