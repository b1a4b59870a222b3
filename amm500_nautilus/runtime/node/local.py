"""A local run: the adapter's execution client, and an account at the loopback venue."""

from decimal import Decimal
from pathlib import Path

from nautilus_trader.config import InstrumentProviderConfig

from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.node.client_desk import ClientDesk
from amm500_nautilus.runtime.node.desk import About
from amm500_nautilus.runtime.node.endpoint import Endpoint
from amm500_nautilus.runtime.node.market import MarketNow
from hyperliquid_hip3.config import HyperliquidExecClientConfig
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.factories import HyperliquidLiveExecClientFactory


KEY_VARIABLE = "AMM500_LOCAL_KEY"


class LocalDesk(ClientDesk):
    """
    Orders go to the loopback venue, signed by the account it made.

    Parameters
    ----------
    config : RunConfig
        The run file.
    endpoint : Endpoint
        The venue and its account.
    market : MarketNow
        What is quoted.

    """

    factory = HyperliquidLiveExecClientFactory
    events: tuple[tuple[str, str], ...] = ()

    def __init__(self, config: RunConfig, endpoint: Endpoint, market: MarketNow) -> None:
        super().__init__(endpoint, market)
        self._config = config

    @property
    def equity(self) -> Decimal:
        """The equity of the run file."""
        return self._config.account.equity

    def execution(self, state_dir: Path) -> HyperliquidExecClientConfig:
        """Return the configuration of the adapter's execution client, whose folder is made."""
        config, endpoint = self._config, self.endpoint
        state_dir.mkdir(mode=0o700)
        return HyperliquidExecClientConfig(
            url=endpoint.url,
            ws_url=endpoint.ws_url,
            dex=split_coin(self.market.coin)[0],
            coins=(self.market.coin,),
            user=endpoint.user,
            key_source="environment",
            key_variable=KEY_VARIABLE,
            # the loopback venue's account signs for itself
            require_agent=False,
            state_dir=str(state_dir),
            leverage=int(config.account.leverage),
            margin_mode="cross" if config.account.margin_mode.value == "cross" else "isolated",
            buy_weight=bool(build(config.strategy.budget).buy_weight),
            instrument_provider=InstrumentProviderConfig(load_all=True),
        )

    def about(self) -> About:
        """Return what a report says of a venue that is simulated as a whole."""
        source = f"loopback venue, {self._config.live.flow} market"
        rules = self.endpoint.unsourced_rules
        return About(
            source=source,
            simulated=True,
            description=f"a local run against the {source}, seed {self._config.seed}",
            defaults=(f"the venue is simulated on this machine; {rules} of its rules have no source",),
        )

    def end(self, *, is_over: bool) -> None:
        """Do nothing: the account ends with its venue."""
