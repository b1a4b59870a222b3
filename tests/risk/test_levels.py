"""The risk level, its hysteresis, and the leverage that follows it."""

from math import inf
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.config import LevelConfig
from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.levels import LevelKeeper
from amm500_nautilus.risk.levels import pick_volatility
from amm500_nautilus.risk.levels import risk_level
from amm500_nautilus.risk.leverage import DynamicLeverage
from amm500_nautilus.risk.leverage import allowed_leverage
from amm500_nautilus.risk.types import RiskLevel


SECOND = 1_000_000_000
LOW, MEDIUM, HIGH, CRITICAL = RiskLevel
CONFIG = LevelConfig()


def level_of(margin: float = 0.0, drawdown: float = 0.0, distance: float = inf, volatility: float = 0.0):
    return risk_level(
        margin_ratio=margin,
        drawdown=drawdown,
        liquidation_distance=distance,
        volatility=volatility,
        config=CONFIG,
    )


@pytest.mark.parametrize(
    ("figures", "expected", "scores"),
    [
        pytest.param({}, LOW, (1, 1, 1, 1), id="a flat, calm account"),
        pytest.param(
            {"margin": 0.4}, LOW, (1, 1, 1, 1), id="exactly at the first threshold is still under it"
        ),
        pytest.param({"margin": 0.41}, MEDIUM, (2, 1, 1, 1), id="margin over 40 %"),
        pytest.param({"margin": 0.61}, HIGH, (3, 1, 1, 1), id="margin over 60 %"),
        pytest.param({"margin": 0.81}, CRITICAL, (4, 1, 1, 1), id="margin over 80 %"),
        # 5 % of the start is full: 0.026 is 52 % of it, 0.036 72 %, 0.051 102 %
        pytest.param({"drawdown": 0.026}, MEDIUM, (1, 2, 1, 1), id="over half the drawdown"),
        pytest.param({"drawdown": 0.036}, HIGH, (1, 3, 1, 1), id="over 70 % of the drawdown"),
        pytest.param({"drawdown": 0.051}, CRITICAL, (1, 4, 1, 1), id="over the drawdown"),
        pytest.param({"distance": 0.149}, MEDIUM, (1, 1, 2, 1), id="liquidation nearer than 15 %"),
        pytest.param({"distance": 0.099}, HIGH, (1, 1, 3, 1), id="liquidation nearer than 10 %"),
        pytest.param({"distance": 0.049}, CRITICAL, (1, 1, 4, 1), id="liquidation nearer than 5 %"),
        pytest.param({"volatility": 0.51}, MEDIUM, (1, 1, 1, 2), id="volatility over 50 %"),
        pytest.param(
            {"volatility": 0.76}, HIGH, (1, 1, 1, 3), id="volatility over 75 %; there is no worse score"
        ),
        # (3 + 3 + 3 + 1) / 4 = 2.5 and (3 + 4 + 4 + 3) / 4 = 3.5: the average speaks too
        pytest.param(
            {"margin": 0.7, "drawdown": 0.04, "distance": 0.09},
            HIGH,
            (3, 3, 3, 1),
            id="three scores of three",
        ),
        pytest.param(
            {"margin": nan}, CRITICAL, (4, 1, 1, 1), id="a ratio that is no number counts as the worst"
        ),
        pytest.param({"distance": nan}, CRITICAL, (1, 1, 4, 1), id="and so does a distance"),
    ],
)
def test_level_table(figures: dict[str, float], expected: RiskLevel, scores: tuple[int, ...]) -> None:
    reading = level_of(**figures)
    assert reading.level is expected
    assert reading[1:5] == scores
    assert reading.numbers()["average_score"] == sum(scores) / 4


def test_the_average_of_the_scores_can_ask_for_more_than_the_largest() -> None:
    strict = LevelConfig(averages=(1.2, 1.4, 1.6))
    # (2 + 2 + 2 + 1) / 4 = 1.75 is CRITICAL here, though no score is over 2
    reading = risk_level(
        margin_ratio=0.5, drawdown=0.03, liquidation_distance=0.12, volatility=0.0, config=strict
    )
    assert (reading.level, reading.average) == (CRITICAL, 1.75)


figures = st.floats(0.0, 2.0)


@given(figures, figures, figures, figures, figures)
def test_more_margin_used_never_lowers_the_level(
    margin: float, more: float, drawdown: float, distance: float, volatility: float
) -> None:
    before = level_of(margin, drawdown, distance, volatility).level
    assert level_of(margin + more, drawdown, distance, volatility).level >= before
    assert level_of(margin, drawdown + more, distance, volatility).level >= before
    assert level_of(margin, drawdown, max(0.0, distance - more), volatility).level >= before
    assert level_of(margin, drawdown, distance, volatility + more).level >= before


def test_the_named_volatility_is_used_and_else_the_largest() -> None:
    assert pick_volatility({"1s": 0.9, "30s": 0.2}, "30s") == 0.2
    assert pick_volatility({"1s": 0.9, "10s": 0.3}, "30s") == 0.9
    assert pick_volatility({}, "30s") == 0.0


