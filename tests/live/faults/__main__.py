"""``python -m tests.live.faults``: play all scenarios and write docs/faults.md."""

import argparse
import sys
import time
from pathlib import Path

from tests.live.faults.representative import REPRESENTATIVE
from tests.live.faults.table import jobs
from tests.live.faults.table import outcomes
from tests.live.faults.table import render


DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "faults.md"


def main() -> int:
    """Return 0 when every scenario ended without a difference, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.faults", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="families to play; all, and the document written, without any"
    )
    parser.add_argument("--seeds", type=int, help="seeds of each family, in place of its own number")
    parser.add_argument("--first", type=int, default=1, help="leave out the seeds before this one")
    parser.add_argument(
        "--workers", type=int, help="processes; one more than the machine has cores by default"
    )
    given = parser.parse_args()
    began = time.monotonic()
    found = []
    wanted = [job for job in jobs(given.names, given.seeds) if job[1] >= given.first]
    for outcome in outcomes(wanted, workers=given.workers):
        found.append(outcome)
        told = "".join(f"\n    {each}" for each in outcome.differences[:8])
        print(
            f"{outcome.name} {outcome.seed}: {outcome.seconds:.1f} s, {outcome.orders} orders, {outcome.fills} fills"
            f" ({'; '.join(outcome.struck)}){told}",
            flush=True,
        )
    failed = sum(bool(outcome.differences) for outcome in found)
    print(f"{len(found)} scenarios in {time.monotonic() - began:.0f} s, {failed} with differences")
    if not given.names and given.seeds is None and given.first == 1:
        DOCUMENT.write_text(render(found, few=len(REPRESENTATIVE)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
