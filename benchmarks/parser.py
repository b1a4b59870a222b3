"""
Time of reading the venue's messages: from the text of a frame to the record.

Frames are made here from a seed: a 20-level book, a 5-level (fast) book, a bbo, ten trades, and a page of 500 candles.
The JSON decoding is timed apart. Run: ``python -m benchmarks.parser``.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from hyperliquid_hip3.parsing import parse_bbo
from hyperliquid_hip3.parsing import parse_candles
from hyperliquid_hip3.parsing import parse_l2_book
from hyperliquid_hip3.parsing import parse_trades
from hyperliquid_loopback.market import make_candles
from hyperliquid_loopback.market import make_trades


ROUNDS = 15
SECONDS_A_ROUND = 0.1
COIN = "km:US500"
END_MS = 1_780_000_200_000


def book(draws: random.Random, levels: int) -> dict[str, Any]:
    sides = [
        [
            {"px": f"{690 + sign * 0.01 * (i + 1):.2f}", "sz": f"{draws.uniform(0.1, 40):.3f}", "n": 3}
            for i in range(levels)
        ]
        for sign in (-1, 1)
    ]
    return {"coin": COIN, "time": END_MS, "levels": sides}


def microseconds(work: Callable[[], object]) -> float:
    """Return the median over rounds of the microseconds a call takes."""
    work()
    medians = []
    for _ in range(ROUNDS):
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS_A_ROUND:
            for _ in range(10):
                work()
            calls += 10
        medians.append((time.perf_counter() - began) / calls * 1e6)
    return statistics.median(medians)


def main() -> None:
    draws = random.Random(7)
    level = book(draws, 1)["levels"]
    cases: list[tuple[str, Any, Callable[[Any], object]]] = [
        ("l2Book, 20 levels a side", book(draws, 20), parse_l2_book),
        ("l2Book fast, 5 levels a side", {**book(draws, 5), "fast": True}, parse_l2_book),
        ("bbo", {"coin": COIN, "time": END_MS, "bbo": [level[0][0], level[1][0]]}, parse_bbo),
        (
            "trades, 10 in a frame",
            make_trades(COIN, end_ms=END_MS, price=690.0, sz_decimals=3, seed=7)[:10],
            parse_trades,
        ),
        (
            "candleSnapshot, 500 rows",
            make_candles(COIN, "1m", count=500, end_ms=END_MS, price=690.0, sz_decimals=3, seed=7),
            parse_candles,
        ),
    ]
    print(f"{'message':<30}{'JSON us':>10}{'parse us':>10}{'messages/s':>12}")
    for name, message, parse in cases:
        text = json.dumps(message).encode()
        decode_us = microseconds(lambda text=text: msgspec.json.decode(text))
        parse_us = microseconds(lambda parse=parse, message=message: parse(message))
        print(f"{name:<30}{decode_us:>10.1f}{parse_us:>10.1f}{1e6 / (decode_us + parse_us):>12,.0f}")


if __name__ == "__main__":
    main()
