"""What a recording holds beside the venue's frames: lost sockets, books asked for by REST, and the times of actions."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import OrderBookDeltas
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.data import TradeTick

from amm500_catalog.spec import MarketSpec
from amm500_nautilus.runtime.record.session import FRAMES
from amm500_nautilus.runtime.record.session import write_header
from amm500_nautilus.runtime.replay.data import data_of
from amm500_nautilus.runtime.replay.log import Recording
from amm500_nautilus.runtime.replay.log import open_recording
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.errors import TransportError
from hyperliquid_hip3.http import HttpReply
from hyperliquid_hip3.instruments import make_instrument
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.recorder import FrameRecorder
from hyperliquid_hip3.session_frames import DOWN_FRAME
from hyperliquid_hip3.session_frames import REST_FRAME
from hyperliquid_hip3.session_frames import own_frame
from hyperliquid_hip3.session_frames import wire_of


COIN = "km:US500"
MS = 1_000_000


def book(ms: int, *, bid: str = "690.00", size: str = "5.000", levels: int = 6) -> dict[str, Any]:
    bids = [{"px": f"{float(bid) - 0.01 * k:.2f}", "sz": size, "n": 1} for k in range(levels)]
    asks = [{"px": f"{float(bid) + 0.01 + 0.01 * k:.2f}", "sz": size, "n": 1} for k in range(levels)]
    return {"coin": COIN, "time": ms, "levels": [bids, asks]}


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def recording(folder: Path, frames: list[tuple[int, bytes]]) -> Recording:
    write_header(
        folder,
        {"mode": "local", "coin": COIN, "simulated": True},
        make_instrument(MarketSpec(), 690.0, 0),
    )
    writer = FrameRecorder(folder, name=FRAMES)
    writer.start()
    for ms, raw in frames:
        writer.write(raw, ms * MS)
    writer.close()
    return open_recording(folder)


def books_of(found: Recording) -> list[OrderBookDeltas]:
    return [datum for datum in data_of(found) if isinstance(datum, OrderBookDeltas)]


def test_a_book_asked_for_by_rest_is_written_as_the_venue_writes_it() -> None:
    snapshot = parse_l2_book(book(7))
    assert parse_l2_book(wire_of(snapshot)) == snapshot


def test_a_book_of_a_stream_is_given_with_the_time_it_was_received(tmp_path: Path) -> None:
    (found,) = books_of(recording(tmp_path, [(105, frame("l2Book", book(100)))]))
    assert (found.ts_event, found.ts_init) == (100 * MS, 105 * MS)
    # a clear and twelve levels
    assert len(found.deltas) == 13


def test_what_a_lost_socket_had_shown_is_not_mixed_with_what_comes(tmp_path: Path) -> None:
    deep, touch = (
        book(100, levels=6),
        [{"px": "690.20", "sz": "1.0", "n": 1}, {"px": "690.21", "sz": "1.0", "n": 1}],
    )
    bbo = frame("bbo", {"coin": COIN, "time": 200, "bbo": touch})
    whole = recording(tmp_path / "a", [(105, frame("l2Book", deep)), (205, bbo)])
    lost = recording(
        tmp_path / "b",
        [(105, frame("l2Book", deep)), (150, own_frame(DOWN_FRAME, {"is_deep": False})), (205, bbo)],
    )
    assert len(books_of(whole)[-1].deltas) > 3
    # a clear, a bid and an ask
    assert len(books_of(lost)[-1].deltas) == 3


def test_a_book_asked_for_by_rest_is_handed_out_with_its_touch(tmp_path: Path) -> None:
    snapshot = wire_of(parse_l2_book(book(300, bid="690.50")))
    found = list(data_of(recording(tmp_path, [(310, own_frame(REST_FRAME, snapshot))])))
    assert [type(datum) for datum in found] == [OrderBookDeltas, QuoteTick]
    assert str(found[1].bid_price) == "690.50"
    assert found[1].ts_init == 310 * MS


def test_a_frame_that_could_not_be_read_then_is_left_out_again(tmp_path: Path) -> None:
    frames = [(1, b"{"), (2, frame("l2Book", {"coin": COIN})), (105, frame("l2Book", book(100)))]
    assert len(books_of(recording(tmp_path, frames))) == 1


def test_trades_that_the_venue_repeats_after_subscribing_are_no_news(tmp_path: Path) -> None:
    def trade(tid: int, ms: int) -> dict[str, Any]:
        users = ["0x" + "1" * 40, "0x" + "2" * 40]
        named = {"coin": COIN, "side": "B", "px": "690.00", "sz": "0.1", "hash": "0x" + "0" * 64}
        return {**named, "time": ms, "tid": tid, "users": users}

    ack = {"method": "subscribe", "subscription": {"type": "trades", "coin": COIN}}
    frames = [
        (50, frame("subscriptionResponse", ack)),
        (60, frame("trades", [trade(1, 40), trade(2, 45)])),
        (110, frame("trades", [trade(3, 100)])),
    ]
    found = [each for each in data_of(recording(tmp_path, frames)) if isinstance(each, TradeTick)]
    assert [each.trade_id.value for each in found] == ["3"]


class Wire:
    """Answers once, or breaks off."""

    def __init__(self, reply: HttpReply | None) -> None:
        self.reply = reply

    async def post(self, path: str, body: bytes, *, what: str, timeout_s: float) -> HttpReply:
        if self.reply is None:
            raise TransportError(f"{what}: broke off")
        return self.reply


@pytest.fixture
def told() -> Iterator[list[tuple[str, int, int, int | None]]]:
    return []


def test_an_action_is_told_with_when_it_was_sent_and_answered(
    told: list[tuple[str, int, int, int | None]],
) -> None:
    reply = HttpReply(200, b'{"status": "ok", "response": {"type": "default"}}', 1_000, 5, 70)
    client = VenueClient("http://127.0.0.1:9", now_ns=lambda: 990, transport=Wire(reply))
    client.on_action = lambda *action: told.append(action)
    orders = {"type": "order", "orders": [{}, {}], "grouping": "na"}
    asyncio.run(client.exchange({"action": orders, "nonce": 1, "signature": {}}))
    assert told == [("order", 2, 990, 1_070)]


def test_an_action_without_an_answer_is_told_too(told: list[tuple[str, int, int, int | None]]) -> None:
    client = VenueClient("http://127.0.0.1:9", now_ns=lambda: 990, transport=Wire(None))
    client.on_action = lambda *action: told.append(action)
    with pytest.raises(TransportError):
        asyncio.run(client.exchange({"action": {"type": "noop"}, "nonce": 1, "signature": {}}))
    assert told == [("noop", 1, 990, None)]
