"""One writer at a time, across processes and machines."""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import Final

from amm500_catalog.errors import InputError


POLL_S: Final = 0.05
# a lock object on an object store outlives its owner when that is killed; after this long it is taken over
STALE_S: Final = 900.0


@contextlib.contextmanager
def local_lock(path: Path, *, timeout_s: float) -> Iterator[None]:
    """
    Hold an advisory lock on a file; the system lets go of it when the process dies, however it dies.

    Raises
    ------
    InputError
        If another process still holds it after ``timeout_s``, or the file cannot be written.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as e:
        raise InputError(
            f"the folder cannot be written ({e.strerror})",
            str(path.parent),
            "a folder that this user may read and write",
        ) from e
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise InputError(
                        f"another process has been writing for {timeout_s:g} s",
                        path.parent.name,
                        "one writer at a time; try again when it is done",
                    ) from None
                time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def object_lock(fs: Any, path: str, *, timeout_s: float) -> Iterator[None]:
    """
    Hold a lock object on any fsspec filesystem.

    The object is written, then read back: the writer whose token is there owns it. A lock older than 15 minutes is taken over,
    because an object store does not notice that its owner died.

    Raises
    ------
    InputError
        If another process still holds it after ``timeout_s``.

    """
    token = secrets.token_hex(8)
    deadline = time.monotonic() + timeout_s
    while not _take(fs, path, token):
        if time.monotonic() >= deadline:
            raise InputError(
                f"another process has been writing for {timeout_s:g} s",
                path,
                f"one writer at a time; a lock left by a dead process is taken over after {STALE_S:g} s",
            )
        time.sleep(POLL_S)
    try:
        yield
    finally:
        if _owner(fs, path) == token:
            fs.rm_file(path)


def _take(fs: Any, path: str, token: str) -> bool:
    held = _read(fs, path)
    if held is not None and time.time() - float(held.get("time", 0.0)) < STALE_S:
        return False
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    body = json.dumps({"token": token, "time": time.time()}).encode()
    try:
        if held is None:
            # object stores that know a conditional write refuse the second of two writers here
            with fs.open(path, "xb") as stream:
                stream.write(body)
        else:
            fs.pipe_file(path, body)
    except FileExistsError:
        return False
    except (NotImplementedError, ValueError):
        fs.pipe_file(path, body)
    return _owner(fs, path) == token


def _read(fs: Any, path: str) -> dict[str, Any] | None:
    fs.invalidate_cache()
    try:
        body: dict[str, Any] = json.loads(fs.cat_file(path))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError:
        return {"time": time.time()}
    return body


def _owner(fs: Any, path: str) -> str | None:
    held = _read(fs, path)
    return None if held is None else str(held.get("token"))
