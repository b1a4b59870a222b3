"""
Run the quick benchmarks in turn: ``python -m benchmarks``.

Each prints what it prints alone; a table of what ran and how long it took comes last. ``month`` (half an
hour), ``simulate_month`` (minutes) and ``hftbacktest_parity`` (needs another Python) are left out; ``README.md`` has their commands.
"""

import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table


QUICK = (
    "ladder",
    "ledger",
    "parser",
    "parsing",
    "decision_cycle",
    "forecast",
    "signing",
    "stream",
    "adapter_latency",
    "simulated_day",
)


def main() -> int:
    """Run them and print the table; return 1 when one failed to run."""
    root = Path(__file__).resolve().parents[1]
    rows = []
    for name in QUICK:
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False, cwd=root)
        rows.append((name, done.returncode, time.perf_counter() - began))
        print(flush=True)
    table = Table(title="benchmarks")
    for heading in ("benchmark", "exit code", "seconds"):
        table.add_column(heading, justify="left" if heading == "benchmark" else "right")
    for name, code, seconds in rows:
        table.add_row(name, str(code), f"{seconds:.0f}")
    Console().print(table)
    return int(any(code for _, code, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
