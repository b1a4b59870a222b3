"""Orders canceled and positions closed without a node, against a loopback venue."""

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from amm500_nautilus.monitor.supervisor import RescueError
from amm500_nautilus.monitor.supervisor import UnseenError
from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.runtime.operate.direct import slice_of
from hyperliquid_hip3.nonces import NonceCounter
from hyperliquid_hip3.records import BookLevel
from hyperliquid_loopback.venue import LoopbackVenue
from tests.live.direct_scene import AGENT
from tests.live.direct_scene import MASTER
from tests.live.direct_scene import OTHER_AGENT
from tests.live.direct_scene import STRANGER
from tests.live.direct_scene import Left
from tests.live.direct_scene import left_at
from tests.live.direct_scene import venue_with_agent


@pytest.fixture(scope="module")
def venue() -> Iterator[LoopbackVenue]:
    with venue_with_agent() as running:
        yield running


@pytest.fixture
def left(venue: LoopbackVenue, tmp_path: Path) -> Iterator[Left]:
    """What a node left; afterwards nothing rests and nothing is held, so that the next test finds a clean account."""
    with left_at(venue, tmp_path / "venue") as scene:
        yield scene
        venue.faults.clear()
        if scene.trading.open_orders() or scene.trading.position():
            scene.rescue(takes_all=True).flatten()
        assert scene.trading.open_orders() == []
        assert scene.trading.position() == 0


def test_every_order_of_the_dead_node_is_canceled_and_a_person_s_is_left(left: Left) -> None:
    for number in range(5):
        left.place(1, f"68{number}")
        left.place(-1, f"70{number}")
    left.place(1, "600", is_ours=False)
    swept = left.rescue().cancel()
    assert (swept.found, swept.left, swept.foreign) == (10, 0, 1)
    (order,) = left.trading.open_orders()
    assert order["limitPx"] == "600.0"
    assert "1 that are not ours" in swept.words


def test_with_all_a_person_s_orders_go_too(left: Left) -> None:
    left.place(1, "600", is_ours=False)
    left.place(-1, "800")
    assert left.rescue(takes_all=True).cancel().found == 2
    assert left.trading.open_orders() == []


def test_an_account_without_orders_is_clear_after_the_second_look(left: Left) -> None:
    began = time.monotonic()
    swept = left.rescue().cancel()
    assert (swept.found, swept.left, swept.words) == (0, 0, "no own order rests")
    assert time.monotonic() - began >= left.access.settle_secs


def test_an_order_that_comes_after_the_first_look_is_canceled_too(left: Left) -> None:
    """A dead node's last action may still be on its way."""
    left.place(1, "680")
    late = threading.Timer(0.25, lambda: left.place(-1, "700"))
    late.start()
    try:
        swept = left.rescue(settle_secs=1.0).cancel()
    finally:
        late.join()
    assert swept.found == 2
    assert left.trading.open_orders() == []


@pytest.mark.parametrize(
    "fault",
    [
        "drop_after",
        *(
            pytest.param(name, marks=pytest.mark.soak)
            for name in ("lost_ack", "bad_gateway", "drop", "too_many", "bad_json")
        ),
    ],
)
def test_a_cancel_whose_answer_is_lost_is_judged_by_the_next_look(left: Left, fault: str) -> None:
    left.place(1, "680")
    left.trading.venue.faults.set(fault, only="exchange")
    assert left.rescue().cancel().left == 0
    assert left.trading.open_orders() == []


def test_a_nonce_that_another_process_used_is_not_the_end(left: Left) -> None:
    left.place(1, "680")
    left.trading.venue.faults.set("nonce_collision", only="exchange")
    assert left.rescue().cancel().left == 0


def test_a_node_that_hangs_keeps_its_nonces_and_its_orders_go_all_the_same(left: Left) -> None:
    left.place(1, "680")
    with NonceCounter(left.access.state_dir / f"nonce-{AGENT.address}") as held:
        used = held.take()
        assert left.rescue().cancel().left == 0
        assert held.last == used
    assert left.trading.open_orders() == []
    assert (left.access.state_dir / f"nonce-{AGENT.address}.direct").stat().st_mode & 0o777 == 0o600


def test_a_damaged_nonce_file_keeps_nothing_from_being_canceled(left: Left) -> None:
    left.place(1, "680")
    (left.access.state_dir / f"nonce-{AGENT.address}").write_bytes(b"not a number")
    assert left.rescue().cancel().left == 0


@pytest.mark.parametrize(
    "key",
    [
        OTHER_AGENT.key,
        pytest.param(STRANGER.key, marks=pytest.mark.soak),
        pytest.param(MASTER.key, marks=pytest.mark.soak),
    ],
    ids=["another account's agent", "nobody's", "the account's own"],
)
def test_a_key_that_is_no_agent_of_the_account_is_refused_before_anything_is_sent(
    left: Left, key: str
) -> None:
    left.place(1, "680")
    before = left.trading.mark()
    for act in (left.rescue(key).cancel, left.rescue(key).flatten):
        with pytest.raises(RescueError, match="agent of"):
            act()
    assert left.trading.actions(before) == []
    assert len(left.trading.open_orders()) == 1


def test_a_key_that_the_venue_refuses_is_told(left: Left) -> None:
    left.place(1, "680")
    left.trading.venue.faults.set("agent_unknown", only="exchange", times=-1)
    with pytest.raises(RescueError, match=f"refuses the key {AGENT.address}"):
        left.rescue().cancel()