def test_a_level_rises_at_once_and_falls_only_after_thirty_calm_seconds() -> None:
    keeper = LevelKeeper(LevelConfig(hold_secs=30))
    assert keeper.update(0, HIGH) is HIGH
    assert keeper.update(10 * SECOND, LOW) is HIGH
    assert keeper.update(29 * SECOND, MEDIUM) is HIGH
    # the worst reading meanwhile was MEDIUM: that is as far as it falls
    assert keeper.update(30 * SECOND, LOW) is MEDIUM
    assert keeper.update(59 * SECOND, LOW) is MEDIUM
    assert keeper.update(60 * SECOND, LOW) is LOW


# -- leverage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        pytest.param(20.0, (20, 10, 3, 1), id="20: half is 10"),
        pytest.param(10.0, (10, 5, 3, 1), id="10: half is 5"),
        pytest.param(7.0, (7, 5, 3, 1), id="7: half is 3, but MEDIUM keeps 5"),
        pytest.param(4.0, (4, 4, 3, 1), id="4: never above what is configured"),
        pytest.param(1.0, (1, 1, 1, 1), id="1: nothing to lower"),
    ],
)
def test_leverage_of_each_level(configured: float, expected: tuple[int, ...]) -> None:
    assert tuple(allowed_leverage(level, configured, LeverageConfig()) for level in RiskLevel) == expected


def dynamic(**changes: float) -> DynamicLeverage:
    return DynamicLeverage(LeverageConfig(**changes), 10.0)


def test_medium_alone_leaves_the_configured_leverage() -> None:
    step = dynamic().update(0, MEDIUM, equity=1_000.0, notional=500.0)
    assert (step.leverage, step.exposure_scale, step.changed) == (10.0, 1.0, False)


def test_high_lowers_leverage_and_the_exposure_limit_with_it() -> None:
    step = dynamic().update(0, HIGH, equity=1_000.0, notional=500.0)
    # 3 of 10
    assert (step.leverage, step.exposure_scale, step.changed) == (3.0, 0.3, True)
    assert step.numbers["from"] == 10.0


def test_the_setting_waits_for_the_cooldown_and_the_exposure_limit_does_not() -> None:
    leverage = dynamic()
    leverage.update(0, HIGH, equity=1_000.0, notional=500.0)
    step = leverage.update(59 * SECOND, CRITICAL, equity=1_000.0, notional=500.0)
    assert (step.leverage, step.exposure_scale) == (3.0, 0.1)
    step = leverage.update(60 * SECOND, CRITICAL, equity=1_000.0, notional=500.0)
    assert (step.leverage, step.exposure_scale) == (1.0, 0.1)


def test_a_position_that_would_not_fit_keeps_leverage_up() -> None:
    # 5,000 held with 1,000 of equity: at 7x the margin is 714, within 80 %; at 6x it would be 833
    step = dynamic().update(0, CRITICAL, equity=1_000.0, notional=5_000.0)
    assert (step.leverage, step.exposure_scale) == (7.0, 0.1)


def test_a_position_of_no_weight_leaves_the_setting_alone() -> None:
    step = dynamic(min_exposure=0.01).update(0, HIGH, equity=1_000.0, notional=9.0)
    assert (step.leverage, step.exposure_scale, step.changed) == (10.0, 0.3, False)


def test_leverage_returns_after_ten_calm_minutes_and_never_on_request_of_the_seed() -> None:
    ours, seed = dynamic(), dynamic(restore_secs=0.0)
    for each in (ours, seed):
        each.update(0, HIGH, equity=1_000.0, notional=500.0)
        assert each.update(599 * SECOND, LOW, equity=1_000.0, notional=500.0).leverage == 3.0
    assert ours.update(600 * SECOND, MEDIUM, equity=1_000.0, notional=500.0).leverage == 5.0
    assert ours.update(601 * SECOND, LOW, equity=1_000.0, notional=500.0).exposure_scale == 1.0
    assert seed.update(86_400 * SECOND, LOW, equity=1_000.0, notional=500.0).leverage == 3.0


steps = st.lists(
    st.tuples(st.integers(0, 2_000), st.sampled_from(RiskLevel), st.floats(1, 1e6), st.floats(0, 1e6)),
    max_size=30,
)


@given(steps)
def test_leverage_never_rises_while_the_level_is_high(
    steps: list[tuple[int, RiskLevel, float, float]],
) -> None:
    leverage, now, before = dynamic(), 0, 10.0
    scale = 1.0
    for elapsed, level, equity, notional in steps:
        now += elapsed * SECOND
        step = leverage.update(now, level, equity=equity, notional=notional)
        if level >= HIGH:
            assert step.leverage <= before
            assert step.exposure_scale <= scale
        assert 1.0 <= step.leverage <= 10.0
        assert step.exposure_scale <= step.leverage / 10.0
        before, scale = step.leverage, step.exposure_scale


def test_a_leverage_under_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        DynamicLeverage(LeverageConfig(), 0.5)
