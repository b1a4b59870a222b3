"""Put a command to a running node, from the command line or a program."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.control import POINTER
from amm500_nautilus.monitor.control import SOCKET
from amm500_nautilus.monitor.control import peer_uid
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.monitor.frames import LONGEST_ANSWER
from amm500_nautilus.monitor.frames import to_frame


ANSWER_S = 15.0
# where a run keeps its socket, from the run directory; its name says unfinished while it runs
PLACES = ("", "state", "monitor", "control")


def find_socket(run: Path) -> Path:
    """
    Return the socket of a run directory, its state folder, or the socket itself.

    Raises
    ------
    ControlError
        If there is none: the run is over, or was never one.

    """
    if run.is_socket():
        return run
    for base in (run, run.with_name(f"{run.name}.partial")):
        for place in PLACES:
            folder = base / place
            if (folder / SOCKET).is_socket():
                return folder / SOCKET
            if (folder / POINTER).is_file():
                path = Path((folder / POINTER).read_text(encoding="utf-8").strip())
                if path.is_socket():
                    return path
    raise ControlError(f"{run}: no node listens here; it is over, or this is not its run directory")


def send_command(run: Path, command: str, **arguments: str) -> dict[str, Any]:
    """
    Send one command and return the answer; ``ok`` in it says whether it was done.

    Raises
    ------
    ControlError
        If no node of this user answers.

    """
    path = find_socket(run)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(ANSWER_S)
        try:
            peer.connect(str(path))
            if peer_uid(peer) != os.getuid():
                raise ControlError(f"{path}: another user listens here")
            peer.sendall(to_frame({"command": command, **arguments}))
            line = _line(peer)
        except TimeoutError:
            raise ControlError(f"{path}: no answer within {ANSWER_S:g} s; the node may hang") from None
        except OSError as error:
            raise ControlError(f"{path}: no node answers ({error.strerror})") from None
    try:
        answer = json.loads(line)
    except ValueError:
        raise ControlError(f"{path}: the answer is cut off") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise ControlError(f"{path}: the answer is none of ours")
    return answer


def _line(peer: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) <= LONGEST_ANSWER:
        part = peer.recv(LONGEST_ANSWER)
        if not part:
            break
        data += part
    return data
