"""A recorded session read again: steps, own orders, the market without them, and the recorded times."""

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.common.component import TestClock

from amm500_catalog.errors import InputError
from amm500_catalog.spec import MarketSpec
from amm500_nautilus.quoting.types import Cancel
from amm500_nautilus.quoting.types import Modify
from amm500_nautilus.quoting.types import Place
from amm500_nautilus.runtime.record.session import HEADER
from amm500_nautilus.runtime.record.session import SESSION
from amm500_nautilus.runtime.record.session import change_of
from amm500_nautilus.runtime.record.session import wire_of
from amm500_nautilus.runtime.record.session import write_header
from amm500_nautilus.runtime.replay.clock import BLOCK
from amm500_nautilus.runtime.replay.clock import Alarms
from amm500_nautilus.runtime.replay.clock import RecordedLatency
from amm500_nautilus.runtime.replay.clock import action_times
from amm500_nautilus.runtime.replay.data import DataQueue
from amm500_nautilus.runtime.replay.decisions import give_command
from amm500_nautilus.runtime.replay.fills import CANCEL
from amm500_nautilus.runtime.replay.fills import GRACE_NS
from amm500_nautilus.runtime.replay.fills import LEFT_OVER
from amm500_nautilus.runtime.replay.fills import MODIFY
from amm500_nautilus.runtime.replay.fills import PLACE
from amm500_nautilus.runtime.replay.fills import commands_of
from amm500_nautilus.runtime.replay.log import RecordedAction
from amm500_nautilus.runtime.replay.log import Send
from amm500_nautilus.runtime.replay.log import Step
from amm500_nautilus.runtime.replay.log import open_recording
from amm500_nautilus.runtime.replay.log import steps_of
from amm500_nautilus.runtime.replay.own import BEFORE_NS
from amm500_nautilus.runtime.replay.own import Netting
from amm500_nautilus.runtime.replay.own import OwnOrders
from amm500_nautilus.runtime.replay.own import own_orders_of
from hyperliquid_hip3.frames import Frame
from hyperliquid_hip3.instruments import make_instrument
from hyperliquid_hip3.recorder import FrameRecorder


MS = 1_000_000
TICK, LOT = Decimal("0.01"), Decimal("0.001")
INSTRUMENT = make_instrument(MarketSpec(), 690.0, 0)


def event(kind: str, ts_ms: float, **more: Any) -> Step:
    body = {"type": kind, "client_order_id": "O-1", "ts_event": str(int(ts_ms * MS)), **more}
    step = Step(int(ts_ms * MS), "event", {"k": "event", "event": body})
    if kind == "OrderInitialized":
        return Step(step.ns, "cycle", {}, own=[body])
    return step


def initialized(ts_ms: float, price: str = "690.00", quantity: str = "0.100", side: str = "BUY") -> Step:
    return event(
        "OrderInitialized",
        ts_ms,
        order_side=side,
        quantity=quantity,
        post_only=True,
        time_in_force="GTC",
        options={"price": price},
        tags=["L2"],
    )


def filled(ts_ms: float, quantity: str, *, liquidity: str = "MAKER", trade: str = "1-77") -> Step:
    return event(
        "OrderFilled",
        ts_ms,
        last_qty=quantity,
        last_px="690.00",
        liquidity_side=liquidity,
        commission="0.000100 USDH",
        trade_id=trade,
    )


def orders(*steps: Step, is_seen: bool = True) -> OwnOrders:
    own = OwnOrders(TICK, LOT, feed_lag_ns=2 * MS, is_seen=is_seen)
    for step in steps:
        own.take(step)
    return own


LIFE = (
    initialized(900),
    event("OrderAccepted", 1_000),
    filled(2_000, "0.040"),
    event("OrderUpdated", 3_000, price="690.01", quantity="0.090"),
    event("OrderCanceled", 4_000),
)


@pytest.mark.parametrize(
    "change",
    [
        Place(1, 100, 5, 3),
        Place(-1, 100, 5, -2, reduce_only=True, ioc=True),
        Modify("k", 1, 2, 3),
        Cancel("k"),
    ],
)
def test_a_change_is_read_as_it_was_written(change: Any) -> None:
    assert change_of(json.loads(json.dumps(wire_of(change)))) == change


def test_steps_hold_what_the_strategy_did_and_leave_out_repeated_reports() -> None:
    lines = [
        (1, {"k": "account", "same": False, "early": True, "state": {}}),
        (2, {"k": "cycle", "ts": 2}),
        (3, {"k": "send", "ts": 2, "changes": [["C", "O-1"]]}),
        (4, {"k": "event", "event": {"type": "OrderPendingCancel"}}),
        (5, {"k": "count", "ts": 5, "kind": "cancel", "count": 1}),
        (6, {"k": "account", "same": True, "early": False}),
        (7, {"k": "event", "event": {"type": "OrderCanceled"}}),
        (8, {"k": "action", "kind": "cancelByCloid"}),
        (9, {"k": "mark", "name": "wind_down"}),
    ]
    steps = list(steps_of(lines))
    assert [step.kind for step in steps] == ["account", "cycle", "event", "mark"]
    assert steps[1].sends == [Send(2, (Cancel("O-1"),))]
    assert [each["type"] for each in steps[1].own] == ["OrderPendingCancel"]
    assert steps[1].counts == [5]


