"""Where a live run trades: the loopback venue of a local run, started as a process of its own and ended with the run."""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from dataclasses import field
from types import TracebackType
from typing import Any
from typing import Self

from amm500_catalog.errors import SourceUnavailableError


START_S = 60.0
END_S = 10.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    A venue's addresses, and the account there; the key is shown nowhere.

    Parameters
    ----------
    url, ws_url : str
        REST and WebSocket address.
    user : str
        The account's address.
    key : str
        The secret key of a local run's account, empty otherwise.
    unsourced_rules : int
        How many rules of a loopback venue have no source.

    """

    url: str
    ws_url: str
    user: str
    key: str = field(default="", repr=False)
    unsourced_rules: int = 0


class LoopbackProcess:
    """
    The loopback venue in a process of its own, with one account it makes itself.

    It ends when this process does, however that ends: it serves until its standard input is closed.

    Parameters
    ----------
    flow : str
        ``simulated`` or ``quiet``.
    equity : str
        What the account starts with, collateral units.
    seed : int
        The seed of prices and keys.
    dex, coin : str
        The market.
    block_ms : int
        Time between blocks.

    """

    def __init__(self, *, flow: str, equity: str, seed: int, dex: str, coin: str, block_ms: int) -> None:
        self._command = [
            sys.executable,
            "-m",
            "hyperliquid_loopback",
            "--port=0",
            f"--flow={flow}",
            f"--equity={equity}",
            f"--seed={seed}",
            f"--dex={dex}",
            f"--coin={coin}",
            f"--block-ms={block_ms}",
        ]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own module, arguments checked by the run file
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def endpoint(self) -> Endpoint:
        """
        Wait for the venue's first line and return where it is.

        Raises
        ------
        SourceUnavailableError
            If it ends or says nothing for a minute.

        """
        line = self._first_line()
        try:
            about: dict[str, Any] = json.loads(line)
            account = about["accounts"][0]
            return Endpoint(
                url=about["url"],
                ws_url=about["ws"],
                user=account["address"],
                key=account["key"],
                unsourced_rules=int(about.get("unsourced_rules", 0)),
            )
        except (ValueError, KeyError, IndexError, TypeError):
            # nothing of the line is repeated: it holds a key
            raise SourceUnavailableError(
                f"the loopback venue did not say where it is{self._complaint()}"
            ) from None

    def _first_line(self) -> str:
        process = self._process
        if process is None or process.stdout is None:
            raise RuntimeError("the process has not been started")
        # a pipe has no read with a deadline: when it is over, the venue is killed and the read ends
        watch = threading.Timer(START_S, process.kill)
        watch.start()
        try:
            return process.stdout.readline()
        finally:
            watch.cancel()

    def _complaint(self) -> str:
        process = self._process
        if process is None or process.poll() is None or process.stderr is None:
            return ""
        said = process.stderr.read().strip().splitlines()
        return f": {said[-1]}" if said else f" (it ended with {process.returncode})"
