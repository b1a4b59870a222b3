"""What strikes: each fault with how it begins, how it ends, and how a scenario knows that it did strike."""

import errno
import os
import random
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model.enums import OrderSide

from hyperliquid_hip3.clock_offset import ClockState
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.notices import NoticeKind
from tests.adapter.exec_scene import AGENT_KEY
from tests.adapter.exec_scene import COIN
from tests.adapter.exec_scene import USER
from tests.live.faults.stages import Stage
from tests.live.node import until


FOREVER = -1
type Act = Callable[[Stage], Any]


def _nothing(_: Any) -> None:
    return None


def _always(_: Stage) -> bool:
    return True


@dataclass(slots=True)
class Strike:
    """
    One fault.

    Parameters
    ----------
    label : str
        What the table says of it.
    begin, end : Callable[[Stage], None]
        How it begins and ends; either may be awaitable.
    struck : Callable[[Stage], bool]
        Whether it has struck; the scenario goes on until it has.
    wants : str
        What the trader must do for it to strike, see ``script.WANTED``.
    lasts : int
        The least number of steps between begin and end.
    between : Callable[[Path], None]
        What is done to the state folder between two lives.

    """

    label: str
    begin: Act
    end: Act = field(default=_nothing)
    struck: Callable[[Stage], bool] = field(default=_always)
    wants: str = ""
    lasts: int = 0
    between: Callable[[Path], None] = field(default=_nothing)


def knob(
    name: str,
    label: str,
    *,
    only: str = "",
    wants: str = "",
    times: int = 1,
    skip: int = 0,
    rate: float = 1.0,
    value: float = 0.0,
    least: int = 1,
    lasts: int = 0,
) -> Strike:
    """Return a fault of the venue's own knobs, which must strike ``least`` times."""
    start = [0]

    def begin(stage: Stage) -> None:
        start[0] = stage.venue.faults.struck[name]
        stage.venue.faults.set(name, only=only, times=times, skip=skip, rate=rate, value=value)

    return Strike(
        label,
        begin,
        lambda stage: stage.venue.faults.clear(name),
        lambda stage: stage.venue.faults.struck[name] - start[0] >= least,
        wants,
        lasts,
    )


KINDS = {"order": "placing", "batchModify": "modify", "cancelByCloid": "cancel"}


def on_action(name: str, kind: str, words: str, rng: random.Random, *, value: float = 0.0) -> Strike:
    """Return a fault that meets an action of a kind, sometimes the second; ``words`` has a place for which one."""
    skip = rng.randint(0, 1)
    which = f"the {'second' if skip else 'first'} {KINDS[kind]}"
    return knob(name, words.format(which), only=kind, wants=kind, skip=skip, value=value)


def on_frame(name: str, channel: str, words: str, rng: random.Random, *, times: int = 1) -> Strike:
    """Return a fault that meets a frame of a channel."""
    skip = rng.randint(0, 2)
    wants = "fill" if channel == "userFills" else "alo"
    return knob(
        name, f"{words} at {channel} frame {skip + 1}", only=channel, wants=wants, skip=skip, times=times
    )


def cut(rng: random.Random) -> Strike:
    """Return a cut of every socket."""
    return Strike("every socket cut", lambda stage: stage.venue.cut_sockets())


def outage(rng: random.Random) -> Strike:
    """Return a time without sockets."""

    def begin(stage: Stage) -> None:
        stage.venue.faults.set("ws_refuse", times=FOREVER)
        stage.venue.cut_sockets()

    return Strike(
        "no socket for a while",
        begin,
        lambda stage: stage.venue.faults.clear("ws_refuse"),
        lambda stage: stage.venue.faults.struck["ws_refuse"] > 0,
        "fill",
        rng.randint(4, 10),
    )


def venue_shut(rng: random.Random) -> Strike:
    """Return a time in which the venue takes no connection at all."""

    async def begin(stage: Stage) -> None:
        await _venue(stage, stage.venue.shut)
        stage.venue.cut_sockets()

    async def end(stage: Stage) -> None:
        await _venue(stage, stage.venue.reopen)

    return Strike("connections refused for a while", begin, end, lasts=rng.randint(4, 10))


def agent_expired(rng: random.Random) -> Strike:
    """Return the end of the agent's time, and its extension."""
    agent = SecretKey(AGENT_KEY).address

    return Strike(
        "the agent expired, later extended",
        lambda stage: stage.ex(lambda _: stage.venue.accounts.agents.expire(agent, stage.venue.now_ms)),
        lambda stage: stage.ex(
            lambda _: stage.venue.accounts.agents.extend(agent, stage.venue.now_ms + 86_400_000)
        ),
        lambda stage: NoticeKind.AGENT_REFUSED in _kinds(stage),
        "order",
    )


