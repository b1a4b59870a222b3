"""The run file: what a user may write, checked key by key."""

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import field_validator
from pydantic import model_validator

from amm500_catalog.errors import InputError
from amm500_catalog.simulator import MOST_DAILY_VOLUME
from amm500_catalog.simulator import SimulatorConfig
from amm500_catalog.sources.generator import GeneratorConfig
from amm500_catalog.spec import MarketSpec
from amm500_catalog.validate import utc_text
from amm500_nautilus.margin.position import MarginMode
from amm500_nautilus.quoting.config import QuotingConfig
from amm500_nautilus.research.scenario import StressConfig
from amm500_nautilus.risk.budget import BudgetConfig
from amm500_nautilus.risk.config import RiskConfig
from amm500_nautilus.risk.config import merge_preset
from amm500_nautilus.risk.flatten import FlattenConfig
from amm500_nautilus.runtime.forecast.config import ForecastSection
from amm500_nautilus.runtime.forecast.config import TrainingSection
from amm500_nautilus.runtime.load import SECRET_WORDS
from amm500_nautilus.runtime.load import apply_overrides
from amm500_nautilus.runtime.load import read_yaml
from amm500_nautilus.runtime.load import validate
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.models import model_of
from amm500_nautilus.runtime.models import refuse_truth
from amm500_nautilus.runtime.node.signer_section import Address
from amm500_nautilus.runtime.node.signer_section import SignerSection
from amm500_nautilus.runtime.node.signer_section import key_in
from amm500_nautilus.runtime.operate.supervise_section import SuperviseSection
from amm500_nautilus.runtime.patterns import COIN
from amm500_nautilus.runtime.patterns import DURATION
from amm500_nautilus.runtime.patterns import NAME
from amm500_nautilus.runtime.patterns import REDIS_URL
from amm500_nautilus.runtime.patterns import TOKEN
from amm500_nautilus.runtime.patterns import UNITS_S
from amm500_nautilus.runtime.patterns import VENUE_URL
from amm500_nautilus.runtime.sweep.config import SweepSection
from amm500_nautilus.simulation.config import FillConfig
from amm500_nautilus.simulation.latency import LatencyConfig
from amm500_nautilus.simulation.rules import VenueRules


STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
DAY_NS = 86_400 * 1_000_000_000
# orders leave this machine, signed
REAL_MODES = ("testnet", "live")
MAIN_DOMAIN = ".hyperliquid.xyz"


# an amount that every sum still holds exactly
MOST = 10**12
# what the exchange's calendar and times in nanoseconds hold with room to spare
FIRST_YEAR = 1970
LAST_YEAR = 2100
# a run without an end is planned for so long, and none may be longer
MOST_RUN_DAYS = 400
Amount = Annotated[float, Field(gt=0, le=MOST)]
Coin = Annotated[str, COIN]
# YAML reads an unquoted date as a date
Moment = Annotated[str | None, BeforeValidator(lambda value: None if value is None else str(value))]


class Section(BaseModel):
    """A section of the run file; unknown keys are errors."""

    model_config = STRICT

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, values: Any) -> Any:
        return refuse_truth(cls, values)


class MarketSection(Section):
    """
    The perpetual that is quoted.

    Values the venue declares are read from it when the data comes from the venue; these are the facts used otherwise.
    ``candidates`` are tried in order with ``source: hyperliquid``; ``price`` is the level that foreign bars are scaled to (the
    first bar opens there; null keeps prices as they are); ``daily_volume`` in collateral units a day and ``funding_rate`` an hour
    stand in where the source has none, instead of the simulator's own defaults.
    """

    coin: Coin = "km:US500"
    candidates: tuple[Coin, ...] = ("km:US500", "mkts:US500", "xyz:SP500")
    collateral: Annotated[str, TOKEN] = "USDH"
    sz_decimals: Annotated[int, Field(ge=0, le=6)] = 3
    max_leverage: Annotated[int, Field(ge=1, le=100)] = 25
    growth_mode: bool = True
    deployer_fee_scale: Annotated[float, Field(ge=0, le=10)] = 1.0
    price: Amount | None = None
    daily_volume: Annotated[float, Field(gt=0, le=MOST_DAILY_VOLUME)] | None = None
    funding_rate: Annotated[float, Field(gt=-0.04, lt=0.04)] | None = None

    def spec(self) -> MarketSpec:
        """Return the market's facts for the catalogue."""
        return MarketSpec(
            coin=self.coin,
            collateral=self.collateral,
            sz_decimals=self.sz_decimals,
            max_leverage=self.max_leverage,
            growth_mode=self.growth_mode,
            deployer_fee_scale=self.deployer_fee_scale,
        )


