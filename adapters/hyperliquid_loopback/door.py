"""What happens to a signed action between the socket and its block: shape, signature, limits, faults."""

import asyncio
from typing import Any
from typing import Final

from hyperliquid_loopback.accounts import Accounts
from hyperliquid_loopback.actions_in import BlockClass
from hyperliquid_loopback.actions_in import MalformedActionError
from hyperliquid_loopback.actions_in import block_class
from hyperliquid_loopback.actions_in import parse_action
from hyperliquid_loopback.agents import EXPIRED
from hyperliquid_loopback.agents import Malformed
from hyperliquid_loopback.agents import Refused
from hyperliquid_loopback.engine import Exchange
from hyperliquid_loopback.faults import Faults
from hyperliquid_loopback.info import ShapeError
from hyperliquid_loopback.types import Json


POST_ONLY_PHASE: Final = "Only post-only orders allowed immediately after network upgrade"
UINT64: Final = 1 << 64


class ActionDoor:
    """
    Takes signed actions, by HTTP or WebSocket, and hands them to the exchange.

    Parameters
    ----------
    accounts, exchange : object
        The venue's parts.
    faults : Faults
        ``nonce_collision``, ``agent_unknown`` and ``post_only_phase`` are looked at here.

    """

    def __init__(self, accounts: Accounts, exchange: Exchange, faults: Faults) -> None:
        self._accounts = accounts
        self._exchange = exchange
        self._faults = faults

    async def act(self, request: Any, now_ms: int) -> Json:
        """
        Return the venue's reply to a signed request, after the block that took it.

        Parameters
        ----------
        request : object
            The parsed body.
        now_ms : int
            Venue time.

        Raises
        ------
        ShapeError
            If the request or its action cannot be read: the venue answers 422.

        """
        turn = _turn(request)
        action = request["action"]
        kind = str(action["type"])
        try:
            signer = self._accounts.agents.authenticate(request, now_ms)
        except Malformed as error:
            raise ShapeError from error
        except Refused as refused:
            if refused.text == EXPIRED and refused.user is not None:
                self._accounts.charge_expired(refused.user, action)
            return _refused(refused.text)
        # the nonce is spent by now, as the venue spends it on actions that it then rejects
        if self._faults.strike("agent_unknown", "exchange", kind):
            return _refused(f"User or API Wallet {signer.signer} does not exist.")
        if self._faults.strike("nonce_collision", "exchange", kind):
            return _refused(f"Invalid nonce: duplicate nonce {request['nonce']}")
        if turn is BlockClass.AGGRESSIVE and self._faults.strike("post_only_phase", "exchange", kind):
            return _refused(POST_ONLY_PHASE)
        answered: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

        def reply(answer: Json) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._exchange.submit(
            action,
            user=signer.user,
            now_ms=now_ms,
            expires_after=request.get("expiresAfter"),
            reply=reply,
        )
        return await answered


def _turn(request: Any) -> BlockClass:
    if not isinstance(request, dict) or not isinstance(request.get("action"), dict):
        raise ShapeError
    nonce, signature = request.get("nonce"), request.get("signature")
    if type(nonce) is not int or not 0 <= nonce < UINT64:
        raise ShapeError
    if not isinstance(signature, dict) or not _is_signature(signature):
        raise ShapeError
    vault, expires = request.get("vaultAddress"), request.get("expiresAfter")
    if not (vault is None or isinstance(vault, str)) or not (expires is None or type(expires) is int):
        raise ShapeError
    try:
        return block_class(parse_action(request["action"]))
    except MalformedActionError as error:
        raise ShapeError from error


def _is_signature(signature: Json) -> bool:
    texts = (signature.get("r"), signature.get("s"))
    return type(signature.get("v")) is int and all(isinstance(each, str) for each in texts)


def _refused(text: str) -> Json:
    return {"status": "err", "response": text}
