"""Ctrl-C while one of our programs still loads: one line, in the place of the traceback of an import."""

import os
import signal
import threading
from types import FrameType


PROGRAMS = ("amm500", "run_backtest.py", "run_live.py")
INTERRUPTED = 130
STDERR = 2


def begin(program: str) -> None:
    """Let Ctrl-C end the process at once, where it is one of ours (by its path): nothing is written before it has loaded."""
    if os.path.basename(program) not in PROGRAMS:  # noqa: PTH119  nothing is imported that takes time itself
        return
    if threading.current_thread() is threading.main_thread() and _handler() is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def end() -> None:
    """Let Ctrl-C be a KeyboardInterrupt again."""
    if _handler() is _interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _handler() -> object:
    return signal.getsignal(signal.SIGINT)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    # an exception would be made another one by whichever import it fell into
    os.write(STDERR, b"interrupted\n")
    os._exit(INTERRUPTED)
