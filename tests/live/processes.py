"""Processes that a test starts: killed, waited for and their pipes closed, whatever the test made of them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Give a process to a test; a pipe that stayed open would fail the test after it."""
    with process:
        try:
            yield process
        finally:
            process.kill()
