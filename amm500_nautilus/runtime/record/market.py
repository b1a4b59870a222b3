"""A market recorded without trading: every frame of its streams as received, and what REST said of it at the start."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

import msgspec

from amm500_catalog.errors import SourceUnavailableError
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.market import MarketNow
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.node.modes import loopback_of
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.paper import paper_endpoint
from amm500_nautilus.runtime.node.stopping import StopSignals
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.record.session import FOLDER
from amm500_nautilus.runtime.record.session import FRAMES
from amm500_nautilus.runtime.record.session import write_header
from amm500_nautilus.runtime.rundir import RunDirectory
from amm500_nautilus.runtime.rundir import place_of
from amm500_nautilus.runtime.rundir import require_free
from hyperliquid_hip3.client import VenueClient
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.errors import HyperliquidError
from hyperliquid_hip3.feed import Stream
from hyperliquid_hip3.feed import book_streams
from hyperliquid_hip3.recorder import FrameRecorder
from hyperliquid_hip3.session_frames import DOWN_FRAME
from hyperliquid_hip3.session_frames import own_frame
from hyperliquid_hip3.sockets import VenueSocket
from hyperliquid_hip3.weights import SocketLimits


REST_FILE: Final = "rest.json"
STEP_S: Final = 0.2
SAY_S: Final = 60.0
# a venue that sends nothing for so long after the streams were asked for is not there
FIRST_FRAME_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class MarketRecording:
    """What was recorded: where it is, how long, how many frames, how many were lost to a slow disk, and why it ended early."""

    folder: Path
    coin: str
    seconds: float
    frames: int
    dropped: int
    failure: str | None = None


@contextmanager
def venue_of(config: RunConfig) -> Iterator[Endpoint]:
    """
    Give the venue whose market a run file hears: a loopback venue for mode ``local``, the main network unless ``live.url`` is set.

    Raises
    ------
    SourceUnavailableError
        If the loopback venue does not start.

    """
    if config.mode != "local":
        yield paper_endpoint(config)
        return
    with loopback_of(config) as process:
        yield process.endpoint()


async def _rest(url: str, coin: str) -> dict[str, Any]:
    """Return what the venue says of the market, as it said it."""
    dex = split_coin(coin)[0]
    client = VenueClient(url)
    requests = {
        "perpDexs": {"type": "perpDexs"},
        "spotMeta": {"type": "spotMeta"},
        "metaAndAssetCtxs": {"type": "metaAndAssetCtxs", "dex": dex},
        "l2Book": {"type": "l2Book", "coin": coin},
        "recentTrades": {"type": "recentTrades", "coin": coin},
    }
    return {name: await client.info(request) for name, request in requests.items()}


class MarketRecorder:
    """
    Two sockets and a file.

    Parameters
    ----------
    endpoint : Endpoint
        The venue.
    market : MarketNow
        What is recorded.
    folder : Path
        Where it goes.

    """

    def __init__(self, endpoint: Endpoint, market: MarketNow, folder: Path) -> None:
        self._endpoint = endpoint
        self._market = market
        self._recorder = FrameRecorder(folder, name=FRAMES)
        self._is_told = False
        self.frames = 0

    def stop(self) -> None:
        """End soon."""
        self._is_told = True

    async def record(self, seconds: float | None, progress: Progress) -> tuple[float, FrameRecorder]:
        """
        Record for so long, or until told to stop; return the seconds and the recorder, which is closed.

        Raises
        ------
        SourceUnavailableError
            If the venue cannot be reached, or sends nothing.

        """
        loop, limits, coin = asyncio.get_running_loop(), SocketLimits(), self._market.coin
        sockets = [
            VenueSocket(
                self._endpoint.ws_url,
                loop=loop,
                on_frame=self._on_frame,
                on_up=lambda _is_again: None,
                on_down=self._on_down(is_deep=is_deep),
                name="depth" if is_deep else "market",
                limits=limits,
            )
            for is_deep in (False, True)
        ]
        streams = dict.fromkeys(
            (*book_streams(coin), Stream("bbo", coin), Stream("trades", coin), Stream("activeAssetCtx", coin))
        )
        self._recorder.start()
        began = time.monotonic()
        try:
            for socket in sockets:
                await socket.connect()
            for stream in streams:
                sockets[stream.is_deep].subscribe(stream.to_wire())
            await self._watch(seconds, began, progress)
        except HyperliquidError as error:
            raise SourceUnavailableError(f"{self._endpoint.ws_url}: {error}") from error
        finally:
            await asyncio.gather(*(socket.close() for socket in sockets))
            await asyncio.to_thread(self._recorder.close)
        return time.monotonic() - began, self._recorder

    async def _watch(self, seconds: float | None, began: float, progress: Progress) -> None:
        said = began
        while not self._is_told and self._recorder.failure is None:
            passed = time.monotonic() - began
            if seconds is not None and passed >= seconds:
                return
            if not self.frames and passed >= FIRST_FRAME_S:
                raise SourceUnavailableError(
                    f"{self._endpoint.ws_url} sent nothing for {FIRST_FRAME_S:.0f} s"
                )
            progress(0.0 if seconds is None else min(1.0, passed / seconds), "recording")
            if time.monotonic() - said >= SAY_S:
                said = time.monotonic()
                progress.say(f"{self.frames:,} frames after {passed:,.0f} s")
            await asyncio.sleep(STEP_S)

    def _on_frame(self, raw: bytes, received_ns: int) -> None:
        self.frames += 1
        self._recorder.write(raw, received_ns)

    def _on_down(self, *, is_deep: bool) -> Any:
        def on_down(_reason: str) -> None:
            self._recorder.write(own_frame(DOWN_FRAME, {"is_deep": is_deep}), time.time_ns())

        return on_down


def _header(mode: str, endpoint: Endpoint, market: MarketNow) -> dict[str, Any]:
    return {
        "mode": mode,
        "coin": market.coin,
        "nets_own_orders": False,
        "touch": list(market.touch),
        "simulated": endpoint.url not in (MAINNET_URL, TESTNET_URL),
        "began_ns": time.time_ns(),
    }


def record_market(
    config: RunConfig, *, seconds: float | None, out: Path | None, progress: Progress
) -> MarketRecording:
    """
    Record a run file's market to a new directory.

    Parameters
    ----------
    config : RunConfig
        The run file: its market and candidates, and where they are heard.
    seconds : float, optional
        How long; until the process is told to stop when left out.
    out : Path, optional
        The directory; ``runs/<name>-recording-<utc>`` by default.
    progress : Progress
        Who is told.

    Raises
    ------
    InputError
        If no market of the file trades, or the directory cannot be made.
    SourceUnavailableError
        If the venue cannot be reached, or sends nothing.

    """
    name = f"{config.name}-recording"
    require_free(place_of(name, out))
    with venue_of(config) as endpoint:
        coins = config.market.coin if config.mode == "local" else candidates(config)
        market = look_at_market(endpoint.url, coins)
        progress.say(market.sentence)
        directory = RunDirectory.named(name, out)
        directory.write_config(config)
        folder = directory.path / FOLDER
        write_header(folder, _header(config.mode, endpoint, market), market.instrument)
        loop = asyncio.new_event_loop()
        try:
            rest = loop.run_until_complete(_rest(endpoint.url, market.coin))
            (folder / REST_FILE).write_bytes(msgspec.json.encode(rest) + b"\n")
            recorder = MarketRecorder(endpoint, market, folder)
            with StopSignals(loop, recorder.stop) as signals:
                signals.take_over()
                lasted, files = loop.run_until_complete(recorder.record(seconds, progress))
        except HyperliquidError as error:
            raise SourceUnavailableError(f"{endpoint.url}: {error}") from error
        finally:
            loop.close()
    return MarketRecording(
        folder=directory.finish(),
        coin=market.coin,
        seconds=lasted,
        frames=files.written,
        dropped=files.dropped,
        failure=files.failure,
    )
