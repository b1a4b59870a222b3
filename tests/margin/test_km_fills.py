"""
The 507 real fills of km:US500: position path, closed PnL and fee of each.

``python -m pytest tests/margin/test_km_fills.py -s`` prints the counts that docs/account.md quotes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from amm500_nautilus.margin.fees import REFERRAL_DISCOUNT
from amm500_nautilus.margin.fees import STAKING_TIERS
from amm500_nautilus.margin.fees import VOLUME_TIERS
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import account_rates
from amm500_nautilus.margin.fees import hip3_rates
from amm500_nautilus.margin.position import Position
from amm500_nautilus.margin.position import fill_effect
from amm500_nautilus.margin.rounding import cut
from amm500_nautilus.margin.tables import MarginTable


pytestmark = pytest.mark.real_data

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "account.md"
STAKED = Decimal(101)  # the least that earns the second staking tier, 10 %
CONFIGURATION = FeeSchedule(
    base_maker=account_rates(staked_hype=STAKED).maker,
    base_taker=account_rates(staked_hype=STAKED).taker,
    referral_discount=REFERRAL_DISCOUNT,
)
SCALES = ("0", "0.1", "0.25", "0.5", "0.75", "1", "1.5", "2", "3")


@dataclass(frozen=True, slots=True)
class RealFill:
    time: int
    side: int
    size: Decimal
    price: Decimal
    start: Decimal
    closed_pnl: Decimal
    fee: Decimal

    @property
    def end(self) -> Decimal:
        return self.start + self.side * self.size


def read_fill(row: dict[str, Any]) -> RealFill:
    assert row["coin"] == "km:US500"
    assert row["feeToken"] == "USDH"
    assert not row["crossed"]
    return RealFill(
        time=row["time"],
        side=1 if row["side"] == "B" else -1,
        size=Decimal(row["sz"]),
        price=Decimal(row["px"]),
        start=Decimal(row["startPosition"]),
        closed_pnl=Decimal(row["closedPnl"]),
        fee=Decimal(row["fee"]),
    )


def chained(fills: Sequence[RealFill], start: Decimal) -> list[RealFill] | None:
    """The fills of one millisecond in an order in which each starts where the one before ended; None without one."""
    if not fills:
        return []
    for n, fill in enumerate(fills):
        if fill.start == start:
            rest = chained([*fills[:n], *fills[n + 1 :]], fill.end)
            if rest is not None:
                return [fill, *rest]
    return None


@pytest.fixture(scope="module")
def fills(shared_dir: Path) -> list[RealFill]:
    """All fills in order; within a millisecond the venue's list has none, so the positions decide."""
    rows = json.loads((shared_dir / "data" / "km_us500_2026-01" / "fills.json").read_text(encoding="utf-8"))
    path: list[RealFill] = []
    for _, group in groupby((read_fill(row) for row in rows), key=lambda fill: fill.time):
        together = list(group)
        starts = [path[-1].end] if path else [fill.start for fill in together]
        found = next((chain for start in starts if (chain := chained(together, start)) is not None), None)
        assert found is not None, f"no order of the fills at {together[0].time} continues the position"
        path += found
    assert len(path) == len(rows)
    return path


def opening(fills: Sequence[RealFill]) -> Position:
    """
    The position that the first fill found, whose cost is not in the record.

    Only its average entry is unknown. It is set so that the FIRST closing fill has its printed PnL; every other fill is
    then a test.
    """
    n = next(n for n, fill in enumerate(fills) if fill.closed_pnl)
    closing, before = fills[n], fills[:n]
    assert all(fill.side * fills[0].start > 0 for fill in before)
    printed_entry = closing.price + closing.closed_pnl / (closing.side * closing.size)
    # the middle of the step to which the venue cuts the entry
    value = (printed_entry + Decimal("0.0005")) * abs(closing.start)
    added = sum((fill.size * fill.price for fill in before), Decimal(0))
    return Position(
        coin="km:US500",
        table=MarginTable(25),
        leverage=10,
        mark=fills[0].price,
        size=fills[0].start,
        entry_value=(value - added).quantize(Decimal("1e-9")),
        size_decimals=3,
    )