def test_a_venue_that_does_not_answer_is_unseen_within_seconds(left: Left) -> None:
    rescue = left.rescue(url="http://127.0.0.1:9", timeout_secs=0.5, deadline_secs=0.5)
    began = time.monotonic()
    for act in (rescue.cancel, rescue.look):
        with pytest.raises(UnseenError):
            act()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("side", [1, pytest.param(-1, marks=pytest.mark.soak)])
def test_a_position_is_closed_and_nothing_rests(left: Left, side: int) -> None:
    left.hold(side, "0.5")
    left.place(side, "650" if side > 0 else "730")
    before = left.trading.mark()
    swept = left.rescue().flatten()
    assert (swept.position, swept.left) == (0, 0)
    assert left.trading.position() == 0
    assert left.trading.open_orders() == []
    orders = [o for a in left.trading.actions(before) if a["type"] == "order" for o in a["orders"]]
    assert orders
    assert all(order["r"] and order["t"]["limit"]["tif"] == "Ioc" for order in orders)
    # the bound of the first attempt: 10 bp through the touch
    assert all(abs(float(order["p"]) / 690 - 1) < 0.0015 for order in orders)


def test_a_position_too_small_to_trade_is_closed_whole(left: Left) -> None:
    left.hold(1, "0.015")
    assert left.rescue().flatten().position == 0


def test_a_position_larger_than_the_shown_book_goes_in_slices(left: Left) -> None:
    left.hold(1, "9.0")
    left.trading.venue.call(lambda _: setattr(left.trading.venue.flow, "size", Decimal("0.4")))
    before = left.trading.mark()
    try:
        assert left.rescue(flatten_secs=60.0).flatten().position == 0
    finally:
        left.trading.venue.call(lambda _: setattr(left.trading.venue.flow, "size", Decimal(10)))
    sizes = [
        Decimal(order["s"])
        for action in left.trading.actions(before)
        if action["type"] == "order"
        for order in action["orders"]
        if order["t"]["limit"]["tif"] == "Ioc"
    ]
    assert len(sizes) > 1
    assert max(sizes) < 9


def test_while_only_post_only_orders_are_taken_one_rests_at_the_touch(left: Left) -> None:
    left.hold(1, "0.2")
    left.trading.venue.faults.set("post_only_phase", only="exchange", times=-1)
    before = left.trading.mark()
    swept = left.rescue(flatten_secs=6.0).flatten()
    assert swept.position == Decimal("0.2")
    assert "0.2 km:US500" in swept.words
    assert "post-only" in swept.words
    # what rested at the touch is not left alone
    assert left.trading.open_orders() == []
    tifs = [
        order["t"]["limit"]["tif"]
        for action in left.trading.actions(before)
        if action["type"] == "order"
        for order in action["orders"]
    ]
    assert {"Ioc", "Alo"} <= set(tifs)


def test_why_a_position_is_still_held_outlives_the_last_cancel(left: Left) -> None:
    """The answer to the cancel of what rested at the touch says nothing of the orders that take."""
    left.hold(1, "0.2")
    left.trading.venue.faults.set("post_only_phase", only="exchange", times=-1)
    # one order that takes and is refused, then one that rests to the end
    swept = left.rescue(flatten_secs=2.0, flatten=FlattenConfig(retry_secs=0.1, passive_secs=60.0)).flatten()
    assert swept.position == Decimal("0.2")
    assert swept.words == (
        "still held after 2 s: 0.2 km:US500 (Only post-only orders allowed immediately after network upgrade)"
    )
    assert left.trading.open_orders() == []


def test_the_next_node_knows_the_trades_of_a_direct_close_as_its_own(left: Left) -> None:
    left.hold(1, "0.2")
    left.rescue().flatten()
    known = left.access.orders_file.read_text()
    (fill,) = [row for row in left.trading.fills() if row["side"] == "A"][-1:]
    assert fill["cloid"] in known
    assert "AMM500-DIRECT-" in known


def test_the_key_is_nowhere_in_what_is_told_or_kept(left: Left, capfd: pytest.CaptureFixture[str]) -> None:
    left.place(1, "680")
    rescue = left.rescue()
    rescue.cancel()
    with pytest.raises(RescueError) as told:
        left.rescue(OTHER_AGENT.key).cancel()
    digits = [key.removeprefix("0x").lower() for key in (AGENT.key, OTHER_AGENT.key)]
    out, err = capfd.readouterr()
    kept = "".join(path.read_text() for path in left.access.state_dir.iterdir())
    for text in (repr(rescue), repr(vars(rescue)), str(told.value), out, err, kept):
        assert not any(digit in text.lower() for digit in digits)


def test_a_slice_is_what_is_shown_within_the_bound() -> None:
    levels = [BookLevel(Decimal(100 + n), Decimal(2), 1) for n in range(5)]
    lot = Decimal("0.001")
    assert slice_of(Decimal(9), Decimal(101), levels, 1, lot) == 4
    assert slice_of(Decimal(3), Decimal(101), levels, 1, lot) == 3
    # a rest below the smallest order would stay behind
    assert slice_of(Decimal("4.05"), Decimal(101), levels, 1, lot) == Decimal("4.05")
    # nothing is shown within the bound: all is asked for
    assert slice_of(Decimal(3), Decimal(99), levels, 1, lot) == 3
    bids = [BookLevel(Decimal(100 - n), Decimal(2), 1) for n in range(5)]
    assert slice_of(Decimal(9), Decimal(99), bids, -1, lot) == 4