def mode_switched(rng: random.Random) -> Strike:
    """Return a switch of the account mode by hand."""

    def switch(mode: str) -> Act:
        def act(stage: Stage) -> None:
            stage.ex(lambda _: stage.venue.accounts.force_mode(USER, mode))
            # a person is told within minutes; here the next report looks
            stage.client.session.account.facts_changed()

        return act

    stays = rng.random() < 0.5
    label = "account mode switched to unified" + ("" if stays else " and back")
    end = _nothing if stays else switch("disabled")
    return Strike(
        label, switch("unifiedAccount"), end, lambda stage: NoticeKind.ACCOUNT_MODE in _kinds(stage), "", 4
    )


def halted(rng: random.Random) -> Strike:
    """Return a halt and its end."""
    return Strike(
        "trading halted, later resumed",
        lambda stage: stage.ex(lambda exchange: exchange.halt(COIN)),
        lambda stage: stage.ex(lambda exchange: exchange.resume(COIN)),
        lasts=rng.randint(3, 8),
    )


def delisted(rng: random.Random) -> Strike:
    """Return a delisting, which settles the position."""
    return Strike(
        "the coin delisted",
        lambda stage: stage.ex(lambda exchange: exchange.delist(COIN)),
        lasts=rng.randint(2, 6),
    )


def oi_cap(rng: random.Random) -> Strike:
    """Return a market at its open-interest cap."""
    return Strike(
        "open-interest cap reached, later lifted",
        lambda stage: stage.ex(lambda exchange: exchange.set_oi_cap(COIN, on=True)),
        lambda stage: stage.ex(lambda exchange: exchange.set_oi_cap(COIN, on=False)),
        lasts=rng.randint(3, 8),
    )


def manual_order(rng: random.Random) -> Strike:
    """Return an order that a person rests with the same account."""
    is_buy = rng.random() < 0.5
    price = "689.80" if is_buy else "690.20"

    return Strike(
        f"a foreign order rests ({'bid' if is_buy else 'offer'})",
        lambda stage: stage.by_hand(price, "0.1", is_buy=is_buy, tif="Gtc"),
        struck=lambda stage: NoticeKind.SECOND_TRADER in _kinds(stage),
    )


def manual_fill(rng: random.Random) -> Strike:
    """Return a trade that a person makes with the same account."""
    is_buy = rng.random() < 0.5
    price = "690.50" if is_buy else "689.50"

    return Strike(
        f"a foreign trade ({'bought' if is_buy else 'sold'})",
        lambda stage: stage.by_hand(price, "0.2", is_buy=is_buy, tif="Ioc"),
        struck=lambda stage: NoticeKind.SECOND_TRADER in _kinds(stage),
    )


def clock_off(rng: random.Random) -> Strike:
    """Return a step of the venue's clock."""
    ms = rng.choice((700, 1_500, 3_000))

    def begin(stage: Stage) -> None:
        stage.venue.clock.offset_ms = ms

    return Strike(
        f"the venue's clock {ms} ms ahead",
        begin,
        struck=lambda stage: stage.client.session.client.clock.state is not ClockState.GOOD,
        wants="fill",
    )


def expired_action(rng: random.Random) -> Strike:
    """Return a delay longer than the action may take."""
    return on_action(
        "delay",
        rng.choice(("order", "batchModify", "cancelByCloid")),
        "{} arrived after its expiry",
        rng,
        value=1_300,
    )


def liquidation(rng: random.Random) -> Strike:
    """Return a move against the position that takes the account below its maintenance margin."""
    side = rng.choice((OrderSide.BUY, OrderSide.SELL))
    sign = 1 if side == OrderSide.BUY else -1

    async def begin(stage: Stage) -> None:
        await until(lambda: _is_clear(stage), "nothing rests")
        missing = Decimal("2.4") * sign - stage.net()
        taken = OrderSide.BUY if missing > 0 else OrderSide.SELL
        price = "691.00" if missing > 0 else "689.00"
        stage.submit(stage.limit(taken, price, f"{abs(missing):.3f}", ioc=True))
        await until(lambda: stage.venue_position() * sign > 2, "the position is taken")
        stage.ex(lambda _: stage.venue.flow.move(Decimal(690) - sign * 40))
        # the mark follows by a hundredth with each of the oracle's updates
        await until(
            lambda: NoticeKind.LIQUIDATION in _kinds(stage), "the liquidation is heard of", seconds=30
        )

    return Strike(
        f"a {'long' if sign > 0 else 'short'} account liquidated",
        begin,
        lambda stage: stage.ex(lambda _: stage.venue.flow.move(Decimal(690))),
        lambda stage: NoticeKind.LIQUIDATION in _kinds(stage),
    )


def meta_drift(rng: random.Random) -> Strike:
    """Return a change of the coin's terms by its deployer."""
    what = rng.choice(("leverage", "growth mode", "fee scale"))

    def begin(stage: Stage) -> None:
        def change(_: Any) -> None:
            universe = stage.venue.universe
            if what == "leverage":
                universe.set_max_leverage(COIN, 5)
            elif what == "growth mode":
                universe.set_growth_mode(COIN, on=not universe.growth_mode(COIN))
            else:
                universe.set_fee_scale("km", universe.fee_scale("km") / 2)

        stage.ex(change)

    return Strike(
        f"the coin's {what} changed", begin, struck=lambda stage: NoticeKind.INSTRUMENT in _kinds(stage)
    )


