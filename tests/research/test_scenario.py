"""Scenarios and their configuration: what is allowed, what the names mean."""

from datetime import UTC
from datetime import datetime

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.research.scenario import NS
from amm500_nautilus.research.scenario import SCENARIOS
from amm500_nautilus.research.scenario import Scenario
from amm500_nautilus.research.scenario import StressConfig


@pytest.mark.parametrize(
    ("name", "volatility", "crash", "hourly", "outage_s"),
    [
        pytest.param("vol_x1.5", 1.5, 0.0, None, 0, id="returns half as large again"),
        pytest.param("vol_x3", 3.0, 0.0, None, 0, id="returns three times"),
        pytest.param("crash_20", 1.0, 0.20, None, 0, id="a fifth of the price"),
        # 0.1 % / 8 = 0.0125 % an hour
        pytest.param("funding_0.1", 1.0, 0.0, 0.000125, 0, id="0.1 % each 8 h"),
        # 1 % / 8 = 0.125 % an hour
        pytest.param("funding_1", 1.0, 0.0, 0.00125, 0, id="1 % each 8 h"),
        pytest.param("outage_120", 1.0, 0.0, None, 120, id="two minutes of silence"),
        # 0.5 % / 8 = 0.0625 % an hour
        pytest.param("combined_15", 2.0, 0.15, 0.000625, 60, id="all at once"),
    ],
)
def test_a_built_in_scenario_is_what_its_name_says(
    name: str, volatility: float, crash: float, hourly: float | None, outage_s: int
) -> None:
    found = StressConfig().named(name)
    assert (found.volatility, found.crash, found.outage_s) == (volatility, crash, outage_s)
    assert found.funding_hourly == (None if hourly is None else pytest.approx(hourly, rel=1e-12))


def test_there_are_thirteen_scenarios_and_the_base_comes_first() -> None:
    assert len(SCENARIOS) == 13
    assert [item.name for item in StressConfig().chosen()] == ["base", *(item.name for item in SCENARIOS)]


def test_scenarios_asked_for_run_beside_the_base_in_the_configuration_s_order() -> None:
    chosen = StressConfig().chosen(("outage_30", "crash_5", "outage_30"))
    assert [item.name for item in chosen] == ["base", "crash_5", "outage_30"]


def test_the_base_asked_for_by_name_runs_alone() -> None:
    assert [item.name for item in StressConfig().chosen(("base",))] == ["base"]


def test_a_name_that_is_none_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match=r"no scenario 'crash_99'.*allowed: base, vol_x1.5"):
        StressConfig().chosen(("crash_5", "crash_99"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"volatility": -2.0}, "`volatility` of scenario 'x' was -2", id="a negative multiple"),
        pytest.param({"volatility": 0.0}, "must be above 0", id="no returns at all"),
        pytest.param({"crash": 1.0}, "below 1", id="a fall to nothing"),
        pytest.param({"crash": -0.1}, "`crash` of scenario 'x' was -0.1", id="a fall upwards"),
        pytest.param({"funding_8h": 0.5}, "4 % an hour", id="more than the venue's cap"),
        pytest.param({"outage_s": -1}, "`outage_s`", id="an outage that ends before it begins"),
        pytest.param({"name": "../x"}, "letters, digits", id="a name that is a path"),
    ],
)
def test_a_scenario_out_of_range_is_refused_by_field_and_value(values: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Scenario(**{"name": "x", **values})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param(
            {"scenarios": (Scenario(name="a"), Scenario(name="a"))}, "'a' is taken", id="a name twice"
        ),
        pytest.param({"scenarios": (Scenario(name="base"),)}, "'base' is taken", id="a second base"),
        pytest.param({"before_min": 0}, "`before_min`", id="nothing before the event"),
        pytest.param({"crash_s": 20}, "multiple of 15", id="a fall in broken pieces"),
        pytest.param({"crash_depth": 0.0}, "`crash_depth`", id="no book at all"),
        pytest.param({"crash_widen_bps": -1.0}, "`crash_widen_bps`", id="a spread that tightens"),
        pytest.param({"recovery_s": -1}, "`recovery_s`", id="a recovery that is over before"),
        pytest.param({"after_min": 4}, "must hold the fall of 300 s", id="a fall longer than the data"),
        pytest.param({"event": "noon"}, "`event` was 'noon'", id="no time"),
        pytest.param({"scenario": "doom"}, "no scenario 'doom'", id="no such scenario"),
    ],
)
def test_a_stress_configuration_out_of_range_is_refused(values: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StressConfig(**values)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param("2026-01-15T16:30Z", id="UTC"),
        pytest.param("2026-01-15T16:30:59", id="taken down to its minute, UTC where nothing is said"),
        pytest.param("2026-01-15T11:30-05:00", id="with an offset"),
        pytest.param(datetime(2026, 1, 15, 16, 30, tzinfo=UTC), id="as YAML reads it"),
    ],
)
def test_the_event_is_a_whole_minute_in_utc(event: datetime | str) -> None:
    expected = int(datetime(2026, 1, 15, 16, 30, tzinfo=UTC).timestamp()) * NS
    assert StressConfig(event=event).event_ns == expected
