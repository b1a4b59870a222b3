"""HIP-3 fees against the venue's published formula and its own example fills."""

from decimal import Decimal

import pytest

from amm500_nautilus.margin.fees import GROWTH_RATES
from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import hip3_rates


@pytest.mark.parametrize(
    ("schedule", "maker", "taker"),
    [
        # scale 1 doubles, growth divides by ten: 0.015 % x 2 / 10 and 0.045 % x 2 / 10
        pytest.param(FeeSchedule(), "0.00003", "0.00009", id="growth at scale 1"),
        pytest.param(FeeSchedule(growth_mode=False), "0.0003", "0.0009", id="no growth"),
        # a referral takes 4 % off: 0.009 % x 0.96 = 0.00864 % (a real fill of xyz:SILVER paid that)
        pytest.param(FeeSchedule(referral_discount=Decimal("0.04")), "0.0000288", "0.0000864", id="referral"),
        # below one the multiple is 1 + s: 0.015 % x 1.5 / 10
        pytest.param(
            FeeSchedule(deployer_fee_scale=Decimal("0.5")), "0.0000225", "0.0000675", id="scale one half"
        ),
        # an aligned token takes a fifth off the venue's half of the taker rate: 0.009 % x 0.9
        pytest.param(FeeSchedule(aligned=True), "0.00003", "0.000081", id="aligned"),
        # a rebate is not doubled, only divided by ten: -0.002 % / 10
        pytest.param(FeeSchedule(base_maker=Decimal("-0.00002")), "-0.000002", "0.00009", id="rebate"),
        # aligned rebates: -0.002 % / 10 x (0.5 x 1.5 + 0.5) = -0.00025 %
        pytest.param(
            FeeSchedule(base_maker=Decimal("-0.00002"), aligned=True),
            "-0.0000025",
            "0.000081",
            id="aligned rebate",
        ),
    ],
)
def test_rates_follow_the_hip3_formula(schedule: FeeSchedule, maker: str, taker: str) -> None:
    assert hip3_rates(schedule) == FeeRates(maker=Decimal(maker), taker=Decimal(taker))


def test_a_fee_is_cut_to_six_decimals_as_in_the_venues_own_example() -> None:
    # 0.0353 x 25372.0 = 895.6316; x 0.003 % = 0.026868948; the venue charged 0.026868
    assert GROWTH_RATES.fee(Decimal("895.6316"), maker=True) == Decimal("0.026868")


def test_a_rebate_is_cut_toward_zero() -> None:
    rates = FeeRates(maker=Decimal("-0.00002"), taker=Decimal("0.00009"))
    # 123.45678 x -0.00002 = -0.0024691356
    assert rates.fee(Decimal("123.45678"), maker=True) == Decimal("-0.002469")


def test_a_taker_pays_three_times_a_maker_on_a_growth_market() -> None:
    value = Decimal(1000)
    assert GROWTH_RATES.fee(value, maker=False) == 3 * GROWTH_RATES.fee(value, maker=True) == Decimal("0.09")


def test_an_impossible_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fee rate maker is 1\.5"):
        FeeRates(maker=Decimal("1.5"), taker=Decimal(0))
    with pytest.raises(ValueError, match="deployer_fee_scale is -1"):
        FeeSchedule(deployer_fee_scale=Decimal(-1))
