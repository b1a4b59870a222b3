"""The settings of the risk engine, the preset of the earlier bot, and what is refused at start."""

from dataclasses import fields
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm500_nautilus.risk.check import FullLadder
from amm500_nautilus.risk.check import refusals
from amm500_nautilus.risk.config import BreakerConfig
from amm500_nautilus.risk.config import FundingHedgeConfig
from amm500_nautilus.risk.config import KellyConfig
from amm500_nautilus.risk.config import LevelConfig
from amm500_nautilus.risk.config import LeverageConfig
from amm500_nautilus.risk.config import LimitConfig
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.config import StopConfig
from amm500_nautilus.risk.config import SwitchConfig
from amm500_nautilus.risk.config import TakerConfig
from amm500_nautilus.risk.config import merge_preset
from amm500_nautilus.risk.engine import RiskEngine
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.models import model_of


@pytest.mark.parametrize(
    ("config", "bad", "said"),
    [
        (LevelConfig, {"margin": (0.4, 0.4, 0.8)}, "LevelConfig.margin"),
        (LevelConfig, {"liquidation_distance": (0.05, 0.10, 0.15)}, "falling"),
        (LevelConfig, {"volatility": (1.0,)}, "two positive numbers"),
        (LevelConfig, {"max_drawdown": 0.0}, "more than 0 and at most 1"),
        (LeverageConfig, {"high": 0.5}, "LeverageConfig.high is 0.5"),
        (LeverageConfig, {"critical": 4.0}, "at most high"),
        (StopConfig, {"auto_reduce_share": 0.0}, "auto_reduce_share"),
        (StopConfig, {"stop_loss": float("nan")}, "stop_loss is nan"),
        (LimitConfig, {"max_margin_ratio": 1.2}, "at most 1"),
        (LimitConfig, {"max_notional": -1.0}, "max_notional is -1.0"),
        (TakerConfig, {"warn": 0.3}, "at most pause"),
        (BreakerConfig, {"widen": 0.9}, "at least 1"),
        (BreakerConfig, {"rejections_pause": 5}, "at most rejections_pause"),
        (FundingHedgeConfig, {"threshold": 0.0}, "threshold is 0.0"),
        (KellyConfig, {"floor": 0.2}, "at most cap"),
        (SwitchConfig, {"margin_resume": 0.95}, "at most margin_ratio"),
        (SwitchConfig, {"session_loss": 0.0, "session_loss_share": 0.0}, "both 0"),
        (SwitchConfig, {"streak": 0}, "streak is 0"),
        (SwitchConfig, {"collateral_low": 1.1}, "collateral_low is 1.1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_nonsense_setting_is_refused_by_name(config: type, bad: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config(**bad)


def test_a_run_file_can_set_every_section() -> None:
    raw = {
        "levels": {"margin": [0.3, 0.5, 0.7]},
        "switches": {"drawdown": 0.02},
        "kelly": {"enabled": True},
    }
    config = build(model_of(RiskConfig).model_validate(raw))
    assert config == RiskConfig(
        levels=LevelConfig(margin=(0.3, 0.5, 0.7)),
        switches=SwitchConfig(drawdown=0.02),
        kelly=KellyConfig(enabled=True),
    )
    assert build(model_of(RiskConfig)()) == RiskConfig()


def test_the_preset_of_the_earlier_bot_holds_its_literal_numbers() -> None:
    seed = RiskConfig.seed().switches
    assert (seed.drawdown, seed.session_loss, seed.session_loss_share) == (0.05, 100.0, 0.0)
    assert (seed.streak, seed.streak_loss, seed.streak_halts_at) == (10, 0.0, 1)
    assert (seed.margin_ratio, seed.liquidation_distance, seed.liquidation_share) == (0.90, 0.03, 0.0)
    stops = RiskConfig.seed().stops
    assert (stops.stop_loss, stops.hard_stop, stops.auto_reduce_loss) == (0.02, 1.5, 0.01)


def test_a_run_file_can_name_the_preset_and_change_single_values() -> None:
    merged = merge_preset({"preset": "seed", "switches": {"streak_halts_at": 2}})
    config = build(model_of(RiskConfig).model_validate(merged))
    seed = RiskConfig.seed()
    assert config == replace(seed, switches=replace(seed.switches, streak_halts_at=2))
    assert merge_preset({"enabled": False}) == {"enabled": False}
    with pytest.raises(ValueError, match="one of product, seed"):
        merge_preset({"preset": "moon"})


def test_a_section_that_is_no_mapping_is_left_for_the_schema() -> None:
    assert merge_preset({"preset": "seed", "switches": 5})["switches"] == 5


def test_every_section_of_the_preset_is_one_of_the_config() -> None:
    names = {item.name for item in fields(RiskConfig)}
    assert set(merge_preset({"preset": "seed"})) <= names


# -- the full ladder ---------------------------------------------------------------------------------------------------


def ladder(**changes: float) -> FullLadder:
    # 2 % of 10,000 a side at 10x
    values = {
        "equity": 1_000.0,
        "leverage": 10.0,
        "max_leverage": 25.0,
        "exposure_limit": 10_000.0,
        "one_sided": 0.025,
        "side_value": 200.0,
        "price": 690.0,
        "lot": 0.001,
    }
    return FullLadder(**{**values, **changes})


def test_the_default_ladder_may_start() -> None:
    assert refusals(RiskConfig(), ladder()) == []


def test_a_ladder_that_would_pass_the_hard_stop_names_what_fits() -> None:
    # 250 + 1,400 = 1,650, and 1.5 times equity is 1,500: a side of 1,250 (but 10 % of 10,000 is a burst already)
    said = refusals(RiskConfig(), ladder(side_value=1_400.0))
    assert len(said) == 2
    assert (
        "a position of 1,650.00) would pass the hard stop of 1.5 times equity, which is 1,500.00" in said[0]
    )
    assert "filled at once would pause as position velocity" in said[1]
    assert said[0].endswith("what fits: a side of at most 999.00, which is size_fraction 0.0999")


@pytest.mark.parametrize(
    ("config", "changes", "said"),
    [
        pytest.param(
            RiskConfig(stops=StopConfig(hard_stop=0)),
            {"one_sided": 0.79},
            "margin ratio of 80%, which is 8,000.00",
            id="7,900 + 200 of 8,000",
        ),
        pytest.param(
            RiskConfig(stops=StopConfig(hard_stop=0), limits=LimitConfig(max_margin_ratio=1.0)),
            {"leverage": 25.0, "exposure_limit": 25_000.0, "one_sided": 0.9},
            # flattened at half of a short's 1.961 %: 1 / (0.0098 x 1.02 + 0.02) = 33.3, beyond 90 % of 25
            "margin ratio of 90%, which is 22,500.00",
            id="the switch counts even where the limit is laxer",
        ),
        pytest.param(
            RiskConfig(limits=LimitConfig(max_notional=400.0)),
            {},
            "limits.max_notional of 400.00",
            id="450 of 400",
        ),
        pytest.param(
            RiskConfig(limits=LimitConfig(max_position=0.5)),
            {},
            "limits.max_position of 0.5 contracts, which is 345.00",
            id="450 of 345",
        ),
        pytest.param(
            RiskConfig(
                stops=StopConfig(hard_stop=0),
                switches=SwitchConfig(liquidation_distance=0.5, liquidation_share=0),
            ),
            {"one_sided": 0.2},
            # 1 / (0.5 x 1.02 + 0.02) = 1.887 of equity
            "within the flatten distance of liquidation at 1,886.79",
            id="2,200 of 1,887",
        ),
        pytest.param(RiskConfig(), {"leverage": 30.0}, "what fits: 25", id="more than the market allows"),
        pytest.param(RiskConfig(), {"equity": 0.0}, "equity is 0.0", id="no equity"),
    ],
)
def test_a_ladder_that_trips_a_switch_is_refused(
    config: RiskConfig, changes: dict[str, float], said: str
) -> None:
    found = refusals(config, ladder(**changes))
    assert said in found[0]
    assert RiskEngine(config).check_config(ladder(**changes)) == found


def test_a_one_sided_threshold_that_fills_everything_is_named_with_one_that_fits() -> None:
    found = refusals(RiskConfig(), ladder(one_sided=0.16))
    # 1,500 / 10,000 / 1.8 = 8.33 %, and four fifths of it a side
    assert found[0].endswith("what fits: one_sided 0.0833 with size_fraction 0.0666")


def test_with_risk_off_no_ladder_is_refused() -> None:
    assert RiskEngine(RiskConfig(enabled=False)).check_config(ladder(side_value=1e9)) == []


@given(
    st.floats(100, 1e6),
    st.floats(1, 25),
    st.floats(0.005, 0.5),
    st.floats(0.005, 1.0),
)
def test_what_is_said_to_fit_does_fit(
    equity: float, leverage: float, one_sided: float, size_fraction: float
) -> None:
    limit = equity * leverage
    asked = ladder(
        equity=equity,
        leverage=leverage,
        exposure_limit=limit,
        one_sided=one_sided,
        side_value=size_fraction * limit,
    )
    for sentence in refusals(RiskConfig(), asked):
        words = sentence.rsplit("what fits: ", 1)[1].split()
        fraction = float(words[words.index("size_fraction") + 1])
        threshold = float(words[words.index("one_sided") + 1]) if "one_sided" in words else one_sided
        assert refusals(RiskConfig(), replace(asked, one_sided=threshold, side_value=fraction * limit)) == []