def fitting_configurations(fills: Sequence[RealFill]) -> list[str]:
    """Every configuration of the published schedule that gives each fee, of those in a grid of tiers and scales."""
    found = []
    staking = [(Decimal(0), Decimal(0)), *STAKING_TIERS]
    for (volume, _, _), (least, discount), referral, scale, growth in product(
        VOLUME_TIERS, staking, (Decimal(0), REFERRAL_DISCOUNT), SCALES, (True, False)
    ):
        rates = account_rates(volume_14d=volume + 1, staked_hype=least + 1 if discount else Decimal(0))
        schedule = FeeSchedule(
            base_maker=rates.maker, base_taker=rates.taker, deployer_fee_scale=Decimal(scale),
            growth_mode=growth, referral_discount=referral,
        )  # fmt: skip
        rate = hip3_rates(schedule).maker
        if all(cut(fill.price * fill.size * rate) == fill.fee for fill in fills):
            found.append(
                f"volume tier above {volume:,}, staking {discount}, referral {referral}, scale {scale}, "
                f"growth {growth}: maker {rate.normalize():f}"
            )
    return found


def counts(fills: Sequence[RealFill]) -> dict[str, int]:
    position = opening(fills)
    rates = hip3_rates(CONFIGURATION)
    path = pnl = fee = closings = 0
    for fill in fills:
        path += position.size == fill.start
        effect = fill_effect(position, side=fill.side, size=fill.size, price=fill.price)
        closings += position.size * fill.side < 0
        pnl += effect.printed_pnl == fill.closed_pnl
        fee += rates.fee(fill.price * fill.size, maker=True) == fill.fee
        position = effect.position
    return {"fills": len(fills), "closing": closings, "position": path, "closedPnl": pnl, "fee": fee}


def test_every_fill_is_reproduced_in_position_closed_pnl_and_fee(fills: list[RealFill]) -> None:
    got = counts(fills)
    total = got["fills"]
    lines = [
        f"position path: {got['position']} of {total} fills start where the one before ended",
        f"closedPnl: {got['closedPnl']} of {total} to the last digit, {got['closing']} of them closing fills",
        f"fee: {got['fee']} of {total} to the last digit",
        *fitting_configurations(fills),
    ]
    print("\n" + "\n".join(lines))
    assert got == {"fills": 507, "closing": got["closing"], "position": 507, "closedPnl": 507, "fee": 507}
    document = DOCUMENT.read_text(encoding="utf-8")
    for line in lines:
        assert line in document, f"docs/account.md does not say {line!r}"


def test_two_configurations_of_the_published_schedule_give_every_fee(fills: list[RealFill]) -> None:
    """One is plain; the other needs 500,000 HYPE staked, which the maker of 69 USDH orders hardly had."""
    found = fitting_configurations(fills)
    assert len(found) == 2, found
    assert "staking 0.10, referral 0.04, scale 1, growth True" in found[0]
    assert "staking 0.40, referral 0.04, scale 1.5, growth True" in found[1]
    # no other rate to five figures fits: the fees leave this much room
    low = max(fill.fee / (fill.price * fill.size) for fill in fills)
    high = min((fill.fee + Decimal("0.000001")) / (fill.price * fill.size) for fill in fills)
    rate = hip3_rates(CONFIGURATION).maker
    assert rate == Decimal("0.00002592")
    assert low <= rate < high
    assert high - low < Decimal("0.0000000001")


def test_the_entry_is_kept_exact_and_only_its_printed_figure_is_cut(fills: list[RealFill]) -> None:
    """A rounded entry, or one cut again at every fill, would miss; the figures are why the rule is what it is."""
    misses = {"rounded": 0, "cut at every fill": 0}
    exact, stored = opening(fills), opening(fills)
    for fill in fills:
        closing = min(fill.size, abs(exact.size)) if exact.size * fill.side < 0 else Decimal(0)
        if closing:
            rounded = exact.entry.quantize(Decimal("0.001"))
            misses["rounded"] += -fill.side * closing * (fill.price - rounded) != fill.closed_pnl
            misses["cut at every fill"] += (
                -fill.side * closing * (fill.price - stored.printed_entry) != fill.closed_pnl
            )
        exact = fill_effect(exact, side=fill.side, size=fill.size, price=fill.price).position
        stored = fill_effect(stored, side=fill.side, size=fill.size, price=fill.price).position
        if stored.size:
            stored = Position(
                coin=stored.coin, table=stored.table, leverage=10, mark=stored.mark, size=stored.size,
                entry_value=abs(stored.size) * stored.printed_entry,
            )  # fmt: skip
    assert misses["rounded"] > 50
    assert misses["cut at every fill"] > 50
