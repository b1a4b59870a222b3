"""A run on the exchange's market quotes by the index's sessions, as the backtest does; a venue of this machine has none."""

from datetime import UTC
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from amm500_catalog.errors import InputError
from amm500_nautilus.quoting.config import SessionConfig
from amm500_nautilus.quoting.sessions import CLOSED
from amm500_nautilus.quoting.sessions import SessionCalendar
from amm500_nautilus.quoting.sessions import SessionClock
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.config import load_config
from amm500_nautilus.runtime.node.assembly import node_config
from amm500_nautilus.runtime.node.assembly import strategy_config
from amm500_nautilus.runtime.node.hours import trading_hours
from hyperliquid_hip3.constants import VENUE
from hyperliquid_hip3.instruments import instrument_id


ROOT = Path(__file__).resolve().parents[2]
# as far as a configuration reads it
INSTRUMENT = SimpleNamespace(id=instrument_id("km:US500"), maker_fee=0.00003, info={})
NS = 1_000_000_000
TUESDAY = "2026-01-13T10:00"


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def paper(*overrides: str) -> RunConfig:
    return load_config(ROOT / "configs" / "paper.yaml", ["live.duration=7d", *overrides])


def calendar(config: RunConfig) -> SessionCalendar:
    """The calendar that a run of this file quotes by which begins on a Tuesday."""
    settings = strategy_config(config, INSTRUMENT, sessions=trading_hours(config, ns(TUESDAY)))
    return SessionCalendar(settings.sessions, settings.session_seconds_a_year)


@pytest.mark.parametrize(
    ("at", "kind", "factor"),
    [
        ("2026-01-13T15:00", "cash", 1.0),
        ("2026-01-14T03:00", "futures", 1.5),
        ("2026-01-17T12:00", "weekend", 2.0),
        ("2026-01-19T16:00", "holiday", 2.0),
    ],
)
def test_a_paper_run_widens_as_the_backtest_does(at: str, kind: str, factor: float) -> None:
    clock = SessionClock(SessionConfig(), calendar(paper()))
    assert clock.at(ns(at)) == (True, factor)
    assert clock.kind == kind


def test_the_market_is_never_closed_while_a_run_lasts_and_is_wound_down() -> None:
    hours = calendar(paper())
    kind, opened, closes = hours.at(ns(TUESDAY))
    assert kind != CLOSED
    # nothing is withdrawn for an opening or a close: the market has neither
    assert opened <= ns(TUESDAY) - 3_600 * NS
    assert closes >= ns(TUESDAY) + 8 * 86_400 * NS


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(load_config(ROOT / "configs" / "local.yaml"), id="local"),
        pytest.param(paper("live.url=http://127.0.0.1:3001"), id="paper on a loopback venue"),
    ],
)
def test_a_market_of_this_machine_has_no_hours(config: RunConfig) -> None:
    assert trading_hours(config, ns(TUESDAY)) == ()


def test_live_has_the_same_hours_as_paper() -> None:
    live = load_config(ROOT / "configs" / "live.example.yaml", ["live.duration=7d"])
    assert trading_hours(live, ns(TUESDAY)) == trading_hours(paper(), ns(TUESDAY))


def test_a_run_is_at_most_as_long_as_its_calendar() -> None:
    assert trading_hours(paper("live.duration=400d"), ns(TUESDAY))
    with pytest.raises(InputError, match=r"live\.duration.*401d"):
        paper("live.duration=401d")


def desk_of(coin: str) -> Any:
    endpoint = SimpleNamespace(url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1/ws")
    return SimpleNamespace(
        market=SimpleNamespace(coin=coin), endpoint=endpoint, execution=lambda _state_dir: None
    )


def test_the_reference_market_of_the_run_file_is_heard(tmp_path: Path) -> None:
    config = paper("strategy.reference=xyz:SP500")
    settings = strategy_config(config, INSTRUMENT)
    assert str(settings.reference_id) == "xyz:SP500-USD-PERP.HYPERLIQUID"
    node = node_config(desk_of("km:US500"), config, tmp_path / "state", tmp_path / "log")
    assert node.data_clients[VENUE].coins == ("km:US500", "xyz:SP500")


def test_a_run_without_a_reference_hears_its_own_market_alone(tmp_path: Path) -> None:
    assert strategy_config(paper(), INSTRUMENT).reference_id is None
    node = node_config(desk_of("km:US500"), paper(), tmp_path / "state", tmp_path / "log")
    assert node.data_clients[VENUE].coins == ("km:US500",)
