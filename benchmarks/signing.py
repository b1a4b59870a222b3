"""
Time of signing one action of 30 orders: ours, the official client's, and the parts of ours.

The bar is 0.25 ms for the signature (hash of the action to r, s, v). Rounds of all are run in turn, so that a busy machine disturbs
them alike; the time of a bare loop of 1,000 additions tells how busy it was. The client's pure-Python curve is timed in a process of its own,
as its choice of curve is made at import. Run: ``python -m benchmarks.signing``.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal

import eth_account
import msgspec
from hyperliquid.utils.signing import float_to_wire
from hyperliquid.utils.signing import order_request_to_order_wire
from hyperliquid.utils.signing import order_wires_to_order_action
from hyperliquid.utils.signing import sign_l1_action

from hyperliquid_hip3.actions import OrderSpec
from hyperliquid_hip3.actions import cancel_by_cloid_action
from hyperliquid_hip3.actions import number_to_wire
from hyperliquid_hip3.actions import order_action
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import keccak256
from hyperliquid_hip3.signing import ENCODER
from hyperliquid_hip3.signing import Signer
from hyperliquid_hip3.signing import action_hash
from hyperliquid_hip3.signing import agent_digest


ROUNDS = 25
SECONDS_A_ROUND = 0.04
ORDERS = 30
ASSET = 150_000
NONCE = 1_780_000_000_000
BAR_MS = 0.25
# a key of nobody
SECRET = bytes(range(1, 33))
NATIVE = "--pure-python-curve"


def specs() -> list[OrderSpec]:
    """Fifteen bids and fifteen asks, post-only, with own ids."""
    return [
        OrderSpec(
            asset=ASSET,
            is_buy=i % 2 == 0,
            price=Decimal(69_000 + (i // 2 + 1) * (-1 if i % 2 == 0 else 1)) / 100,
            size=Decimal(100 + i) / 1000,
            cloid=f"0x{i + 1:032x}",
        )
        for i in range(ORDERS)
    ]


def client_action(orders: list[OrderSpec]) -> object:
    """Build the same action as the official client does, from its floats."""

    class Cloid:
        def __init__(self, text: str) -> None:
            self.text = text

        def to_raw(self) -> str:
            return self.text

    wires = [
        order_request_to_order_wire(
            {
                "coin": "km:US500",
                "is_buy": order.is_buy,
                "sz": float(order.size),
                "limit_px": float(order.price),
                "order_type": {"limit": {"tif": order.tif}},
                "reduce_only": order.reduce_only,
                "cloid": Cloid(order.cloid or ""),
            },
            order.asset,
        )
        for order in orders
    ]
    return order_wires_to_order_action(wires)


def one_round(work: Callable[[], object]) -> float:
    """Return the milliseconds a call took, over one round."""
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS_A_ROUND:
        work()
        calls += 1
    return (time.perf_counter() - began) / calls * 1e3


def bare_loop() -> int:
    total = 0
    for i in range(1_000):
        total += i
    return total


def measure(cases: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the rounds of each case, run in turn."""
    for work in cases.values():
        work()
    rounds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, work in cases.items():
            rounds[name].append(one_round(work))
    return rounds


def show(rounds: dict[str, list[float]]) -> None:
    print(f"{'':<58}{'median ms':>11}{'fastest':>9}{'slowest':>9}")
    for name, times in rounds.items():
        print(f"{name:<58}{statistics.median(times):>11.4f}{min(times):>9.4f}{max(times):>9.4f}")


def main() -> int:
    orders = specs()
    action = order_action(orders)
    cancel = cancel_by_cloid_action([(ASSET, order.cloid or "") for order in orders])
    wallet = eth_account.Account.from_key(SECRET)
    if NATIVE in sys.argv:
        name = "official client, sign, pure-Python curve"
        show(measure({name: lambda: sign_l1_action(wallet, action, None, NONCE, None, False)}))
        return 0
    key = SecretKey(SECRET)
    signer = Signer(key, TESTNET_URL)
    packed = ENCODER.encode(action)
    digest = agent_digest(action_hash(action, NONCE), is_mainnet=False)
    theirs = sign_l1_action(wallet, client_action(orders), None, NONCE, None, False)
    if signer.request(action, nonce=NONCE)["signature"] != theirs:
        print("the two signatures differ")
        return 1
    rounds = measure(
        {
            "ours, sign 30 orders": lambda: signer.request(action, nonce=NONCE),
            "ours, sign 30 cancels": lambda: signer.request(cancel, nonce=NONCE),
            "ours, build, sign and write JSON, 30 orders": lambda: msgspec.json.encode(
                signer.request(order_action(orders), nonce=NONCE)
            ),
            "official client, sign, coincurve": lambda: sign_l1_action(
                wallet, action, None, NONCE, None, False
            ),
            "official client, build and sign, coincurve": lambda: sign_l1_action(
                wallet, client_action(orders), None, NONCE, None, False
            ),
            f"part: hash of {len(packed):,} bytes": lambda: keccak256(packed),
            "part: curve": lambda: key.sign(digest),
            "part: MessagePack": lambda: ENCODER.encode(action),
            "part: hash of the action, with its checks": lambda: action_hash(action, NONCE),
            "ours, one number to text": lambda: number_to_wire(Decimal("690.40")),
            "official client, one number to text": lambda: float_to_wire(690.40),
            "loop of 1,000 additions": bare_loop,
        }
    )
    show(rounds)
    environ = os.environ | {"ECC_BACKEND_CLASS": "eth_keys.backends.NativeECCBackend"}
    native = subprocess.run(
        [sys.executable, "-m", "benchmarks.signing", NATIVE],
        check=True,
        env=environ,
        capture_output=True,
        text=True,
    )
    print(native.stdout.splitlines()[-1])
    median = statistics.median(rounds["ours, sign 30 orders"])
    print(f"bar {BAR_MS} ms: {'met' if median <= BAR_MS else 'missed'}, median {median:.4f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
