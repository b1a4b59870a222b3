"""From impact prices to the hourly rate, against the venue's own records."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.margin.funding import RATE_STEP
from amm500_nautilus.margin.funding import FundingTerms
from amm500_nautilus.margin.funding import average_premium
from amm500_nautilus.margin.funding import eight_hour_rate
from amm500_nautilus.margin.funding import hip3_premium
from amm500_nautilus.margin.funding import hourly_rate
from amm500_nautilus.margin.funding import validator_premium


def payload(shared_dir: Path, name: str) -> Any:
    return json.loads((shared_dir / "payloads" / name).read_text(encoding="utf-8"))


def test_the_hip3_premium_is_the_middle_of_the_impact_prices_over_the_oracle() -> None:
    # (750 + 752) / 2 / 750 - 1 = 1 / 750
    premium = hip3_premium(impact_bid=Decimal(750), impact_ask=Decimal(752), oracle_price=Decimal(750))
    assert premium.quantize(RATE_STEP) == Decimal("0.0013333333")


@pytest.mark.parametrize(
    ("bid", "ask", "premium"),
    [
        pytest.param(9990, 10010, "0", id="the oracle is inside"),
        pytest.param(10100, 10200, "0.01", id="above: the documents' example"),
        pytest.param(9700, 9900, "-0.01", id="below"),
    ],
)
def test_the_validators_premium_counts_only_beyond_the_impact_prices(
    bid: int, ask: int, premium: str
) -> None:
    got = validator_premium(impact_bid=Decimal(bid), impact_ask=Decimal(ask), oracle_price=Decimal(10_000))
    assert got == Decimal(premium)


@pytest.mark.parametrize(
    ("premium", "clamp", "rate"),
    [
        pytest.param("0.01", "0.0005", "0.0095", id="the documents' example: 1 % - 0.05 %"),
        pytest.param("0.0002", "0.0005", "0.0001", id="within the clamp it is the interest"),
        pytest.param("-0.002", "0.0003", "-0.0017", id="beyond it the premium plus the clamp"),
    ],
)
def test_the_eight_hour_rate_is_the_clamped_interest(premium: str, clamp: str, rate: str) -> None:
    assert eight_hour_rate(Decimal(premium), FundingTerms(clamp=Decimal(clamp))) == Decimal(rate)


def test_the_hourly_rate_is_an_eighth_times_the_multiplier_and_capped() -> None:
    # (0.002 - 0.0003) / 8 x 0.5
    assert hourly_rate(Decimal("0.002"), FundingTerms(multiplier=Decimal("0.5"))) == Decimal("0.00010625")
    assert hourly_rate(Decimal("0.9"), FundingTerms(multiplier=Decimal(10))) == Decimal("0.04")
    assert hourly_rate(Decimal("-0.9"), FundingTerms(multiplier=Decimal(10))) == Decimal("-0.04")


@pytest.mark.parametrize(
    ("terms", "hourly"),
    [
        # 5 % a year over 1,095 spans of eight hours
        pytest.param(FundingTerms(interest=Decimal("0.0000456621")), "0.0000057078", id="km, 5 % a year"),
        pytest.param(FundingTerms(multiplier=Decimal("0.5")), "0.00000625", id="xyz, half the default"),
        pytest.param(FundingTerms(), "0.0000125", id="the default"),
    ],
)
def test_a_market_near_its_oracle_pays_the_interest(terms: FundingTerms, hourly: str) -> None:
    assert hourly_rate(Decimal("0.0000844"), terms) == Decimal(hourly)


def test_an_hours_premium_is_the_mean_of_its_samples() -> None:
    assert average_premium([Decimal("0.001"), Decimal("0.002"), Decimal("-0.0006")]) == Decimal("0.0008")
    with pytest.raises(ValueError, match="no premium samples"):
        average_premium([])


def test_impossible_terms_and_prices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"funding interest is 0\.02; allowed: -0\.01 to 0\.01"):
        FundingTerms(interest=Decimal("0.02"))
    with pytest.raises(ValueError, match="funding multiplier is 11"):
        FundingTerms(multiplier=Decimal(11))
    with pytest.raises(ValueError, match="bid not above ask"):
        hip3_premium(impact_bid=Decimal(2), impact_ask=Decimal(1), oracle_price=Decimal(1))


premiums = st.integers(-(10**8), 10**8).map(lambda n: Decimal(n) / 10**10)
terms = st.builds(
    FundingTerms,
    interest=st.integers(-100, 100).map(lambda n: Decimal(n) / 10**4),
    multiplier=st.integers(0, 100).map(lambda n: Decimal(n) / 10),
)


@given(premiums, premiums, terms)
def test_a_higher_premium_never_lowers_the_rate_and_the_cap_always_holds(
    one: Decimal, other: Decimal, given_terms: FundingTerms
) -> None:
    low, high = sorted((one, other))
    assert hourly_rate(low, given_terms) <= hourly_rate(high, given_terms)
    assert abs(hourly_rate(low, given_terms)) <= Decimal("0.04")


@given(premiums, terms)
def test_the_rate_is_never_farther_from_the_premium_than_the_clamp(
    premium: Decimal, given_terms: FundingTerms
) -> None:
    assert abs(eight_hour_rate(premium, given_terms) - premium) <= given_terms.clamp


# -- recorded -------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_the_premium_of_every_recorded_hip3_market_is_reproduced_to_ten_decimals(shared_dir: Path) -> None:
    frame = payload(shared_dir, "ws_allDexsAssetCtxs_km_xyz_full_others_trimmed.json")
    counted = {"km": 0, "xyz": 0}
    for dex, contexts in frame["data"]["ctxs"]:
        for context in contexts if dex in counted else []:
            if context["premium"] is None or context["impactPxs"] is None:
                continue
            bid, ask = (Decimal(price) for price in context["impactPxs"])
            got = hip3_premium(impact_bid=bid, impact_ask=ask, oracle_price=Decimal(context["oraclePx"]))
            assert got.quantize(RATE_STEP) == Decimal(context["premium"]), context
            counted[dex] += 1
    # the others have no book or no premium
    assert counted == {"km": 22, "xyz": 64}


@pytest.mark.real_data
def test_recorded_markets_within_the_clamp_pay_the_baseline_of_their_dex(shared_dir: Path) -> None:
    frame = payload(shared_dir, "ws_allDexsAssetCtxs_km_xyz_full_others_trimmed.json")
    contexts = dict(frame["data"]["ctxs"])["km"]
    us500 = contexts[0]
    terms_of_km = FundingTerms(interest=Decimal("0.0000456621"))
    assert hourly_rate(Decimal(us500["premium"]), terms_of_km) == Decimal(us500["funding"])
    # a recorded rate is that of the hour's average premium so far, the premium the latest sample: other rows cannot be
    # computed from the frame


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    ["docs_examples_hip3.json", "sdk_cassette_get_funding_history_None_.json"],
)
def test_recorded_funding_history_is_the_premium_and_its_clamp(shared_dir: Path, name: str) -> None:
    found = payload(shared_dir, name)
    if isinstance(found, dict):
        rows = found["fundingHistory"]
    else:
        rows = next(pair["response"] for pair in found if pair["request"]["type"] == "fundingHistory")
    assert rows
    for row in rows:
        # records of 2023 carry the eight-hour rate
        assert eight_hour_rate(Decimal(row["premium"]), FundingTerms()) == Decimal(row["fundingRate"])
