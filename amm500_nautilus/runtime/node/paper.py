"""A paper run: the market as the adapter hears it, and orders that go to the simulated venue in this process and nowhere else."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from typing import cast
from urllib.parse import urlsplit

from amm500_catalog.errors import InputError
from amm500_catalog.spec import Dataset
from amm500_catalog.spec import MarketSpec
from amm500_nautilus.report.recorder import RunRecorder
from amm500_nautilus.report.types import AccountRow
from amm500_nautilus.runtime.backtest import venue_config
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.desk import About
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.market import MarketNow
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.runtime.recording import RecordingListener
from amm500_nautilus.simulation.config import VenueConfig
from amm500_nautilus.simulation.engine_care import keep_engine_flat
from amm500_nautilus.simulation.paper import PaperVenue
from amm500_nautilus.simulation.paper_client import PaperExecutionClient
from amm500_nautilus.simulation.paper_client import adopt_position
from amm500_nautilus.simulation.paper_state import PaperState
from amm500_nautilus.simulation.paper_state import PaperStateError
from amm500_nautilus.simulation.paper_state import PaperStore
from hyperliquid_hip3.config import socket_url
from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import TESTNET_URL
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory


# what a killed run may lose of its account, beside what happened after the last fill was kept
KEEP_S = 5.0
KEEP_FILL_S = 0.5
ACCOUNT = "simulated in this process"
NETWORKS = {MAINNET_URL: "hyperliquid, live", TESTNET_URL: "hyperliquid test network, live"}


def paper_endpoint(config: RunConfig) -> Endpoint:
    """Return where the market is heard: the main network unless the run file says otherwise. There is no user and no key."""
    url = (config.live.url or MAINNET_URL).rstrip("/")
    return Endpoint(url=url, ws_url=socket_url(url), user=ACCOUNT)


def candidates(config: RunConfig) -> tuple[str, ...]:
    """Return the markets to try in order: those listed, or the one coin where the file names only that."""
    given = config.market.model_fields_set
    if "coin" in given and "candidates" not in given:
        return (config.market.coin,)
    return config.market.candidates


def open_store(config: RunConfig, coin: str) -> PaperStore:
    """Return where the paper account of a run file and a market is kept between runs."""
    return PaperStore(state_folder(config), coin)


@dataclass(frozen=True, slots=True)
class _Spans:
    """The sessions of a market that never closes."""

    sessions: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Declared:
    """A market as ``venue_config`` reads it."""

    instrument: Any
    info: _Spans


def paper_venue_config(config: RunConfig, instrument: Any) -> VenueConfig:
    """
    Return the simulated exchange of a run file for a market as the venue declares it, by the backtest's own rules.

    Raises
    ------
    InputError
        If the market does not allow the margin mode or the leverage.

    """
    info = instrument.info
    market = MarketSpec(
        coin=info["coin"],
        collateral=info["collateral"],
        sz_decimals=instrument.size_precision,
        max_leverage=int(info["max_leverage"]),
        growth_mode=bool(info["growth_mode"]),
        deployer_fee_scale=float(info["deployer_fee_scale"]),
    )
    if config.account.leverage > market.max_leverage:
        raise InputError(
            f"{config.account.leverage:g}; {market.coin} allows 1 to {market.max_leverage}",
            f"{config.name}: account.leverage",
        )
    found = venue_config(config, cast("Dataset", _Declared(instrument, _Spans())), market)
    return replace(found, rules=replace(found.rules, asset=info.get("asset_id")))


class PaperBooks:
    """
    The simulated venue's own books, for the recorder.

    Parameters
    ----------
    paper : PaperVenue
        The venue.
    listener : RecordingListener
        Which the venue tells what it books.
    begin : Callable
        Called once the recorder listens: what an earlier run left is taken up then.

    """

    def __init__(self, paper: PaperVenue, listener: RecordingListener, resume: Any) -> None:
        self._paper = paper
        self._listener = listener
        self._resume = resume

    @property
    def fills(self) -> int:
        """Fills of this run."""
        return self._paper.ledger.fills

    @property
    def equity(self) -> Decimal:
        """Mark-to-market equity at the book's mid."""
        return self._paper.ledger.equity

    @property
    def position(self) -> Decimal:
        """Signed position in contracts."""
        return self._paper.ledger.position

    @property
    def is_reported(self) -> bool:
        """Always: the books are the venue's."""
        return True

    @property
    def unexplained(self) -> float | None:
        """Nothing: there are no other books."""
        return None

    def account(self) -> AccountRow:
        """Return the account now."""
        return self._listener.account()

    def bind(self, recorder: RunRecorder) -> None:
        """Connect the recorder, and take up what an earlier run left."""
        self._listener.bind(recorder, self._paper.venue)
        self._resume()

    def begin(self, positions: Iterable[Any]) -> None:
        """Do nothing: the venue knows its position."""

    def on_time(self) -> None:
        """Do nothing: the venue has its own timetable."""

    def close(self, ts_ns: int) -> None:
        """Write the last minute and the last markouts."""
        self._paper.finish(ts_ns)


