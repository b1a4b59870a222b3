"""
Frames read a second: from the bytes of a frame to its record, channel by channel, as a live socket's frames are.

Frames are made here from a seed. Rounds of all are run in turn, so that a busy machine disturbs them alike; the time of a bare loop of
1,000 additions tells how busy it was. The decoding alone is timed beside them. Run: ``python -m benchmarks.parsing``.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.readers import read_frame


ROUNDS = 15
SECONDS_A_ROUND = 0.03
COIN = "km:US500"
MS = 1_780_000_000_000
USER = "0x" + "0" * 38 + "aa"


def levels(draws: random.Random, count: int) -> list[list[dict[str, Any]]]:
    """Return the bids and asks of a book a hundredth apart."""
    return [
        [
            {
                "px": f"{690 + sign * 0.01 * (i + 1):.2f}",
                "sz": f"{draws.uniform(0.1, 40):.3f}",
                "n": draws.randrange(1, 9),
            }
            for i in range(count)
        ]
        for sign in (-1, 1)
    ]


def trade(draws: random.Random, i: int) -> dict[str, Any]:
    return {
        "coin": COIN,
        "side": draws.choice("AB"),
        "px": "690.01",
        "sz": f"{draws.uniform(0.1, 4):.3f}",
        "time": MS + i,
        "hash": f"0x{draws.getrandbits(256):064x}",
        "tid": draws.getrandbits(50),
        "users": [USER, USER],
    }


def update(draws: random.Random, i: int) -> dict[str, Any]:
    order = {
        "coin": COIN,
        "side": draws.choice("AB"),
        "limitPx": f"{690 + draws.randrange(-30, 30) / 100:.2f}",
        "sz": "0.1",
        "oid": 400_000_000_000 + i,
        "timestamp": MS,
        "origSz": "0.1",
        "cloid": f"0x{draws.getrandbits(128):032x}",
    }
    return {"order": order, "status": draws.choice(("open", "canceled", "filled")), "statusTimestamp": MS + i}


def fill(draws: random.Random, i: int) -> dict[str, Any]:
    return {
        **{key: value for key, value in trade(draws, i).items() if key != "users"},
        "startPosition": "1.2",
        "dir": "Open Long",
        "closedPnl": "0.0",
        "oid": 400_000_000_000 + i,
        "crossed": False,
        "fee": "0.002070",
        "feeToken": "USDH",
        "twapId": None,
        "cloid": f"0x{draws.getrandbits(128):032x}",
    }


def frames() -> dict[str, bytes]:
    """Return a frame of each kind, as bytes."""
    draws = random.Random(7)
    top = levels(draws, 1)
    messages: dict[str, tuple[str, Any]] = {
        "l2Book, 20 levels a side": ("l2Book", {"coin": COIN, "time": MS, "levels": levels(draws, 20)}),
        "l2Book fast, 5 levels a side": (
            "l2Book",
            {"coin": COIN, "time": MS, "levels": levels(draws, 5), "fast": True},
        ),
        "bbo": ("bbo", {"coin": COIN, "time": MS, "bbo": [top[0][0], top[1][0]]}),
        "trades, 5": ("trades", [trade(draws, i) for i in range(5)]),
        "orderUpdates, 1": ("orderUpdates", [update(draws, 0)]),
        "orderUpdates, 30": ("orderUpdates", [update(draws, i) for i in range(30)]),
        "userFills, 1": ("userFills", {"user": USER, "fills": [fill(draws, 0)]}),
        "userFills, snapshot of 2,000": (
            "userFills",
            {"isSnapshot": True, "user": USER, "fills": [fill(draws, i) for i in range(2_000)]},
        ),
    }
    return {
        name: msgspec.json.encode({"channel": channel, "data": data})
        for name, (channel, data) in messages.items()
    }


def one_round(work: Callable[[], object]) -> float:
    """Return the microseconds a call took, over one round."""
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS_A_ROUND:
        work()
        calls += 1
    return (time.perf_counter() - began) / calls * 1e6


def bare_loop() -> int:
    total = 0
    for i in range(1_000):
        total += i
    return total


def main() -> None:
    cases: dict[tuple[str, str], Callable[[], object]] = {("", "loop"): bare_loop}
    for name, raw in frames().items():
        cases[name, "decode"] = lambda raw=raw: parse_frame(raw)
        cases[name, "read"] = lambda raw=raw: read_frame(parse_frame(raw))
    rounds: dict[tuple[str, str], list[float]] = {key: [] for key in cases}
    for work in cases.values():
        work()
    for _ in range(ROUNDS):
        for key, work in cases.items():
            rounds[key].append(one_round(work))
    print(f"{'frame':<32}{'bytes':>9}{'decode us':>11}{'in all us':>11}{'fastest':>10}{'frames/s':>11}")
    for name, raw in frames().items():
        read = statistics.median(rounds[name, "read"])
        decoded = statistics.median(rounds[name, "decode"])
        print(
            f"{name:<32}{len(raw):>9,}{decoded:>11.1f}{read:>11.1f}{min(rounds[name, 'read']):>10.1f}{1e6 / read:>11,.0f}"
        )
    print(f"loop of 1,000 additions {statistics.median(rounds['', 'loop']):.1f} us")


if __name__ == "__main__":
    main()
