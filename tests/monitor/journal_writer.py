"""Writes numbered rows into the journal of a folder until it is killed; prints each number that is on disk."""

import sys
from pathlib import Path

from amm500_nautilus.monitor.journal import Journal


def main(folder: str) -> None:
    journal = Journal(Path(folder))
    journal.open()
    number = 0
    while True:
        for _ in range(50):
            number += 1
            journal.write("event", ts_ns=number, run=1, kind="count", text="x" * 200)
        journal.save("state", number, str(number).encode())
        if journal.flush(10.0):
            print(number, flush=True)


main(sys.argv[1])
