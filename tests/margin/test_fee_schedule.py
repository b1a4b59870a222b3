"""The account's tiers, staking and referral, and who gets the fee of a fill, against real fills."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.fees import FeeRates
from amm500_nautilus.margin.fees import FeeSchedule
from amm500_nautilus.margin.fees import account_rates
from amm500_nautilus.margin.fees import counted_volume
from amm500_nautilus.margin.fees import deployer_rates
from amm500_nautilus.margin.fees import fill_fee
from amm500_nautilus.margin.fees import hip3_rates


@pytest.mark.parametrize(
    ("volume", "taker", "maker"),
    [
        (0, "0.00045", "0.00015"),
        (5_000_000, "0.00045", "0.00015"),
        (5_000_001, "0.0004", "0.00012"),
        (30_000_000, "0.00035", "0.00008"),
        (200_000_000, "0.0003", "0.00004"),
        (600_000_000, "0.00028", "0"),
        (3_000_000_000, "0.00026", "0"),
        (8_000_000_000, "0.00024", "0"),
    ],
)
def test_the_volume_of_two_weeks_sets_the_tier(volume: int, taker: str, maker: str) -> None:
    assert account_rates(volume_14d=Decimal(volume)) == FeeRates(maker=Decimal(maker), taker=Decimal(taker))


@pytest.mark.parametrize(
    ("staked", "discount"),
    [(10, "0"), (11, "0.05"), (101, "0.10"), (1_001, "0.15"), (10_001, "0.20"), (100_001, "0.30"), (500_001, "0.40")],
)  # fmt: skip
def test_staking_takes_its_share_off_both_rates(staked: int, discount: str) -> None:
    kept = 1 - Decimal(discount)
    rates = account_rates(staked_hype=Decimal(staked))
    assert rates == FeeRates(maker=Decimal("0.00015") * kept, taker=Decimal("0.00045") * kept)


@pytest.mark.parametrize(
    ("share", "maker"),
    [("0.005", "0.00015"), ("0.006", "-0.00001"), ("0.016", "-0.00002"), ("0.031", "-0.00003")],
)
def test_a_share_of_the_maker_volume_turns_the_maker_rate_into_a_rebate(share: str, maker: str) -> None:
    assert account_rates(maker_share=Decimal(share)).maker == Decimal(maker)
    if maker.startswith("-"):
        # staking does not touch a rebate
        assert account_rates(maker_share=Decimal(share), staked_hype=Decimal(10**6)).maker == Decimal(maker)


@pytest.mark.parametrize(
    ("schedule", "maker", "taker"),
    [
        # scale 1: half of 0.003 % and of 0.009 %
        pytest.param(FeeSchedule(), "0.000015", "0.000045", id="half at scale 1"),
        # scale 0.5: a third of 0.015 % x 1.5 / 10
        pytest.param(
            FeeSchedule(deployer_fee_scale=Decimal("0.5")), "0.0000075", "0.0000225", id="a third at one half"
        ),
        pytest.param(FeeSchedule(deployer_fee_scale=Decimal(0)), "0", "0", id="nothing at 0"),
        pytest.param(
            FeeSchedule(base_maker=Decimal("-0.00002")), "-0.000001", "0.000045", id="half a rebate"
        ),
        # aligned: the venue's part falls to 0.036 %, the deployer's stays 0.045 %, both / 10
        pytest.param(FeeSchedule(aligned=True), "0.000015", "0.000045", id="aligned"),
    ],
)
def test_the_deployer_gets_its_part(schedule: FeeSchedule, maker: str, taker: str) -> None:
    assert deployer_rates(schedule) == FeeRates(maker=Decimal(maker), taker=Decimal(taker))


def test_a_growth_market_counts_a_tenth_of_its_volume_and_an_aligned_token_a_fifth_more() -> None:
    assert counted_volume(Decimal(1000), growth_mode=True) == Decimal(100)
    assert counted_volume(Decimal(1000), growth_mode=False, aligned=True) == Decimal(1200)


def test_a_builder_is_paid_in_tenths_of_a_basis_point_on_top() -> None:
    # 1,000 at 0.009 % = 0.09; 25 tenths of a bp = 0.25
    fee = fill_fee(FeeSchedule(), Decimal(1000), maker=False, builder_tenths_bp=25)
    assert (fee.total, fee.builder, fee.deployer) == (Decimal("0.34"), Decimal("0.25"), Decimal("0.045"))


schedules = st.builds(
    FeeSchedule,
    base_maker=st.integers(-30, 150).map(lambda n: Decimal(n) / 10**6),
    base_taker=st.integers(100, 450).map(lambda n: Decimal(n) / 10**6),
    deployer_fee_scale=st.integers(0, 30).map(lambda n: Decimal(n) / 10),
    growth_mode=st.booleans(),
    referral_discount=st.sampled_from([Decimal(0), Decimal("0.04")]),
)


@given(schedules, st.integers(10, 10**6), st.booleans())
def test_the_deployer_never_gets_more_than_half_and_never_the_other_sign(
    schedule: FeeSchedule, value: int, maker: bool
) -> None:
    fee = fill_fee(schedule, Decimal(value), maker=maker)
    assert fee.total * fee.deployer >= 0
    assert abs(fee.deployer) * 2 <= abs(fee.total) + Decimal("0.000002")


@given(schedules)
def test_growth_mode_takes_nine_tenths_off_every_rate(schedule: FeeSchedule) -> None:
    pair = [
        hip3_rates(
            FeeSchedule(
                base_maker=schedule.base_maker,
                base_taker=schedule.base_taker,
                deployer_fee_scale=schedule.deployer_fee_scale,
                growth_mode=growth,
                referral_discount=schedule.referral_discount,
            )
        )
        for growth in (True, False)
    ]
    assert pair[0].taker * 10 == pair[1].taker
    assert pair[0].maker * 10 == pair[1].maker


# -- recorded -------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_both_sides_of_the_recorded_silver_trade_are_reproduced_to_the_last_digit(shared_dir: Path) -> None:
    path = shared_dir / "payloads" / "node_fills_by_block_xyz_2026-05-24.jsonl"
    block = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    (_, maker), (_, taker) = block["events"]
    value = Decimal(maker["px"]) * Decimal(maker["sz"])
    # the second rebate tier in growth mode: -0.002 % / 10; the deployer bears half
    rebated = FeeSchedule(base_maker=account_rates(maker_share=Decimal("0.02")).maker)
    fee = fill_fee(rebated, value, maker=True)
    assert (fee.total, fee.deployer) == (Decimal(maker["fee"]), Decimal(maker["deployerFee"]))
    # 0.009 % less the referral, and a builder at 8.5 bp
    referred = FeeSchedule(referral_discount=Decimal("0.04"))
    fee = fill_fee(referred, value, maker=False, builder_tenths_bp=85)
    assert fee.total == Decimal(taker["fee"])
    assert fee.builder == Decimal(taker["builderFee"])
    assert fee.deployer == Decimal(taker["deployerFee"])


@pytest.mark.real_data
def test_the_documents_fill_and_rates_are_reproduced(shared_dir: Path) -> None:
    documents = json.loads((shared_dir / "payloads" / "docs_examples_hip3.json").read_text(encoding="utf-8"))
    fill, fees = documents["userFills_hip3"], documents["userFees"]
    value = Decimal(fill["px"]) * Decimal(fill["sz"])
    assert fill_fee(FeeSchedule(), value, maker=not fill["crossed"]).total == Decimal(fill["fee"])
    # 30 % for staking more than 100,000 HYPE
    rates = account_rates(staked_hype=Decimal(200_000))
    assert rates == FeeRates(maker=Decimal(fees["userAddRate"]), taker=Decimal(fees["userCrossRate"]))
    schedule = fees["feeSchedule"]
    assert account_rates() == FeeRates(maker=Decimal(schedule["add"]), taker=Decimal(schedule["cross"]))
    row = schedule["tiers"]["vip"][0]
    above = account_rates(volume_14d=Decimal(row["ntlCutoff"]) + 1)
    assert above == FeeRates(maker=Decimal(row["add"]), taker=Decimal(row["cross"]))
    rebate = schedule["tiers"]["mm"][0]
    above = account_rates(maker_share=Decimal(rebate["makerFractionCutoff"]) * 2)
    assert above.maker == Decimal(rebate["add"])


@pytest.mark.real_data
def test_a_recorded_maker_fill_against_a_liquidation_pays_the_base_rate(shared_dir: Path) -> None:
    path = shared_dir / "payloads" / "ws_user_fill_liquidation.json"
    fill = json.loads(path.read_text(encoding="utf-8"))["data"]["fills"][0]
    value = Decimal(fill["px"]) * Decimal(fill["sz"])
    # the validators' dex: no deployer, no growth mode
    schedule = FeeSchedule(deployer_fee_scale=Decimal(0), growth_mode=False)
    assert fill_fee(schedule, value, maker=True).total == Decimal(fill["fee"])
