"""A second copy of what must survive, beside the journal: a damaged journal takes neither a halt nor the session's figures with it."""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path


COPY = "saved.json"


def write_copy(folder: Path, values: Mapping[str, bytes]) -> None:
    """
    Write the values under a name of its own and rename it into place.

    Raises
    ------
    OSError
        If the disk refuses.

    """
    body = {name: base64.b64encode(value).decode() for name, value in values.items()}
    text = json.dumps({"sha256": digest_of(body), "values": body}, sort_keys=True)
    partial = folder / f"{COPY}.partial"
    with open(partial, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / COPY)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def digest_of(body: Mapping[str, str]) -> str:
    """Return the digest by which a copy is known to be whole."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_copy(folder: Path) -> Mapping[str, bytes]:
    """Return the values of a copy; none where there is no copy, or it is not what was written."""
    try:
        found = json.loads((folder / COPY).read_text(encoding="utf-8"))
        body = found["values"]
        if digest_of(body) != found["sha256"]:
            return {}
        return {name: base64.b64decode(text, validate=True) for name, text in body.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return {}
