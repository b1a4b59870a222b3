"""The commands as a person types them: words or JSON, and an exit code that a script can go by."""

import asyncio
import json
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path

import pytest

from amm500_nautilus.runtime.cli import main
from tests.monitor.test_control import Room


def ask(room: Room, *words: str) -> Awaitable[int]:
    return asyncio.to_thread(main, list(words))


def scene(folder: Path, job: Callable[[Room, str], Awaitable[None]]) -> None:
    room = Room(folder / "run.partial")
    # the words of status want what the monitor says of a run
    room.commander._about |= {"coin": "km:US500", "run": 1, "session": 1}
    room.run(lambda room: job(room, str(folder / "run")))


def test_each_command_prints_what_is_so_and_exits_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def job(room: Room, run: str) -> None:
        expected = [
            (("status", run), 0, "state      RUNNING"),
            (("pause", run), 0, "PAUSED (operator_pause): position -, 0 orders resting"),
            (("resume", run), 0, "ended: operator_pause\nRUNNING"),
            (("resume", run), 0, "nothing was waiting for a person"),
            (("reduce-only", run), 0, "REDUCE_ONLY"),
            (("flatten", run), 0, "HALTED"),
            (("status", run), 3, "waits for a person"),
            (("resume", run), 0, "ended: operator_reduce_only, operator_flatten"),
            (("drill", run, "drawdown"), 0, "HALTED (drawdown)"),
            (("resume", run), 0, "RUNNING"),
            (("session", run), 0, "loss 0, drawdown -"),
            (("session", run, "new"), 0, "starting equity -"),
            (("stop", run, "--on-end", "hold"), 0, "the run ends"),
        ]
        for words, code, text in expected:
            if words[0] == "status" and code == 3:
                room.desk.reading = room.desk.reading.__class__(
                    ts_ns=1, waiting=("operator_flatten",), session_loss=0.0
                )
            assert await ask(room, *words) == code, words
            assert text in capsys.readouterr().out, words
        assert room.desk.stopped == ["hold"]

    scene(tmp_path, job)


def test_what_a_node_refuses_is_one_line_and_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def job(room: Room, run: str) -> None:
        assert await ask(room, "drill", run, "moon") == 1
        assert capsys.readouterr().err.startswith("refused: drill: 'moon' is not a reason")
        assert await ask(room, "drill", run, "moon", "--json") == 1
        assert json.loads(capsys.readouterr().out)["ok"] is False

    scene(tmp_path, job)


def test_json_is_one_object_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def job(room: Room, run: str) -> None:
        assert await ask(room, "pause", run, "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["ok"], answer["shows"], answer["state"]) == (True, True, "PAUSED")

    scene(tmp_path, job)


def test_a_reason_with_a_delay_of_its_own_is_said_not_to_show_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amm500_nautilus.monitor.commander.SHOWS_S", 0.05)

    async def job(room: Room, run: str) -> None:
        # time in which a minute does not pass
        room.desk.step = lambda: None  # type: ignore[assignment]
        assert await ask(room, "drill", run, "collateral") == 1
        assert "it does not show yet" in capsys.readouterr().out

    scene(tmp_path, job)


def test_without_a_node_the_exit_code_is_four(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["pause", str(tmp_path)], ["status", str(tmp_path)]):
        assert main(words) == 4
        assert "no node listens here" in capsys.readouterr().err
    assert main(["flatten", str(tmp_path), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["ok"] is False
