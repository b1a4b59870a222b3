"""What the adapter's two clients are told: addresses, market, times, and where the key is kept; never the key itself."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from nautilus_trader.live.config import LiveDataClientConfig
from nautilus_trader.live.config import LiveExecClientConfig

from hyperliquid_hip3.constants import MAINNET_URL
from hyperliquid_hip3.constants import split_coin


ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
DEX: Final = re.compile(r"[a-z0-9]{0,8}")
# bare names keep the venue's case: US500, kPEPE, HYPE
COIN: Final = re.compile(r"(?:[a-z0-9]+:)?[A-Za-z0-9_/-]+")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

CYCLE_TOPIC: Final = "amm500.cycle_end"
LEVERAGE_TOPIC: Final = "amm500.leverage"
WEIGHT_TOPIC: Final = "amm500.reserve_weight"
WEIGHT_ANSWER_TOPIC: Final = "amm500.weight_answer"
BOOK_AGES_TOPIC: Final = "amm500.book_ages"

KEY_SOURCES: Final = ("environment", "keystore")
UNLOCKS: Final = ("prompt", "descriptor", "credential")
MARGIN_MODES: Final = ("cross", "isolated")


class HyperliquidDataClientConfig(LiveDataClientConfig, frozen=True):  # type: ignore[call-arg]
    """
    Configuration for ``HyperliquidDataClient`` instances.

    Parameters
    ----------
    url : str, default ``https://api.hyperliquid.xyz``
        The venue's REST address, without a path.
    ws_url : str, optional
        The WebSocket address; made from ``url`` when left out (``https://host`` gives ``wss://host/ws``).
    dex : str, default "km"
        The dex whose perpetuals are loaded when ``coins`` is empty; "" is the validator-operated one.
    coins : tuple[str, ...], default ()
        The coins to load, with their dex prefix; they may be of several dexes. Empty for every coin of ``dex``.
    http_timeout_secs : float, default 5.0
        The time one REST request may take.
    book_stale_ms : int, default 2000
        Without a book message for so long the book is asked for by REST, until messages come again.
    rest_poll_ms : int, default 1000
        The time between these REST requests, each of weight 2.
    meta_check_secs : float, default 300.0
        The time between looks for changed fees, leverage, tick or listing.
    status_check_secs : float, default 30.0
        The time between looks at which coins are at their open-interest cap.
    halt_after_secs : float, default 10.0
        A coin whose book was empty on both sides for so long is reported as halted.
    bar_grace_ms : int, default 2000
        A candle that no later one has closed is taken as closed so long after its end.
    record_dir : str, optional
        A folder to which every raw frame is written with its receive time.
    ages_topic : str, default "amm500.book_ages"
        The message bus topic of ``BookAges``, told with each book when someone listens.

    Raises
    ------
    ValueError
        If a value is not allowed; the text names the field, the value and what is.

    """

    url: str = MAINNET_URL
    ws_url: str | None = None
    dex: str = "km"
    coins: tuple[str, ...] = ()
    http_timeout_secs: float = 5.0
    book_stale_ms: int = 2_000
    rest_poll_ms: int = 1_000
    meta_check_secs: float = 300.0
    status_check_secs: float = 30.0
    halt_after_secs: float = 10.0
    bar_grace_ms: int = 2_000
    record_dir: str | None = None
    ages_topic: str = BOOK_AGES_TOPIC

    def __post_init__(self) -> None:
        _check_market(self)
        _require_range(self, "book_stale_ms", 200, 60_000)
        _require_range(self, "rest_poll_ms", 100, 60_000)
        _require_range(self, "meta_check_secs", 0.05, 3_600)
        _require_range(self, "status_check_secs", 0.05, 3_600)
        _require_range(self, "halt_after_secs", 0.05, 3_600)
        _require_range(self, "bar_grace_ms", 0, 60_000)
        _require(
            self, "record_dir", self.record_dir is None or bool(self.record_dir), "a folder, or left out"
        )
        _require(self, "ages_topic", bool(self.ages_topic), "the name of a message bus topic")

    @property
    def socket_url(self) -> str:
        """The WebSocket address, given or made from ``url``."""
        return self.ws_url or socket_url(self.url)


class HyperliquidExecClientConfig(LiveExecClientConfig, frozen=True):  # type: ignore[call-arg]
    """
    Configuration for ``HyperliquidExecutionClient`` instances.

    Parameters
    ----------
    url : str, default ``https://api.hyperliquid.xyz``
        The venue's REST address, without a path. Only the main network's own host makes signatures for it.
    ws_url : str, optional
        The WebSocket address; made from ``url`` when left out.
    dex : str, default "km"
        The dex traded on: its orders, positions and margin are this client's.
    coins : tuple[str, ...], default ()
        The coins to load, with their dex prefix, all of ``dex``. Empty for every coin of it.
    user : str
        The account's address: the master's, never the agent's.
    vault : str, optional
        The vault or sub-account traded for.
    key_source : {"environment", "keystore"}, default "keystore"
        Where the secret key comes from.
    key_variable : str, default "HYPERLIQUID_AGENT_KEY"
        The name of the environment variable; it is removed when read.
    keystore_path : str, optional
        The keystore file (mode 0600); required with ``key_source="keystore"``.
    unlock_by : {"prompt", "descriptor", "credential"}, default "prompt"
        Where the keystore's passphrase comes from.
    unlock_descriptor : int, optional
        The open file descriptor to read it from; required with ``"descriptor"``.
    unlock_credential : str, optional
        The name of the systemd credential; required with ``"credential"``.
    require_agent : bool, default True
        Refuse a key that is not an approved agent of ``user``.
    state_dir : str
        A folder of this user's for nonces, order names and seen fills.
    leverage : int, optional
        Set on connect and read back; left as it is when None.
    margin_mode : {"cross", "isolated"}, default "cross"
        Set with the leverage, where the coin allows it.
    slippage_bps : Decimal, default 50
        How far a market order may go past the touch.
    http_timeout_secs : float, default 5.0
        The time one REST request may take.
    expires_after_ms : int, optional, default 15000
        An action that reaches no block within this time is void; None to send actions without.
    account_refresh_secs : float, default 5.0
        The longest time between account reports.
    account_spacing_ms : int, default 250
        The shortest time between two of them.
    query_after_ms : int, default 2000
        An order without an answer for so long is asked about.
    cycle_topic : str, default "amm500.cycle_end"
        The topic on which the strategy says how many commands its cycle had.
    leverage_topic : str, default "amm500.leverage"
        The topic on which a new leverage is asked for.
    weight_topic : str, default "amm500.reserve_weight"
        The topic on which request weight is bought.
    weight_answer_topic : str, default "amm500.weight_answer"
        The topic on which the strategy is told what became of it: the weight, and ``bought``, ``refused`` or ``unknown``.
    buy_weight : bool, default False
        Whether to buy request weight when asked to.
    quiet_ms : float, default 1.0
        Commands are sent together after so long without another one.
    flush_ms : float, default 3.0
        And at the latest so long after the first of them.
    deadman_secs : int, default 60
        How far ahead the venue is told to cancel everything, re-armed at half of it; 0 for never.
    drift_check_secs : float, default 300.0
        How often fees, leverage, margin mode, tiers and tick are read again.
    adopt_foreign : bool, default False
        Whether orders that are not this client's own may be claimed and canceled.

    Raises
    ------
    ValueError
        If a value is not allowed; the text names the field, the value and what is.

    """

    url: str = MAINNET_URL
    ws_url: str | None = None
    dex: str = "km"
    coins: tuple[str, ...] = ()
    user: str = ""
    vault: str | None = None
    key_source: str = "keystore"
    key_variable: str = "HYPERLIQUID_AGENT_KEY"
    keystore_path: str | None = None
    unlock_by: str = "prompt"
    unlock_descriptor: int | None = None
    unlock_credential: str | None = None
    require_agent: bool = True
    state_dir: str = ""
    leverage: int | None = None
    margin_mode: str = "cross"
    slippage_bps: Decimal = Decimal(50)
    http_timeout_secs: float = 5.0
    expires_after_ms: int | None = 15_000
    account_refresh_secs: float = 5.0
    account_spacing_ms: int = 250
    query_after_ms: int = 2_000
    cycle_topic: str = CYCLE_TOPIC
    leverage_topic: str = LEVERAGE_TOPIC
    weight_topic: str = WEIGHT_TOPIC
    weight_answer_topic: str = WEIGHT_ANSWER_TOPIC
    buy_weight: bool = False
    quiet_ms: float = 1.0
    flush_ms: float = 3.0
    deadman_secs: int = 60
    drift_check_secs: float = 300.0
    adopt_foreign: bool = False

    def __post_init__(self) -> None:
        _check_market(self)
        strangers = [coin for coin in self.coins if split_coin(coin)[0] != self.dex]
        _require(self, "coins", not strangers, f"coins of the dex {self.dex!r} only")
        _require(
            self, "user", bool(ADDRESS.fullmatch(self.user)), "the account's address (0x and 40 hex digits)"
        )
        vault_ok = self.vault is None or bool(ADDRESS.fullmatch(self.vault))
        _require(self, "vault", vault_ok, "an address (0x and 40 hex digits), or left out")
        self._check_key()
        self._check_times()
        _require(self, "state_dir", bool(self.state_dir), "a folder for nonces, order names and seen fills")
        leverage_ok = self.leverage is None or 1 <= self.leverage <= 100
        _require(self, "leverage", leverage_ok, "1 to 100, or left out to keep the account's")
        _require(self, "margin_mode", self.margin_mode in MARGIN_MODES, f"one of {', '.join(MARGIN_MODES)}")
        slippage_ok = self.slippage_bps.is_finite() and 0 < self.slippage_bps <= 1_000
        _require(self, "slippage_bps", slippage_ok, "more than 0 and at most 1000")
        for name in ("cycle_topic", "leverage_topic", "weight_topic", "weight_answer_topic"):
            _require(self, name, bool(getattr(self, name)), "the name of a message bus topic")

    def _check_key(self) -> None:
        _require(self, "key_source", self.key_source in KEY_SOURCES, f"one of {', '.join(KEY_SOURCES)}")
        # a key pasted here by mistake must not be repeated in the error
        name_ok = bool(VARIABLE.fullmatch(self.key_variable)) and len(self.key_variable) < 64
        _require(self, "key_variable", name_ok, "the name of an environment variable, not a key", show=False)
        sources = f"one of {', '.join(UNLOCKS)}"
        _require(self, "unlock_by", self.unlock_by in UNLOCKS, sources, show=False)
        if self.key_source != "keystore":
            return
        has_file = self.keystore_path is not None and Path(self.keystore_path).name != ""
        _require(self, "keystore_path", has_file, "the keystore file when `key_source` is 'keystore'")
        if self.unlock_by == "descriptor":
            descriptor = self.unlock_descriptor
            _require(
                self,
                "unlock_descriptor",
                descriptor is not None and descriptor >= 0,
                "an open descriptor",
            )
        if self.unlock_by == "credential":
            has_name = bool(self.unlock_credential)
            _require(self, "unlock_credential", has_name, "the name of a credential", show=False)

    def _check_times(self) -> None:
        if self.expires_after_ms is not None:
            _require_range(self, "expires_after_ms", 1_000, 600_000)
        _require_range(self, "account_refresh_secs", 0.1, 600)
        _require_range(self, "account_spacing_ms", 0, 60_000)
        _require_range(self, "query_after_ms", 100, 60_000)
        _require_range(self, "drift_check_secs", 0.05, 3_600)
        _require_range(self, "quiet_ms", 0, 1_000)
        _require_range(self, "flush_ms", 0, 1_000)
        _require(self, "flush_ms", self.flush_ms >= self.quiet_ms, "at least `quiet_ms`")
        # the venue takes times from 5 s ahead on
        deadman_ok = self.deadman_secs == 0 or 10 <= self.deadman_secs <= 3_600
        _require(self, "deadman_secs", deadman_ok, "0, or 10 to 3600")

    @property
    def socket_url(self) -> str:
        """The WebSocket address, given or made from ``url``."""
        return self.ws_url or socket_url(self.url)

    @property
    def account(self) -> str:
        """The address whose orders and positions are read, in lower case: the vault's where there is one."""
        return (self.vault or self.user).lower()


def socket_url(url: str) -> str:
    """
    Return the WebSocket address that belongs to a REST address.

    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket

    Raises
    ------
    ValueError
        If it is not an http or https address.

    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"`url` was {url!r}, must be an http or https address")
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws"


def _check_market(config: HyperliquidDataClientConfig | HyperliquidExecClientConfig) -> None:
    parts = urlsplit(config.url)
    url_ok = (
        parts.scheme in ("http", "https")
        and bool(parts.netloc)
        and parts.path in ("", "/")
        and not parts.query
    )
    _require(config, "url", url_ok, "an http or https address without a path")
    ws_ok = config.ws_url is None or urlsplit(config.ws_url).scheme in ("ws", "wss")
    _require(config, "ws_url", ws_ok, "a ws or wss address, or left out")
    _require(
        config,
        "dex",
        bool(DEX.fullmatch(config.dex)),
        "the name of a dex, or '' for the validator-operated one",
    )
    wrong = [coin for coin in config.coins if not COIN.fullmatch(coin)]
    _require(config, "coins", not wrong, "coins like 'km:US500', with their dex prefix")
    repeated = len(set(config.coins)) != len(config.coins)
    _require(config, "coins", not repeated, "each coin once")
    _require_range(config, "http_timeout_secs", 0.1, 120)


def _require_range(
    config: HyperliquidDataClientConfig | HyperliquidExecClientConfig, name: str, low: float, high: float
) -> None:
    _require(config, name, low <= getattr(config, name) <= high, f"{low:g} to {high:g}")


def _require(
    config: HyperliquidDataClientConfig | HyperliquidExecClientConfig,
    name: str,
    is_allowed: bool,
    allowed: str,
    *,
    show: bool = True,
) -> None:
    if not is_allowed:
        value = repr(getattr(config, name)) if show else "not that"
        raise ValueError(f"`{type(config).__name__}.{name}` was {value}, must be {allowed}")
