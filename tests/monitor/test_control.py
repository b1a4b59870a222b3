"""The control socket: whom it answers, what each command does, and what no bytes can do to it."""

import asyncio
import json
import os
import random
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from amm500_nautilus.monitor import control
from amm500_nautilus.monitor.commander import Commander
from amm500_nautilus.monitor.control import POINTER
from amm500_nautilus.monitor.control import ControlServer
from amm500_nautilus.monitor.control_client import find_socket
from amm500_nautilus.monitor.control_client import send_command
from amm500_nautilus.monitor.errors import AlreadyRunningError
from amm500_nautilus.monitor.errors import ControlError
from amm500_nautilus.monitor.frames import ARGUMENTS
from amm500_nautilus.monitor.frames import LONGEST
from amm500_nautilus.monitor.frames import parse_request
from amm500_nautilus.monitor.journal import Journal
from amm500_nautilus.risk.config import RiskConfig
from tests.monitor.scene import SceneDesk
from tests.monitor.scene import living


ME = control.name_of(os.getuid())


class Room:
    """A node's control room: the desk, its commander, its journal and its socket."""

    def __init__(self, folder: Path, *, drills: bool = True, config: RiskConfig | None = None) -> None:
        self.folder = folder
        self.desk = SceneDesk(config)
        self.journal = Journal(folder / "journal")
        self.journal.open()
        self.changes = 0
        self.commander = Commander(
            self.desk,
            self.journal,
            run=1,
            about={"name": "scene", "mode": "local"},
            drills=drills,
            on_change=self._changed,
        )
        self.refused: list[tuple[str, str]] = []
        self.server = ControlServer(
            folder / "control",
            self.commander.handle,
            lambda *about: self.refused.append(about),
            frame_secs=0.3,
        )

    def _changed(self) -> None:
        self.changes += 1

    def run(self, job: Callable[["Room"], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            await self.server.start()
            try:
                async with living(self.desk):
                    return await job(self)
            finally:
                await self.server.close()

        try:
            return asyncio.run(whole())
        finally:
            self.journal.close()

    async def send(self, command: str, **arguments: str) -> dict[str, Any]:
        return await asyncio.to_thread(send_command, self.folder, command, **arguments)

    def commands(self) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.journal.path)
        try:
            return connection.execute(
                "SELECT who, command, arguments, ok FROM command ORDER BY id"
            ).fetchall()
        finally:
            connection.close()


async def raw(path: Path, data: bytes, *, eof: bool = True) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(data)
        if eof:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def test_each_command_changes_the_state_answers_what_is_so_and_is_journaled(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        status = await room.send("status")
        assert (status["ok"], status["state"], status["mode"]) == (True, "RUNNING", "local")
        assert status["equity"] == 1_000.0
        assert status["mid"] is None
        assert status["journal"]["failed"] == ""
        paused = await room.send("pause")
        assert (paused["state"], paused["reasons"]) == ("PAUSED", ["operator_pause"])
        # asked again nothing changes
        assert (await room.send("pause"))["reasons"] == ["operator_pause"]
        shrinking = await room.send("reduce-only")
        assert (shrinking["state"], shrinking["reasons"]) == (
            "PAUSED",
            ["operator_pause", "operator_reduce_only"],
        )
        resumed = await room.send("resume")
        assert resumed["ended"] == ["operator_pause", "operator_reduce_only"]
        assert (resumed["state"], resumed["reasons"]) == ("RUNNING", [])
        assert (await room.send("flatten"))["state"] == "HALTED"
        assert (await room.send("resume"))["state"] == "RUNNING"
        assert (await room.send("session", action="new"))["starting_equity"] is None
        assert (await room.send("session"))["session_loss"] == 0.0
        assert room.desk.sessions == 1
        drilled = await room.send("drill", reason="drawdown")
        assert (drilled["state"], drilled["reasons"]) == ("HALTED", ["drawdown"])
        assert (await room.send("resume"))["ended"] == ["drawdown"]
        assert (await room.send("stop", on_end="flatten"))["ok"]
        assert room.desk.stopped == ["flatten"]

    room = Room(tmp_path)
    room.run(job)
    names = [command for _, command, _, _ in room.commands()]
    expected = "status pause pause reduce-only resume flatten resume session session drill resume stop"
    assert names == expected.split()
    assert {who for who, *_ in room.commands()} == {ME}
    assert all(ok for *_, ok in room.commands())
    # the state is saved after each command but a look
    assert room.changes == len(names) - 1


def test_a_drill_is_refused_in_live_and_for_a_reason_that_there_is_not(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        answer = await room.send("drill", reason="drawdown")
        assert answer == {
            "ok": False,
            "error": "drill: refused in live; run drills in paper, local or testnet",
        }
        assert room.desk.engine.machine.reasons == ()

    live = Room(tmp_path / "live", drills=False)
    live.run(job)
    assert [(command, ok) for _, command, _, ok in live.commands()] == [("drill", 0)]

    async def unknown(room: Room) -> None:
        assert "'moon' is not a reason" in (await room.send("drill", reason="moon"))["error"]

    Room(tmp_path / "local").run(unknown)


def test_without_the_risk_engine_nothing_is_pretended(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        for command in ("pause", "flatten", "resume"):
            answer = await room.send(command)
            assert not answer["ok"]
            assert "the risk engine is off" in answer["error"]
        assert (await room.send("stop"))["ok"]

    Room(tmp_path, config=RiskConfig(enabled=False)).run(job)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (b"\n", "not one JSON object"),
        (b"pause\n", "not one JSON object"),
        (b"[" * 4_000 + b"\n", "not one JSON object"),
        (b"\xff\xfe\n", "not one JSON object"),
        (b'{"command": 7}\n', 'not an object with a "command"'),
        (b'{"command": "sell"}\n', "'sell' is not a command"),
        (b'{"command": "status", "secret": 1}\n', "status takes no arguments"),
        (b'{"command": "stop", "on_end": "burn"}\n', "on_end of stop must be hold or flatten"),
        (b'{"command": "drill"}\n', "drill needs a reason"),
        (b'{"command": "status"}', "without an end of line"),
        (b"x" * (LONGEST + 10), f"longer than {LONGEST} bytes"),
        (b"x" * LONGEST + b"\n", f"longer than {LONGEST} bytes"),
    ],
)
def test_a_frame_that_is_no_command_is_refused_with_the_reason(
    tmp_path: Path, frame: bytes, complaint: str
) -> None:
    async def job(room: Room) -> None:
        answer = json.loads(await raw(room.server.path, frame))
        assert answer["ok"] is False
        assert complaint in answer["error"]
        assert (await room.send("status"))["ok"]
        assert room.refused == [(answer["error"], ME)]

    Room(tmp_path).run(job)


def test_a_frame_that_does_not_come_to_its_end_is_dropped_after_its_time(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        answer = await raw(room.server.path, b'{"command": "sta', eof=False)
        assert "no whole frame within 0.3 s" in json.loads(answer)["error"]
        # one that says nothing is let go without a word
        assert await raw(room.server.path, b"", eof=False) == b""

    Room(tmp_path).run(job)


def test_several_frames_of_one_client_are_answered_in_order(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        lines = (await raw(room.server.path, b'{"command":"pause"}\n{"command":"resume"}\n')).splitlines()
        assert [json.loads(line)["state"] for line in lines] == ["PAUSED", "RUNNING"]

    Room(tmp_path).run(job)


def test_more_clients_than_there_are_places_are_turned_away(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        held = [await asyncio.open_unix_connection(str(room.server.path)) for _ in range(8)]
        answer = json.loads(await raw(room.server.path, b'{"command":"status"}\n'))
        assert answer == {"ok": False, "error": "more than 8 clients at once"}
        for _, writer in held:
            writer.close()

    Room(tmp_path).run(job)


def test_random_bytes_never_stop_the_server_nor_change_the_state(tmp_path: Path) -> None:
    rng = random.Random(11)
    pieces = [
        b'{"command":',
        b'"pause"',
        b'"drill"',
        b"}",
        b"\n",
        b"\x00",
        b"{}",
        b'"reason":',
        b"[[",
        b"9" * 40,
        b"null",
    ]

    def garbage() -> bytes:
        if rng.random() < 0.5:
            return rng.randbytes(rng.randrange(1, 6_000))
        return b"".join(rng.choices(pieces, k=rng.randrange(1, 12)))

    async def job(room: Room) -> None:
        for _ in range(400):
            data = garbage()
            if b'{"command":"pause"}\n' in data:
                continue
            answer = await raw(room.server.path, data)
            for line in answer.splitlines():
                assert json.loads(line)["ok"] is False
        assert room.desk.engine.machine.reasons == ()
        assert (await room.send("status"))["ok"]

    Room(tmp_path).run(job)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats()
            | st.text(max_size=8)
            | st.sampled_from(sorted(ARGUMENTS)),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["command", "reason", "on_end", "action", "x"]), inner, max_size=3
                )
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_bytes_are_a_request_or_a_control_error(data: bytes) -> None:
    try:
        request = parse_request(data)
    except ControlError as error:
        assert len(str(error)) < 300  # noqa: PT017 - what is refused is the point
        return
    assert request.command in ARGUMENTS


def test_the_folder_and_the_socket_are_the_owners_alone(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        assert stat.S_IMODE(room.server.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(room.server.path.parent.stat().st_mode) == 0o700

    Room(tmp_path).run(job)
    assert not (tmp_path / "control" / "control.sock").exists()
    assert not (tmp_path / "control" / "control.sock.pid").exists()


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "control"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(ControlError, match="others may enter it"):
        Room(tmp_path).run(lambda room: room.send("status"))
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControlError, match="not a folder of this user"):
        Room(tmp_path).run(lambda room: room.send("status"))


def test_another_user_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def job(room: Room) -> None:
        monkeypatch.setattr(control, "peer_uid", lambda peer: os.getuid() + 1)
        answer = json.loads(await raw(room.server.path, b'{"command":"pause"}\n'))
        assert "may not give commands" in answer["error"]
        assert room.desk.engine.machine.reasons == ()

    Room(tmp_path).run(job)


def leave_socket(folder: Path) -> int:
    """A process that listens in a folder and is killed; returns its number."""
    text = (
        "import asyncio, pathlib, sys\n"
        "from amm500_nautilus.monitor.control import ControlServer\n"
        "async def main():\n"
        "    await ControlServer(pathlib.Path(sys.argv[1]), None, None).start()\n"
        "    print('there', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).resolve().parents[2]
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(root / name) for name in (".", "adapters", "catalog"))
    }
    process = subprocess.Popen([sys.executable, "-c", text, str(folder)], stdout=subprocess.PIPE, env=env)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    process.kill()
    process.wait()
    process.stdout.close()
    return process.pid


def test_a_socket_of_a_dead_process_is_replaced_and_of_a_living_one_is_not(tmp_path: Path) -> None:
    leave_socket(tmp_path / "control")
    assert (tmp_path / "control" / "control.sock").is_socket()

    async def job(room: Room) -> None:
        assert (await room.send("status"))["ok"]
        second = ControlServer(tmp_path / "control", room.commander.handle, lambda *about: None)
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} listens here already"):
            await second.start()
        # and the first still answers
        assert (await room.send("status"))["ok"]

    Room(tmp_path).run(job)


def test_a_number_that_now_belongs_to_another_process_does_not_keep_a_socket_alive(tmp_path: Path) -> None:
    leave_socket(tmp_path / "control")
    (tmp_path / "control" / "control.sock.pid").write_text(f"{os.getpid()} 12345\n")
    Room(tmp_path).run(lambda room: room.send("status"))


def test_a_socket_of_nobody_and_a_file_in_its_place_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "control"
    folder.mkdir(mode=0o700)
    place = folder / "control.sock"
    place.write_text("precious")
    with pytest.raises(ControlError, match="something else"):
        Room(tmp_path).run(lambda room: room.send("status"))
    assert place.read_text() == "precious"
    place.unlink()
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(place))
    with pytest.raises(ControlError, match="nobody says whose socket this is"):
        Room(tmp_path).run(lambda room: room.send("status"))
    assert place.is_socket()


def test_a_run_whose_path_is_too_long_for_a_socket_is_found_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)

    async def job(room: Room) -> None:
        assert room.server.path.parent != (folder / "control").resolve()
        assert (folder / "control" / POINTER).is_file()
        assert (await room.send("status"))["ok"]

    Room(folder).run(job)
    assert not (folder / "control" / POINTER).exists()


def test_a_run_is_found_by_its_final_name_while_it_is_unfinished(tmp_path: Path) -> None:
    async def job(room: Room) -> None:
        assert find_socket(tmp_path / "night") == room.server.path
        assert find_socket(room.server.path) == room.server.path

    Room(tmp_path / "night.partial").run(job)
    with pytest.raises(ControlError, match="no node listens here"):
        find_socket(tmp_path / "night")


def test_a_node_that_hangs_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amm500_nautilus.monitor.control_client.ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        with pytest.raises(ControlError, match="the node may hang"):
            send_command(tmp_path, "status")
    with pytest.raises(ControlError, match="no node answers"):
        send_command(tmp_path, "status")
