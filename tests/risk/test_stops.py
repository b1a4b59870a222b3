"""Stop loss, hard stop, automatic reduction, the funding hedge, Kelly sizing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.config import FundingHedgeConfig
from amm500_nautilus.risk.config import KellyConfig
from amm500_nautilus.risk.config import StopConfig
from amm500_nautilus.risk.funding import FundingHedge
from amm500_nautilus.risk.kelly import KellySizer
from amm500_nautilus.risk.kelly import kelly_size
from amm500_nautilus.risk.stops import Stops
from amm500_nautilus.risk.stops import auto_reduce
from amm500_nautilus.risk.stops import hard_stop
from amm500_nautilus.risk.stops import stop_loss
from amm500_nautilus.risk.types import RiskLevel
from tests.risk.views import LOT
from tests.risk.views import SECOND
from tests.risk.views import view


STOPS = StopConfig()


@pytest.mark.parametrize(
    ("lots", "entry", "mark", "expected"),
    [
        # 2 % of 700 is 14
        pytest.param(10, 700.0, 685.9, 10, id="a long that fell by 14.1"),
        pytest.param(10, 700.0, 686.1, None, id="a long that fell by 13.9"),
        pytest.param(10, 700.0, 714.1, None, id="a long that rose as far"),
        pytest.param(-10, 700.0, 714.1, 10, id="a short against which the price rose by 14.1"),
        pytest.param(-10, 700.0, 685.9, None, id="a short that gained"),
        pytest.param(0, 0.0, 690.0, None, id="flat"),
    ],
)
def test_stop_loss_table(lots: int, entry: float, mark: float, expected: int | None) -> None:
    found = stop_loss(view(lots=lots, entry=entry, mark=mark), STOPS)
    assert (found.lots if found else None) == expected


def test_the_hard_stop_takes_off_what_is_too_much() -> None:
    # 2,500 lots at 0.69 are 1,725; 1.5 times 1,000 allows 1,500; 225 / 0.69 = 326.1, so 327 lots go
    found = hard_stop(view(lots=-2_500), STOPS)
    assert found is not None
    assert (found.lots, found.reason) == (327, "hard_stop")
    assert found.numbers["limit"] == 1_500.0
    assert hard_stop(view(lots=2_170), STOPS) is None  # 1,497.30


def test_without_equity_the_hard_stop_takes_everything() -> None:
    found = hard_stop(view(lots=7, equity=-5.0), STOPS)
    assert found is not None
    assert found.lots == 7


def test_a_part_goes_once_the_open_loss_passes_one_percent_of_the_start() -> None:
    # 1,000 lots bought at 700 and marked at 689 have lost 11 of 1,000; a fifth of them goes
    found = auto_reduce(view(lots=1_000, entry=700.0, mark=689.0), 1_000.0, STOPS)
    assert found is not None
    assert found.lots == 200
    assert found.numbers["unrealized"] == pytest.approx(-11.0)
    assert auto_reduce(view(lots=1_000, entry=700.0, mark=690.1), 1_000.0, STOPS) is None  # -9.90
    assert auto_reduce(view(lots=-1_000, entry=700.0, mark=689.0), 1_000.0, STOPS) is None  # a gain


def test_a_share_is_rounded_up_to_whole_lots() -> None:
    found = auto_reduce(view(lots=37, entry=700.0, mark=690.0, equity=10.0), 10.0, STOPS)
    # a fifth of 37 is 7.4
    assert found is not None
    assert found.lots == 8


def test_a_reduction_is_given_time_to_fill() -> None:
    stops = Stops(STOPS)
    losing = {"lots": 1_000, "entry": 700.0, "mark": 680.0}
    assert stops.update(view(0, **losing), 1_000.0).reason == "stop_loss"
    # 20 lost of 1,000: while the stop loss waits, the smaller rule is due
    assert stops.update(view(1, **losing), 1_000.0).reason == "auto_reduce"
    assert stops.update(view(4.9, **losing), 1_000.0) is None
    assert stops.update(view(5, **losing), 1_000.0).reason == "stop_loss"


def test_rules_of_zero_are_off() -> None:
    off = StopConfig(stop_loss=0.0, hard_stop=0.0, auto_reduce_loss=0.0)
    assert Stops(off).update(view(lots=50_000, entry=900.0), 1_000.0) is None


@given(st.integers(-5_000, 5_000), st.floats(100, 2_000), st.floats(100, 2_000), st.floats(-100, 5_000))
def test_no_stop_ever_takes_more_than_is_held(lots: int, entry: float, mark: float, equity: float) -> None:
    found = Stops(STOPS).update(view(lots=lots, entry=entry, mark=mark, equity=equity), 1_000.0)
    if lots == 0:
        assert found is None
    elif found is not None:
        assert 1 <= found.lots <= abs(lots)
        if found.reason != "hard_stop":
            assert (mark - entry) * lots * LOT < 0


# -- funding -----------------------------------------------------------------------------------------------------------


def test_a_tenth_of_a_paying_position_is_closed_each_hour_if_asked() -> None:
    hedge = FundingHedge(FundingHedgeConfig(reduce_share=0.10))
    assert hedge.update(0, 0.0002, 20).lots == 2
    assert hedge.update(3_599 * SECOND, 0.0002, 20) is None
    assert hedge.update(3_600 * SECOND, 0.0002, 20).lots == 2


def test_a_position_that_is_paid_is_left_alone() -> None:
    hedge = FundingHedge(FundingHedgeConfig(reduce_share=0.10))
    assert hedge.update(0, 0.0002, -20) is None
    assert hedge.update(0, -0.0002, 20) is None
    assert hedge.update(0, -0.0002, -20).lots == 2


def test_nothing_is_closed_for_funding_unless_asked() -> None:
    assert FundingHedge(FundingHedgeConfig()).update(0, 0.01, 1_000) is None


# -- Kelly -------------------------------------------------------------------------------------------------------------


def kelly(**changes: float) -> float:
    values = {"edge": 0.001, "volatility": 0.15, "funding_rate": 0.0, "level": RiskLevel.LOW}
    return kelly_size(**{**values, **changes}, config=KellyConfig(max_scale=10.0)).fraction


def test_kelly_table() -> None:
    # half of 0.001 / 0.0225
    assert kelly() == pytest.approx(0.5 * 0.001 / 0.0225)
    assert kelly(level=RiskLevel.MEDIUM) == pytest.approx(0.25 * 0.001 / 0.0225)
    assert kelly(level=RiskLevel.HIGH) == pytest.approx(0.125 * 0.001 / 0.0225)
    assert kelly(level=RiskLevel.CRITICAL) == 0.0
    # half of 0.0001 / 0.0225 is 0.2 %: the floor of 0.5 % holds, as it does for a losing edge
    assert kelly(edge=-0.01) == 0.005
    assert kelly(edge=0.1) == 0.10
    # 0.216 an hour over 2,160 takes 0.0001 off the edge
    assert kelly(funding_rate=-0.216) == pytest.approx(0.5 * 0.0009 / 0.0225)
    assert kelly(volatility=0.0) == kelly(volatility=0.15)


def test_a_wilder_market_shrinks_sizes() -> None:
    assert kelly(volatility=0.30) < kelly(volatility=0.15)


def test_kelly_never_enlarges_what_was_checked_at_start() -> None:
    size = kelly_size(edge=0.01, volatility=0.1, funding_rate=0.0, level=RiskLevel.LOW, config=KellyConfig())
    assert (size.fraction, size.scale) == (0.10, 1.0)


def test_the_edge_is_measured_after_twenty_closes() -> None:
    sizer = KellySizer(KellyConfig())
    for _ in range(19):
        sizer.on_close(-1.0, 100.0)
    assert sizer.edge == 0.001
    sizer.on_close(3.0, 100.0)
    # (19 x -0.01 + 0.03) / 20
    assert sizer.edge == pytest.approx(-0.008)