class PaperDesk:
    """
    Orders stay in this process; only the account is kept from run to run.

    Parameters
    ----------
    config : RunConfig
        The run file.
    endpoint : Endpoint
        Where the market is heard.
    market : MarketNow
        What is quoted.
    store : PaperStore
        Where the account is kept; taken already.
    progress : Progress
        Who is told what was taken up.

    Raises
    ------
    InputError
        If the file of an earlier run cannot be used.

    """

    # nobody but us knows of our orders
    nets_own_orders = False

    def __init__(
        self,
        config: RunConfig,
        endpoint: Endpoint,
        market: MarketNow,
        store: PaperStore,
        progress: Progress,
    ) -> None:
        self._config = config
        self.endpoint = endpoint
        self.market = market
        self._store = store
        self._progress = progress
        self._venue_config = paper_venue_config(config, market.instrument)
        self._state = self._read() if config.live.resume else None
        self._paper: PaperVenue | None = None
        self._client: PaperExecutionClient | None = None
        self._kept_fills = 0
        self._kept_at = 0.0
        self._keeping: asyncio.Task[None] | None = None
        self._resumed = ""

    def _read(self) -> PaperState | None:
        try:
            return self._store.read()
        except PaperStateError as error:
            raise InputError(
                str(error), str(self._store.path), "a whole file, or --set live.resume=false"
            ) from error

    factory = HyperliquidLiveExecClientFactory
    events: tuple[tuple[str, str], ...] = ()

    @property
    def new_account(self) -> str:
        """Why the account is no earlier run's; empty where one is taken up."""
        return "a new paper account" if self._state is None else ""

    @property
    def equity(self) -> Decimal:
        """The equity of the run file."""
        return self._config.account.equity

    def execution(self, state_dir: Path) -> None:  # noqa: ARG002 - one shape for all modes
        """Return None: the adapter's execution client is not made."""
        return

    def open(self, node: Any, maker: Any) -> PaperBooks:
        """Put the simulated venue where the node's execution client would be."""
        kernel = node.kernel
        now_ns = kernel.clock.timestamp_ns()
        listener = RecordingListener()
        bus = kernel.msgbus
        paper = PaperVenue(
            instrument=self.market.instrument,
            config=self._venue_config,
            seed=self._config.seed,
            cache=kernel.cache,
            portfolio=kernel.portfolio,
            trader=node.trader,
            # at once, as in the backtest: through the engine's queue the venue would go on before the node has heard
            on_event=kernel.exec_engine._handle_event_with_tracking,  # noqa: SLF001
            on_account=lambda state: bus.send("Portfolio.update_account", state),
            now_ns=now_ns,
            listener=listener,
        )
        client = PaperExecutionClient(
            kernel.loop,
            venue=paper,
            touch=self.market.touch,
            msgbus=bus,
            cache=kernel.cache,
            clock=kernel.clock,
        )
        kernel.exec_engine.register_client(client)
        keep_engine_flat(_Engine(kernel), paper.venue)
        self._paper, self._client = paper, client

        def resume() -> None:
            self._take_up(node, maker.id, now_ns)

        return PaperBooks(paper, listener, resume)

    def _take_up(self, node: Any, strategy_id: Any, now_ns: int) -> None:
        state, paper = self._state, self._paper
        if state is None or paper is None:
            return
        try:
            funding = paper.restore(state, mark=Decimal(str(self.market.mid)))
        except PaperStateError as error:
            raise InputError(str(error), str(self._store.path), "--set live.resume=false") from error
        adopt_position(node.cache, paper, strategy_id, node.trader.id, now_ns)
        away_s = max(0.0, (now_ns - state.ts_ns) / 1e9)
        self._resumed = (
            f"the account of an earlier run is taken up after {away_s:,.0f} s: balance {state.balance:.6f}, "
            f"position {state.position}, {len(state.hours_until(now_ns))} hours of funding {funding:+.6f} "
            f"at the last rate seen; what rested then is canceled"
        )
        self._progress.say(self._resumed)

    def watch(self) -> None:
        """Keep the account soon after each fill and every few seconds; raise what the simulated venue failed with."""
        paper, client = self._paper, self._client
        if paper is None or client is None:
            return
        if client.failure is not None:
            raise RuntimeError(f"the paper run cannot go on: {client.failure}") from client.failure
        if self._keeping is not None:
            if not self._keeping.done():
                return
            self._keeping.result()
            self._keeping = None
        now = time.monotonic()
        patience = KEEP_S if paper.ledger.fills == self._kept_fills else KEEP_FILL_S
        if now - self._kept_at >= patience:
            self._kept_at, self._kept_fills = now, paper.ledger.fills
            # the disk may take its time; the loop may not
            self._keeping = asyncio.get_running_loop().create_task(
                asyncio.to_thread(self._store.write, paper.state())
            )

    def account_words(self, node: Any) -> str:  # noqa: ARG002 - one shape for all modes
        """Return that the account is simulated, with its equity and leverage."""
        paper = self._paper
        equity = self._config.account.equity if paper is None else paper.ledger.equity
        leverage = f"{self._venue_config.leverage:g}"
        return f"account {ACCOUNT}, equity {equity:.6f}, leverage {leverage}"

    def about(self) -> About:
        """Return what a report says of a market that is heard and orders that are not sent."""
        url, latency, fill = self.endpoint.url, self._venue_config.latency, self._venue_config.fill
        network = NETWORKS.get(url)
        source = network or f"a venue at {urlsplit(url).netloc} that is not the exchange"
        defaults = [
            "paper: our orders never were in the market, and nobody reacted to them; their fills, fees, margin and limits are simulated",
            f"an order takes {latency.kind} {latency.p50_ms:g} ms; queue {fill.queue_model}, unseen levels {fill.unseen}",
            "funding is paid at the rate last seen before the hour",
            *self.market.passed_over,
        ]
        if self._resumed:
            defaults.append(self._resumed)
        if self._paper is not None:
            defaults += self._paper.venue.assumptions()
            defaults += [f"leverage refused: {words}" for words in self._paper.venue.refused_leverage]
        return About(
            source=source,
            simulated=network is None,
            description=f"a paper run on {self.market.coin} as heard from {source}; own fills simulated, seed {self._config.seed}",
            defaults=tuple(defaults),
        )

    def end(self, *, is_over: bool) -> None:
        """Clear the account when the run has had its time and is flat; otherwise keep it for the next."""
        if self._paper is None:
            return
        with suppress(FileNotFoundError):
            if is_over and not self._paper.ledger.position_lots:
                self._store.clear()
            else:
                self._store.write(self._paper.state())


@dataclass(frozen=True, slots=True)
class _Engine:
    """A node's kernel as ``keep_engine_flat`` reads an engine."""

    kernel: Any

    @property
    def portfolio(self) -> Any:
        return self.kernel.portfolio
