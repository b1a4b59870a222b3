"""Run the loopback venue as a process of its own: ``python -m hyperliquid_loopback --port 0``."""

import argparse
import contextlib
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from collections.abc import Sequence
from decimal import Decimal
from decimal import InvalidOperation
from pathlib import Path
from typing import Final

from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_loopback.config import BLOCK_MS
from hyperliquid_loopback.config import DEFAULT_EQUITY
from hyperliquid_loopback.config import AccountSpec
from hyperliquid_loopback.config import Cadences
from hyperliquid_loopback.config import VenueConfig
from hyperliquid_loopback.rules import unsourced_rules
from hyperliquid_loopback.types import Json
from hyperliquid_loopback.venue import LoopbackVenue
from hyperliquid_loopback.wallets import AccountsFileError
from hyperliquid_loopback.wallets import accounts_from_file
from hyperliquid_loopback.wallets import parse_accounts


STDIN: Final = "-"
BAD_CONFIG: Final = 2
CHUNK: Final = 65_536


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="hyperliquid_loopback",
        description="A local venue that speaks Hyperliquid's protocol. Prints one JSON line, then serves until its"
        " standard input is closed, or SIGTERM or SIGINT.",
    )
    made.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    made.add_argument("--control-port", type=int, default=0, help="port of the control endpoint")
    made.add_argument("--dex", default="km", help="the dex whose market moves (default: km)")
    made.add_argument("--coin", default="", help="its coin (default: the first of the dex)")
    made.add_argument(
        "--accounts",
        default="",
        metavar="FILE",
        help="accounts as JSON, a file of mode 0600, or - for standard input; without it one is generated",
    )
    made.add_argument("--generate", type=int, default=None, metavar="N", help="accounts to generate")
    made.add_argument("--equity", type=_amount, default=DEFAULT_EQUITY, help="of each generated account")
    made.add_argument(
        "--mode",
        default="disabled",
        choices=("disabled", "unifiedAccount", "portfolioMargin"),
        help="account mode; disabled is the venue's standard mode",
    )
    made.add_argument("--flow", default="quiet", choices=("none", "quiet", "simulated", "replay"))
    made.add_argument("--catalog", type=Path, default=None, help="catalog of a replay")
    made.add_argument("--dataset", default="", help="dataset of a replay")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--block-ms", type=int, default=BLOCK_MS)
    made.add_argument("--clock-offset-ms", type=int, default=0, help="how far the venue's clock is ahead")
    made.add_argument("--cadence", type=float, default=1.0, help="factor of the streams' clocks, 0.1: faster")
    made.add_argument("--no-limits", action="store_true", help="leave out the limits on an IP address")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve until standard input ends, or SIGTERM or SIGINT; print one JSON line first that says where.

    Returns
    -------
    int
        0 after serving, 2 when the arguments or accounts are wrong.

    """
    arguments = parser().parse_args(argv)
    try:
        venue = LoopbackVenue(_config(arguments))
    except (AccountsFileError, HyperliquidError, ValueError, KeyError) as error:
        sys.stderr.write(f"hyperliquid_loopback: {error}\n")
        return BAD_CONFIG
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with venue, _made_parts_kept():
        sys.stdout.write(json.dumps(about(venue)) + "\n")
        sys.stdout.flush()
        if arguments.accounts != STDIN:
            # whoever started us closes our input, or ends, and we end too
            threading.Thread(target=_until_closed, args=(ended,), daemon=True).start()
        ended.wait()
    return 0


def about(venue: LoopbackVenue) -> Json:
    """Return what the first line says: where the venue is, and the accounts; keys only of those it made itself."""
    made = {wallet.address: wallet.key for wallet in venue.wallets}
    equity = {wallet.address: venue.config.equity for wallet in venue.wallets}
    equity.update({spec.address: spec.equity for spec in venue.config.accounts})
    return {
        "url": venue.url,
        "ws": venue.ws_url,
        "control": venue.control_url,
        "control_token": venue.control_token,
        "dex": venue.config.dex,
        "coin": venue.config.coin,
        "collateral": venue.universe.collateral_of(venue.config.dex)[1],
        "accounts": [
            {"address": address, "key": made.get(address), "equity": str(amount)}
            for address, amount in equity.items()
        ],
        "mode": venue.config.mode,
        "flow": venue.config.flow,
        "seed": venue.config.seed,
        "block_ms": venue.config.block_ms,
        "unsourced_rules": len(unsourced_rules()),
    }


def _config(arguments: argparse.Namespace) -> VenueConfig:
    accounts: tuple[AccountSpec, ...] = ()
    if arguments.accounts == STDIN:
        accounts = parse_accounts(sys.stdin.buffer.read())
    elif arguments.accounts:
        accounts = accounts_from_file(Path(arguments.accounts))
    generate = arguments.generate
    if generate is None:
        generate = 0 if accounts else 1
    return VenueConfig(
        port=arguments.port,
        control_port=arguments.control_port,
        dex=arguments.dex,
        coin=arguments.coin or FIRST_COINS.get(arguments.dex, ""),
        accounts=accounts,
        generated_accounts=generate,
        equity=arguments.equity,
        mode=arguments.mode,
        flow=arguments.flow,
        catalog=arguments.catalog,
        dataset=arguments.dataset,
        seed=arguments.seed,
        block_ms=arguments.block_ms,
        clock_offset_ms=arguments.clock_offset_ms,
        cadences=Cadences().scaled(arguments.cadence),
        limits=not arguments.no_limits,
    )


# the coins of the default listing
FIRST_COINS: Final = {"km": "km:US500", "xyz": "xyz:SP500", "flx": "flx:USA500", "": "BTC"}


@contextlib.contextmanager
def _made_parts_kept() -> Iterator[None]:
    # the made history stays to the end: a collector that walks through all of it makes a block some tenths of a second late
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _until_closed(ended: threading.Event) -> None:
    # read by descriptor: a thread that waits inside sys.stdin could hold up the interpreter's end
    while os.read(0, CHUNK):
        pass
    ended.set()


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of at least 0")
    return amount


if __name__ == "__main__":
    raise SystemExit(main())