def test_an_order_s_size_at_the_venue_follows_its_life() -> None:
    own = orders(*LIFE)

    def at(ms: float) -> tuple[int, int]:
        return own.own_lots(1, 69_000, int(ms * MS)), own.own_lots(1, 69_001, int(ms * MS))

    assert [at(ms) for ms in (999, 1_000, 2_000, 2_999, 3_000, 4_000)] == [
        (0, 0),
        (100, 0),
        (60, 0),
        (60, 0),
        (0, 50),
        (0, 0),
    ]
    assert own.made_trades == {"77"}
    assert [(row.lots, row.ticks, row.fee) for row in own.fills()] == [(40, 69_000, 0.0001)]


def test_an_answer_without_the_venue_s_time_is_set_back_by_the_way_here() -> None:
    own = orders(initialized(900), event("OrderAccepted", 1_000.25))
    seen_ns = int(1_000.25 * MS) - 2 * MS - BEFORE_NS
    assert own.own_lots(1, 69_000, seen_ns) == 100
    assert own.own_lots(1, 69_000, seen_ns - 1) == 0


def test_the_orders_of_a_paper_run_are_in_no_book() -> None:
    own = orders(initialized(900), event("OrderAccepted", 1_000), filled(2_000, "0.040"), is_seen=False)
    assert own.own_lots(1, 69_000, 1_500 * MS) == 0
    assert own.made_trades == set()
    assert len(own.fills()) == 1


def book(bid: str, size: str, ms: int = 1_500) -> Frame:
    rows = [{"px": bid, "sz": size, "n": 2}, {"px": "689.99", "sz": "3.0", "n": 1}]
    asks = [{"px": "690.05", "sz": "4.0", "n": 1}]
    return Frame("l2Book", {"coin": "km:US500", "time": ms, "levels": [rows, asks]})


def test_our_own_size_is_taken_out_of_a_level_and_nothing_else() -> None:
    netting = Netting(orders(*LIFE), TICK, LOT)
    bids, asks = netting.net(book("690.00", "0.500")).data["levels"]
    assert [row["sz"] for row in bids] == ["0.400", "3.0"]
    assert asks == [{"px": "690.05", "sz": "4.0", "n": 1}]
    # before the order was there, the level is the market's
    assert netting.net(book("690.00", "0.500", ms=900)).data["levels"][0][0]["sz"] == "0.500"


def test_a_touch_that_was_ours_alone_gives_way_to_the_level_behind_it() -> None:
    netting = Netting(orders(*LIFE), TICK, LOT)
    netting.net(book("690.00", "0.100"))
    touch = {
        "coin": "km:US500",
        "time": 1_600,
        "bbo": [{"px": "690.00", "sz": "0.100", "n": 1}, {"px": "690.05", "sz": "4.0", "n": 1}],
    }
    bid, ask = netting.net(Frame("bbo", touch)).data["bbo"]
    assert (bid["px"], ask["px"]) == ("689.99", "690.05")
    assert netting.short == 0


def test_a_level_that_shows_less_than_we_had_there_is_counted() -> None:
    netting = Netting(orders(*LIFE), TICK, LOT)
    # emptied, it still counts as one of the levels that the message has
    bids = netting.net(book("690.00", "0.050")).data["levels"][0]
    assert [(row["px"], row["sz"]) for row in bids] == [("690.00", "0"), ("689.99", "3.0")]
    assert netting.short == 1


def test_what_was_done_to_an_order_is_done_again_at_the_venue_s_times() -> None:
    commands = commands_of(orders(*LIFE), until_ns=10_000 * MS)
    assert [(each.kind, each.ts_ns, each.ticks, each.quantity) for each in commands] == [
        (PLACE, 1_000 * MS - 1, 69_000, 100),
        (MODIFY, 3_000 * MS - 1, 69_001, 90),
        (CANCEL, 4_000 * MS - 1, 0, 0),
    ]


def test_what_is_left_of_an_order_that_the_venue_filled_goes_after_a_while() -> None:
    own = orders(initialized(900), event("OrderAccepted", 1_000), filled(2_000, "0.100"))
    commands = commands_of(own, until_ns=10_000 * MS)
    assert [(each.kind, each.ts_ns) for each in commands] == [
        (PLACE, 1_000 * MS - 1),
        (LEFT_OVER, 2_000 * MS - 1 + GRACE_NS),
    ]


def test_an_order_that_was_refused_is_not_sent_again() -> None:
    own = orders(initialized(900), event("OrderRejected", 1_000, reason="would take"))
    assert commands_of(own, until_ns=10_000 * MS) == []