class DataSection(Section):
    """
    Where the market data comes from.

    ``source``: auto (catalogue, exchange, Yahoo, generator in turn), catalog, hyperliquid, yfinance, file, generator (bars, turned
    into a book by the simulator), hl-book (a recorded book, nothing simulated but our own fills), or recorded (a directory of
    ``amm500 record``, or of a run with ``live.record``). ``start`` and ``end`` are
    UTC dates or times; without them the span is the last ``days`` whole days (for files: all there is). ``sessions``: index
    keeps cash hours with gaps, always is 24/7. ``duplicates``: drop leaves exact copies of a file's bars out. ``catalog`` is a folder or an fsspec URL, with ``storage_options`` for its filesystem
    (an endpoint, never a key: keys come from the environment).
    """

    source: Literal[
        "auto", "catalog", "hyperliquid", "yfinance", "file", "generator", "hl-book", "recorded"
    ] = "auto"
    catalog: Annotated[str, Field(min_length=1)] = "catalog/store"
    storage_options: dict[str, Any] = Field(default_factory=dict)
    path: str | None = None
    symbol: str = "^OEX"
    interval: Literal["1m", "5m", "15m", "1h"] = "5m"
    days: Annotated[int, Field(ge=1, le=3_650)] = 30
    start: Moment = None
    end: Moment = None
    timezone: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    sessions: Literal["index", "always"] = "index"
    target_volatility: Annotated[float, Field(gt=0, lt=5)] | None = None
    url: Annotated[str, VENUE_URL] = "https://api.hyperliquid.xyz"
    feed_latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    duplicates: Literal["refuse", "drop"] = "refuse"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.source in ("file", "hl-book", "recorded") and not self.path:
            raise ValueError(f"data.path is missing; source {self.source} needs the file or folder to read")
        # what would be ignored in silence is a mistake: most often the source was forgotten
        readers = {"path": ("file", "hl-book", "recorded"), "columns": ("file",), "timezone": ("file",)}
        if self.duplicates != "refuse":
            readers["duplicates"] = ("file",)
        for name, sources in readers.items():
            if getattr(self, name) and self.source not in sources:
                raise ValueError(
                    f"data.{name} is read by source {' or '.join(sources)} alone, and source is {self.source}"
                )
        secrets = [
            name for name in self.storage_options if any(word in name.lower() for word in SECRET_WORDS)
        ]
        if secrets:
            raise ValueError(
                f"data.storage_options.{secrets[0]} is a secret; credentials come from the environment"
            )
        start, end = self.start_ns, self.end_ns
        if start is not None and end is not None and end <= start:
            raise ValueError(f"data.end {self.end} is not after data.start {self.start}")
        return self

    @property
    def start_ns(self) -> int | None:
        """Start of the span in ns UTC, if given."""
        return _utc_ns(self.start, "data.start")

    @property
    def end_ns(self) -> int | None:
        """End of the span in ns UTC, if given."""
        return _utc_ns(self.end, "data.end")

    def span(self, now: datetime) -> tuple[int, int]:
        """
        Return [start, end) in ns: as given, or the last ``days`` whole days before ``now``.

        Raises
        ------
        InputError
            If nothing lies between them.

        """
        end = self.end_ns
        if end is None:
            midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            end = int(midnight.timestamp()) * 1_000_000_000
            if self.start_ns is not None:
                end = min(end, self.start_ns + self.days * DAY_NS)
        start = self.start_ns if self.start_ns is not None else end - self.days * DAY_NS
        if start >= end:
            raise InputError(
                f"data.start {self.start} is not before {utc_text(end)}, where the last whole day ended",
                "data",
                "an earlier start, or data.end after it",
            )
        if start < 0:
            raise InputError(
                f"data.days {self.days} reach back from data.end {self.end} to before {FIRST_YEAR}",
                "data",
                "fewer days, or a later end",
            )
        return start, end


