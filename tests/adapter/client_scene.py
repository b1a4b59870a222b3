"""A venue client's surroundings: requests, answers that fail, a client of the fake server."""

import json
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from hyperliquid_hip3.client import VenueClient
from tests.adapter.fake_server import FakeServer
from tests.adapter.fake_server import Request


USER = "0x00000000000000000000000000000000000000a1"


def client_of(server: FakeServer, **options: Any) -> VenueClient:
    return VenueClient(server.url, **({"timeout_s": 2.0, "first_backoff_s": 0.005} | options))


def always(status: int, body: Any) -> Callable[[Request], Awaitable[tuple[int, str]]]:
    text = body if isinstance(body, str) else json.dumps(body)

    async def answer(_request: Request) -> tuple[int, str]:
        return status, text

    return answer


async def hang_up(asked: Request) -> None:
    asked.hang_up()


async def break_off(asked: Request) -> None:
    await asked.break_off()


def fill(number: int, *, time_ms: int | None = None) -> dict[str, Any]:
    return {
        "coin": "km:US500",
        "px": "690.1",
        "sz": "0.1",
        "side": "B",
        "time": 1_000_000 + number if time_ms is None else time_ms,
        "startPosition": "0.0",
        "dir": "Open Long",
        "closedPnl": "0.0",
        "hash": "0x0",
        "oid": number,
        "crossed": False,
        "fee": "0.002",
        "feeToken": "USDH",
        "tid": number,
    }
