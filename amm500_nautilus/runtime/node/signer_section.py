"""The run file's ``live.signer``: where the secret key is kept, never the key itself."""

import re
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self

from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import model_validator

from amm500_nautilus.runtime.patterns import ADDRESS
from amm500_nautilus.runtime.patterns import CREDENTIAL
from amm500_nautilus.runtime.patterns import VARIABLE


KEY_VARIABLE = "HYPERLIQUID_AGENT_KEY"
# 32 bytes, written as YAML takes them: a text of 64 hex digits, or a number
HEX_KEY = re.compile(r"(?<![0-9a-fA-F])(?:0[xX])?[0-9a-fA-F]{64}(?![0-9a-fA-F])")
LEAST_KEY_NUMBER = 1 << 200
ADDRESS_DIGITS = 40


def _address(value: Any) -> Any:
    """Take an address that YAML has read as a number, because it was written without quotes."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 160
    return f"0x{value:0{ADDRESS_DIGITS}x}" if is_number else value


Address = Annotated[str, BeforeValidator(_address), ADDRESS]


class SignerSection(BaseModel):
    """
    Where the agent's secret key comes from.

    ``source`` is ``environment`` (``variable`` names it; it is removed when read) or ``keystore``: a file of version 3, mode 0600,
    at ``path``, opened by a passphrase from the terminal (``unlock_by: prompt``), an open ``descriptor``, or a systemd
    ``credential`` of that name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["environment", "keystore"] = "environment"
    variable: Annotated[str, VARIABLE] = KEY_VARIABLE
    path: Annotated[str, Field(min_length=1)] | None = None
    unlock_by: Literal["prompt", "descriptor", "credential"] = "prompt"
    descriptor: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    credential: Annotated[str, CREDENTIAL] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.source != "keystore":
            return self
        if self.path is None:
            raise ValueError("live.signer.path is missing; source keystore needs the keystore file")
        for name in ("descriptor", "credential"):
            if self.unlock_by == name and getattr(self, name) is None:
                raise ValueError(f"live.signer.{name} is missing; unlock_by {name} needs it")
        return self


def is_key(value: Any) -> bool:
    """Return whether a value of a run file looks like a secret key: 32 bytes in hex, or the number that they are."""
    if isinstance(value, str):
        return HEX_KEY.search(value) is not None
    return isinstance(value, int) and value >= LEAST_KEY_NUMBER


def without_keys(text: str) -> str:
    """Return a text with everything that looks like a secret key taken out."""
    found = HEX_KEY.sub("(not shown)", text)
    return re.sub(r"\d{60,}", "(not shown)", found)


def key_in(raw: Any, path: str = "") -> str | None:
    """Return where in a run file something stands that looks like a secret key; None where nothing does."""
    if isinstance(raw, dict):
        for name, value in raw.items():
            if is_key(name):
                return path or "the top"
            found = key_in(value, f"{path}.{name}" if path else str(name))
            if found is not None:
                return found
        return None
    if isinstance(raw, list | tuple):
        return next(
            (at for index, value in enumerate(raw) if (at := key_in(value, f"{path}[{index}]")) is not None),
            None,
        )
    return path if is_key(raw) else None