def races(rng: random.Random) -> Strike:
    """Return takers in the same block as modifies and cancels, until several have traded."""
    fills = rng.randint(5, 9)

    return Strike(
        f"a taker beside every command, {fills} fills",
        _nothing,
        struck=lambda stage: len(stage.ex(lambda _: stage.venue.accounts.user_fills(USER))) >= fills,
        wants="race",
    )


def deleveraged(rng: random.Random) -> Strike:
    """Return an auto-deleveraging of the position, a few times while there is one."""
    times = rng.randint(1, 3)
    done = [0]

    def struck(stage: Stage) -> bool:
        # again and again until a position was there to be taken
        if done[0] < times:
            done[0] += bool(stage.ex(lambda exchange: exchange.deleverage(USER, COIN)))
        return done[0] >= times and NoticeKind.LIQUIDATION in _kinds(stage)

    return Strike(f"the position deleveraged {times} times", _nothing, struck=struck, wants="fill")


def own_orders_crossed(rng: random.Random) -> Strike:
    """Return orders that would take our own resting ones: those are canceled first, not by the venue."""
    crossings = rng.randint(6, 10)

    def end(stage: Stage) -> None:
        rows = stage.ex(lambda exchange: exchange.historical_orders(USER))
        prevented = [row for row in rows if row["status"] == "selfTradeCanceled"]
        # what is placed or moved into its way after the taker left may still meet it
        assert 2 * len(prevented) < stage.own_crossed, f"the venue prevented {len(prevented)} self-trades"

    return Strike(
        f"{crossings} IOC orders into resting orders of our own",
        _nothing,
        end,
        lambda stage: stage.own_crossed >= crossings,
        "own",
    )


def disk_full(rng: random.Random) -> Strike:
    """Return a disk that takes nothing, or only a part of a write, for a while."""
    taken = rng.choice((0, 5))
    write, pwrite = os.write, os.pwrite

    def is_state(descriptor: int) -> bool:
        try:
            return Path(f"/proc/self/fd/{descriptor}").readlink().parent.name == "state"
        except OSError:
            return False

    def full(descriptor: int, content: bytes, *offset: int) -> int:
        real: Callable[..., int] = pwrite if offset else write
        if not is_state(descriptor):
            return real(descriptor, content, *offset)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, content[:taken], *offset)

    def begin(_: Stage) -> None:
        os.write = os.pwrite = full

    def end(_: Stage) -> None:
        os.write, os.pwrite = write, pwrite

    return Strike(
        f"the disk full for a while ({'a part' if taken else 'nothing'} of a write taken)",
        begin,
        end,
        lambda stage: NoticeKind.STORAGE in _kinds(stage),
        "fill",
        rng.randint(6, 12),
    )


# what a crash of the machine may leave at the end of a file, or a person in it
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half a line at the end": lambda content: content + content[:20],
    "zeros at the end": lambda content: content + bytes(64),
    "foreign lines in it": lambda content: b"\xff\xfe\n\nnot a line of ours\n" + content + b"1 2\n0x 3\n",
    "its last line twice": lambda content: content + content[content[:-1].rfind(b"\n") + 1 :],
}


def damaged_files(rng: random.Random) -> Strike:
    """Return damage to the files of order ids and of seen fills between two lives."""
    ids, fills = rng.choice(sorted(DAMAGE)), rng.choice(sorted(DAMAGE))

    def between(state_dir: Path) -> None:
        for pattern, how in (("orders-*", ids), ("fills-*", fills)):
            (path,) = state_dir.glob(pattern)
            content = path.read_bytes()
            assert content.endswith(b"\n"), f"{path} ends in half a line"
            path.write_bytes(DAMAGE[how](content))

    return Strike(
        f"the file of order ids with {ids}, that of seen fills with {fills}", _nothing, between=between
    )


def lost_fills_file(rng: random.Random) -> Strike:
    """Return the loss of the file of seen fills between two lives."""

    def between(state_dir: Path) -> None:
        (path,) = state_dir.glob("fills-*")
        path.unlink()

    return Strike("the file of seen fills lost", _nothing, between=between)


def collateral_moved(rng: random.Random) -> Strike:
    """Return a deposit from outside."""
    amount = Decimal(rng.randint(100, 5_000))

    return Strike(
        "collateral deposited",
        lambda stage: stage.ex(
            lambda _: stage.venue.accounts.open_account(
                USER, deposits={"km": amount}, now_ms=stage.venue.now_ms
            )
        ),
    )


def _is_clear(stage: Stage) -> bool:
    # what was on its way may still come to rest: again until nothing does
    for order in stage.cache.orders_open():
        if not order.is_pending_cancel:
            stage.cancel(order)
    return not (stage.venue_orders() or stage.cache.orders_open() or stage.cache.orders_inflight())


def _kinds(stage: Stage) -> set[NoticeKind]:
    return {notice.kind for notice in stage.notices}


async def _venue(stage: Stage, work: Callable[[], Awaitable[None]]) -> None:
    if stage.venue._thread is None:
        await work()
    else:
        stage.venue.run(work())
