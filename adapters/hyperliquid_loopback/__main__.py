"""Run the loopback venue as a process of its own: ``python -m hyperliquid_loopback --port 0``."""

import argparse
import json
import sys

from hyperliquid_loopback.market import default_market
from hyperliquid_loopback.server import LoopbackServer


def main(argv: list[str] | None = None) -> int:
    """Serve until standard input is closed; print one JSON line first that says where."""
    parser = argparse.ArgumentParser(
        prog="hyperliquid_loopback", description="A local read-only info server."
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="seed of the prices")
    arguments = parser.parse_args(argv)
    with LoopbackServer(default_market(seed=arguments.seed), port=arguments.port) as server:
        about = {"url": server.url, "dex": "km", "coin": "km:US500", "collateral": "USDH", "read_only": True}
        sys.stdout.write(json.dumps(about) + "\n")
        sys.stdout.flush()
        try:
            # whoever started us closes our input, or ends, and we end too
            sys.stdin.read()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
