"""From a run file to the account that the direct commands act on, and the key that they sign with."""

from amm500_catalog.errors import InputError
from amm500_nautilus.runtime.config import REAL_MODES
from amm500_nautilus.runtime.config import RunConfig
from amm500_nautilus.runtime.models import build
from amm500_nautilus.runtime.node.paper import candidates
from amm500_nautilus.runtime.node.state_folder import state_folder
from amm500_nautilus.runtime.node.venue import EXECUTION
from amm500_nautilus.runtime.node.venue import execution_config
from amm500_nautilus.runtime.node.venue import venue_url
from amm500_nautilus.runtime.operate.direct import DirectAccess
from hyperliquid_hip3.constants import split_coin
from hyperliquid_hip3.errors import SigningError
from hyperliquid_hip3.keys import SecretKey
from hyperliquid_hip3.keys import forbid_core_dumps
from hyperliquid_hip3.startup import load_key


def has_account(config: RunConfig) -> bool:
    """Return whether orders of a run file rest at a venue at all: those of paper and local end with their node."""
    return config.mode in REAL_MODES


def dexes_of(config: RunConfig) -> tuple[str, ...]:
    """Return the dexes of the markets that a run file may quote, in its order."""
    return tuple(dict.fromkeys(split_coin(coin)[0] for coin in candidates(config)))


def accesses_of(config: RunConfig, *, takes_all: bool = False) -> tuple[DirectAccess, ...]:
    """
    Return the account of a run file, once for each dex on which a node of it has had orders, or may have.

    Parameters
    ----------
    config : RunConfig
        A run file of mode testnet or live.
    takes_all : bool, default False
        Whether every order of the account on these dexes counts as ours.

    """
    live, folder = config.live, state_folder(config) / EXECUTION
    found = [
        DirectAccess(
            url=venue_url(config),
            dex=dex,
            coins=tuple(coin for coin in candidates(config) if split_coin(coin)[0] == dex),
            user=live.user or "",
            vault=live.vault,
            state_dir=folder,
            takes_all=takes_all or live.adopt_foreign,
            flatten=build(config.strategy.flatten),
        )
        for dex in dexes_of(config)
    ]
    used = tuple(access for access in found if access.orders_file.exists())
    # before the first order nothing tells which of the candidates is listed
    return used or tuple(found if takes_all else found[:1])


def open_key(config: RunConfig) -> SecretKey:
    """
    Return the key of the direct commands: ``supervise.direct_signer``, else the node's own; core dumps are off from here on.

    Raises
    ------
    InputError
        If there is no usable key where the run file says.

    """
    own = config.supervise.direct_signer
    place = "live.signer" if own is None else "supervise.direct_signer"
    if own is not None:
        config = config.model_copy(update={"live": config.live.model_copy(update={"signer": own})})
    forbid_core_dumps()
    try:
        return load_key(execution_config(config, candidates(config)[0]))
    except SigningError as error:
        raise InputError(str(error), place, "an agent's key there") from error
