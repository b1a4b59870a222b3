"""
A run of its own for the canary test: ``python -m tests.live.exec_canary keystore|environment FOLDER``.

Key and passphrase come by standard input, a line each. The node trades against a venue of its own, through faults and refusals, every
exception that reaches the loop or is raised here is written with its traceback, and the state folder is left behind.
"""

import gc
import json
import os
import sys
import traceback
from decimal import Decimal
from pathlib import Path

import eth_keyfile

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import AgentSpec
from tests.live.exec_session import ASK
from tests.live.exec_session import BID
from tests.live.exec_session import BUY
from tests.live.exec_session import LOT
from tests.live.exec_session import SELL
from tests.live.exec_session import Desk
from tests.live.exec_session import Session
from tests.live.exec_session import Trading
from tests.live.exec_session import quiet_venue
from tests.live.node import IID
from tests.live.node import KEY_VARIABLE
from tests.live.node import data_config
from tests.live.node import exec_config
from tests.live.node import node_config


USER = "0x" + "5e" * 20


def main() -> None:
    """Run it."""
    source, folder = sys.argv[1], Path(sys.argv[2])
    secret = bytes.fromhex(sys.stdin.readline())
    passphrase = sys.stdin.readline().rstrip("\n").encode()
    agent = SecretKey(secret).address
    account = AccountSpec(address=USER, equity=Decimal(10_000), agents=(AgentSpec(address=agent, name="mm"),))
    with quiet_venue(generated_accounts=0, accounts=(account,)) as venue:
        options = _key_options(source, folder, secret, passphrase)
        del secret, passphrase
        given = {"address": USER, "key": options.pop("key")}
        config = exec_config(
            venue,
            given,
            folder / "state",
            http_timeout_secs=0.5,
            expires_after_ms=1_000,
            require_agent=True,
            query_after_ms=200,
            **options,
        )
        if source == "keystore":
            os.environ.pop(KEY_VARIABLE)
        given.clear()
        desk = Desk()
        session = Session(node_config(data_config(venue), config), Trading(venue, USER), [desk])
        errors: list[str] = []
        session.loop.set_exception_handler(lambda _, context: errors.append(_shown(context.get("exception"))))
        session.start()
        try:
            (folder / "running").touch()
            sys.stdin.readline()
            errors += _trade(session, desk)
        finally:
            session.close()
        gc.collect()
        (folder / "errors.txt").write_text("\n".join(errors), encoding="utf-8")
        (folder / "requests.json").write_text(json.dumps(venue.requests), encoding="utf-8")


def _key_options(source: str, folder: Path, secret: bytes, passphrase: bytes) -> dict[str, object]:
    if source == "environment":
        return {"key": secret.hex()}
    path = folder / "agent.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(eth_keyfile.create_keyfile_json(secret, passphrase, kdf="pbkdf2", iterations=1_000))
    )
    reading, writing = os.pipe()
    os.write(writing, passphrase + b"\n")
    os.close(writing)
    return {
        "key": "",
        "key_source": "keystore",
        "keystore_path": str(path),
        "unlock_by": "descriptor",
        "unlock_descriptor": reading,
    }


def _trade(session: Session, desk: Desk) -> list[str]:
    session.wait(lambda: session.cache.quote_tick(IID), "a quote")
    for place in (
        lambda: desk.market(BUY, LOT),
        lambda: desk.place(SELL, BID - 1, post_only=True),
        lambda: desk.market(SELL, LOT, reduce_only=True),
    ):
        order = session.do(place)
        session.wait(lambda order=order: order.is_closed, "answered")
    # a request each that fails in every way, and the question after it
    for fault in ("drop", "lost_ack", "bad_json", "bad_gateway", "nonce_collision"):
        _fail(session, desk, fault)
    session.tidy(desk)
    # after this one the client sends nothing more
    _fail(session, desk, "agent_unknown")
    errors = []
    # what a caller of the adapter's own pieces is shown of a failure
    session.trading.venue.faults.set("bad_gateway", times=-1)
    for work in (session.client.session.account.report(), session.client.session.desk.doubts.read_fills(1)):
        try:
            session.do(work)
        except HyperliquidError as error:
            errors.append(_shown(error))
    session.trading.venue.faults.clear()
    client = session.client
    shown = [client, client.session, client.session.sender, client.session.desk, vars(client.session)]
    return [*errors, *(repr(each) for each in shown), str(ASK)]


def _fail(session: Session, desk: Desk, fault: str) -> None:
    session.trading.venue.faults.set(fault, only="order")
    order = session.do(lambda: desk.place(BUY, BID - 5))
    session.wait(lambda: order.is_open or order.is_closed, f"resolved after {fault}")


def _shown(error: BaseException | None) -> str:
    if error is None:
        return ""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(report.format())


if __name__ == "__main__":
    main()
