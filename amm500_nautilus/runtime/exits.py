"""Exit codes, and how an error becomes one of them."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from types import FrameType

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus import loading
from amm500_nautilus.loading import INTERRUPTED


DONE = 0
FAILED = 1
BAD_CONFIG = 2
HALTED = 3
UNREACHABLE = 4
TERMINATED = 143

# what a folder or a name does not allow is the user's to mend; a full or broken disk fails a run that was right
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG})
_BROKEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


class TerminatedError(KeyboardInterrupt):
    """The process was told to end by SIGTERM: like Ctrl-C, whatever is under way is left as it is."""


def guarded(job: Callable[[], int], *, hears_sigterm: bool = True) -> int:
    """
    Run a command and return its exit code, printing one sentence for what the user can mend.

    Anything unexpected is left to propagate: a traceback is worth more than a shrug.

    Parameters
    ----------
    job : callable
        The command.
    hears_sigterm : bool, default True
        Whether SIGTERM interrupts it; not for one that hears it in a way of its own.

    """
    loading.end()
    try:
        with _terminable() if hears_sigterm else nullcontext():
            return job()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_CONFIG
    except SourceUnavailableError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNREACHABLE
    except BrokenPipeError:
        # whoever read our output has seen enough; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if error.errno not in _REFUSED | _BROKEN:
            raise
        print(f"error: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
        return BAD_CONFIG if error.errno in _REFUSED else FAILED
    except TerminatedError:
        print("terminated; a run directory that was begun keeps its .partial name", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        print("interrupted; a run directory that was begun keeps its .partial name", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _terminable() -> Iterator[None]:
    """Raise ``TerminatedError`` at SIGTERM; what was to happen before happens at a second one."""
    before = signal.getsignal(signal.SIGTERM)
    # a handler of somebody else's, or one that is no Python function, stays
    if threading.current_thread() is not threading.main_thread() or before is not signal.SIG_DFL:
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before)
        raise TerminatedError

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
