"""An account at a loopback venue whose node is gone: what it left, and who may sign for it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.runtime.operate.direct import DirectAccess
from amm500_nautilus.runtime.operate.direct import DirectRescue
from hyperliquid_hip3.cloids import CloidBook
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from hyperliquid_loopback.venue import LoopbackVenue
from hyperliquid_loopback.wallets import generated_wallets
from tests.live.exec_session import COIN
from tests.live.exec_session import Trading
from tests.live.exec_session import quiet_venue


# wallets of another seed than the venue's own: an account, its agent, the agent of another account
MASTER, AGENT, OTHER, OTHER_AGENT, STRANGER = generated_wallets(99, 5)
EQUITY = Decimal(10_000)
# the venue takes an id once
_NUMBERS = itertools.count(1)


def venue_with_agent(**changes: Any) -> LoopbackVenue:
    """A quiet venue at which two accounts have an agent each; not started."""
    accounts = (
        AccountSpec(
            address=MASTER.address, equity=EQUITY, agents=(AgentSpec(address=AGENT.address, name="node"),)
        ),
        AccountSpec(
            address=OTHER.address,
            equity=EQUITY,
            agents=(AgentSpec(address=OTHER_AGENT.address, name="node"),),
        ),
    )
    return quiet_venue(**({"generated_accounts": 0, "accounts": accounts} | changes))


@dataclass
class Left:
    """What a node left at the venue and on disk."""

    trading: Trading
    access: DirectAccess

    def rescue(self, key: str = AGENT.key, **changes: Any) -> DirectRescue:
        """A hand on the account, with an agent's key."""
        access = DirectAccess(**({f: getattr(self.access, f) for f in self.access.__slots__} | changes))
        return DirectRescue((access,), SecretKey(bytes.fromhex(key.removeprefix("0x"))))

    def place(
        self, side: int, price: str, size: str = "0.1", *, is_ours: bool = True, tif: str = "Alo"
    ) -> None:
        """Let an order rest: the node's own, under an id that its file knows, or a person's."""
        wire: dict[str, Any] = {
            "a": 150_000,
            "b": side > 0,
            "p": price,
            "s": size,
            "r": False,
            "t": {"limit": {"tif": tif}},
        }
        if is_ours:
            with CloidBook(self.access.orders_file) as book:
                wire["c"] = book.add(f"O-{next(_NUMBERS)}")
        self.trading.submit({"type": "order", "orders": [wire], "grouping": "na"})

    def hold(self, side: int, size: str) -> None:
        """Let the account have a position."""
        self.place(side, "760" if side > 0 else "620", size, is_ours=False, tif="Ioc")
        assert self.trading.position() == side * Decimal(size)


@contextmanager
def left_at(venue: LoopbackVenue, folder: Path) -> Iterator[Left]:
    """An account at a venue that runs, with a node's state folder."""
    folder.mkdir(mode=0o700, exist_ok=True)
    access = DirectAccess(
        url=venue.url,
        dex="km",
        coins=(COIN,),
        user=MASTER.address,
        state_dir=folder,
        settle_secs=0.1,
        cancel_secs=5.0,
        flatten_secs=20.0,
        timeout_secs=2.0,
        deadline_secs=3.0,
        flatten=FlattenConfig(retry_secs=0.3, passive_secs=0.5),
    )
    yield Left(Trading(venue, MASTER.address), access)
