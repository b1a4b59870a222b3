"""Whether a person has said that this run may trade real money: by typing it, or by naming account and configuration beforehand."""

import hmac
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from amm500_catalog.errors import InputError


VARIABLE = "AMM500_CONFIRM_LIVE"
WORD = "LIVE"
ADDRESS_DIGITS = 6
HASH_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """
    What the person who starts a run has said.

    ``confirm_live`` asks for the word at the terminal, ``override`` is why a closed paper gate is passed, ``environ`` may hold a
    confirmation made beforehand, ``ask`` shows a text and returns a line (None where nobody can be asked).
    """

    confirm_live: bool = False
    override: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    ask: Callable[[str], str] | None = None


def confirmation(address: str, config_hash: str) -> str:
    """Return the confirmation of one account and one configuration: the last six digits of one, the first eight of the other."""
    return f"{address.lower()[-ADDRESS_DIGITS:]}:{config_hash.lower()[:HASH_DIGITS]}"


def given_beforehand(approval: Approval, *, address: str, config_hash: str) -> bool:
    """
    Return whether the environment confirms this account and configuration.

    Raises
    ------
    InputError
        If it confirms another one: nobody is asked then, the run was meant to be something else.

    """
    said = approval.environ.get(VARIABLE, "").strip()
    if not said:
        return False
    wanted = confirmation(address, config_hash)
    if hmac.compare_digest(said.lower().encode(), wanted.encode()):
        return True
    raise InputError(
        "confirms another account or configuration", VARIABLE, f"{wanted} for this run, once it is checked"
    )


def confirm(approval: Approval, *, address: str, config_hash: str, text: str) -> str:
    """
    Return how the run was confirmed.

    Parameters
    ----------
    approval : Approval
        What was said.
    address, config_hash : str
        What is confirmed.
    text : str
        What the person is shown when asked.

    Raises
    ------
    InputError
        If it was not.

    """
    if given_beforehand(approval, address=address, config_hash=config_hash):
        return f"confirmed beforehand ({VARIABLE})"
    how = f"--confirm-live at a terminal, or {VARIABLE}={confirmation(address, config_hash)}"
    if not approval.confirm_live:
        raise InputError("not confirmed; mode live trades real money", "live", how)
    if approval.ask is None:
        raise InputError("there is no terminal to type LIVE at", "--confirm-live", how)
    try:
        said = approval.ask(f"{text}\nType {WORD} to trade real money: ")
    except EOFError:
        said = ""
    if said.strip() != WORD:
        raise InputError(f"not confirmed: {WORD} was not typed", "--confirm-live", how)
    return "confirmed at the terminal"
