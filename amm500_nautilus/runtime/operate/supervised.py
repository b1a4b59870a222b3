"""What a supervisor starts: ``run_live.py``, told to stop when its supervisor is gone, and ready to say where it hangs."""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Sequence

from amm500_nautilus.monitor.supervisor_child import PIPE_VARIABLE
from amm500_nautilus.monitor.supervisor_child import WHERE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node and return its exit code."""
    faulthandler.register(WHERE, all_threads=True)
    _watch_supervisor()
    # after the watch: the engine takes seconds to import
    from amm500_nautilus.runtime.live import main as run_live  # noqa: PLC0415

    return run_live(argv)


def _watch_supervisor() -> None:
    pipe = int(os.environ.pop(PIPE_VARIABLE))
    threading.Thread(target=_until_gone, args=(pipe,), name="supervisor", daemon=True).start()


def _until_gone(pipe: int) -> None:
    # nothing is ever written: the pipe ends with the process that holds its other end
    os.read(pipe, 1)
    print("the supervisor is gone; the run is stopped", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
