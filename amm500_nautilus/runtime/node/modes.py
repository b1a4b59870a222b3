"""The modes of a run on the wall clock: which venue, whose account, and where what outlives the run is kept."""

import os
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import closing
from contextlib import contextmanager
from pathlib import Path

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.node.confirm import Approval
from amm500_nautilus.runtime.node.desk import Desk
from amm500_nautilus.runtime.node.endpoint import LoopbackProcess
from amm500_nautilus.runtime.node.local import KEY_VARIABLE
from amm500_nautilus.runtime.node.local import LocalDesk
from amm500_nautilus.runtime.node.lock import require_mode
from amm500_nautilus.runtime.node.market import look_at_market
from amm500_nautilus.runtime.node.paper import PaperDesk
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.paper import open_store
from amm500_nautilus.runtime.node.paper import paper_endpoint
from amm500_nautilus.runtime.node.signer_section import HEX_KEY
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.node.venue import open_venue
from amm500_nautilus.runtime.progress import Progress
from amm500_nautilus.simulation.paper_state import PaperStateError
from hyperliquid_hip3.constants import split_coin


def monitor_folder(config: RunConfig, run_dir: Path) -> Path:
    """Return where journal and control socket are: a local run's end with it, a paper account's outlive the run."""
    if config.mode == "local":
        return run_dir / "monitor"
    return state_folder(config) / "monitor"


def refuse_key(config: RunConfig, environ: Mapping[str, str]) -> None:
    """
    Refuse to run locally beside a secret key: it could only be a real one.

    Raises
    ------
    InputError
        If the environment holds one; its name is told, nothing else of it.

    """
    named = {config.live.signer.variable, KEY_VARIABLE}
    found = sorted(
        name
        for name, value in environ.items()
        if (name in named and value.strip())
        or ("KEY" in name.upper() and HEX_KEY.fullmatch(value.strip()) is not None)
    )
    if found:
        raise InputError(
            "holds a secret key; a local run makes its own account", found[0], "an environment without it"
        )


def loopback_of(config: RunConfig) -> LoopbackProcess:
    """
    Return the venue of a run file of mode local, which begins as a context and ends with it.

    Raises
    ------
    InputError
        If the environment holds a secret key.

    """
    refuse_key(config, os.environ)
    return LoopbackProcess(
        flow=config.live.flow,
        equity=str(config.account.equity),
        seed=config.seed,
        dex=split_coin(config.market.coin)[0],
        coin=config.market.coin,
        block_ms=config.live.block_ms,
    )


@contextmanager
def open_desk(config: RunConfig, progress: Progress, approval: Approval | None = None) -> Iterator[Desk]:
    """
    Give the mode of a run file its venue and its account for as long as the run takes.

    Raises
    ------
    InputError
        If no market of the file can be quoted, the account is in use, or something that must hold does not.
    SourceUnavailableError
        If the venue cannot be reached.

    """
    if config.mode in REAL_MODES:
        with open_venue(config, progress, approval or Approval()) as desk:
            yield desk
        return
    if config.mode == "paper":
        require_mode(state_folder(config), mode=config.mode)
        endpoint = paper_endpoint(config)
        market = look_at_market(endpoint.url, candidates(config))
        progress.say(market.sentence)
        store = open_store(config, market.coin)
        try:
            store.take()
        except PaperStateError as error:
            raise InputError(
                str(error), str(store.path), "one run at a time, or another live.state_dir"
            ) from error
        with closing(store):
            yield PaperDesk(config, endpoint, market, store, progress)
        return
    with loopback_of(config) as process:
        endpoint = process.endpoint()
        yield LocalDesk(config, endpoint, look_at_market(endpoint.url, config.market.coin))