def _utc_ns(text: str | None, key: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise ValueError(
            f"{key} {text!r} is not a date; allowed: ISO 8601, for example 2026-01-15 or 2026-01-15T12:00Z"
        ) from error
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise ValueError(
            f"{key} {text!r} is out of range; allowed: the years {FIRST_YEAR} to {LAST_YEAR - 1}"
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1_000


class PricePoint(Section):
    """A price in USD from a UTC time on."""

    at: Moment
    price: Annotated[Decimal, Field(gt=0)]

    @property
    def ts_ns(self) -> int:
        """The time in ns UTC."""
        return _utc_ns(self.at, "account.collateral_price.at") or 0


class Transfer(Section):
    """A deposit, or a withdrawal when negative, at a UTC time."""

    at: Moment
    amount: Annotated[Decimal, Field(decimal_places=6, ge=-MOST, le=MOST)]

    @property
    def ts_ns(self) -> int:
        """The time in ns UTC."""
        return _utc_ns(self.at, "account.transfers.at") or 0


class AccountSection(Section):
    """
    The account: ``equity`` in the collateral token, ``leverage`` (whole) and ``margin_mode`` as set at the venue.

    ``collateral_price`` is the token's price in USD, a figure or a list of ``{at, price}`` that each hold from their time on;
    ``transfers`` is a list of ``{at, amount}``, negative for a withdrawal, which is no part of the PnL.
    """

    equity: Annotated[Decimal, Field(gt=0, le=MOST)] = Decimal(1_000)
    leverage: Annotated[float, Field(ge=1, le=100)] = 10.0
    margin_mode: MarginMode = MarginMode.CROSS
    collateral_price: Annotated[Decimal, Field(gt=0)] | tuple[PricePoint, ...] = Decimal(1)
    transfers: tuple[Transfer, ...] = ()

    @field_validator("leverage")
    @classmethod
    def _whole(cls, leverage: float) -> float:
        if not leverage.is_integer():
            raise ValueError("the venue takes whole numbers alone; allowed: 1 to the market's largest")
        return leverage

    @model_validator(mode="after")
    def _check(self) -> Self:
        times = [point.ts_ns for point in self.collateral_points()]
        if times != sorted(set(times)) or not times:
            raise ValueError("account.collateral_price is not a figure or a list of points in order of time")
        if [move.ts_ns for move in self.transfers] != sorted(move.ts_ns for move in self.transfers):
            raise ValueError("account.transfers are not in order of time")
        return self

    def collateral_points(self) -> tuple["PricePoint", ...]:
        """Return the collateral's price as points in time."""
        price = self.collateral_price
        return price if isinstance(price, tuple) else (PricePoint(at="1970-01-01", price=price),)


def _with_preset(value: Any) -> Any:
    """Let a risk section name a preset; what it says itself wins."""
    return merge_preset(value) if isinstance(value, dict) else value


class StrategySection(Section):
    """The strategy: its quoting models, its action budget, its risk engine, and the cycle."""

    quoting: model_of(QuotingConfig) = model_of(QuotingConfig)()  # type: ignore[valid-type]
    budget: model_of(BudgetConfig) = model_of(BudgetConfig)()  # type: ignore[valid-type]
    risk: Annotated[model_of(RiskConfig), BeforeValidator(_with_preset)] = model_of(RiskConfig)()  # type: ignore[valid-type]
    flatten: model_of(FlattenConfig) = model_of(FlattenConfig)()  # type: ignore[valid-type]
    risk_session: Literal["run", "day"] = "run"
    reference: Coin | None = None
    forecast: ForecastSection = ForecastSection()
    cycle_ms: Annotated[int, Field(ge=100, le=60_000)] = 1_000
    max_order_events: Annotated[int, Field(ge=10)] = 300


class VenueSection(Section):
    """
    The simulated exchange: latency, the fill model, the venue's rules, whether funding is paid, and whether actions are metered.

    Without ``action_limits`` the venue takes every action, however many the address has sent.
    """

    latency: model_of(LatencyConfig) = model_of(LatencyConfig)()  # type: ignore[valid-type]
    fill: model_of(FillConfig) = model_of(FillConfig)()  # type: ignore[valid-type]
    rules: model_of(VenueRules) = model_of(VenueRules)()  # type: ignore[valid-type]
    referral_discount: Annotated[float, Field(ge=0, lt=1)] = 0.0
    funding: bool = True
    action_limits: bool = True


class ReportSection(Section):
    """What is written beside the figures; targets are those of the earlier bot."""

    tearsheet: bool = True
    target_sharpe: float = 2.5
    target_trades_per_day: float = 2_000
    target_maker_ratio: float = 0.90
    target_max_drawdown: float = 0.005
    target_max_margin_ratio: float = 0.80


class LiveSection(Section):
    """
    What a run on the wall clock needs beside the rest.

    ``duration`` is ``120s``, ``30m``, ``6h`` or ``7d``, ``400d`` at most; without it the run goes on until it is stopped, and a restart keeps the end.
    ``on_end`` is what becomes of a position when it ends: ``hold`` by default in live, ``flatten`` elsewhere. ``url`` is the venue in
    place of the mode's own (the main network for paper and live, the test network for testnet). ``state_dir`` keeps what outlives a
    run (``runs/state/<name>`` by default): the journal, and a paper account, which is taken up again unless ``resume`` is false. A
    local run keeps everything in its run directory. ``flow`` is who else trades on the loopback venue of a local run: the market
    simulator, or a quiet ladder. ``metrics_port`` serves figures for Prometheus on this machine (0 takes a free port; off by default). ``record`` keeps the whole session in the run directory,
    for ``amm500 replay-diff``.

    For testnet and live: ``user`` is the account's address (the master's, never the agent's), ``vault`` the vault or sub-account traded
    for, ``signer`` where the agent's key is. ``max_equity_used`` is the most of the account's equity that quotes and loss limits go
    by, collateral units; live requires it. ``paper_runs`` is where live looks for the paper run it must show. ``deadman_secs`` is how
    far ahead the venue is told to cancel everything, where the account qualifies (0: never). ``adopt_foreign`` lets orders that are
    not this program's be claimed and canceled.
    ``cache`` mirrors the engine's cache into Redis (``redis://host:port``, ``rediss://`` with TLS; the password comes from the
    environment, ``AMM500_REDIS_PASSWORD``).
    """

    duration: Annotated[str, DURATION] | None = None
    on_end: Literal["flatten", "hold"] | None = None
    url: Annotated[str, VENUE_URL] | None = None
    state_dir: Annotated[str, Field(min_length=1)] | None = None
    resume: bool = True
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    record: bool = False
    flow: Literal["simulated", "quiet"] = "simulated"
    block_ms: Annotated[int, Field(ge=10, le=10_000)] = 70
    cache: Annotated[str, REDIS_URL] | None = None
    log_level: Literal["OFF", "ERROR", "WARNING", "INFO", "DEBUG"] = "WARNING"
    user: Address | None = None
    vault: Address | None = None
    signer: SignerSection = SignerSection()
    max_equity_used: Amount | None = None
    paper_runs: Annotated[str, Field(min_length=1)] = "runs"
    deadman_secs: Annotated[int, Field(ge=10, le=3_600)] | Literal[0] = 60
    adopt_foreign: bool = False

    @field_validator("duration")
    @classmethod
    def _bounded(cls, duration: str | None) -> str | None:
        longest_s = MOST_RUN_DAYS * UNITS_S["d"]
        if duration is not None and float(duration[:-1]) * UNITS_S[duration[-1]] > longest_s:
            raise ValueError(f"allowed: {MOST_RUN_DAYS}d at most, or null for a run without an end")
        return duration


class RunConfig(Section):
    """A whole run file; ``mode`` says whether it is for ``run_backtest.py`` or for ``run_live.py``."""

    name: Annotated[str, NAME]
    mode: Literal["backtest", "local", "paper", "testnet", "live"] = "backtest"
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 7
    market: MarketSection = MarketSection()
    data: DataSection = DataSection()
    simulator: model_of(SimulatorConfig) = model_of(SimulatorConfig)()  # type: ignore[valid-type]
    generator: model_of(GeneratorConfig) = model_of(GeneratorConfig)()  # type: ignore[valid-type]
    account: AccountSection = AccountSection()
    strategy: StrategySection = StrategySection()
    venue: VenueSection = VenueSection()
    report: ReportSection = ReportSection()
    live: LiveSection = LiveSection()
    supervise: SuperviseSection = SuperviseSection()
    stress: model_of(StressConfig) = model_of(StressConfig)()  # type: ignore[valid-type]
    sweep: SweepSection | None = None
    training: TrainingSection = TrainingSection()

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if self.mode == "local" and self.live.url is not None:
            raise ValueError("live.url is set; a local run starts its own venue, mode paper hears another's")
        if self.mode not in REAL_MODES:
            return self
        if self.live.user is None:
            raise ValueError(f"live.user is missing; mode {self.mode} needs the account's address")
        host = (urlsplit(self.live.url or "").hostname or "").rstrip(".")
        if self.mode == "testnet" and f".{host}".endswith(MAIN_DOMAIN):
            raise ValueError(f"live.url is the main network's; mode testnet never trades there ({host})")
        if self.mode == "live" and self.live.max_equity_used is None:
            raise ValueError(
                "live.max_equity_used is missing; mode live needs the most that may be used, for example 1000"
            )
        return self

    @model_validator(mode="after")
    def _check_reference(self) -> Self:
        reference = self.strategy.reference
        if reference is not None and reference == self.market.coin:
            raise ValueError(
                f"strategy.reference is {reference}, which is quoted itself; name its twin, for example xyz:SP500"
            )
        return self

    @property
    def on_end(self) -> Literal["flatten", "hold"]:
        """What becomes of a position at the end: as said, else hold in live and flatten elsewhere."""
        return self.live.on_end or ("hold" if self.mode == "live" else "flatten")

    @model_validator(mode="after")
    def _build_all(self) -> Self:
        for name in ("simulator", "generator", "stress"):
            build(getattr(self, name), name)
        for name in ("quoting", "budget", "risk", "flatten"):
            build(getattr(self.strategy, name), f"strategy.{name}")
        for name in ("latency", "fill", "rules"):
            build(getattr(self.venue, name), f"venue.{name}")
        return self


def load_config(path: str | Path, overrides: list[str] | None = None) -> RunConfig:
    """
    Return the validated run configuration of a YAML file with ``--set`` assignments applied.

    Raises
    ------
    InputError
        When the file or a value cannot be used.

    """
    raw = apply_overrides(read_yaml(Path(path)), overrides or [])
    place = key_in(raw)
    if place is not None:
        # nothing of it is repeated: it may be a real one
        raise InputError(
            f"{place} holds what looks like a secret key", str(path), "the environment, or a keystore"
        )
    return validate(RunConfig, raw, str(path))


def to_plain(config: RunConfig) -> dict[str, Any]:
    """Return the resolved configuration as plain YAML values."""
    plain: dict[str, Any] = config.model_dump(mode="json")
    return plain


__all__ = ["InputError", "RunConfig", "load_config", "to_plain"]
