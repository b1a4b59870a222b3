"""A node in miniature for a supervisor's tests: it writes signs of life, and ends or hangs as it is told to."""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path


# by its file: the package around it takes a second to import
PLACE = Path(__file__).resolve().parents[2] / "amm500_nautilus" / "monitor" / "heartbeat.py"
SPEC = importlib.util.spec_from_file_location("heartbeat", PLACE)
assert SPEC is not None
assert SPEC.loader is not None
life = importlib.util.module_from_spec(SPEC)
sys.modules["heartbeat"] = life
SPEC.loader.exec_module(life)

BEAT_S = 0.03
# those that never come up: whether they say that they begin to, and how long they take to give up
EARLY = {"refused": (False, 0), "opened": (True, 0), "opening": (True, 60), "mute": (False, 60)}


def main() -> int:
    folder, deeds = Path(sys.argv[1]), sys.argv[2]
    heartbeat = life.Heartbeat(folder)

    def beat(state: str) -> None:
        heartbeat.beat(time.time_ns(), state)

    def live(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            beat("RUNNING")
            time.sleep(BEAT_S)

    def stop(*_: object) -> None:
        beat(life.ENDED)
        (folder / "stopped").touch()
        os._exit(0)

    if deeds == "import":
        importlib.import_module("amm500_no_such_module")
    if deeds in EARLY:
        says, seconds = EARLY[deeds]
        if says:
            beat(life.OPENING)
        time.sleep(seconds)
        return 4
    signal.signal(signal.SIGUSR2, lambda *_: (folder / "heard").touch())
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deeds == "stubborn" else stop)
    beat(life.OPENING)
    live(0.15)
    (folder / f"lived-{os.getpid()}").touch()
    if deeds == "block":
        time.sleep(60)
    if deeds == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    if deeds == "report":
        beat(life.ENDED)
        time.sleep(2.5)
        return 0
    if deeds == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if deeds in ("run", "stubborn"):
        live(60)
    return int(deeds)


if __name__ == "__main__":
    raise SystemExit(main())
