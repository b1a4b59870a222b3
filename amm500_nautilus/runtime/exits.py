"""Exit codes, and how an error becomes one of them."""

import errno
import os
import sys
from collections.abc import Callable

from amm500_catalog.errors import InputError
from amm500_catalog.errors import SourceUnavailableError


DONE = 0
FAILED = 1
BAD_CONFIG = 2
HALTED = 3
UNREACHABLE = 4
INTERRUPTED = 130

# what a folder or a name does not allow is the user's to mend; a full or broken disk fails a run that was right
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG})
_BROKEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


def guarded(job: Callable[[], int]) -> int:
    """
    Run a command and return its exit code, printing one sentence for what the user can mend.

    Anything unexpected is left to propagate: a traceback is worth more than a shrug.
    """
    try:
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
    except KeyboardInterrupt:
        print("interrupted; a run directory that was begun keeps its .partial name", file=sys.stderr)
        return INTERRUPTED