class Guard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.engine = self

    def demand(self, name: str) -> None:
        self.told.append(("demand", name))

    def drill(self, ts_ns: int, name: str) -> None:
        self.told.append(("drill", ts_ns, name))

    def resume(self, ts_ns: int, by: str) -> None:
        self.told.append(("resume", ts_ns, by))

    def new_session(self, ts_ns: int, by: str) -> None:
        self.told.append(("session", ts_ns, by))


def test_a_person_s_commands_are_given_again_at_their_times() -> None:
    maker = SimpleNamespace(guard=Guard())
    for name in ("demand", "drill", "resume", "session"):
        give_command(maker, Step(7, "command", {"name": name, "argument": "x"}))
    assert maker.guard.told == [("demand", "x"), ("drill", 7, "x"), ("resume", 7, "x"), ("session", 7, "x")]


class Datum:
    def __init__(self, ts_init: int) -> None:
        self.ts_init = ts_init


def test_data_are_handed_out_as_recorded_and_what_is_missing_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amm500_nautilus.runtime.replay.data.NAMES", {Datum: "quote"})
    queue = DataQueue([Datum(1), Datum(2), Datum(3)])
    first, third = queue.take("quote", 1), queue.take("quote", 3)
    assert first is not None
    assert third is not None
    assert queue.take("quote", 9) is None
    assert (queue.match.found, queue.match.not_handed_out, queue.match.without_frame) == (2, 1, 1)


def test_every_alarm_sounds_once_in_order_however_many_there_are() -> None:
    clock = TestClock()
    clock.set_time(1)
    times = [10 * i for i in range(1, 3 * BLOCK)]
    heard: list[int] = []
    Alarms(clock, times, heard.append).start()
    for now in range(10, times[-1] + 20, 10):
        for handler in clock.advance_time(now):
            handler.handle()
    assert heard == times


def test_a_recorded_latency_is_that_of_the_action_nearest_in_time() -> None:
    now = 0
    latency = RecordedLatency([(1_000, 5), (1_000, 7), (2_000, 9)], lambda: now)
    now = 1_100
    assert [latency.draw(), latency.draw(), latency.draw()] == [5, 7, 7]
    now = 1_900
    assert latency.draw() == 9
    now = 0
    assert latency.draw() == 5


def test_an_action_took_from_its_decision_to_its_answer() -> None:
    steps = [Step(0, "cycle", {}, sends=[Send(ts, (Cancel("k"),))]) for ts in (100, 200)]
    steps.append(Step(0, "cycle", {}, sends=[Send(250, ())]))
    actions = [
        RecordedAction("updateLeverage", 1, 50, 60),
        RecordedAction("order", 1, 120, 170),
        RecordedAction("order", 1, 260, 300),
        RecordedAction("order", 1, 280, None),
    ]
    assert action_times(steps, actions) == [(100, 70), (200, 100)]


def test_a_recording_is_opened_with_the_venue_s_instrument(tmp_path: Path) -> None:
    write_header(tmp_path, {"mode": "local", "coin": "km:US500", "simulated": True}, INSTRUMENT)
    recording = open_recording(tmp_path)
    assert recording.instrument == INSTRUMENT
    assert recording.instrument.info == INSTRUMENT.info
    assert not recording.has_session


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99, "instrument": {}}', '{"format": 1}'])
def test_a_recording_that_is_none_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / HEADER).write_text(text)
    with pytest.raises(InputError, match=HEADER):
        open_recording(tmp_path)


def test_a_session_with_a_line_that_is_none_is_refused(tmp_path: Path) -> None:
    write_header(tmp_path, {"mode": "local", "coin": "km:US500", "simulated": True}, INSTRUMENT)
    writer = FrameRecorder(tmp_path, name=SESSION)
    writer.start()
    writer.write(b'{"k": ', 1)
    writer.close()
    with pytest.raises(InputError, match="a line that is none"):
        list(open_recording(tmp_path).steps())


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"quantity": "much"}, "InvalidOperation"),
        ({"quantity": None}, "TypeError"),
        ({"options": []}, "AttributeError"),
        ({"tags": [2]}, "TypeError"),
    ],
)
def test_an_order_s_event_that_is_none_is_refused_in_a_sentence(bad: dict[str, Any], said: str) -> None:
    step = initialized(900)
    step.own[0].update(bad)
    with pytest.raises(
        InputError, match=rf"the recording, at 1970-01-01 .*an order's event cannot be read \({said}"
    ):
        own_orders_of([step], TICK, LOT, feed_lag_ns=0)


def test_an_order_s_event_that_lacks_something_is_refused_in_a_sentence() -> None:
    step = filled(900, "0.040")
    del step.body["event"]["last_px"]
    with pytest.raises(InputError, match=r"an order's event cannot be read \(KeyError: 'last_px'\)"):
        own_orders_of([initialized(800), step], TICK, LOT, feed_lag_ns=0)


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no recording"):
        open_recording(tmp_path)
