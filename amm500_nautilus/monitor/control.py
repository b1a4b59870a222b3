"""The control socket: commands from this user's own processes on this machine, a line each."""

import asyncio
import hashlib
import os
import pwd
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.monitor.frames import LONGEST
from amm500_nautilus.monitor.frames import Request
from amm500_nautilus.monitor.frames import parse_request
from amm500_nautilus.monitor.frames import to_frame


SOCKET = "control.sock"
# tells where the socket is when the run's own path is too long for one
POINTER = "control.path"
LONGEST_PATH = 100
FRAME_S = 5.0
MOST_CLIENTS = 8
READ_OFF_S = 0.5
READ_OFF_FRAMES = 64
# macOS: LOCAL_PEERCRED of SOL_LOCAL, struct xucred
_MAC_LEVEL, _MAC_OPTION = 0, 1

Handler = Callable[[Request, str], Awaitable[dict[str, Any]]]
Refusal = Callable[[str, str], None]


def socket_path(folder: Path) -> Path:
    """Return where a run's socket is: in its own folder, or under the temporary folder where that path is too long."""
    path = folder.resolve() / SOCKET
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"amm500-{os.getuid()}-{digest}" / SOCKET


class ControlServer:
    """
    Answer commands on a UNIX socket that only this user can reach.

    Parameters
    ----------
    folder : Path
        The run's private folder; made with mode 0700, refused if others may enter it.
    handle : callable
        Carries out a request and returns its answer; runs on the loop's thread.
    refused : callable
        Told of each frame that was no request, and who sent it.
    frame_secs : float
        How long a client may take for a frame.

    """

    def __init__(
        self, folder: Path, handle: Handler, refused: Refusal, *, frame_secs: float = FRAME_S
    ) -> None:
        self.path = socket_path(folder)
        self._folder = folder
        self._handle = handle
        self._refused = refused
        self._frame_secs = frame_secs
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def _pid_path(self) -> Path:
        return self.path.with_name(f"{SOCKET}.pid")

    async def start(self) -> Path:
        """
        Listen, and return the socket's path.

        Raises
        ------
        ControlError
            If the folder or a file in the socket's place is not ours.
        AlreadyRunningError
            If a living process listens there.

        """
        private_folder(self._folder)
        if self.path.parent != self._folder.resolve():
            private_folder(self.path.parent)
            (self._folder / POINTER).write_text(f"{self.path}\n", encoding="utf-8")
        self._remove_stale()
        # before the socket: whoever finds a socket finds whose it is
        self._pid_path.write_text(f"{os.getpid()} {start_of(os.getpid())}\n", encoding="ascii")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            self.path.chmod(0o600)
            self._inode = self.path.stat().st_ino
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LONGEST)
        except BaseException:
            listener.close()
            raise
        return self.path

    def _remove_stale(self) -> None:
        if not os.path.lexists(self.path):
            return
        if not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise ControlError(f"{self.path}: in the socket's place is something else; remove it")
        try:
            pid, started = self._pid_path.read_text(encoding="ascii").split()
            is_alive = start_of(int(pid)) == started
        except (OSError, ValueError):
            raise ControlError(f"{self.path}: nobody says whose socket this is; remove it") from None
        if is_alive:
            raise AlreadyRunningError(f"{self.path}: process {pid} listens here already")
        self.path.unlink()

    async def close(self) -> None:
        """Listen no more, drop every client, and remove the socket if it is still ours."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._clients):
            writer.close()
        await self._server.wait_closed()
        self._server = None
        if os.path.lexists(self.path) and self.path.lstat().st_ino == self._inode:
            self.path.unlink()
            self._pid_path.unlink(missing_ok=True)
            if self.path.parent != self._folder.resolve():
                (self._folder / POINTER).unlink(missing_ok=True)
                self.path.parent.rmdir()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        who = ""
        self._clients.add(writer)
        try:
            who = self._admit(writer)
            while await self._answer(reader, writer, who):
                pass
        except ControlError as error:
            self._refused(str(error), who)
            await _send(writer, {"ok": False, "error": str(error)})
            await _read_off(reader, writer)
        except ConnectionError:
            # a client may leave at any time
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    def _admit(self, writer: asyncio.StreamWriter) -> str:
        """Return the name of a client who may give commands."""
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid != os.getuid():
            raise ControlError(f"{name_of(uid)} may not give commands: this node takes its own user's only")
        if len(self._clients) > MOST_CLIENTS:
            raise ControlError(f"more than {MOST_CLIENTS} clients at once")
        return name_of(uid)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: str) -> bool:
        """Answer one frame; False when the client has no more."""
        try:
            first = await asyncio.wait_for(reader.read(1), self._frame_secs)
        except TimeoutError:
            return False
        if not first:
            return False
        try:
            frame = first
            if first != b"\n":
                frame += await asyncio.wait_for(reader.readuntil(b"\n"), self._frame_secs)
        except asyncio.IncompleteReadError:
            raise ControlError("the frame ends without an end of line") from None
        except asyncio.LimitOverrunError:
            raise ControlError(f"the frame is longer than {LONGEST} bytes") from None
        except TimeoutError:
            raise ControlError(f"no whole frame within {self._frame_secs:g} s") from None
        await _send(writer, await self._handle(parse_request(frame), who))
        return True


async def _send(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    try:
        writer.write(to_frame(answer))
        # a client that does not read may not hold a place for ever
        await asyncio.wait_for(writer.drain(), FRAME_S)
    except (ConnectionError, TimeoutError):
        writer.close()


async def _read_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what a refused client still sends, for a moment: a socket closed on unread bytes takes the answer with it."""
    try:
        writer.write_eof()
        async with asyncio.timeout(READ_OFF_S):
            for _ in range(READ_OFF_FRAMES):
                if not await reader.read(LONGEST):
                    return
    except (OSError, TimeoutError):
        return


def private_folder(folder: Path) -> None:
    """
    Make a folder that only this user may enter, or check that it is one.

    Raises
    ------
    ControlError
        If it is a link, another user's, or open to others.

    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ControlError(f"{folder}: not a folder of this user")
    if found.st_mode & 0o077:
        raise ControlError(f"{folder}: others may enter it; chmod 700")


def peer_uid(peer: Any) -> int:
    """
    Return the user at the other end of a UNIX socket, as the kernel knows it.

    Raises
    ------
    ControlError
        If this system does not say.

    """
    if sys.platform == "linux":
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(uid)
    if sys.platform == "darwin":
        _, uid = struct.unpack("2I", peer.getsockopt(_MAC_LEVEL, _MAC_OPTION, 76)[:8])
        return int(uid)
    raise ControlError("this system does not say who is at the other end of a socket")


def name_of(uid: int) -> str:
    """Return a user's name, or the number where there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def start_of(pid: int) -> str:
    """Return what tells a process from a later one with its number; empty when there is no such process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # a system without /proc: the number must do
        return "unknown"
    # the name in brackets may hold anything; the start time is the twentieth word after it
    state, *words = text.rpartition(")")[2].split()
    return "" if state == "Z" else words[18]
