"""The position at the end of a run: asked to be closed until it is, or until the time for it is over."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from amm500_nautilus.runtime import live
from amm500_nautilus.runtime.live import LiveRun


class Trading:
    """A position of which each order closes a part, as a thin book lets it."""

    def __init__(self, *parts: str) -> None:
        self.position = Decimal(1)
        self.is_reported = True
        self.parts = [Decimal(part) for part in parts]
        self.asked = 0

    def wind_down(self) -> None:
        """Nothing rests."""

    def close_all_positions(self, _instrument_id: Any, *, reduce_only: bool) -> None:
        assert reduce_only
        self.asked += 1
        self.position -= self.parts.pop(0) if self.parts else Decimal(0)


def ended(
    trading: Trading,
    *,
    is_halted: bool = False,
    is_closing: bool = False,
    on_end: str = "flatten",
    said: str | None = None,
) -> LiveRun:
    run: Any = object.__new__(LiveRun)
    run._session = None
    run._monitor = SimpleNamespace(on_end=said)
    run._config = SimpleNamespace(on_end=on_end)
    run._desk = SimpleNamespace(watch=lambda: None)
    run._progress = SimpleNamespace(say=lambda _line: None)
    run._quoted = None
    run.is_halted, run.is_closing = is_halted, is_closing
    run.notes = []
    node: Any = SimpleNamespace(cache=SimpleNamespace(orders_open=lambda instrument_id: []))
    asyncio.run(run._wind_down(node, trading, trading))
    found: LiveRun = run
    return found


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "WIND_DOWN_S", 0.3)
    monkeypatch.setattr(live, "CLOSE_S", 0.05, raising=False)


def test_what_one_order_leaves_of_it_is_asked_for_again() -> None:
    trading = Trading("0.4", "0.4", "0.2")
    assert ended(trading).notes == []
    assert (trading.position, trading.asked) == (0, 3)


def test_what_cannot_be_closed_in_time_is_said() -> None:
    trading = Trading("0.4")
    assert ended(trading).notes == ["a position of 0.6 is held at the end"]
    assert trading.asked > 1


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"is_halted": True, "said": "flatten"}, id="a person says so"),
        pytest.param({"is_halted": True, "is_closing": True, "on_end": "hold"}, id="the halt was closing it"),
    ],
)
def test_a_halted_run_closes_what_a_person_or_the_halt_wants_closed(how: dict[str, Any]) -> None:
    trading = Trading("1")
    ended(trading, **how)
    assert trading.position == 0


@pytest.mark.parametrize(
    "how",
    [
        {"is_halted": True},
        {"on_end": "hold"},
        {"said": "hold"},
        {"is_halted": True, "is_closing": True, "said": "hold"},
    ],
)
def test_what_is_to_be_held_is_not_touched(how: dict[str, Any]) -> None:
    trading = Trading("1")
    ended(trading, **how)
    assert trading.asked == 0
